import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { expectProblem, unchanged } from '../testing/case.js'
import { type Caller, createHarness, type Harness } from '../testing/harness.js'
import { CUSTOM_OPERATORS } from './custom-fields/filter.js'

type Json = Record<string, unknown>
type Schema = {
  oneOf?: Schema[]
  properties?: Record<string, Schema>
  enum?: unknown[]
  type?: string
  maxItems?: number
  items?: Schema
}
type Condition = { field: string; op: string; value: unknown }
type Tree = { and: Tree[] } | { or: Tree[] } | { not: Tree } | Condition
type Found = { data: Json[]; page: { nextCursor: string | null; total?: number } }

const contract = JSON.parse(readFileSync(new URL('../../generated/openapi.json', import.meta.url), 'utf8')) as {
  components: { schemas: Record<string, Schema> }
}

const RECORDS = { accounts: 'Account', contacts: 'Contact', leads: 'Lead', opportunities: 'Opportunity' } as const
type Name = keyof typeof RECORDS
const names = Object.keys(RECORDS) as Name[]

/** Of each record: the conditions that the contract declares. */
const conditionsOf = (name: Name) =>
  (contract.components.schemas[`${RECORDS[name]}Filter`]?.oneOf ?? []).flatMap(({ properties }) =>
    properties?.field?.enum
      ? [
          {
            fields: properties.field.enum as string[],
            ops: properties.op?.enum as string[],
            value: properties.value as Schema,
          },
        ]
      : [],
  )

/** Kept as given, compared without regard to case. */
const FOLDED: Record<Name, string[]> = {
  accounts: ['domain'],
  contacts: ['email', 'customFields.mail'],
  leads: ['email'],
  opportunities: ['customFields.mail'],
}

// ---- what the filters are tried on

const text = fc.constantFrom('', 'Retail', 'retail', 'Re', 'Ærø 😀', '"a\\', 'a,b{c}', "d'e", 'NULL', '%', '_', '$1')
const maybe = <Value>(value: fc.Arbitrary<Value>) => fc.option(value, { freq: 2 })
const count = maybe(fc.constantFrom(0, 1, 2, 99, 100, 2147483647))
const date = maybe(fc.constantFrom('1899-12-31', '2026-02-28', '2026-03-01', '2027-01-01'))
const money = maybe(
  fc.constantFrom(
    { amount: '0', currency: 'EUR' },
    { amount: '1234.50', currency: 'EUR' },
    { amount: '-1234.5', currency: 'EUR' },
    { amount: '1234', currency: 'JPY' },
    { amount: '1.234', currency: 'KWD' },
    { amount: '999999999999', currency: 'USD' },
  ),
)
const address = maybe(
  fc.record({ city: maybe(text), countryCode: maybe(fc.constantFrom('DE', 'JP')) }, { requiredKeys: [] }),
)
const tags = fc.uniqueArray(fc.constantFrom('vip', 'VIP', 'a,b', '"q"', '{}'), { maxLength: 3 })
const enumOf = (...values: string[]) => maybe(fc.constantFrom(...values))
const name = fc.constantFrom('Alpha', 'alpha', 'Beta', 'Ærø', 'a"b', "O'Neill")

const bodies: Record<Name, fc.Arbitrary<Json>> = {
  accounts: fc.record({
    ...{ name, industry: maybe(text), tags, numberOfEmployees: count, annualRevenue: money, billingAddress: address },
    type: enumOf('prospect', 'customer'),
    lifecycleStage: enumOf('lead', 'customer'),
    description: maybe(text),
  }),
  contacts: fc.record({
    ...{ lastName: name, firstName: maybe(text), tags, birthdate: date, mailingAddress: address },
    additionalEmails: fc.uniqueArray(fc.constantFrom('a@example.com', 'B@example.com'), { maxLength: 2 }),
    doNotCall: fc.boolean(),
    emailOptOut: fc.boolean(),
  }),
  leads: fc.record({
    ...{ lastName: name, companyName: maybe(text), tags, score: maybe(fc.constantFrom(0, 1, 500, 1000)), address },
    ...{ annualRevenue: money, doNotCall: fc.boolean(), email: enumOf('Ada@Example.com', 'ada@example.com') },
    status: fc.constantFrom('open', 'working', 'qualified'),
    rating: enumOf('hot', 'cold'),
    utm: maybe(fc.record({ source: maybe(text), campaign: maybe(text) }, { requiredKeys: [] })),
  }),
  opportunities: fc.record({
    ...{ name, amount: money, expectedCloseDate: date, tags, lostReason: maybe(text) },
    probability: maybe(fc.constantFrom(0, 10, 100)),
    type: enumOf('renewal', 'new_business'),
  }),
}

