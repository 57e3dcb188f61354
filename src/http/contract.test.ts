import { describe, expectTypeOf, it } from 'vitest'
import type { components } from '../../generated/types.js'
import type { Context, PublicContext } from '../context.js'
import { problem } from '../problem.js'
import type { Cases, ContextOf, Handler, ReplyOf, RequestOf } from './contract.js'

// The compiler is the test: every directive below fails the build when the line under it becomes legal.
const account = {} as components['schemas']['Account']
const ETag = '"1"'

describe('a request', () => {
  it('has defaults filled in, lists as arrays and header names in lower case', () => {
    type Query = RequestOf<'listAccounts'>['query']
    expectTypeOf<Query['limit']>().toEqualTypeOf<number>()
    expectTypeOf<Query['sort'][number]>().toExtend<string>()
    expectTypeOf<Query['createdAt[gte]']>().toEqualTypeOf<string | undefined>()
    expectTypeOf<RequestOf<'getAccount'>['headers']['if-none-match']>().toEqualTypeOf<string | undefined>()
    expectTypeOf<RequestOf<'getAccount'>['body']>().toEqualTypeOf<undefined>()
    // @ts-expect-error another operation's parameter
    expectTypeOf<RequestOf<'getAccount'>['params']['contactId']>()
  })

  it('comes with a principal, unless the operation is public', () => {
    expectTypeOf<ContextOf<'getAccount'>>().toEqualTypeOf<Context>()
    expectTypeOf<ContextOf<'login'>>().toEqualTypeOf<PublicContext>()
  })
})

describe('a reply', () => {
  it('is one of those that the contract declares', () => {
    const get: ReplyOf<'getAccount'>[] = [
      { status: 200, body: account, headers: { ETag } },
      { status: 304, headers: { ETag } },
      problem(404, 'not_found'),
      problem(400, 'invalid_request'),
      problem(403, 'forbidden'),
    ]
    const others: [ReplyOf<'deleteAccount'>, ReplyOf<'login'>, ReplyOf<'getHealth'>] = [
      { status: 204 },
      problem(401, 'invalid_credentials'),
      { status: 503, body: { status: 'down', dependencies: { database: 'down', redis: 'unused' } } },
    ]
    expectTypeOf(get).toBeArray()
    expectTypeOf(others).toBeArray()
  })

  it('cannot be anything else', () => {
    // @ts-expect-error a status that is not declared
    const status: ReplyOf<'getAccount'> = { status: 202, body: account }
    // @ts-expect-error a code that is not declared
    const code: ReplyOf<'getAccount'> = problem(404, 'gone')
    // @ts-expect-error a header is missing
    const header: ReplyOf<'getAccount'> = { status: 200, body: account }
    // @ts-expect-error a header that is not declared
    const surplus: ReplyOf<'deleteAccount'> = { status: 204, headers: { ETag } }
    // @ts-expect-error a body where there is none
    const body: ReplyOf<'deleteAccount'> = { status: 204, body: account }
    // @ts-expect-error no body where there is one
    const empty: ReplyOf<'getAccount'> = { status: 200, headers: { ETag } }
    // @ts-expect-error a property is missing
    const partial: Handler<'getLiveness'> = async () => ({ status: 200, body: {} })
    expectTypeOf([status, code, header, surplus, body, empty, partial]).toBeArray()
  })

  it('leaves to the HTTP layer what is its own', () => {
    // @ts-expect-error authentication
    const unauthenticated: ReplyOf<'getAccount'> = problem(401, 'unauthenticated')
    // @ts-expect-error a scope, which a public operation does not have
    const forbidden: ReplyOf<'login'> = problem(403, 'forbidden')
    // @ts-expect-error idempotency, on a status of its own
    const reused: ReplyOf<'createAccount'> = problem(422, 'idempotency_key_reused')
    // @ts-expect-error idempotency, on a status that it shares with the handler
    const inUse: ReplyOf<'createAccount'> = problem(409, 'idempotency_key_in_use')
    expectTypeOf([unauthenticated, forbidden, reused, inUse]).toBeArray()
  })
})

describe('the cases of a tag', () => {
  it('are complete only with every status that a handler decides', () => {
    const done = async () => {}
    // @ts-expect-error 503 of getHealth is missing
    const cases: Cases<'health'> = { getHealth: { 200: done }, getLiveness: { 200: done } }
    expectTypeOf(cases).toBeObject()
  })
})
