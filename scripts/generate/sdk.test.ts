import { afterEach, describe, expect, expectTypeOf, it, vi } from 'vitest'
import {
  createAccount,
  createClient,
  deleteAccount,
  getAccount,
  listAccounts,
  paginate,
  queryAccounts,
  type Schemas,
  updateAccount,
  ZenithProblem,
} from '../../generated/sdk/src/index.js'

type Answer = (request: Request) => Response | Promise<Response>

/** A server that gives one answer after the other, and remembers what it was asked. */
function server(...answers: Answer[]) {
  const requests: Request[] = []
  const fetch: typeof globalThis.fetch = async (input, init) => {
    const request = new Request(input, init)
    requests.push(request.clone())
    const answer = answers[requests.length - 1]
    if (answer === undefined) throw new Error(`unexpected: ${request.method} ${request.url}`)
    return answer(request)
  }
  return { fetch, requests, baseUrl: 'http://crm.test/' }
}

const ok =
  (body: unknown, headers: Record<string, string> = {}): Answer =>
  () =>
    Response.json(body, { headers })
const empty =
  (status: number, headers: Record<string, string> = {}): Answer =>
  () =>
    new Response(null, { status, headers })
const problem =
  (status: number, code: string, headers: Record<string, string> = {}): Answer =>
  () =>
    new Response(JSON.stringify({ type: `urn:zenith:problem:${code}`, title: code, status, code, requestId: 'r1' }), {
      status,
      headers: { 'content-type': 'application/problem+json', ...headers },
    })
const offline: Answer = () => {
  throw new TypeError('fetch failed')
}
const session = (n: number) => ({ accessToken: `access-${n}`, refreshToken: `refresh-${n}` })
const path = { accountId: 'a/b' }

afterEach(() => {
  vi.useRealTimers()
})

describe('a request', () => {
  it('fills in path, query, body and headers, and gives data, status and etag', async () => {
    const api = server(ok({ data: [], page: { nextCursor: null } }), ok({ id: '1' }, { etag: '"2"' }))
    const client = createClient({ ...api, accessToken: 'token' })
    await listAccounts(client, { query: { sort: ['name', '-createdAt'], 'createdAt[gte]': '2026-01-01T00:00:00Z' } })
    const reply = await updateAccount(client, { path, headers: { 'If-Match': '"1"' }, body: { industry: null } })

    const [list, update] = api.requests
    expect(Object.fromEntries(new URL(list?.url ?? '').searchParams)).toEqual({
      sort: 'name,-createdAt',
      'createdAt[gte]': '2026-01-01T00:00:00Z',
    })
    expect(list?.headers.get('authorization')).toBe('Bearer token')
    expect(update?.url).toBe('http://crm.test/api/v1/accounts/a%2Fb')
    expect(update?.headers.get('content-type')).toBe('application/merge-patch+json')
    expect(update?.headers.get('if-match')).toBe('"1"')
    expect(await update?.json()).toEqual({ industry: null })
    expect(reply).toMatchObject({ status: 200, data: { id: '1' }, etag: '"2"' })
  })

  it('gives an unchanged record as a status, not as an error', async () => {
    const client = createClient({ ...server(empty(304, { etag: '"2"' })), accessToken: 'token' })
    const reply = await getAccount(client, { path, headers: { 'If-None-Match': '"2"' } })
    expect(reply).toMatchObject({ status: 304, data: undefined, etag: '"2"' })
  })

  it('throws what the server refuses, with its code', async () => {
    const client = createClient({ ...server(problem(404, 'not_found')), accessToken: 'token' })
    const error = await getAccount(client, { path }).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(ZenithProblem)
    expect(error).toMatchObject({ status: 404, code: 'not_found', requestId: 'r1', errors: [], conflicts: [] })
  })

  it('throws what something in between answered, without pretending to know the reason', async () => {
    const client = createClient({ ...server(() => new Response('<html>', { status: 502 })), accessToken: 'token' })
    await expect(getAccount(client, { path })).rejects.toMatchObject({
      status: 502,
      code: 'unknown',
      problem: undefined,
    })
  })
})