/** Of each record: custom fields, named like what they are, with values. Together they have every type that is filterable. */
const CUSTOM: Record<Name, Record<string, { type: string; values?: fc.Arbitrary<unknown>; more?: Json }>> = {
  accounts: {
    note: {
      type: 'text',
      values: fc.constantFrom('', 'Retail', 'retail', 'Ærø 😀', '\u{ffff}', '"a\\', 'a,b{c}', '='),
    },
    ratio: { type: 'number', values: fc.constantFrom(-1e300, -1.5, -0, 0, 5e-324, 0.1, 2, 1e21) },
    price: { type: 'money', values: money },
    seenAt: {
      type: 'timestamp',
      values: fc.constantFrom('2026-01-05T10:00:00+02:00', '2026-01-05T08:00:00.000Z', '2026-01-05T08:00:00.001Z'),
    },
    isPartner: { type: 'boolean', values: fc.boolean() },
    managerId: { type: 'user' },
  },
  contacts: {
    seats: { type: 'integer', values: fc.constantFrom(-9007199254740991, -1, 0, 1, 99, 9007199254740991) },
    startDate: { type: 'date', values: fc.constantFrom('1900-01-01', '2026-02-28', '2026-03-01') },
    mail: { type: 'email', values: fc.constantFrom('Ada@Example.com', 'ada@example.com', 'b@example.com') },
    partnerId: { type: 'reference', more: { referenceObject: 'account' } },
  },
  leads: {
    tier: {
      type: 'select',
      values: fc.constantFrom('gold', 'Gold', 'a,b'),
      more: { options: ['gold', 'Gold', 'a,b'].map((value) => ({ value, label: value, archived: false })) },
    },
    home: {
      type: 'url',
      values: fc.constantFrom('https://example.com/a', 'https://example.com/b', 'http://x.example'),
    },
    hotline: { type: 'phone', values: fc.constantFrom('+49301', '+4930123', '+12') },
  },
  opportunities: {
    mail: { type: 'email', values: fc.constantFrom('Ada@Example.com', 'ada@example.com') },
    ratio: { type: 'number', values: fc.constantFrom(-3, 0.25, 40) },
  },
}
/** The values that a record gets. */
function customValues(each: Name, index: number, ids: { user: string; account: unknown }): Json {
  const entries = Object.entries(CUSTOM[each]).flatMap(([key, { type, values }], at) => {
    const value = values
      ? fc.sample(values, { seed: index * 100 + at, numRuns: 1 })[0]
      : type === 'user'
        ? ids.user
        : ids.account
    return (index + at) % 3 === 0 || value === null ? [] : [[key, value]]
  })
  return Object.fromEntries(entries) as Json
}

/** References that records have, and where they lead; the target of half of the records is null. */
const REFERENCES: Record<Name, Record<string, Name>> = {
  accounts: { parentAccountId: 'accounts' },
  contacts: { accountId: 'accounts', reportsToId: 'contacts' },
  leads: {},
  opportunities: { accountId: 'accounts', primaryContactId: 'contacts' },
}

const SIZE = 24

let harness: Harness
let owner: Caller
let member: Caller
let stranger: Caller
const data = {} as Record<Name, Json[]>

beforeAll(async () => {
  harness = await createHarness()
  owner = await harness.newOrganization()
  stranger = await harness.newOrganization()
  member = await harness.newUser(owner.organizationId, 'member')
  const teamId = await harness.newTeam(owner.organizationId, [member])
  for (const each of names) {
    for (const [key, { type, more }] of Object.entries(CUSTOM[each])) {
      const object = RECORDS[each].toLowerCase()
      const field = { object, key, type, label: key, filterable: true, ...more }
      for (const caller of [owner, stranger]) {
        const reply = await caller.post('/api/v1/custom-fields', field)
        expect(reply.json(), reply.payload).toMatchObject({ indexState: 'ready' })
      }
    }
    const samples = fc.sample(bodies[each], { seed: 20260105, numRuns: SIZE })
    const made: Json[] = []
    for (const [index, body] of samples.entries()) {
      const references = Object.entries(REFERENCES[each]).map(([field, target]) => {
        const targets = target === each ? made : data[target]
        return [field, index % 2 === 1 ? (targets[index % targets.length]?.id ?? null) : null]
      })
      const extra: Json = {
        ...Object.fromEntries(references),
        ...(index % 3 === 0 && { teamId }),
        ...(index % 5 === 0 && { ownerId: member.userId }),
        ...(each === 'accounts' && index % 2 === 0 && { domain: `D${index}.Example.com` }),
        customFields: customValues(each, index, {
          user: member.userId,
          account: data.accounts?.[index % 7]?.id ?? null,
        }),
        ...(each === 'contacts' && index % 2 === 0 && { email: `Ada${index}@Example.com` }),
      }
      const reply = await owner.post(`/api/v1/${each}`, { ...body, ...extra })
      expect(reply.statusCode, reply.payload).toBe(201)
      made.push(reply.json())
      await stranger.post(`/api/v1/${each}`, body)
    }
    // The first has a second version, the last is gone.
    await owner.patch(`/api/v1/${each}/${made[0]?.id}`, { tags: ['changed'] })
    await owner.delete(`/api/v1/${each}/${made.at(-1)?.id}`)
    data[each] = (await owner.get(`/api/v1/${each}?limit=200`)).json<Found>().data
    expect(data[each]).toHaveLength(SIZE - 1)
    await addMemberships(each)
  }
})

