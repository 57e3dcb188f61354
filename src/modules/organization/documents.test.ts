import { createConfig, lintFromString } from '@redocly/openapi-core'
import { Ajv2020 } from 'ajv/dist/2020.js'
import ajvFormats from 'ajv-formats'
import openapiTS, { astToString, type OpenAPI3 } from 'openapi-typescript'
import ts from 'typescript'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { operations } from '../../../generated/operations.js'
import { type Caller, createHarness, type Harness } from '../../testing/harness.js'

const fieldsPath = operations.listCustomFields.path
const openapiPath = operations.getOrganizationOpenapi.path
const options = ['gold', 'silver'].map((value) => ({ value, label: value, archived: value === 'silver' }))

/** A field of each type, with each rule. */
const fields = [
  {
    key: 'tier',
    type: 'select',
    filterable: true,
    options,
    required: true,
    personalData: true,
    description: 'How good they are',
  },
  { key: 'labels', type: 'multiSelect', options },
  { key: 'nickname', type: 'text', minLength: 2, maxLength: 20, required: true, defaultValue: 'None' },
  { key: 'number', type: 'text', filterable: true, pattern: '[A-Z]{2}-\\d+' },
  { key: 'notes', type: 'longText' },
  { key: 'score', type: 'number', minimum: 1.5, maximum: 99.5 },
  { key: 'seats', type: 'integer', filterable: true, minimum: 1 },
  { key: 'isPartner', type: 'boolean', filterable: true },
  { key: 'since', type: 'date', filterable: true },
  { key: 'seenAt', type: 'timestamp', filterable: true },
  { key: 'price', type: 'money', filterable: true, minimum: 0 },
  { key: 'manager', type: 'user', filterable: true },
  { key: 'partner', type: 'reference', referenceObject: 'contact' },
  { key: 'home', type: 'url' },
  { key: 'billing', type: 'email', filterable: true },
  { key: 'hotline', type: 'phone' },
  // Names that mean something in a schema.
  { key: 'default', type: 'text' },
  { key: 'properties', type: 'text' },
]

let harness: Harness
let owner: Caller
beforeAll(async () => {
  harness = await createHarness()
  owner = await harness.newOrganization()
  for (const object of ['account', 'contact', 'lead', 'opportunity']) {
    for (const field of fields) {
      const reply = await owner.post(fieldsPath, { object, label: `${object} ${field.key}`, ...field })
      expect(reply.statusCode, reply.payload).toBe(201)
    }
  }
})
afterAll(() => harness.close())

const readOpenapi = async (caller = owner) => (await caller.get(openapiPath)).json<Record<string, unknown>>()

test('the contract of an organization lints clean, its examples included', async () => {
  const config = await createConfig({ extends: ['recommended-strict'] })
  const source = JSON.stringify(await readOpenapi())
  expect(source).toContain('AccountCustomFieldInput')
  const problems = await lintFromString({ source, absoluteRef: '/openapi.json', config })
  expect(problems.map(({ message, location }) => [message, location[0]?.pointer])).toEqual([])
}, 60_000)

test('an organization without custom fields has the contract as it is published', async () => {
  const published = await harness.send({ method: 'GET', url: '/api/v1/openapi.json' })
  expect(await readOpenapi(await harness.newOrganization())).toEqual(published.json())
})

test('openapi-typescript makes strict types of it, in which the custom fields have theirs', async () => {
  const contract = astToString(await openapiTS((await readOpenapi()) as unknown as OpenAPI3, { silent: true }))
  const use = `
    import type { components, operations } from './contract.js'
    type Schemas = components['schemas']
    declare const account: Schemas['Account']
    export const tier: 'gold' | 'silver' | undefined = account.customFields.tier
    export const price: string | undefined = account.customFields.price?.amount
    export const made: Schemas['AccountCreate'] = {
      name: 'Northwind', customFields: { tier: 'gold', nickname: 'Nor', seats: 5, labels: ['gold'], since: null },
    }
    declare const part: Schemas['PartialAccount']
    export const tierOfPart: 'gold' | 'silver' | undefined = part.customFields?.tier
    // @ts-expect-error Of a part any property may be missing.
    export const name: string = part.name
    type Content = operations['listAccounts']['responses'][200]['content']
    declare const whole: Content['application/json']
    export const names: string[] = whole.data.map((each) => each.name)
    declare const parts: Content['application/vnd.zenith.partial+json']
    export const maybe: (string | undefined)[] = parts.data.map((each) => each.name)
    export const changed: Schemas['OpportunityUpdate'] = { customFields: { isPartner: true, score: null } }
    export const converted: Schemas['LeadConversion'] = { account: { customFields: { tier: 'gold' } } }
    export const asked: Schemas['ContactQuery'] = {
      filter: { and: [
        { field: 'customFields.tier', op: 'eq', value: 'gold' },
        { field: 'account.customFields.seats', op: 'between', value: [1, 5] },
        { field: 'customFields.price', op: 'in', value: [{ amount: '5', currency: 'EUR' }] },
        { not: { field: 'customFields.billing', op: 'startsWith', value: 'ada@' } },
      ] },
      sort: ['-customFields.seats', 'name'],
      limit: 50,
    }
    // @ts-expect-error No such option.
    export const asksOption: Schemas['AccountFilter'] = { field: 'customFields.tier', op: 'eq', value: 'bronze' }
    // @ts-expect-error No operator of the type.
    export const asksOperator: Schemas['AccountFilter'] = { field: 'customFields.number', op: 'gt', value: '1' }
    // @ts-expect-error The field is not filterable.
    export const asksField: Schemas['AccountFilter'] = { field: 'customFields.home', op: 'eq', value: 'https://x' }
    // @ts-expect-error Nothing is sorted by what is not filterable.
    export const sorted: Schemas['AccountQuery'] = { sort: ['customFields.home'], limit: 50 }
    // @ts-expect-error No such option.
    export const option: Schemas['ContactCreate'] = { lastName: 'H', customFields: { tier: 'bronze' } }
    // @ts-expect-error The type is another one.
    export const type: Schemas['LeadUpdate'] = { customFields: { seats: '5' } }
    // @ts-expect-error A required field is missing.
    export const missing: Schemas['AccountCreate'] = { name: 'Northwind', customFields: {} }
    // @ts-expect-error So it is where there are no custom fields at all.
    export const absent: Schemas['AccountCreate'] = { name: 'Northwind' }
    // @ts-expect-error Nothing is called so.
    export const unknown: Schemas['AccountCreate'] = { name: 'N', customFields: { tier: 'gold', teir: 1 } }
  `
  expect(complaintsAbout({ '/nowhere/contract.ts': contract, '/nowhere/use.ts': use })).toEqual([])
}, 60_000)