describe('renewal', () => {
  it('happens once for all requests that find the token expired', async () => {
    const expired = problem(401, 'unauthenticated')
    const api = server(expired, expired, ok(session(2)), ok({}), ok({}))
    const onTokens = vi.fn()
    const client = createClient({ ...api, ...session(1), onTokens })
    await Promise.all([getAccount(client, { path }), getAccount(client, { path })])
    expect(api.requests.map((request) => request.headers.get('authorization'))).toEqual([
      'Bearer access-1',
      'Bearer access-1',
      null,
      'Bearer access-2',
      'Bearer access-2',
    ])
    expect(await api.requests[2]?.json()).toEqual({ refreshToken: 'refresh-1' })
    expect(onTokens).toHaveBeenCalledExactlyOnceWith(session(2))
  })

  it('starts with a refresh token alone', async () => {
    const api = server(ok(session(2)), ok({}))
    await getAccount(createClient({ ...api, refreshToken: 'refresh-1' }), { path })
    expect(api.requests[1]?.headers.get('authorization')).toBe('Bearer access-2')
  })

  it('ends with the session, and does not repeat a spent token', async () => {
    const api = server(
      problem(401, 'unauthenticated'),
      problem(401, 'invalid_refresh_token'),
      problem(401, 'unauthenticated'),
    )
    const client = createClient({ ...api, ...session(1) })
    await expect(getAccount(client, { path })).rejects.toMatchObject({ code: 'invalid_refresh_token' })
    await expect(getAccount(client, { path })).rejects.toMatchObject({ code: 'unauthenticated' })
  })

  it('does not follow another 401 than that of an expired token', async () => {
    const client = createClient({ ...server(problem(401, 'invalid_credentials')), ...session(1) })
    await expect(getAccount(client, { path })).rejects.toMatchObject({ code: 'invalid_credentials' })
  })

  it('is left to those who keep tokens themselves', async () => {
    const api = server(problem(401, 'unauthenticated'))
    const client = createClient({ ...api, getAccessToken: async () => 'mine' })
    await expect(getAccount(client, { path })).rejects.toMatchObject({ code: 'unauthenticated' })
    expect(api.requests[0]?.headers.get('authorization')).toBe('Bearer mine')
  })
})

describe('retries', () => {
  const now = { 'retry-after': '0' }

  it('repeat a POST with one idempotency key, through lost connections and the first attempt still running', async () => {
    vi.useFakeTimers()
    const api = server(offline, problem(409, 'idempotency_key_in_use'), ok({ id: '1' }))
    const reply = createAccount(createClient({ ...api, accessToken: 'token' }), { body: { name: 'x' } })
    await vi.runAllTimersAsync()
    expect((await reply).data).toEqual({ id: '1' })
    const keys = api.requests.map((request) => request.headers.get('idempotency-key'))
    expect(keys[0]).toBeTruthy()
    expect(new Set(keys).size).toBe(1)
  })

  it('keep the key of the caller', async () => {
    const api = server(ok({}))
    const options = { body: { name: 'x' }, headers: { 'Idempotency-Key': 'mine' } }
    await createAccount(createClient({ ...api, accessToken: 'token' }), options)
    expect(api.requests[0]?.headers.get('idempotency-key')).toBe('mine')
  })

  it('do not repeat a PATCH that may have happened, but one that was turned away', async () => {
    const patch = { path, body: { name: 'x' } }
    const lost = createClient({ ...server(offline), accessToken: 'token' })
    await expect(updateAccount(lost, patch)).rejects.toThrow('fetch failed')
    const busy = createClient({ ...server(problem(429, 'too_many_requests', now), ok({})), accessToken: 'token' })
    await expect(updateAccount(busy, patch)).resolves.toMatchObject({ status: 200 })
  })

  it('wait as long as the server asks', async () => {
    vi.useFakeTimers()
    const api = server(problem(503, 'service_unavailable', { 'retry-after': '7' }), empty(204))
    const reply = deleteAccount(createClient({ ...api, accessToken: 'token' }), { path })
    await vi.advanceTimersByTimeAsync(6_900)
    expect(api.requests).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(200)
    await expect(reply).resolves.toMatchObject({ status: 204, data: undefined })
  })

  it('give up after the last attempt, when the wait is too long, and when the caller does', async () => {
    const busy = problem(503, 'service_unavailable', now)
    const api = server(busy, busy, busy)
    await expect(getAccount(createClient({ ...api, accessToken: 'token' }), { path })).rejects.toMatchObject({
      status: 503,
    })
    expect(api.requests).toHaveLength(3)

    const long = createClient({
      ...server(problem(429, 'too_many_requests', { 'retry-after': '3600' })),
      accessToken: 'token',
    })
    await expect(getAccount(long, { path })).rejects.toMatchObject({ status: 429 })

    const abort = new AbortController()
    const waiting = createClient({
      ...server(problem(503, 'service_unavailable', { 'retry-after': '20' })),
      accessToken: 'token',
    })
    const reply = getAccount(waiting, { path, signal: abort.signal })
    setTimeout(() => abort.abort(new Error('enough')), 0)
    await expect(reply).rejects.toThrow('enough')
  })
})