/** Half of the records are in a segment, a third in another; the owner follows some of them and the member some of theirs. */
async function addMemberships(each: Name): Promise<void> {
  const segments = await Promise.all(
    ['Halves', 'Thirds'].map(async (segment): Promise<string> => {
      const body = { object: RECORDS[each].toLowerCase(), name: `${segment} of ${each}`, kind: 'static' }
      return (await owner.post('/api/v1/segments', body)).json<{ id: string }>().id
    }),
  )
  for (const [index, record] of data[each].entries()) {
    record.segments = segments.filter((_, at) => index % (at + 2) === 0)
    const following = [owner, member].filter((_, at) => index % (at + 2) === 1 && (at === 0 || index % 5 === 0))
    record.followers = []
    for (const caller of following) {
      const reply = await caller.send('PUT', `/api/v1/${each}/${record.id}/followers/me`)
      if (reply.statusCode === 204) (record.followers as string[]).push(caller.userId)
    }
  }
  for (const segment of segments) {
    const add = data[each].flatMap(({ id, segments: of }) => ((of as string[]).includes(segment) ? [id] : []))
    const reply = await owner.post(`/api/v1/segments/${segment}/members`, { add })
    expect(reply.statusCode, reply.payload).toBe(200)
  }
}
afterAll(() => harness.close())

// ---- what a filter means, said naively

/** Whose field it is: `account.industry` is the `industry` of an account. */
function whose(each: Name, field: string): { each: Name; field: string; by?: string } {
  const [first = '', ...rest] = field.split('.')
  const target = REFERENCES[each][`${first}Id`]
  return target ? { each: target, field: rest.join('.'), by: `${first}Id` } : { each, field }
}

const valueIn = (record: Json, field: string): unknown =>
  field.split('.').reduce<unknown>((value, part) => (value as Json | null)?.[part] ?? null, record)

type Money = { amount: string; currency: string }
const isMoney = (value: unknown): value is Money => value instanceof Object && 'currency' in value

/** A form in which `===` and `<` mean what they should; undefined where the two cannot be compared. */
function comparable(value: unknown, field: string, folded: readonly string[]): string | number | bigint | boolean {
  if (isMoney(value)) {
    const [whole = '', decimals = ''] = value.amount.split('.')
    return BigInt(whole + decimals.padEnd(4, '0'))
  }
  if (typeof value !== 'string') return value as number | boolean
  if (/At$/.test(field)) return Date.parse(value)
  return folded.includes(field) || /Id$|^id$|\.id$/.test(field) ? value.toLowerCase() : value
}

function holds(each: Name, record: Json, tree: Tree): boolean {
  if ('and' in tree) return tree.and.every((member) => holds(each, record, member))
  if ('or' in tree) return tree.or.some((member) => holds(each, record, member))
  if ('not' in tree) return !holds(each, record, tree.not)
  const { each: owner, field, by } = whose(each, tree.field)
  if (by) {
    const related = data[owner].find(({ id }) => id === record[by])
    return related !== undefined && holds(owner, related, { ...tree, field })
  }
  const folded = FOLDED[each]
  const { op, value } = tree
  const actual = valueIn(record, field)
  const compared = (wanted: unknown, test: (a: never, b: never) => boolean) =>
    actual !== null &&
    (!isMoney(wanted) || (actual as Money).currency === wanted.currency) &&
    test(comparable(actual, field, folded) as never, comparable(wanted, field, folded) as never)
  const equals = (wanted: unknown) => compared(wanted, (a, b) => a === b)
  const list = value as unknown[]
  switch (op) {
    case 'eq':
      return equals(value)
    case 'ne':
      return !equals(value)
    case 'in':
      return list.some(equals)
    case 'notIn':
      return !list.some(equals)
    case 'gt':
      return compared(value, (a, b) => a > b)
    case 'gte':
      return compared(value, (a, b) => a >= b)
    case 'lt':
      return compared(value, (a, b) => a < b)
    case 'lte':
      return compared(value, (a, b) => a <= b)
    case 'between':
      return compared(list[0], (a, b) => a >= b) && compared(list[1], (a, b) => a <= b)
    case 'startsWith':
      return compared(value, (a: string, b: string) => a.startsWith(b))
    case 'isNull':
      return (actual === null) === value
    case 'isEmpty':
      return ((actual as unknown[]).length === 0) === value
    case 'has':
      return (actual as unknown[]).includes(value)
    case 'hasAny':
      return list.some((each) => (actual as unknown[]).includes(each))
    case 'hasAll':
      return list.every((each) => (actual as unknown[]).includes(each))
    default:
      throw new Error(`what does ${op} mean?`)
  }
}

