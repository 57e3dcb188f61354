import type { FastifyRequest } from 'fastify'
import { describe, expect, test } from 'vitest'
import type { OperationId } from '../../generated/operations.js'
import { type Fault, InvalidRequest } from '../problem.js'
import { validate } from './validation.js'

type Parts = { url?: string; params?: object; query?: object; headers?: object; body?: unknown }

function request({ url = '/', params = {}, query = {}, headers = {}, body }: Parts): FastifyRequest {
  return { raw: { url }, params, query, headers, body } as unknown as FastifyRequest
}

function faults(id: OperationId, parts: Parts): Fault[] {
  try {
    validate(id, request(parts))
    return []
  } catch (error) {
    if (error instanceof InvalidRequest) return error.errors
    throw error
  }
}

const pointers = (id: OperationId, parts: Parts): string[] => faults(id, parts).map(({ pointer }) => pointer)

describe('a fault points to where it is', () => {
  test.each<[OperationId, Parts, string, string]>([
    ['createAccount', { body: {} }, '/name', 'required'],
    ['createAccount', { body: { name: 5 } }, '/name', 'type'],
    ['createAccount', { body: { name: 'A', unknown: 1 } }, '/unknown', 'additional_properties'],
    ['createAccount', { body: { name: 'A', 'a/b~c': 1 } }, '/a~1b~0c', 'additional_properties'],
    ['createAccount', { body: { name: 'A', tags: ['a', 5] } }, '/tags/1', 'type'],
    ['createAccount', { body: { name: 'A', billingAddress: { x: 1 } } }, '/billingAddress/x', 'additional_properties'],
    ['createAccount', { body: undefined }, '', 'required'],
    ['createAccount', { body: [] }, '', 'type'],
    ['listAccounts', { query: { unknown: '1' } }, '/query/unknown', 'additional_properties'],
    ['listAccounts', { query: { limit: 'x' } }, '/query/limit', 'type'],
    ['listAccounts', { query: { limit: '0' } }, '/query/limit', 'minimum'],
    ['listAccounts', { query: { 'createdAt[gte]': 'x' } }, '/query/createdAt[gte]', 'pattern'],
    ['getAccount', { params: { accountId: 'x' } }, '/path/accountId', 'format'],
    [
      'createAccount',
      { body: { name: 'A' }, headers: { 'idempotency-key': 'a b' } },
      '/headers/idempotency-key',
      'pattern',
    ],
  ])('%s %j: %s %s', (id, parts, pointer, code) => {
    expect(faults(id, parts)).toMatchObject([{ pointer, code }])
  })

  test('pointers and messages are bound, whatever the names', () => {
    const [fault] = faults('createAccount', { body: { name: 'A', ['x'.repeat(100_000)]: 1 } })
    expect(fault?.pointer.length).toBeLessThanOrEqual(512)
    expect(fault?.message.length).toBeLessThanOrEqual(512)
  })
})

describe('what a handler gets', () => {
  test('defaults are filled in', () => {
    const list = request({})
    validate('listAccounts', list)
    expect(list.query).toEqual({ limit: 50, sort: ['-createdAt'] })
  })

  test('numbers and truth values of the query are such, and a list is a list', () => {
    const list = request({ query: { limit: '7', sort: '-name,createdAt' } })
    validate('listAccounts', list)
    expect(list.query).toEqual({ limit: 7, sort: ['-name', 'createdAt'] })
    const convert = request({
      query: { dryRun: 'true' },
      params: { leadId: '01935f3a-7c1e-7e12-9a55-0e7f9d1f4b21' },
      body: {},
    })
    validate('convertLead', convert)
    expect(convert.query).toEqual({ dryRun: true })
  })

  test('a body stays as it came', () => {
    const body = { name: 'A', numberOfEmployees: 5, customFields: { a: '1', b: null } }
    const create = request({ body: structuredClone(body) })
    validate('createAccount', create)
    expect(create.body).toEqual(body)
  })
})

test.each(['1', 'yes', 'TRUE', '', '0'])('a truth value is true or false: %j', (dryRun) => {
  const params = { leadId: '01935f3a-7c1e-7e12-9a55-0e7f9d1f4b21' }
  expect(pointers('convertLead', { params, query: { dryRun }, body: {} })).toEqual(['/query/dryRun'])
})

test.each(['0x10', '1e1', ' 1', '1 ', '01', '+1', '1.0', '1e400', '-0', '٣'])(
  'a number is written in plain digits: %j',
  (limit) => {
    expect(pointers('listAccounts', { query: { limit } })).toEqual(['/query/limit'])
  },
)

test('what may be given once is not given twice', () => {
  expect(pointers('listAccounts', { query: { limit: ['1', '2'] } })).toEqual(['/query/limit'])
  expect(pointers('listAccounts', { query: { sort: ['name', '-name'] } })).toEqual(['/query/sort'])
  expect(pointers('listAccounts', { query: { industry: ['a', 'b'] } })).toEqual(['/query/industry'])
  expect(pointers('listAccounts', { query: { industry: ['a'] } })).toEqual(['/query/industry'])
})

test.each(['/?a=%00', '/%00', '/?a=%ff', '/?%c0%80=1', '/?a=%ed%a0%80', '/?a=%zz', '/?a=%'])(
  'the URL %s is no percent-encoded UTF-8 without NUL',
  (url) => {
    expect(faults('listAccounts', { url })).toMatchObject([{ code: 'encoding' }])
  },
)

test.each(['/?a=%2500', '/?a=%F0%9F%98%80', '/?a=100%25', '/'])('the URL %s is', (url) => {
  expect(faults('listAccounts', { url })).toEqual([])
})
