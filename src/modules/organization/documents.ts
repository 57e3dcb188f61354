import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Scope } from '../../context.js'
import { packageRoot } from '../../package-root.js'
import { type CustomField, loadDefinitions } from '../../records/custom-fields/definitions.js'
import { CUSTOM_OPERATORS } from '../../records/custom-fields/filter.js'
import { type JsonSchema, schemaOf } from '../../records/custom-fields/schema.js'
import { faultOf } from '../../records/custom-fields/value.js'

type Kind = CustomField['object']
type Fields = ReadonlyMap<Kind, readonly CustomField[]>
type Contract = { components: { schemas: Record<string, JsonSchema> }; paths: object; [member: string]: unknown }

const KINDS: Readonly<Record<Kind, string>> = {
  account: 'Account',
  contact: 'Contact',
  lead: 'Lead',
  opportunity: 'Opportunity',
}
/** The schemas of records that are to be created. */
const NEW = /(?:Create|Conversion)$/
const PREFIX = '#/components/schemas/'
const GENERIC = `${PREFIX}CustomFields`

let contract: Promise<{ text: string; hash: string }> | undefined

/** The published contract, read once; its text, because every organization changes a copy. */
const readContract = () =>
  (contract ??= readFile(join(packageRoot, 'generated', 'openapi.json'), 'utf8').then((text) => ({
    text,
    hash: createHash('sha256').update(text).digest('base64url'),
  })))

/** The JSON Schema of a kind of record with the custom fields of the organization, or 304. */
export const getSchema = (scope: Scope, kind: Kind, ifNoneMatch?: string) =>
  answer(scope, ifNoneMatch, (document) => standalone(document, KINDS[kind]))

/** The contract with the custom fields of the organization, or 304. */
export const getOpenapi = (scope: Scope, ifNoneMatch?: string) => answer(scope, ifNoneMatch, (document) => document)

async function answer(scope: Scope, ifNoneMatch = '', pick: (document: Contract) => object) {
  const names = Object.keys(KINDS) as Kind[]
  const { text, hash } = await readContract()
  const definitions = await loadDefinitions(scope, scope.db, ...names)
  const state = JSON.stringify([hash, ...definitions.map(({ revision }) => revision)])
  const ETag = `"${createHash('sha256').update(state).digest('base64url')}"`
  const headers = { ETag }
  if (ifNoneMatch.trim() === '*' || ifNoneMatch.includes(ETag)) return { status: 304 as const, headers }
  const fields = new Map(names.map((kind, index) => [kind, [...(definitions[index]?.byKey.values() ?? [])]]))
  const document = withCustomFields(JSON.parse(text) as Contract, fields)
  return { status: 200 as const, headers, body: { ...pick(document) } }
}

/** Puts the typed custom fields of each kind of record in the place of the generic object; organizations without any keep that. */
function withCustomFields(document: Contract, fields: Fields): Contract {
  const { schemas } = document.components
  const typed = new Set<string>()
  for (const [kind, name] of Object.entries(KINDS)) {
    const own = fields.get(kind as Kind) ?? []
    if (own.length === 0) continue
    for (const [schemaName, schema] of Object.entries(schemas)) {
      const properties = schema.properties as Record<string, JsonSchema> | undefined
      const isRead = schemaName === name || schema['x-partial-of'] === name
      if (!(isRead || schemaName.startsWith(name)) || properties?.customFields?.$ref !== GENERIC) continue
      const use = isRead ? 'Values' : NEW.test(schemaName) ? 'Input' : 'Patch'
      const component = `${name}CustomField${use}`
      schemas[component] = FORMS[use](own)
      properties.customFields = { $ref: PREFIX + component }
      typed.add(PREFIX + component)
      if (use === 'Input' && live(own).some(isDemanded)) {
        schema.required = [...((schema.required as string[] | undefined) ?? []), 'customFields']
      }
    }
  }
  if (!JSON.stringify(document).includes(`"${GENERIC}"`)) delete schemas.CustomFields
  for (const schema of Object.values(schemas)) typeConditions(schema, fields)
  typeOrders(document, fields)
  const examples = new Examples(schemas, typed, fields)
  examples.adapt(document.paths)
  examples.adapt(document.components)
  return document
}