const byBytes = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b))

/** Records without a value come first; texts are in the order of their bytes, amounts in that of their currencies first. */
function compareBy(each: Name, field: string, a: Json, b: Json): number {
  const [one, other] = [valueIn(a, field), valueIn(b, field)]
  if (one === null || other === null) return Number(one !== null) - Number(other !== null)
  if (isMoney(one) && isMoney(other) && one.currency !== other.currency) return byBytes(one.currency, other.currency)
  const [x, y] = [comparable(one, field, FOLDED[each]), comparable(other, field, FOLDED[each])]
  if (typeof x === 'string' && typeof y === 'string') return byBytes(x, y)
  return x < y ? -1 : x > y ? 1 : 0
}

/** In an order that a custom field begins; ties are broken as the contract says. */
function inOrder(each: Name, records: readonly Json[], sort: readonly string[]): Json[] {
  const sign = sort.at(-1)?.startsWith('-') ? '-' : ''
  const terms = [...sort, ...(sort.length === 1 ? [`${sign}createdAt`] : []), `${sign}id`]
  return [...records].sort((a, b) => {
    for (const term of terms) {
      const order = compareBy(each, term.replace(/^-/, ''), a, b)
      if (order !== 0) return term.startsWith('-') ? -order : order
    }
    return 0
  })
}

// ---- filters, as the contract declares them

/** Values that a field has, and some that it could have: filters with others match nothing or everything. */
function valuesFor(each: Name, field: string, schema: Schema): fc.Arbitrary<unknown> {
  const known = data[each].flatMap((record) => valueIn(record, field) ?? [])
  const invented: unknown[] = []
  if (schema.enum) invented.push(...schema.enum)
  else if (schema.type === 'boolean') invented.push(true, false)
  else if (schema.type === 'integer') invented.push(-1, 0, 50)
  else if (schema.type === 'object')
    invented.push({ amount: '1234.5', currency: 'EUR' }, { amount: '5', currency: 'CHF' })
  else if (known.length === 0 && /Id$/.test(field)) invented.push(randomUUID())
  else if (/At$/.test(field)) invented.push('2026-01-05T10:00:00+02:00')
  else if (/[dD]ate$/.test(field)) invented.push('2026-02-28')
  else if (!/[iI]d$|^followers$|^segments$/.test(field)) invented.push('re', 'A', 'vip', 'nothing')
  return fc.constantFrom(...new Set([...known, ...invented]))
}

type Kind = { field: string; op: string; value: Schema }

/** Custom fields and those of related records, with every operator of their types. */
const customKindsOf = (each: Name): Kind[] =>
  [['', each], ...Object.entries(REFERENCES[each]).map(([by, target]) => [`${by.slice(0, -2)}.`, target])].flatMap(
    ([way, name]) =>
      Object.entries(CUSTOM[name as Name]).flatMap(([key, { type, more }]) =>
        (CUSTOM_OPERATORS[type as keyof typeof CUSTOM_OPERATORS] ?? []).map((op): Kind => {
          const one = schemaOfType(type, more)
          const list: Schema = { type: 'array', items: one, ...(op === 'between' && { maxItems: 2 }) }
          return { field: `${way}customFields.${key}`, op, value: ['in', 'notIn', 'between'].includes(op) ? list : one }
        }),
      ),
  )

function schemaOfType(type: string, more: Json = {}): Schema {
  if (type === 'select') return { enum: (more.options as Json[]).map(({ value }) => value) }
  if (type === 'number' || type === 'integer') return { type: 'integer' }
  return { type: type === 'money' ? 'object' : type === 'boolean' ? 'boolean' : 'string' }
}

