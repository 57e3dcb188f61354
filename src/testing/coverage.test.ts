import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { cases } from '../../generated/cases.js'
import { handlers } from '../../generated/handlers.js'
import { type OperationFacts, type OperationId, operations } from '../../generated/operations.js'
import { DatabaseUnavailable } from '../db/errors.js'
import { type Case, expectProblem, type Reply, refused, unchanged } from './case.js'
import { credentialsOf, lacking, requestOf, withHeaders } from './coverage.js'
import { declaredReplies, masked, operationIds, replyExamples, requestExamples, withQuery } from './examples.js'
import { setScene } from './examples-world.js'
import { type Caller, createHarness, type Harness } from './harness.js'
import type { Sighting } from './watcher.js'

// Every reply that the contract declares, brought about at least once; what is missing is named by the last tests.

let harness: Harness
let limited: Harness
let owner: Caller
beforeAll(async () => {
  harness = await createHarness()
  limited = await createHarness({ RATE_LIMIT_PER_MINUTE: '1' })
})
beforeEach(async () => {
  owner = await harness.newOrganization()
})
afterAll(async () => {
  await harness.close()
  await limited.close()
})

describe('what a handler decides', () => {
  for (const module of Object.values<Partial<Record<OperationId, Record<number, Case>>>>(cases)) {
    for (const [id, byStatus] of Object.entries(module)) {
      for (const [status, run] of Object.entries(byStatus)) {
        it(`${id} ${status}`, async () => {
          expect((await run({ harness, owner })).statusCode).toBe(Number(status))
        })
      }
    }
  }
})

describe.each(operationIds)('what the HTTP layer decides: %s', (id) => {
  const operation: OperationFacts = operations[id]
  const hasBody = operation.mediaTypes.length > 0
  const refuses = (code: string, request: Parameters<Harness['send']>[0]) =>
    refused({ harness, owner }, code, () => harness.send(request))

  it('400 for what the contract does not know', async () => {
    const request = requestOf(harness, id, owner)
    const unknown = await refuses('invalid_request', { ...request, url: withQuery(request.url, { unknown: '1' }) })
    expect(unknown.json()).toMatchObject({ errors: [{ pointer: '/query/unknown', code: 'additional_properties' }] })
    const body = hasBody ? '{"unknown":1}' : '{}'
    const reply = await refuses('invalid_request', {
      ...withHeaders(request, { 'content-type': 'application/json' }),
      payload: body,
    })
    expect(reply.json()).toMatchObject({ errors: expect.any(Array) })
  })

  it('401 for whoever does not prove who they are', async () => {
    const request = requestOf(harness, id, owner)
    const { good, bad } = await credentialsOf(harness, owner)
    const me = { url: operations.getMe.path, headers: { authorization: good } }
    expect((await harness.send(me)).statusCode).toBe(200)
    // A public operation asks for no token, but takes no other scheme for one.
    const refusable = Object.entries(bad).filter(([name]) => !operation.public || name === 'another scheme')
    await unchanged({ harness, owner }, async () => {
      for (const [name, authorization] of refusable) {
        const reply = await harness.send(withHeaders(request, { authorization }))
        expect([name, reply.statusCode]).toEqual([name, 401])
        expectProblem(reply, 'unauthenticated')
        expect(reply.headers['www-authenticate']).toBe('Bearer realm="zenith"')
      }
    })
  })

  if (!operation.public) {
    it('401 from the next request on when a known session ends', async () => {
      expect((await owner.get(operations.getMe.path)).statusCode).toBe(200)
      await harness.sql.query('update crm_sessions set revoked = true where id = $1', [owner.sessionId])
      await refuses('unauthenticated', requestOf(harness, id, owner))
    })
  }

  const { permission } = operation
  if (permission) {
    it('403 for a role without the scope', () =>
      lacking(permission, async (role) => {
        const caller = await harness.newUser(owner.organizationId, role)
        await refuses('forbidden', requestOf(harness, id, caller))
      }))
  }

  it('406 for a client that wants no JSON', async () => {
    for (const accept of ['application/xml', 'text/html, application/json;q=0']) {
      await refuses('not_acceptable', withHeaders(requestOf(harness, id, owner), { accept }))
    }
  })

  if (hasBody) {
    it('413 for a body over 1 MiB', () =>
      refuses('payload_too_large', { ...requestOf(harness, id, owner), payload: ' '.repeat(1024 * 1024 + 1) }))

    it('415 for a body that is not JSON in UTF-8', async () => {
      for (const type of ['text/xml', 'application/json; charset=latin1', '']) {
        await refuses('unsupported_media_type', withHeaders(requestOf(harness, id, owner), { 'content-type': type }))
      }
    })
  }

  if (operation.idempotent) {
    it('409 while a request with the same Idempotency-Key runs', async () => {
      const running = await harness.sql.connect()
      try {
        await running.query('begin')
        const lock = `${owner.organizationId}:${owner.userId}:the-key`
        await running.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [lock])
        const request = withHeaders(requestOf(harness, id, owner), { 'idempotency-key': 'the-key' })
        expect((await refuses('idempotency_key_in_use', request)).statusCode).toBe(409)
      } finally {
        await running.query('rollback')
        running.release()
      }
    })

    it('422 for an Idempotency-Key of another request', async () => {
      const key = { 'idempotency-key': 'the-key' }
      expect((await owner.post(operations.createAccount.path, { name: 'First' }, key)).statusCode).toBe(201)
      const reply = await refuses('idempotency_key_reused', withHeaders(requestOf(harness, id, owner), key))
      expect(reply.statusCode).toBe(422)
    })

    it('the first reply again, and no second effect, for a retry with the same Idempotency-Key', async () => {
      const scene = await setScene(harness, id)
      const request = withHeaders(scene.request(requestExamples(id)[0]), { 'idempotency-key': '"the-key"' })
      const first = await harness.send(request)
      const again = await unchanged(scene, () => harness.send(request))
      const { etag, location } = first.headers
      expect([again.statusCode, again.payload]).toEqual([first.statusCode, first.payload])
      expect(again.headers).toMatchObject({
        'idempotency-replayed': 'true',
        ...(etag && { etag }),
        ...(location && { location }),
      })
      expect(first.headers).not.toHaveProperty('idempotency-replayed')
    })
  }

  it('500 without a word about what went wrong', async () => {
    const reply = await whileFailing(id, new Error('boom'))
    expectProblem(reply, 'internal_error')
    expect(reply.payload).not.toContain('boom')
  })

  // The health check has its own 503, which the module covers.
  if (!operation.handlerStatuses.includes(503)) {
    it('503 with Retry-After while the database is away', async () => {
      const reply = await whileFailing(id, new DatabaseUnavailable('connection to 10.0.0.1 refused'))
      expectProblem(reply, 'service_unavailable')
      expect(reply.headers['retry-after']).toMatch(/^\d+$/)
      expect(reply.payload).not.toContain('10.0.0.1')
    })
  }
})

