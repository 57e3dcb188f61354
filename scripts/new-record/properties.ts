import { capitalized, wordsOf } from './names.js'

/** A property of the new record type. */
export type Property = {
  name: string
  required: boolean
  kind: Kind
  /** What it refers to. */
  reference?: Reference
}

/** A record type that exists: `account` in `accounts`. */
type Reference = { singular: string; tag: string }

type Kind = {
  /** The schemas of a value that may be null, and of one that may not, where there are such. */
  optional?: string
  required?: string
  /** The column type in Drizzle, from its name. */
  column: (name: string) => string
  /** How it is kept in more than a plain column. */
  field?: 'money' | 'reference'
  /** What examples and tests set it to and change it to, from its name in words; it stays null without. */
  samples?: (words: string) => [unknown, unknown]
}

const text = (name: string) => `text('${name}')`
const line = (words: string): [string, string] => [`Sample ${words}`, `Another ${words}`]

/** What a property can be, beside a reference. */
const kinds: Record<string, Kind> = {
  name: { required: 'Name', column: text, samples: line },
  text: { optional: 'OptionalText', required: 'Name', column: text, samples: line },
  longText: { optional: 'OptionalLongText', column: text, samples: line },
  url: { optional: 'OptionalUrl', column: text, samples: () => ['https://example.com/', 'https://example.org/'] },
  email: {
    optional: 'OptionalEmail',
    column: text,
    samples: () => ['ada@northwind.example', 'grace@northwind.example'],
  },
  phone: { optional: 'OptionalPhone', column: text, samples: () => ['+494012345678', '+494087654321'] },
  count: { optional: 'OptionalCount', column: (name) => `integer('${name}')`, samples: () => [12, 24] },
  boolean: { column: (name) => `boolean('${name}').notNull()`, samples: () => [true, false] },
  date: {
    optional: 'OptionalDate',
    required: 'Date',
    column: (name) => `date('${name}', { mode: 'string' })`,
    samples: () => ['2026-03-31', '2026-06-30'],
  },
  money: {
    optional: 'OptionalMoney',
    column: (name) => `int64('${name}')`,
    field: 'money',
    samples: () => [
      { amount: '49.00', currency: 'EUR' },
      { amount: '59.00', currency: 'EUR' },
    ],
  },
}

const reference: Kind = { optional: 'OptionalId', column: (name) => `uuid('${name}')`, field: 'reference' }

const EVERYWHERE = [
  ...['id', 'version', 'ownerId', 'teamId', 'tags', 'customFields', 'externalIds', 'organizationId'],
  ...['createdAt', 'createdBy', 'updatedAt', 'updatedBy', 'deletedAt'],
]

/**
 * Reads `name:kind` or, for what must be given, `name:kind!`.
 *
 * @param records the record types that it can refer to
 * @throws Error when there is no such kind
 */
export function parseProperty(argument: string, records: readonly Reference[]): Property {
  const [, name = '', kindName = '', mark] = /^(\w+):(\w+)(!?)$/.exec(argument) ?? []
  if (name === '') throw new Error(`${argument}: a property is name:kind, or name:kind! when it must be given`)
  wordsOf(name)
  if (EVERYWHERE.includes(name)) throw new Error(`${name}: every record has that already`)
  const target = records.find(({ singular }) => singular === kindName)
  const kind = target ? reference : kinds[kindName]
  if (!kind) {
    const known = [...Object.keys(kinds), ...records.map(({ singular }) => singular)]
    throw new Error(`${argument}: the kinds are ${known.join(', ')}`)
  }
  const required = mark === '!' || kindName === 'name'
  if (required && !kind.required) throw new Error(`${argument}: ${kindName} cannot be required`)
  return { name, required, kind, ...(target && { reference: target }) }
}

/** The references that `expand` can follow: `account` where the property is `accountId`. */
export const relationsOf = (properties: readonly Property[]) =>
  properties.flatMap(({ name, reference: target }) => {
    const [, relation] = /^(\w+)Id$/.exec(name) ?? []
    return target && relation ? [{ name: relation, by: name, ...target }] : []
  })

/** What people call such a record by, if anything: its name, or else its first text. */
export const titleOf = (properties: readonly Property[]): Property | undefined =>
  properties.find(({ name }) => name === 'name') ?? properties.find(({ kind }) => kind.column('').startsWith('text('))

/** The lines of its schema. */
export function schemaOf({ name, required, kind, reference }: Property): string[] {
  const words = wordsOf(name)
  if (reference) return [`description: The ${words.replace(/ id$/, '')}, or null.`, `$ref: ${kind.optional}.yaml`]
  const file = required ? kind.required : kind.optional
  return file ? [`$ref: ${file}.yaml`] : [`description: ${capitalized(words)}; false unless given.`, 'type: boolean']
}

export const snakeCase = (name: string): string => wordsOf(name).replaceAll(' ', '_')

/** Its columns: the name in TypeScript and the definition. */
export function columnsOf({ name, required, kind }: Property): [string, string][] {
  const column = kind.column(snakeCase(name))
  if (kind.field !== 'money') return [[name, required ? `${column}.notNull()` : column]]
  return [
    [`${name}Minor`, kind.column(`${snakeCase(name)}_minor`)],
    [`${name}Currency`, text(`${snakeCase(name)}_currency`)],
  ]
}

/** What it is in an example, before and after a change. */
export const samplesOf = ({ name, kind }: Property): [unknown, unknown] => kind.samples?.(wordsOf(name)) ?? [null, null]