/** Every field of the contract with every operator that it has there, and custom fields. */
const kindsOf = (each: Name): Kind[] => [
  ...conditionsOf(each).flatMap(({ fields, ops, value }) =>
    fields.flatMap((field) => ops.map((op) => ({ field, op, value }))),
  ),
  ...customKindsOf(each),
]

function anyCondition(each: Name, kinds = kindsOf(each)): fc.Arbitrary<Tree> {
  return fc.constantFrom(...kinds).chain(({ field, op, value }) => {
    const items = (value as { items?: Schema }).items
    const about = whose(each, field)
    const one = valuesFor(about.each, about.field, items ?? value)
    const size = { minLength: value.maxItems === 2 ? 2 : 1, maxLength: value.maxItems === 2 ? 2 : 4 }
    return fc.record({
      field: fc.constant(field),
      op: fc.constant(op),
      value: items ? fc.array(one, size) : op === 'isNull' || op === 'isEmpty' ? fc.boolean() : one,
    })
  })
}

function anyTree(each: Name, depth = 4): fc.Arbitrary<Tree> {
  const leaf = anyCondition(each)
  if (depth === 0) return leaf
  const inner = anyTree(each, depth - 1)
  const members = fc.array(inner, { minLength: 1, maxLength: 3 })
  return fc.oneof(
    { weight: 2, arbitrary: leaf },
    { weight: 1, arbitrary: members.map((and) => ({ and })) },
    { weight: 1, arbitrary: members.map((or) => ({ or })) },
    { weight: 1, arbitrary: inner.map((not) => ({ not })) },
  )
}

async function ask(caller: Caller, each: Name, body: Json): Promise<Found> {
  const reply = await caller.post(`/api/v1/${each}/query`, body)
  expect(reply.statusCode, reply.payload).toBe(200)
  return reply.json()
}

const idsOf = (records: readonly Json[]) => records.map(({ id }) => id)

describe.each(names)('a filter of %s', (each) => {
  it('finds what a naive evaluation finds, for every field and operator', async () => {
    // Those of related records are the same again; some will do.
    const kinds = kindsOf(each).filter(({ field }, index) => !whose(each, field).by || index % 4 === 0)
    expect(kinds.length).toBeGreaterThan(100)
    for (const kind of kinds) {
      const [filter] = fc.sample(anyCondition(each, [kind]), { seed: 1, numRuns: 1 }) as [Tree]
      const { data: found } = await ask(owner, each, { filter, limit: 200 })
      const wanted = data[each].filter((record) => holds(each, record, filter))
      expect(idsOf(found), JSON.stringify(filter)).toEqual(idsOf(wanted))
    }
  })

  it('finds what a naive evaluation finds, whatever the tree, and counts it', async () => {
    await fc.assert(
      fc.asyncProperty(anyTree(each), async (filter) => {
        const { data: found, page } = await ask(owner, each, { filter, limit: 200, count: 'exact' })
        const wanted = data[each].filter((record) => holds(each, record, filter))
        expect(idsOf(found)).toEqual(idsOf(wanted))
        expect(page.total).toBe(wanted.length)
      }),
      { seed: 42, numRuns: 100 },
    )
  })

  it('finds the same on small pages, without a gap or a repetition', async () => {
    await fc.assert(
      fc.asyncProperty(anyTree(each, 2), fc.integer({ min: 1, max: 9 }), async (filter, limit) => {
        const body: Json = { filter, limit, sort: ['-updatedAt'] }
        const whole = await ask(owner, each, { ...body, limit: 200 })
        const walked: Json[] = []
        let cursor: string | null = null
        do {
          const found: Found = await ask(owner, each, { ...body, ...(cursor && { cursor }) })
          walked.push(...found.data)
          cursor = found.page.nextCursor
        } while (cursor)
        expect(idsOf(walked)).toEqual(idsOf(whole.data))
      }),
      { seed: 7, numRuns: 15 },
    )
  })

  it.each(Object.keys(CUSTOM[each]))('is in the order of %s, page by page, whatever else it asks', async (key) => {
    const orders = fc.constantFrom([''], ['-'], ['', '-name'], ['-', 'updatedAt'])
    const filters = fc.option(anyCondition(each), { nil: undefined })
    await fc.assert(
      fc.asyncProperty(orders, filters, fc.integer({ min: 2, max: 9 }), async ([sign, second], filter, limit) => {
        const body: Json = {
          sort: [`${sign}customFields.${key}`, second].filter(Boolean),
          ...(filter && { filter }),
          limit,
        }
        const walked: Json[] = []
        let cursor: string | null = null
        do {
          const found: Found = await ask(owner, each, { ...body, ...(cursor && { cursor }) })
          walked.push(...found.data)
          cursor = found.page.nextCursor
        } while (cursor)
        const all = data[each].filter((record) => !filter || holds(each, record, filter))
        expect(idsOf(walked)).toEqual(idsOf(inOrder(each, all, body.sort as string[])))
      }),
      { seed: 3, numRuns: 8 },
    )
  })

  it('never gets around what the caller may see, however it negates', async () => {
    const seen = (await member.get(`/api/v1/${each}?limit=200`)).json<Found>().data
    expect(seen.length).toBeGreaterThan(0)
    expect(seen.length).toBeLessThan(SIZE - 1)
    const id = idsOf(data[each])
    const everything: Tree[] = [
      {
        or: [
          { field: 'id', op: 'in', value: id },
          { field: 'version', op: 'gte', value: 0 },
        ],
      },
      { not: { field: 'version', op: 'lt', value: 0 } },
      { not: { not: { field: 'id', op: 'in', value: id } } },
      {
        not: {
          and: [
            { field: 'version', op: 'lt', value: 0 },
            { field: 'id', op: 'in', value: id },
          ],
        },
      },
    ]
    for (const filter of everything) {
      const { data: found, page } = await ask(member, each, { filter, limit: 200, count: 'exact' })
      expect(idsOf(found)).toEqual(idsOf(seen))
      expect(page.total).toBe(seen.length)
      const strange = await ask(stranger, each, { filter, limit: 200, count: 'estimate' })
      expect(idsOf(strange.data).filter((one) => id.includes(one))).toEqual([])
      expect(strange.page.total).toBe(strange.data.length)
    }
  })
})