/** What the compiler says in strict mode about files that are nowhere. */
function complaintsAbout(files: Record<string, string>): string[] {
  const settings: ts.CompilerOptions = {
    ...{ strict: true, noEmit: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, types: [] },
    ...{ target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.NodeNext, skipLibCheck: true },
  }
  const host = ts.createCompilerHost(settings)
  const { getSourceFile, fileExists, readFile } = host
  host.fileExists = (name) => name in files || fileExists(name)
  // The compiler does not look for a module in a folder that there is not.
  host.directoryExists = (name) =>
    Object.keys(files).some((file) => file.startsWith(`${name}/`)) || ts.sys.directoryExists(name)
  host.readFile = (name) => files[name] ?? readFile(name)
  host.getSourceFile = (name, version) => {
    const text = files[name]
    return text === undefined ? getSourceFile(name, version) : ts.createSourceFile(name, text, version)
  }
  return ts
    .getPreEmitDiagnostics(ts.createProgram(Object.keys(files), settings, host))
    .map(({ messageText, start }) => `${start}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`)
}

test('records are what the schema of their kind says', async () => {
  const schema = (await owner.get('/api/v1/organization/schemas/account')).json<object>()
  expect(schema).toMatchObject({ $schema: 'https://json-schema.org/draft/2020-12/schema', title: 'Account' })
  const ajv = new Ajv2020({ strict: false })
  ajvFormats.default(ajv)
  const validate = ajv.compile(schema)
  const customFields = { tier: 'gold', nickname: 'Nor', price: { amount: '5', currency: 'EUR' }, number: 'AB-1' }
  const record = (await owner.post('/api/v1/accounts', { name: 'A', customFields })).json<Record<string, object>>()
  expect(validate(record), ajv.errorsText(validate.errors)).toBe(true)
  expect(validate({ ...record, customFields: { ...record.customFields, tier: 1 } })).toBe(false)
})

test('what one of the examples says can be done', async () => {
  const document = await readOpenapi()
  type Example = { value: { customFields: Record<string, unknown> } }
  type Post = { requestBody: { content: Record<string, { examples: Record<string, Example> }> } }
  for (const path of ['/accounts', '/contacts', '/leads', '/opportunities']) {
    const { post } = (document.paths as Record<string, { post: Post }>)[path] ?? {}
    const [example] = Object.values(post?.requestBody.content['application/json']?.examples ?? {})
    // Ids in examples are nobody's.
    const { manager: _, partner: __, ...rest } = example?.value.customFields ?? {}
    expect(Object.keys(rest)).toContain('tier')
    const reply = await owner.post(`/api/v1${path}`, { ...example?.value, customFields: rest })
    expect(reply.statusCode, reply.payload).toBe(201)
  }
})

test('each change of a definition is another version of the documents, and nothing else is', async () => {
  const etagOf = async (caller: Caller) => String((await caller.get(openapiPath)).headers.etag)
  const caller = await harness.newOrganization()
  const first = await etagOf(caller)
  expect((await caller.get(openapiPath, { 'if-none-match': first })).statusCode).toBe(304)
  const body = { object: 'lead', key: 'k', type: 'text', label: 'K' }
  const { id } = (await caller.post(fieldsPath, body)).json<{ id: string }>()
  const second = await etagOf(caller)
  await caller.post('/api/v1/leads', { lastName: 'Hopper' })
  expect(await etagOf(caller)).toBe(second)
  await caller.patch(`${fieldsPath}/${id}`, { archived: true })
  expect(new Set([first, second, await etagOf(caller)]).size).toBe(3)
})

test('the example of an open body is dropped where no value can be thought of', async () => {
  const caller = await harness.newOrganization()
  const body = { object: 'account', key: 'number', type: 'text', label: 'Number', required: true, pattern: '\\d+' }
  expect((await caller.post(fieldsPath, body)).statusCode).toBe(201)
  const { paths } = await readOpenapi(caller)
  const content = (paths as Record<string, { post: { requestBody: { content: Record<string, object> } } }>)['/accounts']
  expect(content?.post.requestBody.content['application/json']).not.toHaveProperty('examples')
})