const WITHOUT_DATABASE = ['getJwks', 'getHealth', 'getLiveness'] as const

/** Sends a request to an operation that fails, in its handler where no database is asked. */
async function whileFailing(id: OperationId, error: Error): Promise<Reply> {
  // The session is known, so that the fault hits the operation, not the authentication.
  await owner.get(operations.getMe.path)
  const name = WITHOUT_DATABASE.find((each) => each === id)
  const handler = name && vi.spyOn(handlers, name).mockRejectedValue(error)
  try {
    return await unchanged({ harness, owner }, () => {
      harness.setDatabaseFault(error)
      return harness.send(requestOf(harness, id, owner)).finally(() => harness.setDatabaseFault(undefined))
    })
  } finally {
    handler?.mockRestore()
  }
}

describe('429 once the quota is used up', () => {
  // Between two requests no window may end.
  beforeAll(() => vi.setSystemTime(Date.now()))
  afterAll(() => vi.useRealTimers())

  it.each(operationIds.map((id, index) => [id, `10.0.0.${index}`] as const))('%s', async (id, remoteAddress) => {
    const caller = await limited.newOrganization()
    const request = { ...requestOf(limited, id, caller), remoteAddress }
    const allowed = await limited.send({ ...request, url: withQuery(request.url, { unknown: '1' }) })
    expect(allowed.statusCode).toBe(400)
    expect(allowed.headers).toMatchObject({
      ratelimit: expect.stringMatching(/^"[a-z-]+";r=0;t=\d+$/),
      'ratelimit-policy': expect.stringMatching(/^"[a-z-]+";q=1;w=60$/),
    })
    expect(allowed.headers).not.toHaveProperty('retry-after')

    const reply = await refused({ harness: limited, owner: caller }, 'too_many_requests', () => limited.send(request))
    expect(reply.statusCode).toBe(429)
    expect(reply.headers['retry-after']).toMatch(/^[1-9]\d?$/)
    expect(reply.headers.ratelimit).toMatch(/r=0/)
  })
})

describe('405 with the methods that there are', () => {
  const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE'] as const

  it.each([...new Set(operationIds.map((id) => operations[id].path))])('%s', async (path) => {
    const declared = operationIds.filter((id) => operations[id].path === path).map((id) => operations[id].method)
    const allowed = declared.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method]))
    for (const method of methods.filter((each) => !allowed.includes(each))) {
      const reply = await harness.send({ method, url: path.replaceAll(/\{\w+\}/g, randomUUID()) })
      expect([method, reply.statusCode]).toEqual([method, 405])
      expect(reply.headers.allow).toBe(allowed.join(', '))
      if (method !== 'HEAD') expectProblem(reply, 'method_not_allowed')
    }
  })
})

describe('nothing is left out', () => {
  const given = (): Sighting[] => [...harness.sightings, ...limited.sightings]
  const codeOf = ({ status, body }: Sighting) => (status >= 400 ? (body as { code?: string }).code : undefined)

  it('every reply that the contract declares was given', () => {
    const keys = new Set(given().map((reply) => `${reply.operation} ${reply.status} ${codeOf(reply) ?? ''}`))
    const declared = operationIds.flatMap(declaredReplies)
    const missing = declared.filter(({ operation, status, code = '' }) => !keys.has(`${operation} ${status} ${code}`))
    expect(missing).toEqual([])
  })

  it('every example of a refusal is one that was given', async () => {
    // The example of 400 is this one; any other would do as well.
    await owner.post(operations.createAccount.path, { name: 'N'.repeat(256) })
    const refusals = given().filter(({ status }) => status >= 400)
    const bodies = new Map(refusals.map(({ body }) => [JSON.stringify(masked(body)), masked(body)]))
    const examples = operationIds.flatMap((id) => replyExamples(id).map((example) => ({ id, ...example })))
    const invented = examples
      .filter(({ status }) => status >= 400)
      .filter(({ value }) => ![...bodies.values()].some((body) => isDeepStrictEqual(body, masked(value))))
    expect(invented).toEqual([])
  })
})
