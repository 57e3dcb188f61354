import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { CustomField } from './definitions.js'
import { bounds, keyOfValue, keyToCompare, NO_VALUE, prefixBounds } from './key.js'

type Type = CustomField['type']

const rules = { pattern: null, minimum: null, maximum: null, minLength: null, maxLength: null, options: [] }
const field = (type: Type) => ({ key: 'k', type, ...rules }) as unknown as CustomField

/** As PostgreSQL compares text with the collation "C". */
const compareKeys = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b))
const compare = <Value>(a: Value, b: Value) => (a < b ? -1 : a > b ? 1 : 0)

const text = fc.string({ unit: 'grapheme', maxLength: 60 })
const number = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer(),
  fc.constantFrom(0, -0, 5e-324),
)
const instant = fc.date({ min: new Date('1900-01-02'), max: new Date('2299-12-30'), noInvalidDate: true })
const offset = fc.constantFrom('Z', '+02:00', '-11:30')
const amount = fc
  .tuple(fc.integer({ min: -999_999_999, max: 999_999_999 }), fc.integer({ min: 0, max: 99 }))
  .map(([whole, cents]) => `${whole}.${String(cents).padStart(2, '0')}`)
const cents = (value: string) => BigInt(value.replace('.', ''))

function toOffset(date: Date, zone: string): string {
  const [hours = 0, minutes = 0] = zone === 'Z' ? [] : zone.slice(1).split(':').map(Number)
  const shift = (zone.startsWith('-') ? -1 : 1) * (hours * 60 + minutes) * 60_000
  return new Date(date.getTime() + shift).toISOString().replace('Z', zone)
}

/** Of each type: values of two records, and which of them is the greater. */
const ORDERED: Partial<Record<Type, fc.Arbitrary<[a: unknown, b: unknown, order: number]>>> = {
  text: fc.tuple(text, text).map(([a, b]) => [a, b, compareKeys(a, b)]),
  number: fc.tuple(number, number).map(([a, b]) => [a, b, compare(a, b)]),
  integer: fc.tuple(fc.maxSafeInteger(), fc.maxSafeInteger()).map(([a, b]) => [a, b, compare(a, b)]),
  boolean: fc.tuple(fc.boolean(), fc.boolean()).map(([a, b]) => [a, b, compare(a, b)]),
  date: fc
    .tuple(instant, instant)
    .map((dates) => dates.map((date) => date.toISOString().slice(0, 10)))
    .map(([a, b]) => [a, b, compare(a, b)]),
  timestamp: fc
    .tuple(instant, offset, instant, offset)
    .map(([a, zoneA, b, zoneB]) => [toOffset(a, zoneA), toOffset(b, zoneB), compare(a.getTime(), b.getTime())]),
  money: fc
    .tuple(amount, amount)
    .map(([a, b]) => [{ amount: a, currency: 'EUR' }, { amount: b, currency: 'EUR' }, compare(cents(a), cents(b))]),
  email: fc
    .tuple(fc.constantFrom('a', 'A', 'b', 'Z'), fc.constantFrom('a', 'A', 'b', 'Z'))
    .map(([a, b]) => [`${a}@x.example`, `${b}@x.example`, compare(a.toLowerCase(), b.toLowerCase())]),
}

describe('keys are in the order of the values, after that of no value', () => {
  test.each(Object.keys(ORDERED) as Type[])('%s', (type) => {
    const pairs = ORDERED[type] as fc.Arbitrary<[unknown, unknown, number]>
    fc.assert(
      fc.property(pairs, ([a, b, order]) => {
        const [keyA, keyB] = [keyOfValue(field(type), a), keyOfValue(field(type), b)]
        expect(Math.sign(compareKeys(keyA, keyB))).toBe(Math.sign(order))
        expect(compareKeys(NO_VALUE, keyA)).toBe(-1)
        const { least, beyond } = bounds(field(type), keyA)
        expect(compareKeys(least, keyA)).toBeLessThan(1)
        expect(compareKeys(keyA, beyond)).toBe(-1)
      }),
      { numRuns: 1_000 },
    )
  })
})

test('a beginning spans exactly the texts that begin with it', () => {
  const point = fc.oneof(
    fc.constantFrom('a', '\ud7ff', '\ue000', '\u{10ffff}', '\u{10fffe}'),
    fc.string({ maxLength: 1 }),
  )
  const points = fc.array(point, { maxLength: 4 }).map((all) => all.join(''))
  fc.assert(
    fc.property(points, points, points, (prefix, rest, other) => {
      for (const value of [prefix + rest, other]) {
        const key = keyToCompare(field('text'), value)
        const { least, beyond } = prefixBounds(field('text'), prefix)
        const isWithin = compareKeys(least, key) <= 0 && compareKeys(key, beyond) < 0
        expect(isWithin).toBe(value.startsWith(prefix))
      }
    }),
    { numRuns: 2_000 },
  )
})

test('amounts in different currencies do not come between each other', () => {
  const keys = ['EUR', 'JPY'].flatMap((currency) =>
    ['-5', '0', '7'].map((each) => keyOfValue(field('money'), { amount: each, currency })),
  )
  expect([...keys].sort(compareKeys)).toEqual(keys)
})

test.each<[Type, unknown]>([
  ['text', 5],
  ['number', '5'],
  ['integer', 1.5],
  ['boolean', 'true'],
  ['date', '2026-02-30'],
  ['timestamp', 'yesterday'],
  ['money', { amount: '1.001', currency: 'EUR' }],
  ['money', { amount: '1', currency: 'XQQ' }],
  ['user', 'nobody'],
  ['text', null],
  ['text', undefined],
  ['text', '😀'.repeat(2_000)],
])('what %s does not have counts as no value: %j', (type, value) => {
  expect(keyOfValue(field(type), value)).toBe(NO_VALUE)
})

test('the longest values that fields take have keys that fit into an index', () => {
  for (const [type, value] of [
    ['text', '😀'.repeat(255)],
    ['select', '😀'.repeat(100)],
    ['url', `https://example.com/${'a'.repeat(2028)}`],
  ] as const) {
    const key = keyOfValue(field(type), value)
    expect(key).toBe(`=${value}`)
    expect(Buffer.byteLength(key)).toBeLessThan(2_100)
  }
})