/** The fields that a kind of record, by the name of its schema, can be filtered and sorted by; undefined where none was ever defined. */
function readyOf(record: unknown, fields: Fields): readonly CustomField[] | undefined {
  const [kind] = Object.entries(KINDS).find(([, name]) => name === record) ?? []
  const own = fields.get(kind as Kind) ?? []
  return own.length > 0 ? own.filter(({ indexState }) => indexState === 'ready') : undefined
}

/** Puts typed conditions on the fields that are ready in the place of the one for whatever there may be. */
function typeConditions(filter: JsonSchema, fields: Fields): void {
  const members = filter.oneOf as JsonSchema[] | undefined
  if (!('x-filter-of' in filter) || !members) return
  const relations = Object.entries((filter['x-filter-relations'] ?? {}) as Record<string, string>)
  const reached: [way: string, ready: readonly CustomField[] | undefined][] = [
    ['', readyOf(filter['x-filter-of'], fields)],
    ...relations.map(([way, record]): [string, readonly CustomField[] | undefined] => [
      `${way}.`,
      readyOf(record, fields),
    ]),
  ]
  // Nothing is said about an organization without custom fields.
  if (reached.every(([, ready]) => ready === undefined)) return
  const names = reached.flatMap(([way, ready = []]) =>
    ready.map((field) => ({ field, name: `${way}customFields.${field.key}` })),
  )
  const isGeneric = ({ properties }: JsonSchema) =>
    (properties as Record<string, JsonSchema> | undefined)?.field?.pattern !== undefined
  filter.oneOf = [...members.filter((member) => !isGeneric(member)), ...conditionsOn(names)]
}

const SEVERAL: ReadonlySet<string> = new Set(['in', 'notIn'])

type Form = { names: string[]; operators: readonly string[]; value: JsonSchema }

/** The conditions on some fields: with one value, with several, with two, and with a truth value. Fields that are alike share them. */
function conditionsOn(fields: readonly { field: CustomField; name: string }[]): JsonSchema[] {
  const forms = new Map<string, Form>()
  for (const { field, name } of fields) {
    for (const [operators, value] of formsOf(field)) {
      const key = JSON.stringify([operators, value])
      const known = forms.get(key)
      if (known) known.names.push(name)
      else if (operators.length > 0) forms.set(key, { names: [name], operators, value })
    }
  }
  return [...forms.values()].map(({ names, operators, value }) => ({
    description: 'A condition on a custom field.',
    type: 'object',
    additionalProperties: false,
    required: ['field', 'op', 'value'],
    properties: { field: { type: 'string', enum: names }, op: { type: 'string', enum: operators }, value },
  }))
}

function formsOf(field: CustomField): [operators: readonly string[], value: JsonSchema][] {
  const all = CUSTOM_OPERATORS[field.type] ?? []
  const value = comparedWith(field)
  const list = (minItems: number, maxItems: number) => ({ type: 'array', minItems, maxItems, items: value })
  return [
    [all.filter((op) => !SEVERAL.has(op) && op !== 'between' && op !== 'isNull'), value],
    [all.filter((op) => SEVERAL.has(op)), list(1, 200)],
    [all.filter((op) => op === 'between'), list(2, 2)],
    [all.filter((op) => op === 'isNull'), { type: 'boolean' }],
  ]
}

/** What a condition compares a field with: texts with any text, also a beginning; all others with what the field can be. */
function comparedWith(field: CustomField): JsonSchema {
  if (['text', 'url', 'email', 'phone'].includes(field.type)) {
    return { type: 'string', maxLength: 2048, pattern: '^[^\\x00]*$' }
  }
  const { title: _, description: __, 'x-personal-data': ___, ...schema } = schemaOf(field, 'read')
  return schema
}

