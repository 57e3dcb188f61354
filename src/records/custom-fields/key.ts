import { type SQL, sql } from 'drizzle-orm'
import type { AnyPgColumn } from 'drizzle-orm/pg-core'
import { keyOf, type Row } from '../fields.js'
import { toMinorUnits } from '../money.js'
import type { CustomField, Definitions } from './definitions.js'
import { faultOf } from './value.js'

type Type = CustomField['type']

/** What a record without a value has for a key: less than the key of every value. */
export const NO_VALUE = ''

/** What every key of a value begins with, so that the empty text is a value. */
const VALUE = '='

/** Greater than every key of a value. */
const BEYOND = '>'

/** Longer keys do not fit into an index; no value that a field of today takes has one. */
const MAX_BYTES = 2_060

/** Types whose values a filter may compare with any text, and which have no form that an old value could lack. */
const TEXTS: ReadonlySet<Type> = new Set(['text', 'select', 'url', 'email', 'phone'])

/**
 * The key of a value: text whose order, byte by byte, is that of the values, and which is equal for values that filters take for
 * equal. What the type of the field does not have counts as no value: it is older than the definition.
 */
export function keyOfValue(field: CustomField, value: unknown): string {
  if (value === undefined || value === null) return NO_VALUE
  if (TEXTS.has(field.type) ? typeof value !== 'string' : faultOfType(field, value, '')) return NO_VALUE
  const key = keyToCompare(field, value)
  return key.length * 3 > MAX_BYTES && Buffer.byteLength(key) > MAX_BYTES ? NO_VALUE : key
}

/** The key of a value that a filter compares with, which is of the type of the field; it may be longer than those of records. */
export const keyToCompare = (field: CustomField, value: unknown): string => VALUE + encode(field.type, value)

/** The key of an id, which is text in lower case. */
export const keyOfId = (id: SQL): SQL => sql`${sql.raw(`'${VALUE}'`)} || ${id}`

/** Puts the keys of a record's custom fields into its row. */
export function putKeys(
  row: Row,
  slots: readonly AnyPgColumn[],
  { keyed }: Definitions,
  values: Record<string, unknown>,
): void {
  for (const { field, slot } of keyed) {
    const column = slots[slot - 1]
    if (!column) throw new Error(`there is no key slot ${slot}`)
    row[keyOf(column)] = keyOfValue(field, Object.hasOwn(values, field.key) ? values[field.key] : undefined)
  }
}

/** What is wrong with a value for the type of a field, whatever its rules say. */
export const faultOfType = (field: CustomField, value: unknown, pointer: string) =>
  faultOf(
    { ...field, pattern: null, minimum: null, maximum: null, minLength: null, maxLength: null },
    value,
    value,
    pointer,
  )

function encode(type: Type, value: unknown): string {
  switch (type) {
    case 'number':
    case 'integer':
      return sortableNumber(value as number)
    case 'money': {
      const money = value as { amount: string; currency: string }
      return money.currency + sortableUnits(BigInt(toMinorUnits(money, '')))
    }
    case 'timestamp':
      return new Date(value as string).toISOString()
    case 'email':
    case 'user':
    case 'reference':
      return (value as string).toLowerCase()
    default:
      return String(value)
  }
}

const double = new DataView(new ArrayBuffer(8))

/** The bits of a double, so that they order as unsigned integers: of negative numbers all are turned round. */
function sortableNumber(value: number): string {
  // Zero has two signs.
  double.setFloat64(0, value === 0 ? 0 : value)
  const bits = double.getBigUint64(0)
  return toHex(bits >> 63n === 0n ? bits | (1n << 63n) : ~bits)
}

const sortableUnits = (units: bigint): string => toHex(units + (1n << 63n))

const toHex = (bits: bigint): string => BigInt.asUintN(64, bits).toString(16).padStart(16, '0')

/** The keys that a key compares with: of money only those in its currency. */
export function bounds(field: CustomField, key: string): { least: string; beyond: string } {
  if (field.type !== 'money') return { least: VALUE, beyond: BEYOND }
  const currency = key.slice(0, VALUE.length + 3)
  return { least: currency, beyond: `${currency}~` }
}

/** The keys of the texts with a beginning: from the first to before the second. */
export function prefixBounds(field: CustomField, prefix: string): { least: string; beyond: string } {
  const least = VALUE + encode(field.type, prefix)
  return { least, beyond: successor(least) }
}

/** The least text that is greater than every text with this beginning. */
function successor(text: string): string {
  const points = [...text].map((character) => character.codePointAt(0) ?? 0)
  // The first one can always be increased.
  while (points.at(-1) === 0x10ffff) points.pop()
  const last = points.pop() ?? 0
  // Between the two lie the surrogates, which are no characters.
  return String.fromCodePoint(...points, last === 0xd7ff ? 0xe000 : last + 1)
}
