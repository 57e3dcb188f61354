import { type SQL, sql } from 'drizzle-orm'
import type { AnyPgColumn } from 'drizzle-orm/pg-core'
import type { components } from '../../../generated/types.js'
import type { Fault } from '../../problem.js'
import { type CustomField, type Definition, type Definitions, InvalidCustomFields } from './definitions.js'
import { bounds, faultOfType, keyToCompare, NO_VALUE, prefixBounds } from './key.js'

/** A condition on a custom field, as the contract has it. */
type CustomCondition = Extract<components['schemas']['LeadFilter'], { field: `customFields.${string}` }>
type Operator = CustomCondition['op']

const TEXT: readonly Operator[] = ['eq', 'ne', 'startsWith', 'in', 'notIn', 'isNull']
const CHOICE: readonly Operator[] = ['eq', 'ne', 'in', 'notIn', 'isNull']
const RANGE: readonly Operator[] = ['gt', 'gte', 'lt', 'lte', 'between']
const ORDERED = [...CHOICE, ...RANGE]

/** What conditions on a field of each type can say: as on a property of that kind. Types that are not here are not filterable. */
export const CUSTOM_OPERATORS: Readonly<Partial<Record<CustomField['type'], readonly Operator[]>>> = {
  ...{ text: TEXT, url: TEXT, email: TEXT, phone: TEXT },
  ...{ select: CHOICE, user: CHOICE, reference: CHOICE, boolean: ['eq', 'ne', 'isNull'] },
  ...{ number: ORDERED, integer: ORDERED, date: ORDERED, money: ORDERED },
  timestamp: ['eq', 'ne', 'isNull', ...RANGE],
}

const refuse = (pointer: string, code: string, message: string) => new InvalidCustomFields({ pointer, code, message })

/**
 * The field that a filter or an order is about.
 *
 * @param pointer where its name stands in the request
 * @throws InvalidCustomFields when there is none, or its values do not all have keys
 */
export function readyField({ byKey }: Definitions, key: string, pointer: string): Definition & { slot: number } {
  const field = byKey.get(key)
  if (!field) throw refuse(pointer, 'unknown_custom_field', 'must be a custom field of this kind of record')
  if (field.archived) throw refuse(pointer, 'archived_custom_field', 'must be a field that is not archived')
  if (!field.filterable) throw refuse(pointer, 'not_filterable', 'must be a field that is filterable')
  const { slot } = field
  if (field.indexState !== 'ready' || slot === null) {
    throw refuse(pointer, 'index_not_ready', 'must be a field whose indexState is ready')
  }
  return { ...field, slot }
}

/** A condition in terms of keys: what its SQL depends on, the keys as parameters, and the SQL. */
export type KeyCondition = {
  readonly shape: string
  readonly values: readonly (string | readonly string[])[]
  sql(key: AnyPgColumn, values: readonly SQL[]): SQL
}

/**
 * Says a condition on a custom field in terms of its key.
 *
 * @param pointer where the condition stands in the request
 * @throws InvalidCustomFields for an operator or a value that the type of the field does not have
 */
export function keyCondition(field: CustomField, op: string, value: unknown, pointer: string): KeyCondition {
  const operators: readonly string[] = CUSTOM_OPERATORS[field.type] ?? []
  if (!operators.includes(op)) throw refuse(`${pointer}/op`, 'enum', `must be one of ${operators.join(', ')}`)
  assertFits(field, op as Operator, value, `${pointer}/value`)
  const keyOf = (each: unknown): string => keyToCompare(field, each)
  if (op === 'isNull') return { shape: `isNull ${value}`, values: [], sql: (key) => isNull(key, value === true) }
  if (op === 'in' || op === 'notIn') return { shape: op, values: [(value as unknown[]).map(keyOf)], sql: ONE_OF[op] }
  if (op === 'eq' || op === 'ne') return { shape: op, values: [keyOf(value)], sql: EQUAL[op] }
  return { shape: op, values: rangeOf(field, op as Range, value), sql: RANGES[op as Range] }
}

/** The two keys between which those of a range are. */
function rangeOf(field: CustomField, op: Range, value: unknown): [string, string] {
  if (op === 'startsWith') {
    const { least, beyond } = prefixBounds(field, value as string)
    return [least, beyond]
  }
  const [from = '', to = from] = [value].flat().map((each) => keyToCompare(field, each))
  const { least, beyond } = bounds(field, from)
  if (op === 'gt' || op === 'gte') return [from, beyond]
  if (op === 'lt' || op === 'lte') return [least, from]
  // Nothing lies between amounts in two currencies.
  return bounds(field, to).least === least ? [from, to] : [beyond, least]
}

type KeySql = KeyCondition['sql']
type Range = 'gt' | 'gte' | 'lt' | 'lte' | 'between' | 'startsWith'

const between =
  (from: SQL, to: SQL): KeySql =>
  (key, [least, most]) =>
    sql`(${key} ${from} ${least}::text and ${key} ${to} ${most}::text)`

const [above, fromOn, below, upTo] = [sql`>`, sql`>=`, sql`<`, sql`<=`]

const RANGES: Record<Range, KeySql> = {
  gt: between(above, below),
  gte: between(fromOn, below),
  lt: between(fromOn, below),
  lte: between(fromOn, upTo),
  between: between(fromOn, upTo),
  startsWith: between(fromOn, below),
}
const EQUAL: Record<'eq' | 'ne', KeySql> = {
  eq: (key, [value]) => sql`${key} = ${value}::text`,
  ne: (key, [value]) => sql`${key} is distinct from ${value}::text`,
}
const ONE_OF: Record<'in' | 'notIn', KeySql> = {
  in: (key, [list]) => sql`${key} = any(${list}::text[])`,
  notIn: (key, [list]) => sql`(${key} = any(${list}::text[])) is not true`,
}
const isNull = (key: AnyPgColumn, wanted: boolean): SQL =>
  wanted ? sql`${key} = ${sql.raw(`'${NO_VALUE}'`)}` : sql`${key} > ${sql.raw(`'${NO_VALUE}'`)}`

/** @throws InvalidCustomFields */
function assertFits(field: CustomField, op: Operator, value: unknown, pointer: string): void {
  if (op === 'isNull') {
    if (typeof value !== 'boolean') throw refuse(pointer, 'type', 'must be boolean')
    return
  }
  if (op !== 'in' && op !== 'notIn' && op !== 'between') {
    assertValue(field, value, pointer)
    return
  }
  if (!Array.isArray(value)) throw refuse(pointer, 'type', 'must be array')
  if (op === 'between' && value.length < 2) throw refuse(pointer, 'min_items', 'must NOT have fewer than 2 items')
  if (op === 'between' && value.length > 2) throw refuse(pointer, 'max_items', 'must NOT have more than 2 items')
  for (const [index, each] of value.entries()) assertValue(field, each, `${pointer}/${index}`)
}

/** Texts are compared with any text: also with a beginning, or what no value can be. */
const ANY_TEXT: ReadonlySet<CustomField['type']> = new Set(['text', 'url', 'email', 'phone'])

function assertValue(field: CustomField, value: unknown, pointer: string): void {
  const fault: Fault | undefined = ANY_TEXT.has(field.type)
    ? typeof value === 'string'
      ? undefined
      : { pointer, code: 'type', message: 'must be string' }
    : faultOfType(field, value, pointer)
  if (fault) throw new InvalidCustomFields(fault)
}
