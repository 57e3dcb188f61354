import { expect, test } from 'vitest'
import { etagOf, ifMatchHolds, ifNoneMatchHits } from './conditional.js'

test('the entity tag is strong and follows the version', () => {
  expect(etagOf({ version: 7 })).toBe('"7"')
})

test.each([undefined, '*', ' * ', '"7"', '"1", "7"', '"1" ,"7" , "9"'])(
  'If-Match %s lets version 7 through',
  (header) => {
    expect(ifMatchHolds(header, 7)).toBe(true)
  },
)

test('with expanded records the entity tag stands for them, too, and If-Match looks at the version alone', () => {
  const tagOf = (name: string) => etagOf({ version: 7, expanded: { owner: { name } } })
  expect(tagOf('Ada')).toMatch(/^"7-[\w-]{22}"$/)
  expect(tagOf('Ada')).toBe(tagOf('Ada'))
  expect(tagOf('Ada')).not.toBe(tagOf('Grace'))
  expect(ifMatchHolds(`"1", ${tagOf('Ada')}`, 7)).toBe(true)
  for (const header of [tagOf('Ada'), `W/${tagOf('Ada')}`, '"8-short"'])
    expect(ifMatchHolds(header, 8), header).toBe(false)
  expect(ifMatchHolds(`W/${tagOf('Ada')}`, 7)).toBe(false)
  expect(ifNoneMatchHits(tagOf('Ada'), tagOf('Grace'))).toBe(false)
  expect(ifNoneMatchHits('"7"', tagOf('Ada'))).toBe(false)
  expect(ifNoneMatchHits(tagOf('Ada'), '"7"')).toBe(false)
})

test('of a part of the record the entity tag stands for what is in it, and If-Match looks at the version alone', () => {
  const tagOf = (...fields: string[]) => etagOf({ version: 7 }, fields)
  const expanded = { owner: { name: 'Ada' } }
  expect(tagOf('name')).toMatch(/^"7-[\w-]{22}"$/)
  expect(tagOf('name', 'domain')).toBe(tagOf('domain', 'name'))
  const all = [tagOf('name'), tagOf('name', 'domain'), etagOf({ version: 7, expanded }, ['name'])]
  expect(new Set([...all, etagOf({ version: 7 }), etagOf({ version: 7, expanded })]).size).toBe(5)
  expect(ifMatchHolds(tagOf('name'), 7)).toBe(true)
  expect(ifMatchHolds(tagOf('name'), 8)).toBe(false)
  expect(ifNoneMatchHits(tagOf('name'), tagOf('domain'))).toBe(false)
  expect(ifNoneMatchHits(tagOf('name'), '"7"')).toBe(false)
})

// Weak tags never match: the comparison is strong.
test.each(['"6"', '"77"', '7', '', 'W/"7"', '"1", W/"7"', '"7', '""', '"*"'])(
  'If-Match %s holds version 7 back',
  (header) => {
    expect(ifMatchHolds(header, 7)).toBe(false)
  },
)

test.each(['*', '"7"', 'W/"7"', '"1", W/"7"'])('If-None-Match %s hits version 7', (header) => {
  expect(ifNoneMatchHits(header, '"7"')).toBe(true)
})

test.each([undefined, '', '"6"', 'W/"6"', '7', '"77"'])('If-None-Match %s misses version 7', (header) => {
  expect(ifNoneMatchHits(header, '"7"')).toBe(false)
})
