import { describe, expect, test } from 'vitest'
import { apply, mergePatch } from './merge-patch.js'

describe('RFC 7396, appendix A', () => {
  test.each([
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [
      ['a', 'b'],
      ['c', 'd'],
      ['c', 'd'],
    ],
    [{ a: 'b' }, ['c'], ['c']],
    [{ a: 'foo' }, null, null],
    [{ a: 'foo' }, 'bar', 'bar'],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: 'b', c: null }, { a: 'b' }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ])('%j patched with %j is %j', (target, patch, result) => {
    expect(apply(target, patch)).toEqual(result)
  })
})

test('at the top level null clears a property and keeps it', () => {
  const record: { a: string | null; b: number } = { a: 'x', b: 1 }
  expect(mergePatch(record, { a: null })).toEqual({ a: null, b: 1 })
})

test('what is absent or undefined stays', () => {
  const record: { a: string | null; b: number } = { a: 'x', b: 1 }
  expect(mergePatch(record, {})).toEqual(record)
  expect(mergePatch(record, { a: undefined })).toEqual(record)
})

test('neither the record nor the patch is changed', () => {
  const record = { fields: { a: { b: 1 }, c: 2 } as Record<string, unknown> }
  const patch = { fields: { a: { d: 3 }, c: null } as Record<string, unknown> }
  const before = structuredClone([record, patch])
  expect(mergePatch(record, patch)).toEqual({ fields: { a: { b: 1, d: 3 } } })
  expect([record, patch]).toEqual(before)
})

test('names of the prototype are names like any other', () => {
  const patch = JSON.parse('{"fields":{"constructor":{"prototype":{"polluted":1}},"toString":{"x":null}}}') as {
    fields: Record<string, unknown>
  }
  const { fields } = mergePatch({ fields: {} as Record<string, unknown> }, patch)
  expect(fields).toEqual({ constructor: { prototype: { polluted: 1 } }, toString: {} })
  expect(({} as Record<string, unknown>).polluted).toBeUndefined()
})