/** Names the fields that are ready in the orders of lists and queries. */
function typeOrders(node: unknown, fields: Fields): void {
  if (typeof node !== 'object' || node === null) return
  const schema = node as JsonSchema
  const ready = 'x-custom-fields-of' in schema ? readyOf(schema['x-custom-fields-of'], fields) : undefined
  if (!ready) {
    for (const value of Object.values(schema)) typeOrders(value, fields)
    return
  }
  const [known = {}] = schema.anyOf as JsonSchema[]
  const names = ready.flatMap(({ key }) => [`customFields.${key}`, `-customFields.${key}`])
  delete schema.anyOf
  Object.assign(schema, { type: 'string', enum: [...(known.enum as string[]), ...names] })
}

const propertiesOf = (fields: readonly CustomField[], form: (field: CustomField) => JsonSchema): JsonSchema =>
  Object.fromEntries(fields.map((field) => [field.key, form(field)]))

/** The schema as the contract writes what may be null. */
const orNull = (schema: JsonSchema): JsonSchema => ({
  ...schema,
  type: [schema.type, 'null'],
  ...(Array.isArray(schema.enum) && { enum: [...schema.enum, null] }),
})

const live = (fields: readonly CustomField[]) => fields.filter(({ archived }) => !archived)

const FORMS: Record<'Values' | 'Input' | 'Patch', (fields: readonly CustomField[]) => JsonSchema> = {
  Values: (fields) => ({
    description: 'The custom fields of a record. A field without a value is absent.',
    type: 'object',
    maxProperties: 1000,
    properties: propertiesOf(fields, (field) => schemaOf(field, 'read')),
    additionalProperties: true,
  }),
  Input: (fields) => ({
    description: 'The custom fields of a new record. Null stands for no value, also instead of the default.',
    type: 'object',
    additionalProperties: false,
    required: live(fields)
      .filter(isDemanded)
      .map(({ key }) => key),
    properties: propertiesOf(live(fields), (field) =>
      field.required ? schemaOf(field, 'write') : orNull(schemaOf(field, 'write')),
    ),
  }),
  Patch: (fields) => ({
    description: 'A merge patch (RFC 7396) of the custom fields of a record; null clears.',
    type: 'object',
    properties: propertiesOf(fields, (field) => {
      if (field.required && !field.archived) return schemaOf(field, 'write')
      return field.archived ? { title: field.label, deprecated: true, type: 'null' } : orNull(schemaOf(field, 'write'))
    }),
    additionalProperties: false,
  }),
}

const isDemanded = ({ required, defaultValue }: CustomField): boolean => required && defaultValue === null

/** Fits the examples of the contract to the typed custom fields, so that they stay examples. */
class Examples {
  readonly #schemas: Record<string, JsonSchema>
  readonly #fitting: ReadonlyMap<string, Record<string, unknown>>