describe('a filter is refused', () => {
  const valid = { field: 'name', op: 'eq', value: 'x' }
  const nested = (depth: number): unknown => (depth === 1 ? valid : { not: nested(depth - 1) })
  const money = { amount: '1.001', currency: 'EUR' }

  it.each<[what: string, filter: unknown, pointer: string, code: string]>([
    ['for an unknown field', { and: [valid, { ...valid, field: 'nam' }] }, '/filter/and/1/field', 'enum'],
    ['for a column that is no property', { ...valid, field: 'organizationId' }, '/filter/field', 'enum'],
    ['for a key that only the database has', { ...valid, field: 'customKey1' }, '/filter/field', 'enum'],
    ['for a secret of the owner', { ...valid, field: 'owner.passwordHash' }, '/filter/field', 'enum'],
    ['for a comparison with a list of ids', { ...valid, field: 'followers' }, '/filter/op', 'enum'],
    ['for a follower that is no id', { field: 'followers', op: 'has', value: 'me' }, '/filter/value', 'format'],
    ['for a part of no object', { ...valid, field: 'name.first' }, '/filter/field', 'enum'],
    ['for a wrong operator', { and: [valid, valid, valid, { ...valid, op: 'gt' }] }, '/filter/and/3/op', 'enum'],
    ['for isNull on what always has a value', { ...valid, op: 'isNull', value: true }, '/filter/op', 'enum'],
    ['for a wrong type', { or: [{ not: { ...valid, value: 1 } }] }, '/filter/or/0/not/value', 'type'],
    ['for null', { ...valid, value: null }, '/filter/value', 'type'],
    ['for a wrong type in a list', { field: 'name', op: 'in', value: ['a', 1] }, '/filter/value/1', 'type'],
    ['for a list where one value belongs', { ...valid, value: ['a'] }, '/filter/value', 'type'],
    ['for no list where one belongs', { ...valid, op: 'in' }, '/filter/value', 'type'],
    ['for an empty list', { ...valid, op: 'in', value: [] }, '/filter/value', 'min_items'],
    ['for a list of 201', { ...valid, op: 'in', value: Array(201).fill('x') }, '/filter/value', 'max_items'],
    ['for half a range', { field: 'version', op: 'between', value: [1] }, '/filter/value', 'min_items'],
    ['for an unknown value of an enum', { field: 'type', op: 'eq', value: 'friend' }, '/filter/value', 'enum'],
    ['for no date', { field: 'createdAt', op: 'lt', value: '2026-02-30T00:00:00Z' }, '/filter/value', 'format'],
    ['for no id', { field: 'id', op: 'eq', value: "' or true" }, '/filter/value', 'format'],
    ['for too many decimals', { field: 'annualRevenue', op: 'eq', value: money }, '/filter/value/amount', 'decimals'],
    [
      'for no currency',
      { field: 'annualRevenue', op: 'in', value: [{ amount: '1', currency: 'XQQ' }] },
      '/filter/value/0/currency',
      'currency',
    ],
    ['for NUL', { ...valid, value: '\0' }, '/filter/value', 'characters'],
    ['for a surplus property', { ...valid, more: 1 }, '/filter/more', 'additional_properties'],
    ['for two groups in one', { and: [valid], or: [valid] }, '/filter/or', 'additional_properties'],
    ['for a condition without a value', { field: 'name', op: 'eq' }, '/filter/value', 'required'],
    ['for nothing in it', {}, '/filter/field', 'required'],
    ['for an empty group', { or: [] }, '/filter/or', 'min_items'],
    ['for what is no filter', [], '/filter', 'type'],
    ['six levels deep', nested(6), '/filter/not/not/not/not/not', 'max_depth'],
    [
      'with 101 conditions',
      { and: [{ and: Array(50).fill(valid) }, { and: Array(51).fill(valid) }] },
      '/filter/and/1/and/50',
      'max_conditions',
    ],
    ['with 101 members', { and: Array(101).fill(valid) }, '/filter/and', 'max_items'],
  ])('%s', async (_, filter, pointer, code) => {
    const reply = await unchanged({ harness, owner }, () => owner.post('/api/v1/accounts/query', { filter }))
    expectProblem(reply, 'invalid_request')
    expect(reply.json()).toMatchObject({ status: 400, errors: [{ pointer, code }] })
  })

  it('not at the limits', async () => {
    await ask(owner, 'accounts', { filter: nested(5) })
    await ask(owner, 'accounts', {
      filter: { or: Array(100).fill({ ...valid, op: 'in', value: Array(50).fill('x') }) },
    })
  })

  it.each([
    ['accounts', 'parentAccountId'],
    ['contacts', 'accountId'],
    ['contacts', 'ownerId'],
    ['contacts', 'teamId'],
    ['opportunities', 'stageId'],
    ['opportunities', 'primaryContactId'],
  ] as const)('for %s by a %s that the caller cannot see, like for one that does not exist', async (each, field) => {
    const mine = data[each].map((record) => record[field]).find((id) => id != null)
    const target = REFERENCES[each][field]
    const theirs = {
      stageId: (await stranger.get('/api/v1/opportunities')).json<Found>().data[0]?.stageId,
      ownerId: stranger.userId,
      teamId: await harness.newTeam(stranger.organizationId, []),
    } as Json
    const foreign = target ? (await stranger.get(`/api/v1/${target}`)).json<Found>().data[0]?.id : theirs[field]
    const attempt = (id: unknown, op: string) => {
      const value = op === 'in' ? [mine, id] : id
      const filter = { or: [{ field: 'version', op: 'gt', value: 0 }, { not: { field, op, value } }] }
      return unchanged({ harness, owner }, () =>
        owner.post(`/api/v1/${each}/query`, { filter, count: 'exact' }, { 'x-request-id': 'same' }),
      )
    }
    for (const op of ['eq', 'ne', 'in']) {
      const missing = await attempt(randomUUID(), op)
      const pointer = `/filter/or/1/not/value${op === 'in' ? '/1' : ''}`
      expect(missing.json()).toMatchObject({ status: 400, errors: [{ pointer, code: 'missing_reference' }] })
      expect((await attempt(foreign, op)).payload).toBe(missing.payload)
      expect((await attempt(mine, op)).statusCode).toBe(200)
    }
    // One of the own organization, out of reach.
    if (!target) return
    const hidden = await owner.post(`/api/v1/${target}`, target === 'accounts' ? { name: 'Own' } : { lastName: 'Own' })
    const send = (id: unknown) => {
      const filter = { field, op: 'eq', value: id }
      return member.post(`/api/v1/${each}/query`, { filter }, { 'x-request-id': 'same' })
    }
    const reply = await send(hidden.json<{ id: string }>().id)
    expect(reply.statusCode).toBe(400)
    expect(reply.payload).toBe((await send(randomUUID())).payload)
  })

  it('by a segment of another organization, of other records or with a filter, like by one that does not exist', async () => {
    const segment = async (by: Caller, body: Json) =>
      (await by.post('/api/v1/segments', { name: `One more ${body.object} ${body.kind}`, ...body })).json<Json>().id
    const filter = { field: 'version', op: 'gt', value: 0 }
    const others = [
      await segment(stranger, { object: 'account', kind: 'static' }),
      await segment(owner, { object: 'contact', kind: 'static' }),
      await segment(owner, { object: 'account', kind: 'dynamic', filter }),
    ]
    const attempt = (value: unknown) =>
      unchanged({ harness, owner }, () =>
        owner.post(
          '/api/v1/accounts/query',
          { filter: { not: { field: 'segments', op: 'hasAny', value: [value] } } },
          { 'x-request-id': 'same' },
        ),
      )
    const missing = await attempt(randomUUID())
    const errors = [{ pointer: '/filter/not/value/0', code: 'missing_reference' }]
    expect(missing.json()).toMatchObject({ status: 400, errors })
    for (const other of others) {
      expect(other).toEqual(expect.any(String))
      expect((await attempt(other)).payload).toBe(missing.payload)
    }
  })

  it('with a cursor of another filter, order or kind of record', async () => {
    const filter = { field: 'version', op: 'gte', value: 1 }
    const { page } = await ask(owner, 'accounts', { filter, limit: 1 })
    const { nextCursor: cursor } = page
    await ask(owner, 'accounts', { filter: { value: 1, op: 'gte', field: 'version' }, cursor, limit: 3 })
    for (const [each, body] of [
      ['accounts', { filter: { ...filter, value: 0 } }],
      ['accounts', { filter: { ...filter, op: 'gt' } }],
      ['accounts', { filter, sort: ['createdAt'] }],
      ['accounts', {}],
      ['contacts', { filter }],
    ] as const) {
      const reply = await owner.post(`/api/v1/${each}/query`, { ...body, cursor })
      expectProblem(reply, 'invalid_request')
      expect(reply.json()).toMatchObject({ errors: [{ pointer: '/cursor', code: 'cursor' }] })
    }
    expect((await stranger.post('/api/v1/accounts/query', { filter, cursor })).statusCode).toBe(400)
  })
})

