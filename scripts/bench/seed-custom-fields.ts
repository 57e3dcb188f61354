import type pg from 'pg'
import { SEARCHABLE } from '../../src/modules/custom-fields/rules.js'
import type { CustomField } from '../../src/records/custom-fields/definitions.js'
import { keyOfValue, keyToCompare } from '../../src/records/custom-fields/key.js'

/** A custom field that seeded records have, in every organization; its place among them is its key slot. */
type Seeded = {
  key: string
  type: CustomField['type']
  /** How many in a hundred records have a value. */
  share: number
  salt: number
  /** What a record has: one of the values, as this function of the seed picks it, or what an SQL expression makes of row `r`. */
  from: { pick: 'one_of' | 'any_of'; values: (string | number)[] } | string
  referenceObject?: Kind
}

type Kind = 'account' | 'contact'

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index)
const day = (n: number): string => new Date(Date.UTC(2025, 0, 1 + n)).toISOString().slice(0, 10)

const TIER: Seeded = {
  ...{ key: 'tier', type: 'select', share: 30, salt: 12 },
  from: { pick: 'one_of', values: ['bronze', 'silver', 'gold', 'platinum'] },
}
const SEATS: Seeded = {
  ...{ key: 'seats', type: 'integer', share: 30, salt: 13 },
  from: { pick: 'any_of', values: upTo(500) },
}

const FIELDS: Readonly<Record<Kind, readonly Seeded[]>> = {
  account: [TIER, SEATS],
  contact: [
    TIER,
    SEATS,
    {
      ...{ key: 'renewal', type: 'date', share: 60, salt: 80 },
      from: { pick: 'any_of', values: upTo(1_000).map(day) },
    },
    { key: 'customerNumber', type: 'text', share: 50, salt: 0, from: `'C-' || r.n` },
    // Where they work, once more.
    { key: 'billedTo', type: 'reference', referenceObject: 'account', share: 40, salt: 0, from: 'a.id::text' },
  ],
}

/** As an organization defines it by the API. */
const definition = ({ key, type, from, referenceObject }: Seeded, object: Kind = 'contact') => ({
  ...{
    object,
    key,
    type,
    label: key,
    referenceObject: referenceObject ?? null,
    description: null,
    defaultValue: null,
    pattern: null,
  },
  options:
    type === 'select' && typeof from === 'object'
      ? from.values.map((value) => ({ value, label: value, archived: false }))
      : [],
  ...{ minimum: null, maximum: null, minLength: null, maxLength: null },
  ...{ required: false, unique: false, filterable: true, personalData: false, archived: false, indexState: 'ready' },
  ...(SEARCHABLE.has(type) ? { searchable: true, searchState: 'ready' } : { searchable: false, searchState: 'none' }),
})

const keyOf = (field: Seeded, value: unknown): string => keyOfValue(definition(field) as unknown as CustomField, value)

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`
const array = (texts: readonly string[]): string => `array[${texts.map(literal).join(',')}]`
const has = ({ share }: Seeded, at: number): string => `pg_temp.chance(r.n, ${90 + at}, ${share})`

/** The key of a value of one of the fields of contacts. */
export function customKey(key: string, value: unknown): string {
  const field = FIELDS.contact.find((each) => each.key === key)
  if (!field) throw new Error(`No custom field is called ${key}`)
  return keyOf(field, value)
}

/** The `customFields` of row `r.n`. */
export const customFieldsOf = (kind: Kind): string =>
  `jsonb_strip_nulls(jsonb_build_object(${FIELDS[kind].map((field, at) => {
    const { key, type, salt, from } = field
    const text =
      typeof from === 'string' ? from : `pg_temp.${from.pick}(r.n, ${salt}, ${array(from.values.map(String))})`
    return `'${key}', case when ${has(field, at)} then (${text})${type === 'integer' ? '::int' : ''} end`
  })}))`

export const keyColumnsOf = (kind: Kind): string => FIELDS[kind].map((_, at) => `custom_key_${at + 1}`).join(', ')

/** The keys of these values, in the order of the columns, made by the encoder of the application. */
export const keysOf = (kind: Kind): string =>
  FIELDS[kind]
    .map((field, at) => {
      const { salt, from } = field
      const key =
        typeof from === 'string'
          ? `${literal(keyToCompare(definition(field) as unknown as CustomField, ''))} || ${from}`
          : `pg_temp.${from.pick}(r.n, ${salt}, ${array(from.values.map((value) => keyOf(field, value)))})`
      return `coalesce(case when ${has(field, at)} then ${key} end, ${literal(keyOf(field, undefined))})`
    })
    .join(',\n  ')

const KINDS = Object.keys(FIELDS) as Kind[]

/** The definitions, for every organization. */
export const DEFINITIONS = KINDS.flatMap((kind, place) => [
  ...FIELDS[kind].map((field, at) => {
    const { key, type, referenceObject, options, searchable, searchState } = definition(field, kind)
    return `insert into crm_custom_fields (organization_id, id, version, object, key, type, reference_object, label, required, is_unique, options, filterable,
        personal_data, archived, created_at, created_by_type, updated_at, updated_by_type, index_state, slot, searchable, search_state)
      select id, pg_temp.uuid_at('2023-01-01Z', 7, n * 100 + ${place * 10 + at}), 1, '${kind}', '${key}', '${type}', ${referenceObject === null ? 'null' : literal(referenceObject)}, '${key}', false, false,
        ${literal(JSON.stringify(options))}, true, false, false, '2023-01-01Z', 'system', '2023-01-01Z', 'system', 'ready', ${at + 1}, ${searchable}, '${searchState}'
        from bench_organization`
  }),
  `insert into crm_custom_field_revisions (organization_id, object, revision)
     select id, '${kind}', pg_temp.uuid_at('2023-01-01Z', 8, n * 10 + ${place}) from bench_organization`,
])

/** @throws Error when a seeded key is not the one that the application would have written */
export async function verifyKeys(client: pg.Client): Promise<void> {
  for (const kind of KINDS) {
    const { rows } = await client.query<{ values: Record<string, unknown>; keys: string[] }>(
      `select custom_fields as values, array[${keyColumnsOf(kind)}] as keys from crm_${kind}s order by id limit 1000`,
    )
    for (const { values, keys } of rows) {
      for (const [at, field] of FIELDS[kind].entries()) {
        if (keys[at] !== keyOf(field, values[field.key])) throw new Error(`The key of ${field.key} is not ${keys[at]}`)
      }
    }
  }
}
