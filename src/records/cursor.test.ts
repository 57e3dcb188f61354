import { expect, test } from 'vitest'
import type { Scope } from '../context.js'
import { InvalidRequest } from '../problem.js'
import { createSigner } from '../signer.js'
import { decodeCursor, encodeCursor } from './cursor.js'

const signer = createSigner('k7Qv2mX9cB4nL8wR5tY1uI6oP3aS0dFg')
const scope = { signer } as Scope
const binding = ['accounts', 'organization', ['-createdAt'], { industry: 'Retail' }]
const position = ['2026-01-05 10:00:00.5+00', 'Ærø\u{1F600}', null, 42, '01935f3a-7c1e-7e12-9a55-0e7f9d1f4b21']
const cursor = encodeCursor(scope, binding, position)

const refused = (token: string, bound: unknown = binding, at: Scope = scope) => {
  try {
    decodeCursor(at, bound, token)
    return false
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidRequest)
    expect((error as InvalidRequest).errors).toMatchObject([{ pointer: '/query/cursor', code: 'cursor' }])
    return true
  }
}

test('gives the position back', () => {
  expect(decodeCursor(scope, binding, cursor)).toEqual(position)
})

test('is made of characters that need no escaping in a URL', () => {
  expect(encodeURIComponent(cursor)).toBe(cursor)
})

test.each([
  ['another list', ['contacts', 'organization', ['-createdAt'], { industry: 'Retail' }]],
  ['another tenant', ['accounts', 'elsewhere', ['-createdAt'], { industry: 'Retail' }]],
  ['another order', ['accounts', 'organization', ['createdAt'], { industry: 'Retail' }]],
  ['another filter', ['accounts', 'organization', ['-createdAt'], { industry: 'Finance' }]],
  ['no filter', ['accounts', 'organization', ['-createdAt'], {}]],
])('is worth nothing for %s', (_name, other) => {
  expect(refused(cursor, other)).toBe(true)
})

test('is worth nothing once a single character differs', () => {
  for (let index = 0; index < cursor.length; index++) {
    const other = cursor[index] === 'A' ? 'B' : 'A'
    const tampered = `${cursor.slice(0, index)}${other}${cursor.slice(index + 1)}`
    // The last character of a signature has bits that mean nothing.
    if (
      Buffer.from(tampered.split('.')[1] ?? '', 'base64url').equals(
        Buffer.from(cursor.split('.')[1] ?? '', 'base64url'),
      )
    ) {
      if (tampered.split('.')[0] === cursor.split('.')[0]) continue
    }
    expect(refused(tampered), String(index)).toBe(true)
  }
})

test.each([
  '',
  '.',
  'x',
  'x.y',
  '..',
  `${cursor}.`,
  `${cursor}x`,
  `.${cursor}`,
  cursor.split('.')[0] ?? '',
  `.${cursor.split('.')[1]}`,
])('refuses %j', (token) => {
  expect(refused(token)).toBe(true)
})

test('is worth nothing under another secret, or as a token of another kind', () => {
  const other = { signer: createSigner('another secret of thirty-two bytes') } as Scope
  expect(refused(cursor, binding, other)).toBe(true)
  const payload = cursor.split('.')[0] ?? ''
  expect(refused(signer.sign('refresh', payload))).toBe(true)
  expect(signer.verify('refresh', cursor)).toBeUndefined()
})