describe('fields', () => {
  type Account = Schemas['Account']
  const one = { id: '1', version: 1, name: 'Northwind' }
  const page = { nextCursor: null, hasMore: false }
  const client = (...answers: Answer[]) => createClient({ ...server(...answers), accessToken: 'token' })

  it('make the type of the data exactly what was named, and nothing else changes its type', async () => {
    const data = [one]
    const list = (...pages: object[]) => client(...pages.map((each) => ok(each)))
    const named = await listAccounts(list({ data, page }), { query: { fields: ['name', 'website'], limit: 3 } })
    expectTypeOf(named.data.data).toEqualTypeOf<Pick<Account, 'id' | 'version' | 'name' | 'website'>[]>()
    expectTypeOf(named.data.page).toEqualTypeOf<Schemas['Page']>()
    expect(named.data.data).toEqual(data)

    const whole = await listAccounts(list({ data, page }), { query: { limit: 3 } })
    expectTypeOf(whole.data).toEqualTypeOf<Schemas['AccountList']>()
    const bare = await listAccounts(list({ data, page }))
    expectTypeOf(bare.data).toEqualTypeOf<Schemas['AccountList']>()

    const names = ['name'] as const
    const expanding = { query: { fields: names, expand: ['owner' as const] } }
    const expanded = await listAccounts(list({ data, page }), expanding)
    expectTypeOf(expanded.data.data).toEqualTypeOf<Pick<Account, 'id' | 'version' | 'name' | 'expanded'>[]>()
    const queried = await queryAccounts(list({ data, page }), { body: { fields: ['name'], sort: ['-name'] } })
    expectTypeOf(queried.data.data).toEqualTypeOf<Pick<Account, 'id' | 'version' | 'name'>[]>()
  })

  it('of one record leave the entity tag and the 304 as they are', async () => {
    const answers = [ok(one, { etag: '"1-x"' }), empty(304, { etag: '"1-x"' })]
    const both = client(...answers)
    const first = await getAccount(both, { path, query: { fields: ['name'] } })
    expectTypeOf(first.data).toEqualTypeOf<Pick<Account, 'id' | 'version' | 'name'>>()
    expectTypeOf(first.etag).toEqualTypeOf<string>()
    const headers = { 'If-None-Match': first.etag }
    const again = await getAccount(both, { path, query: { fields: ['name'] }, headers })
    expectTypeOf(again.status).toEqualTypeOf<200 | 304>()
    expect(again).toMatchObject({ status: 304, data: undefined })
  })

  it('that only the running program knows may leave out anything but id and version', async () => {
    const data = [one]
    const both = client(ok({ data, page }), ok({ data, page }), ok({ data, page }))
    const names: ('name' | 'website')[] = ['name']
    const some = await listAccounts(both, { query: { fields: names } })
    expectTypeOf(some.data.data[0]?.id).toEqualTypeOf<string | undefined>()
    expectTypeOf<(typeof some.data.data)[number]['name']>().toEqualTypeOf<string | undefined>()
    // One of two: nothing can be read that only one of them has.
    const either = await listAccounts(both, { query: { fields: [names[0] ?? 'website'] } })
    expectTypeOf<keyof (typeof either.data.data)[number]>().toEqualTypeOf<'id' | 'version'>()
    const all = Boolean(names.length > 5)
    const perhaps = await listAccounts(both, { query: { fields: all ? undefined : ['name'] } })
    expectTypeOf(perhaps.data.data).toEqualTypeOf<(Account | Pick<Account, 'id' | 'version' | 'name'>)[]>()
  })

  it('are names of the record, and what was not named cannot be read', async () => {
    const data = [one]
    const api = server(...Array.from({ length: 4 }, () => ok({ data, page })))
    const four = createClient({ ...api, accessToken: 'token' })
    // @ts-expect-error No property is called so.
    await listAccounts(four, { query: { fields: ['nam'] } })
    // @ts-expect-error No parameter is called so.
    await listAccounts(four, { query: { fields: ['name'], limits: 3 } })
    // @ts-expect-error No relation is called so.
    await queryAccounts(four, { body: { fields: ['name'], expand: ['ownr'] } })
    const named = await listAccounts(four, { query: { fields: ['name', 'domain'] } })
    // @ts-expect-error It was not named.
    expect(named.data.data[0]?.website).toBeUndefined()
    expect(new URL(api.requests[3]?.url ?? '').search).toBe('?fields=name%2Cdomain')
    expect(api.requests[3]?.headers.get('accept')).toContain('application/vnd.zenith.partial+json')
  })

  it('are the same on each page', async () => {
    const next = { nextCursor: 'c1', hasMore: true }
    const pages = [ok({ data: [one], page: next }), ok({ data: [one], page })]
    const api = server(...pages, ...pages)
    const four = createClient({ ...api, accessToken: 'token' })
    const names: string[] = []
    for await (const account of paginate(listAccounts, four, { query: { fields: ['name'], limit: 1 } })) {
      names.push(account.name)
      // @ts-expect-error It was not named.
      expect(account.domain).toBeUndefined()
    }
    for await (const account of paginate(queryAccounts, four, { body: { fields: ['name', 'domain'] } })) {
      expectTypeOf(account.domain).toEqualTypeOf<string | null>()
      names.push(account.name)
    }
    expect(names).toEqual(Array.from({ length: 4 }, () => 'Northwind'))
    expect(new URL(api.requests[1]?.url ?? '').search).toBe('?fields=name&limit=1&cursor=c1')
    expect(await api.requests[3]?.json()).toEqual({ fields: ['name', 'domain'], cursor: 'c1' })
  })
})

describe('paginate', () => {
  it('gives the records of all pages, with the same filter on each', async () => {
    const page = (ids: string[], nextCursor: string | null) =>
      ok({ data: ids.map((id) => ({ id })), page: { nextCursor } })
    const api = server(page(['1', '2'], 'c1'), page([], 'c2'), page(['3'], null))
    const client = createClient({ ...api, accessToken: 'token' })
    const ids: string[] = []
    for await (const account of paginate(listAccounts, client, { query: { limit: 2 } })) ids.push(account.id)
    expect(ids).toEqual(['1', '2', '3'])
    expect(api.requests.map((request) => new URL(request.url).search)).toEqual([
      '?limit=2',
      '?limit=2&cursor=c1',
      '?limit=2&cursor=c2',
    ])
  })
})
