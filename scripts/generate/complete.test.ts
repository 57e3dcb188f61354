import { describe, expect, it } from 'vitest'
import { complete } from './complete.js'
import { readContract } from './contract.js'
import type { Document, Reply } from './document.js'
import { problemOf, resolve } from './document.js'
import { fixture, json, operation } from './fixture.js'

const KEY = { $ref: '#/components/parameters/IdempotencyKey' }
const ref = (name: string) => ({ $ref: `#/components/responses/${name}` })

function repliesOf(document: Document) {
  return complete(document).paths['/widgets']?.post?.responses ?? {}
}

describe('complete', () => {
  it('adds to a public operation without a body only what can happen there', () => {
    expect(Object.keys(repliesOf(fixture({ '/widgets': { post: operation('createWidget') } })))).toEqual([
      '204',
      '400',
      '401',
      '406',
      '429',
      '500',
      '503',
    ])
  })

  it('adds 403 to what needs a scope, 413 and 415 to what takes a body', () => {
    const signedIn = operation('createWidget', { security: [{ bearerAuth: [] }], requestBody: json({}) })
    const scoped = operation('createWidget', { security: [{ bearerAuth: ['widgets:create'] }] })
    expect(Object.keys(repliesOf(fixture({ '/widgets': { post: signedIn } })))).toEqual([
      '204',
      '400',
      '401',
      '406',
      '413',
      '415',
      '429',
      '500',
      '503',
    ])
    expect(repliesOf(fixture({ '/widgets': { post: scoped } }))).toMatchObject({
      401: ref('Unauthenticated'),
      403: ref('Forbidden'),
    })
  })

  it('names the scope in the description', () => {
    const post = operation('createWidget', {
      description: 'Makes one.',
      security: [{ bearerAuth: ['widgets:create'] }],
    })
    expect(complete(fixture({ '/widgets': { post } })).paths['/widgets']?.post?.description).toBe(
      'Makes one.\n\nRequires the scope `widgets:create`.',
    )
  })

  it('keeps the reply that a path file declares, and lists the reasons of both where both apply', () => {
    const post = operation('createWidget', {
      parameters: [KEY],
      responses: { 201: { description: 'Made.' }, 409: ref('NameTaken'), 429: { description: 'Mine.' } },
    })
    const document = complete(fixture({ '/widgets': { post } }))
    const replies = document.paths['/widgets']?.post?.responses ?? {}
    expect(replies[422]).toEqual(ref('IdempotencyKeyReused'))
    expect(replies[429]).toMatchObject({ description: 'Mine.' })
    expect(replies[409]).toEqual(ref('NameTakenOrIdempotencyKeyInUse'))
    const combined = problemOf(resolve<Reply>(document, replies[409] as Reply))
    expect(combined?.schema.allOf?.[1]?.properties?.code).toEqual({ enum: ['name_taken', 'idempotency_key_in_use'] })
    expect(Object.keys(combined?.examples ?? {})).toEqual(['name_taken', 'idempotency_key_in_use'])
    expect(problemOf(resolve<Reply>(document, ref('NameTaken')))?.schema.allOf?.[1]?.properties?.code).toEqual({
      const: 'name_taken',
    })
  })

  it('adds an idempotency conflict on its own where the handler has none', () => {
    const post = operation('createWidget', { parameters: [KEY] })
    expect(repliesOf(fixture({ '/widgets': { post } }))[409]).toEqual(ref('IdempotencyKeyInUse'))
  })

  it('declares the headers of the HTTP layer on every reply, and does not replace declared ones', () => {
    const own = { description: 'my own', schema: { type: 'string' } }
    const post = operation('createWidget', {
      security: [{ bearerAuth: [] }],
      responses: { 204: { description: 'x', headers: { RateLimit: own } } },
    })
    const document = complete(fixture({ '/widgets': { post } }))
    for (const [status, entry] of Object.entries(document.paths['/widgets']?.post?.responses ?? {})) {
      const { headers = {} } = resolve<Reply>(document, entry)
      expect(Object.keys(headers), status).toEqual(
        expect.arrayContaining(['X-Request-Id', 'RateLimit', 'RateLimit-Policy', 'Access-Control-Allow-Origin']),
      )
      expect('Retry-After' in headers, status).toBe(['429', '503'].includes(status))
      expect('WWW-Authenticate' in headers, status).toBe(status === '401')
    }
    expect(document.paths['/widgets']?.post?.responses[204]).toMatchObject({ headers: { RateLimit: own } })
  })

  it('remembers which statuses the path file declared', () => {
    const post = operation('createWidget', {
      parameters: [KEY],
      responses: { 201: { description: 'Made.' }, 409: ref('NameTaken') },
    })
    const [facts] = readContract(fixture({ '/widgets': { post } })).operations
    expect(facts).toMatchObject({
      path: '/api/v1/widgets',
      handlerStatuses: [201, 409],
      idempotent: true,
      public: true,
    })
    expect(facts?.replies.map(({ status }) => status)).toEqual([201, 400, 401, 406, 409, 422, 429, 500, 503])
  })
})