  constructor(schemas: Record<string, JsonSchema>, typed: ReadonlySet<string>, fields: Fields) {
    this.#schemas = schemas
    const kinds = Object.entries(KINDS).map(([kind, name]) => [`${PREFIX}${name}CustomField`, kind as Kind] as const)
    this.#fitting = new Map(
      [...typed].map((ref) => {
        const kind = kinds.find(([start]) => ref.startsWith(start))?.[1]
        return [ref, exampleOf((kind && fields.get(kind)) ?? [])]
      }),
    )
  }

  /** Changes the examples of every body in a part of the document. */
  adapt(node: unknown): void {
    if (typeof node !== 'object' || node === null) return
    const { schema, examples } = node as { schema?: JsonSchema; examples?: Record<string, { value?: unknown }> }
    if (schema && examples) {
      for (const [name, example] of Object.entries(examples)) {
        if (!this.#fit(schema, example)) delete examples[name]
      }
      if (Object.keys(examples).length === 0) delete (node as { examples?: unknown }).examples
      return
    }
    for (const value of Object.values(node)) this.adapt(value)
  }

  /** Whether a value could be made to fit. */
  #fit(schema: JsonSchema, holder: { value?: unknown }): boolean {
    const ref = typeof schema.$ref === 'string' ? schema.$ref : undefined
    const fitting = ref && this.#fitting.get(ref)
    if (ref && fitting) {
      holder.value = fitting
      const required = (this.#schemas[ref.slice(PREFIX.length)]?.required ?? []) as string[]
      return required.every((key) => Object.hasOwn(fitting, key))
    }
    const target = ref && this.#schemas[ref.slice(PREFIX.length)]
    if (target) return this.#fit(target, holder)
    const { value } = holder
    const parts = ((schema.allOf ?? schema.anyOf ?? schema.oneOf ?? []) as JsonSchema[]).map((part) =>
      this.#fit(part, holder),
    )
    if (typeof value !== 'object' || value === null) return parts.every(Boolean)
    const members = Object.entries((schema.properties ?? {}) as Record<string, JsonSchema>).map(([name, property]) => {
      const object = value as Record<string, unknown>
      const required = Array.isArray(schema.required) && schema.required.includes(name)
      if (!(name in object) && !(required && this.#fitting.has(String(property.$ref)))) return true
      const member = { value: object[name] }
      const fits = this.#fit(property, member)
      object[name] = member.value
      return fits
    })
    const elements = (Array.isArray(value) && schema.items ? value : []).map((element, index) => {
      const member = { value: element as unknown }
      const fits = this.#fit(schema.items as JsonSchema, member)
      ;(value as unknown[])[index] = member.value
      return fits
    })
    return [...parts, ...members, ...elements].every(Boolean)
  }
}

/** Linters take an example with one of these for a schema. */
const MISREAD: ReadonlySet<string> = new Set(['default', 'example'])

/** Values for the live fields that one can be thought of for. */
function exampleOf(fields: readonly CustomField[]): Record<string, unknown> {
  const shown = live(fields).filter(({ key }) => !MISREAD.has(key))
  const values = shown.map((field) => [field, field.defaultValue ?? SAMPLES[field.type](field)] as const)
  const good = values.filter(([field, value]) => value !== undefined && !faultOf(field, value, undefined, ''))
  return Object.fromEntries(good.map(([{ key }, value]) => [key, value]))
}

const offered = ({ options }: CustomField) => options.find(({ archived }) => !archived)?.value
const textOf = ({ minLength, maxLength }: CustomField) =>
  'Text'.padEnd(minLength ?? 0, '.').slice(0, maxLength ?? undefined)
const numberOf = ({ minimum, maximum }: CustomField) => Math.ceil(Math.min(Math.max(25, minimum ?? 25), maximum ?? 25))

const SAMPLES: Record<CustomField['type'], (field: CustomField) => unknown> = {
  text: textOf,
  longText: textOf,
  number: numberOf,
  integer: numberOf,
  boolean: () => true,
  date: () => '2026-03-31',
  timestamp: () => '2026-01-05T10:00:00.000Z',
  money: (field) => ({ amount: String(numberOf(field)), currency: 'EUR' }),
  select: offered,
  multiSelect: (field) => [offered(field)],
  user: () => '01935f39-1b2c-7d4e-8f60-718293a4b5c6',
  reference: () => '01935f3a-7c1e-7e12-9a55-0e7f9d1f4b21',
  url: () => 'https://example.com/',
  email: () => 'ada@example.com',
  phone: () => '+4930123456',
}

/** A schema of the contract as a document of its own. */
function standalone({ components: { schemas } }: Contract, name: string): object {
  const parts = new Map<string, unknown>()
  const move = (node: unknown): unknown => {
    if (Array.isArray(node)) return node.map(move)
    if (typeof node !== 'object' || node === null) return node
    return Object.fromEntries(
      Object.entries(node).map(([key, value]) => {
        if (key !== '$ref' || typeof value !== 'string') return [key, move(value)]
        const part = value.slice(PREFIX.length)
        if (!parts.has(part)) {
          // Before its own references are followed, because they may lead back.
          parts.set(part, undefined)
          parts.set(part, move(schemas[part]))
        }
        return [key, `#/$defs/${part}`]
      }),
    )
  }
  const schema = move(schemas[name]) as object
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: name,
    ...schema,
    $defs: Object.fromEntries(parts),
  }
}