it('an estimate stops counting where it would get expensive', async () => {
  const tenant = await harness.newOrganization()
  const { id } = (await tenant.post('/api/v1/accounts', { name: 'First' })).json<{ id: string }>()
  await harness.sql.query(
    `insert into crm_accounts (organization_id, id, version, owner_id, tags, custom_fields, created_at, created_by_type, updated_at, updated_by_type, name)
     select organization_id, gen_random_uuid(), 1, owner_id, tags, custom_fields, created_at, 'system', updated_at, 'system', 'Copy'
     from crm_accounts, generate_series(1, 10000) where id = $1`,
    [id],
  )
  const totals = async (filter: Json) => [
    (await ask(tenant, 'accounts', { filter, count: 'estimate', limit: 1 })).page,
    (await ask(tenant, 'accounts', { filter, count: 'exact', limit: 1 })).page,
  ]
  expect(await totals({ field: 'name', op: 'ne', value: 'x' })).toMatchObject([
    { total: 10_000, totalIsExact: false },
    { total: 10_001, totalIsExact: true },
  ])
  expect(await totals({ field: 'name', op: 'eq', value: 'Copy' })).toMatchObject([
    { total: 10_000, totalIsExact: true },
    { total: 10_000, totalIsExact: true },
  ])
})

describe('a condition on a related record', () => {
  const eq = { field: 'account.name', op: 'eq', value: 'Out of reach' }
  const relational = [
    eq,
    { ...eq, op: 'startsWith', value: 'Out' },
    { ...eq, op: 'ne', value: 'x' },
    { ...eq, op: 'notIn', value: ['x'] },
    { field: 'account.industry', op: 'isNull', value: true },
    { field: 'account.version', op: 'gte', value: 1 },
  ]
  const found = async (caller: Caller, id: string, filter: Json) => {
    const only = { and: [{ field: 'id', op: 'eq', value: id }, filter] }
    return (await ask(caller, 'contacts', { filter: only })).data.length === 1
  }

  it('never holds where the caller cannot see that record, or it is deleted; only its negation does', async () => {
    const post = async (path: string, body: Json) => (await owner.post(path, body)).json<{ id: string }>().id
    const accountId = await post('/api/v1/accounts', { name: 'Out of reach' })
    const id = await post('/api/v1/contacts', { lastName: 'Theirs', accountId, ownerId: member.userId })
    for (const filter of relational) {
      const label = JSON.stringify(filter)
      expect([label, await found(owner, id, filter), await found(member, id, filter)]).toEqual([label, true, false])
      expect(await found(member, id, { not: filter }), label).toBe(true)
      expect(await found(member, id, { not: { not: filter } }), label).toBe(false)
    }
    await owner.delete(`/api/v1/accounts/${accountId}`)
    for (const filter of relational) expect(await found(owner, id, filter)).toBe(false)
  })

  it('may compare a reference of that record, which must lead somewhere', async () => {
    const filter = { field: 'account.parentAccountId', op: 'in', value: [randomUUID()] }
    const reply = await owner.post('/api/v1/contacts/query', { filter: { not: filter } })
    expectProblem(reply, 'invalid_request')
    expect(reply.json()).toMatchObject({ errors: [{ pointer: '/filter/not/value/0', code: 'missing_reference' }] })
  })
})
