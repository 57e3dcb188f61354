import { once } from 'node:events'
import { type AddressInfo, connect } from 'node:net'
import type { LightMyRequestResponse } from 'fastify'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type OperationId, operations } from '../../generated/operations.js'
import { parametersOf, schemasOf } from './access-contract.js'
import { newCaller, newRecord, newTarget, requestOf } from './access-world.js'
import { contentsOf, unchanged } from './case.js'
import { operationIds, requestExamples } from './examples.js'
import { type Caller, createHarness, type Harness } from './harness.js'

const accounts = operations.createAccount.path
const contacts = operations.createContact.path
const leads = operations.createLead.path
const opportunities = operations.createOpportunity.path

let harness: Harness
let owner: Caller
let accountId: string
let port: number

beforeAll(async () => {
  harness = await createHarness()
  owner = await harness.newOrganization()
  accountId = (await newRecord(owner, accounts)).id
  await harness.app.listen({ host: '127.0.0.1', port: 0 })
  port = (harness.app.server.address() as AddressInfo).port
})
afterAll(() => harness.close())

type Problem = { status: number; code: string; errors?: { pointer: string; code: string }[] }

/** Makes sure of the form of an error, and that it tells nothing about the inside. */
function expectProblem(reply: { statusCode: number; headers: Record<string, unknown>; payload: string }): Problem {
  expect(reply.headers['content-type']).toBe('application/problem+json; charset=utf-8')
  expect(reply.headers['x-request-id']).toMatch(/^[A-Za-z0-9_-]+$/)
  const body = JSON.parse(reply.payload) as Problem
  expect(body).toMatchObject({ type: `urn:zenith:problem:${body.code}`, status: reply.statusCode })
  expect(reply.payload).not.toMatch(
    /sqlstate|postgres|syntax error|relation|column "|node_modules|at \w+ \(|fst_err|ajv/i,
  )
  return body
}

async function refuses(
  send: () => Promise<LightMyRequestResponse>,
  status: number,
  pointer?: string,
): Promise<Problem> {
  const reply = await unchanged({ harness, owner }, send)
  expect(reply.statusCode, reply.payload).toBe(status)
  const body = expectProblem(reply)
  if (pointer !== undefined) expect(body.errors?.map((error) => error.pointer)).toContain(pointer)
  return body
}

/** A body as text, which JSON.stringify would not write. */
const postText = (url: string, payload: string | Buffer, headers: Record<string, string> = {}) =>
  harness.send({
    method: 'POST',
    url,
    payload,
    headers: { authorization: `Bearer ${owner.token}`, 'content-type': 'application/json', ...headers },
  })

describe('values of the wrong type are refused, not bent', () => {
  test.each([
    [accounts, { name: 'A', numberOfEmployees: '5' }, '/numberOfEmployees'],
    [accounts, { name: 'A', numberOfEmployees: 5.5 }, '/numberOfEmployees'],
    [accounts, { name: 'A', numberOfEmployees: true }, '/numberOfEmployees'],
    [accounts, { name: null }, '/name'],
    [accounts, { name: 5 }, '/name'],
    [accounts, { name: true }, '/name'],
    [accounts, { name: ['A'] }, '/name'],
    [accounts, { name: { toString: 'A' } }, '/name'],
    [accounts, { name: 'A', tags: 'x' }, '/tags'],
    [accounts, { name: 'A', tags: { 0: 'x' } }, '/tags'],
    [accounts, { name: 'A', customFields: [] }, '/customFields'],
    [accounts, { name: 'A', customFields: null }, '/customFields'],
    [accounts, { name: 'A', annualRevenue: 5 }, '/annualRevenue'],
    [accounts, { name: 'A', annualRevenue: { amount: 5, currency: 'EUR' } }, '/annualRevenue/amount'],
    [contacts, { lastName: 'A', doNotCall: 'true' }, '/doNotCall'],
    [contacts, { lastName: 'A', doNotCall: 1 }, '/doNotCall'],
    [contacts, { lastName: 'A', doNotCall: null }, '/doNotCall'],
    [leads, { lastName: 'A', score: null, rating: 0 }, '/rating'],
  ])('%s %j', async (url, body, pointer) => {
    await refuses(() => owner.post(url, body), 400, pointer)
  })

  test.each(['[]', '"x"', '5', 'null', 'true', '[{"name":"A"}]'])('a body that is no object: %s', async (text) => {
    await refuses(() => postText(accounts, text), 400, '')
  })
})

describe('what PostgreSQL cannot store', () => {
  test.each([
    ['{"name":"a\\u0000b"}', '/name'],
    ['{"name":"A","customFields":{"x":"\\u0000"}}', '/customFields/x'],
    ['{"name":"A","customFields":{"\\u0000":1}}', '/customFields'],
    ['{"name":"A","tags":["\\u0000"]}', '/tags/0'],
    ['{"name":"a\\ud800"}', '/name'],
    ['{"name":"A","customFields":{"x":"\\udc00\\ud800"}}', '/customFields/x'],
    ['{"name":"A","billingAddress":{"city":"\\ud800"}}', '/billingAddress/city'],
    ['{"name":"A","description":"\\u0000"}', '/description'],
  ])('%s', async (text, pointer) => {
    await refuses(() => postText(accounts, text), 400, pointer)
  })

  test.each(['%00', 'a%00b', '%ff', '%c0%af', '%ed%a0%80', '%zz', '%'])('%s in the query', async (text) => {
    await refuses(() => owner.get(`${accounts}?industry=${text}`), 400)
    await refuses(() => owner.get(`${accounts}?${text}=1`), 400)
  })

  test.each(['%00', '%ff', '%zz', '%ed%a0%80'])('%s in the path', async (text) => {
    await refuses(() => owner.get(`${accounts}/${text}`), 400)
    await refuses(() => owner.delete(`${accounts}/${accountId}${text}`), 400)
  })

  test('a body that is not UTF-8', async () => {
    for (const bytes of [[0xff], [0xc3], [0xed, 0xa0, 0x80], [0xc0, 0x80]]) {
      const payload = Buffer.concat([Buffer.from('{"name":"A'), Buffer.from(bytes), Buffer.from('"}')])
      await refuses(() => postText(accounts, payload), 400, '')
    }
  })
})

describe('numbers out of range', () => {
  test.each([
    [accounts, '{"name":"A","numberOfEmployees":2147483648}', '/numberOfEmployees'],
    [accounts, '{"name":"A","numberOfEmployees":-1}', '/numberOfEmployees'],
    [accounts, '{"name":"A","numberOfEmployees":9223372036854775807}', ''],
    [accounts, '{"name":"A","numberOfEmployees":1e308}', '/numberOfEmployees'],
    [accounts, '{"name":"A","numberOfEmployees":1e400}', ''],
    [accounts, '{"name":"A","customFields":{"x":9007199254740993}}', ''],
    [accounts, '{"name":"A","customFields":{"x":1e999}}', ''],
    [
      accounts,
      '{"name":"A","annualRevenue":{"amount":"92233720368547758.08","currency":"EUR"}}',
      '/annualRevenue/amount',
    ],
    [
      accounts,
      '{"name":"A","annualRevenue":{"amount":"99999999999999999999","currency":"EUR"}}',
      '/annualRevenue/amount',
    ],
    [accounts, '{"name":"A","annualRevenue":{"amount":"1e5","currency":"EUR"}}', '/annualRevenue/amount'],
    [accounts, '{"name":"A","annualRevenue":{"amount":"NaN","currency":"EUR"}}', '/annualRevenue/amount'],
    [accounts, '{"name":"A","annualRevenue":{"amount":"","currency":"EUR"}}', '/annualRevenue/amount'],
    [accounts, '{"name":"A","annualRevenue":{"amount":"1.001","currency":"EUR"}}', '/annualRevenue/amount'],
    [accounts, '{"name":"A","annualRevenue":{"amount":"1","currency":"XXQ"}}', '/annualRevenue/currency'],
    [opportunities, '{"name":"A","probability":101}', '/probability'],
    [leads, '{"lastName":"A","score":1e10}', '/score'],
  ])('%s %s', async (url, text, pointer) => {
    await refuses(() => postText(url, text), 400, pointer)
  })

  test.each([
    '0',
    '-1',
    '201',
    '1.5',
    '99999999999',
    '1e400',
    'NaN',
    'x',
    '',
    '%201',
    '0x10',
    '1e1',
    '9007199254740993',
    'null',
    'true',
  ])('limit=%s', async (limit) => {
    await refuses(() => owner.get(`${accounts}?limit=${limit}`), 400, '/query/limit')
  })
})

describe('instants and dates that are none', () => {
  test.each([
    '0000-01-01T00:00:00Z',
    '0001-01-01T00:00:00Z',
    '9999-12-31T23:59:59-23:59',
    '2026-02-30T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-01-01T24:00:00Z',
    '2026-01-01T23:59:60Z',
    '2026-01-01T00:00:00',
    '2026-01-01 00:00:00Z',
    '2026-01-01t00:00:00z',
    '2026-01-01T00:00:00%2B99:00',
    '2026-01-01',
    'now',
    'infinity',
    '-infinity',
    '1767225600',
    '%2B292278994-08-17T07:12:55Z',
    '2026-01-01T00:00:00.0000000001Z',
  ])('%s', async (instant) => {
    await refuses(() => owner.get(`${accounts}?createdAt[gte]=${instant}`), 400, '/query/createdAt[gte]')
  })

  test.each([
    '2026-02-30',
    '2026-02-29',
    '0000-01-01',
    '2026-00-10',
    '2026-1-1',
    '20260101',
    'today',
    'infinity',
    '2026-01-01T00:00:00Z',
    '-0001-01-01',
  ])('%s', async (date) => {
    await refuses(() => owner.post(contacts, { lastName: 'A', birthdate: date }), 400, '/birthdate')
    await refuses(() => owner.post(opportunities, { name: 'A', expectedCloseDate: date }), 400, '/expectedCloseDate')
    await refuses(() => owner.get(`${opportunities}?expectedCloseDate[lt]=${date}`), 400)
  })

  test('a leap day and an offset are taken', async () => {
    expect((await owner.post(contacts, { lastName: 'A', birthdate: '2024-02-29' })).statusCode).toBe(201)
    expect((await owner.get(`${accounts}?createdAt[gte]=2024-02-29T23:59:59.999999999%2B14:00`)).statusCode).toBe(200)
  })
})

describe('nesting and size', () => {
  test.each([33, 5_000, 100_000])('%i levels', async (depth) => {
    for (const [open, close] of [
      ['[', ']'],
      ['{"a":', '}'],
    ] as const) {
      const text = `{"name":"A","customFields":{"x":${open.repeat(depth)}1${close.repeat(depth)}}}`
      await refuses(() => postText(accounts, text), 400, '')
    }
  })

  test('custom fields are bound in depth and size', async () => {
    const deep = (levels: number): unknown => (levels === 0 ? 1 : { a: deep(levels - 1) })
    expect((await owner.post(accounts, { name: 'A', customFields: deep(8) })).statusCode).toBe(201)
    await refuses(() => owner.post(accounts, { name: 'A', customFields: deep(9) }), 400, '/customFields')
    await refuses(
      () => owner.post(accounts, { name: 'A', customFields: { x: 'x'.repeat(33_000) } }),
      400,
      '/customFields',
    )
    const patch = await newRecord(owner, accounts, { customFields: { a: 'x'.repeat(20_000) } })
    // Two halves that are small enough alone.
    await refuses(
      () => owner.patch(`${accounts}/${patch.id}`, { customFields: { b: 'x'.repeat(20_000) } }),
      400,
      '/customFields',
    )
  })

  test('400,000 elements and 50,000 properties', async () => {
    await refuses(() => postText(accounts, `{"name":"A","tags":[${'1,'.repeat(400_000)}1]}`), 400, '/tags')
    const properties = Array.from({ length: 50_000 }, (_, index) => `"p${index}":1`).join()
    await refuses(() => postText(accounts, `{"name":"A","customFields":{${properties}}}`), 400)
    await refuses(() => postText(accounts, `{"name":"A",${properties}}`), 400)
  })

  test('more than a mebibyte', async () => {
    await refuses(() => owner.post(accounts, { name: 'x'.repeat(1024 * 1024) }), 413)
  })

  test('no property twice, and no __proto__', async () => {
    await refuses(() => postText(accounts, '{"name":"A","name":"B"}'), 400, '')
    await refuses(() => postText(accounts, '{"name":"A","customFields":{"x":1,"\\u0078":2}}'), 400, '')
    await refuses(() => postText(accounts, '{"name":"A","__proto__":{"role":"owner"}}'), 400, '')
    await refuses(() => postText(accounts, '{"name":"A","customFields":{"__proto__":{"x":1}}}'), 400, '')
    await refuses(() => postText(accounts, '{"name":"A","constructor":{"prototype":{"x":1}}}'), 400, '/constructor')
    expect(({} as Record<string, unknown>).x).toBeUndefined()
  })

  test('dangerous names in custom fields are stored and returned as they are', async () => {
    const customFields = {
      constructor: { prototype: { polluted: 1 } },
      toString: 'x',
      $where: '1',
      "'; drop table crm_accounts; --": 1,
      '': 0,
      'ａ\u202E\u200b': '\u{10FFFF}',
    }
    const { id } = await newRecord(owner, accounts, { customFields })
    expect((await owner.get(`${accounts}/${id}`)).json()).toMatchObject({ customFields })
    const patched = await owner.patch(`${accounts}/${id}`, { customFields: { constructor: null, hasOwnProperty: 1 } })
    expect(Object.keys(patched.json<{ customFields: object }>().customFields)).not.toContain('constructor')
    expect(({} as Record<string, unknown>).polluted).toBeUndefined()
  })
})

describe('malformed requests', () => {
  test.each([
    '{',
    '{"name":}',
    'name=A',
    '{"name":"A"}x',
    '\uFEFF{"name":"A"}',
    '<name/>',
    "{'name':'A'}",
    '\u0000',
    ' ',
  ])('the body %j', async (text) => {
    await refuses(() => postText(accounts, text), 400, '')
  })

  test('no body where one is needed', async () => {
    await refuses(() => postText(accounts, ''), 400, '')
    await refuses(() => owner.post(accounts), 400, '')
    await refuses(() => owner.patch(`${accounts}/${accountId}`, undefined), 400, '')
  })

  test('DELETE with a media type and without a body is a DELETE', async () => {
    const { id } = await newRecord(owner, accounts)
    expect((await owner.delete(`${accounts}/${id}`, { 'content-type': 'application/json' })).statusCode).toBe(204)
    const again = await newRecord(owner, accounts)
    expect((await owner.delete(`${accounts}/${again.id}`, { 'content-length': '0' })).statusCode).toBe(204)
  })

  test.each([
    'not-an-id',
    '1',
    'null',
    '*',
    "'",
    '%2e%2e',
    '0'.repeat(36),
    `${'0'.repeat(8)}-0000-0000-0000-00000000000g`,
    `urn:uuid:00000000-0000-7000-8000-000000000000`,
    ` ${'0'.repeat(8)}-0000-7000-8000-000000000000`,
    'a'.repeat(101),
  ])('the id %j', async (id) => {
    for (const [tag, path] of [
      ['accountId', accounts],
      ['userId', operations.listUsers.path],
    ]) {
      const url = `${path}/${encodeURIComponent(id)}`
      const body = await refuses(() => owner.get(url), 400)
      expect(body.errors?.[0]?.pointer).toBe(`/path/${tag}`)
    }
  })

  test('an id in capitals is the same id', async () => {
    expect((await owner.get(`${accounts}/${accountId.toUpperCase()}`)).statusCode).toBe(200)
  })

  test('a parameter and a URL that are too long', async () => {
    const long = await unchanged({ harness, owner }, () => owner.get(`${accounts}/${'a'.repeat(300)}`))
    expect([400, 404, 414]).toContain(long.statusCode)
    expectProblem(long)
    await refuses(() => owner.get(`${accounts}?industry=${'a'.repeat(300)}`), 400, '/query/industry')
    await refuses(() => owner.get(`${accounts}?cursor=${'a'.repeat(3000)}`), 400, '/query/cursor')
  })

  test.each([
    ['text/xml', 415],
    ['application/vnd.api+json', 415],
    ['application/json; charset=latin1', 415],
    ['application/json; charset=utf-16', 415],
    ['multipart/form-data; boundary=x', 415],
    ['application/x-www-form-urlencoded', 415],
    ['', 415],
    ['nonsense', 415],
    ['application/merge-patch+json', 415],
  ])('the media type %j', async (type, status) => {
    await refuses(() => postText(accounts, '{"name":"A"}', { 'content-type': type }), status)
  })

  test('a body without a media type', async () => {
    const reply = await raw(
      `POST ${accounts} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${owner.token}\r\ncontent-length: 12\r\n\r\n{"name":"A"}`,
    )
    expect(reply.statusCode).toBe(415)
    expectProblem(reply)
  })

  test.each(['application/xml', 'text/html', 'application/json;q=0', 'image/*'])('the wish for %s', async (accept) => {
    await refuses(() => owner.get(accounts, { accept }), 406)
  })

  test.each([
    ['idempotency-key', 'x'.repeat(256)],
    ['idempotency-key', 'with space'],
    ['idempotency-key', ''],
    ['idempotency-key', 'ü'],
  ])('the header %s: %j', async (name, value) => {
    await refuses(() => owner.post(accounts, { name: 'A' }, { [name]: value }), 400, `/headers/${name}`)
  })

  test.each(['nonsense', '3', '"', '""x', `"${'1'.repeat(300)}"`])('the header If-Match: %s', async (value) => {
    await refuses(
      () => owner.patch(`${accounts}/${accountId}`, { name: 'B' }, { 'if-match': value }),
      400,
      '/headers/if-match',
    )
  })

  test('headers that would change who asks, or what for', async () => {
    const spoofed = {
      'x-http-method-override': 'DELETE',
      'x-original-url': '/api/v1/organization',
      'x-forwarded-host': 'evil.example',
      'x-organization-id': owner.organizationId,
      'x-user-id': owner.userId,
      'x-request-id': '<script>',
    }
    const stranger = await harness.newOrganization()
    const reply = await stranger.get(accounts, spoofed)
    expect(reply.json()).toMatchObject({ data: [] })
    expect(reply.headers['x-request-id']).not.toContain('<')
    expect((await owner.get(`${accounts}/${accountId}`, spoofed)).statusCode).toBe(200)
    expect((await owner.get(`${accounts}/${accountId}`)).statusCode).toBe(200)
  })
})

describe('query parameters', () => {
  test.each([
    'limit=1&limit=2',
    'sort=name&sort=name',
    'industry=a&industry=b',
    'cursor=a&cursor=b',
    'createdAt[gte]=2026-01-01T00:00:00Z&createdAt[gte]=2026-01-01T00:00:00Z',
  ])('given twice: %s', async (query) => {
    await refuses(() => owner.get(`${accounts}?${query}`), 400)
  })

  test.each([
    'unknown=1',
    '__proto__=1',
    '__proto__[x]=1',
    'constructor=1',
    'constructor[prototype][x]=1',
    'limit[]=1',
    'industry[eq]=a',
    'industry[$ne]=a',
    'Limit=1',
    '=',
    'limit%00=1',
  ])('unknown: %s', async (query) => {
    await refuses(() => owner.get(`${accounts}?${query}`), 400)
    expect(({} as Record<string, unknown>).x).toBeUndefined()
  })

  test.each([
    '',
    'unknown',
    'name,',
    ',',
    'name,name',
    'name,-name,name',
    'name;drop table crm_accounts',
    'id',
    'organizationId',
    '--name',
    '+name',
    ' name',
    'NAME',
    'constructor',
    '__proto__',
  ])('sort=%s', async (sort) => {
    await refuses(() => owner.get(`${accounts}?sort=${encodeURIComponent(sort)}`), 400)
  })

  test('10,000 of them', async () => {
    const sort = Array.from({ length: 1_500 }, () => '-name').join()
    await refuses(() => owner.get(`${accounts}?sort=${sort}`), 400)
    await refuses(() => owner.get(`${accounts}?${'a&'.repeat(7_000)}`), 400)
  })

  test.each([
    "' or '1'='1",
    "'; drop table crm_accounts; --",
    '" or ""="',
    '$1',
    '\\',
    '%',
    '1) union select * from crm_users --',
    'pg_sleep(9)',
    '{{7*7}}',
    '../../etc/passwd',
    '=cmd|calc',
  ])('SQL and its like are text: %s', async (text) => {
    const encoded = encodeURIComponent(text)
    for (const filter of ['industry', 'domain']) {
      const reply = await owner.get(`${accounts}?${filter}=${encoded}`)
      expect(reply.json()).toMatchObject({ data: [] })
    }
    const { id } = await newRecord(owner, accounts, { name: text, industry: text, customFields: { [text]: text } })
    const found = await owner.get(`${accounts}?industry=${encoded}`)
    expect(found.json<{ data: { id: string }[] }>().data.map((record) => record.id)).toContain(id)
    expect(found.json()).toMatchObject({ data: [{ name: text, customFields: { [text]: text } }] })
  })
})

describe('methods', () => {
  const paths = [...new Set(operationIds.map((id) => operations[id].path))]
  const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE'] as const

  test.each(paths)('%s answers those that it lacks with 405 and those that it has', async (path) => {
    const has = new Set(
      operationIds.filter((id) => operations[id].path === path).map((id): string => operations[id].method),
    )
    if (has.has('GET')) has.add('HEAD')
    const url = path.replace(/\{\w+\}/, accountId)
    for (const method of METHODS.filter((each) => !has.has(each))) {
      const reply = await harness.app.inject({
        method: method as 'GET',
        url,
        headers: { authorization: `Bearer ${owner.token}` },
      })
      expect(reply.statusCode, method).toBe(405)
      expect(new Set(String(reply.headers.allow).split(', '))).toEqual(has)
      if (method !== 'HEAD') expectProblem(reply)
    }
  })

  test.each(['PROPFIND', 'QUERY', 'LINK', 'MKCOL', 'SEARCH', 'PURGE'])('%s is no method here', async (method) => {
    const reply = await raw(`${method} ${accounts} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n`)
    expect([400, 404, 405, 501]).toContain(reply.statusCode)
    expectProblem(reply)
  })

  test.each([
    '/',
    '/api',
    '/api/v1',
    '/api/v1/',
    `/${accounts}`,
    `${accounts};a=b`,
    '/api/v1/Accounts',
    '/api/v2/accounts',
    '/.env',
    '/%2e%2e/etc/passwd',
    `${accounts}/${'a/'.repeat(50)}`,
  ])('nothing is at %s', async (url) => {
    await refuses(() => owner.get(url), 404)
  })
})

test('a path is taken as it is', async () => {
  for (const path of [
    `${accounts}/../users`,
    `${accounts}/./${accountId}`,
    `${accounts}//${accountId}`,
    `${accounts}/${accountId}/..`,
  ]) {
    const reply = await raw(`GET ${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${owner.token}\r\n\r\n`)
    expect([400, 404], path).toContain(reply.statusCode)
    expectProblem(reply)
  }
})

type RawReply = { statusCode: number; headers: Record<string, string>; payload: string; closed: boolean }

/** Sends bytes over a connection of its own and reads the first reply, and whether the server hangs up after it. */
async function raw(bytes: string | Buffer, more?: string): Promise<RawReply> {
  const socket = connect(port, '127.0.0.1')
  const chunks: Buffer[] = []
  let closed = false
  socket.on('data', (chunk) => chunks.push(chunk)).on('error', () => undefined)
  socket.on('close', () => {
    closed = true
  })
  await once(socket, 'connect')
  socket.write(bytes)
  if (more !== undefined) setTimeout(() => socket.write(more), 20)
  try {
    for (let attempt = 0; attempt < 500; attempt++) {
      const text = Buffer.concat(chunks).toString('latin1')
      const end = text.indexOf('\r\n\r\n')
      if (end >= 0) {
        const [status = '', ...lines] = text.slice(0, end).split('\r\n')
        const headers = Object.fromEntries(
          lines.map((line) => [
            line.slice(0, line.indexOf(':')).toLowerCase(),
            line.slice(line.indexOf(':') + 1).trim(),
          ]),
        )
        const length = Number(headers['content-length'] ?? 0)
        const payload = text.slice(end + 4, end + 4 + length)
        if (payload.length === length) {
          // A server that hangs up does so at once.
          if (headers.connection === 'close') for (let wait = 0; wait < 100 && !closed; wait++) await pause()
          return { statusCode: Number(status.split(' ')[1]), headers, payload, closed }
        }
      }
      if (closed) throw new Error(`the server hung up after: ${text}`)
      await pause()
    }
    throw new Error('the server does not answer')
  } finally {
    socket.destroy()
  }
}

const pause = () => new Promise((resolve) => setTimeout(resolve, 10))

describe('on the wire', () => {
  const authorized = () => `authorization: Bearer ${owner.token}\r\n`
  const post = (headers: string, body = '') =>
    `POST ${accounts} HTTP/1.1\r\nhost: x\r\n${authorized()}content-type: application/json\r\n${headers}\r\n${body}`

  test.each([
    ['a length and chunks at once', () => post('content-length: 12\r\ntransfer-encoding: chunked\r\n', '0\r\n\r\n')],
    ['two lengths', () => post('content-length: 12\r\ncontent-length: 13\r\n', '{"name":"A"}')],
    ['a length that is no number', () => post('content-length: 0x10\r\n', '{"name":"A"}')],
    ['a negative length', () => post('content-length: -1\r\n')],
    ['an unknown transfer coding', () => post('transfer-encoding: nonsense, chunked, x\r\n', '0\r\n\r\n')],
    ['a folded header', () => `GET ${accounts} HTTP/1.1\r\nhost: x\r\nx-a: b\r\n c\r\n\r\n`],
    ['a header without a name', () => `GET ${accounts} HTTP/1.1\r\nhost: x\r\n: b\r\n\r\n`],
    ['a space before the colon', () => `GET ${accounts} HTTP/1.1\r\nhost : x\r\n\r\n`],
    ['a NUL in a header', () => `GET ${accounts} HTTP/1.1\r\nhost: x\r\nx-a: \0\r\n\r\n`],
    ['a lone line feed', () => `GET ${accounts} HTTP/1.1\nhost: x\n\n`],
    ['no HTTP at all', () => 'nonsense\r\n\r\n'],
    ['HTTP/2 without being asked', () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['an unknown version', () => `GET ${accounts} HTTP/9.9\r\nhost: x\r\n\r\n`],
    ['a method that is none', () => `G@T ${accounts} HTTP/1.1\r\nhost: x\r\n\r\n`],
    ['a TLS greeting', () => Buffer.from('160301002f0100002b0303', 'hex')],
    ['no host', () => `GET ${accounts} HTTP/1.1\r\n\r\n`],
    ['a space in the URL', () => `GET ${accounts}?a=b c HTTP/1.1\r\nhost: x\r\n\r\n`],
    ['a chunk that is no chunk', () => post('transfer-encoding: chunked\r\n', 'nonsense\r\n')],
    ['a chunk of a length beyond all numbers', () => post('transfer-encoding: chunked\r\n', 'fffffffffffffffff\r\n')],
  ])('%s is refused, and the connection ends', async (_name, bytes) => {
    const reply = await unchanged({ harness, owner }, () => raw(bytes()))
    expect(reply.statusCode).toBe(400)
    expectProblem(reply)
    expect(reply.closed).toBe(true)
  })

  test('headers that are too large', async () => {
    const reply = await raw(`GET ${accounts} HTTP/1.1\r\nhost: x\r\nx-a: ${'a'.repeat(20_000)}\r\n\r\n`)
    expect(reply.statusCode).toBe(431)
    expect(expectProblem(reply).code).toBe('header_fields_too_large')
    expect(reply.closed).toBe(true)
  })

  test('a URL that is too large', async () => {
    const reply = await raw(`GET ${accounts}?industry=${'a'.repeat(20_000)} HTTP/1.1\r\nhost: x\r\n\r\n`)
    expect([414, 431]).toContain(reply.statusCode)
    expectProblem(reply)
  })

  test('an expectation that nobody knows is passed over', async () => {
    const reply = await raw(post('expect: miracles\r\ncontent-length: 12\r\n', '{"name":"A"}'))
    expect(reply.statusCode).toBe(201)
    const refused = await raw(post('expect: miracles\r\ncontent-length: 12\r\n', '{"name": 5 }'))
    expect(refused.statusCode).toBe(400)
    expectProblem(refused)
  })

  test('chunks are a body like any other', async () => {
    const body = JSON.stringify({ name: 'Chunked' })
    const chunks = [...body].map((character) => `1\r\n${character}\r\n`).join('')
    expect((await raw(post('transfer-encoding: chunked\r\n', `${chunks}0\r\n\r\n`))).statusCode).toBe(201)
    const split = await raw(
      post('transfer-encoding: chunked\r\n', '7\r\n{"name"\r\n'),
      '4\r\n:"A"\r\n1\r\n}\r\n0\r\n\r\n',
    )
    expect(split.statusCode).toBe(201)
  })

  test('chunks without end are cut off', async () => {
    const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`
    const reply = await unchanged({ harness, owner }, () =>
      raw(post('transfer-encoding: chunked\r\n', chunk.repeat(20))),
    )
    expect(reply.statusCode).toBe(413)
    expectProblem(reply)
  })

  test('a compressed body is not unpacked', async () => {
    const reply = await unchanged({ harness, owner }, () =>
      raw(post('content-encoding: gzip\r\ncontent-length: 12\r\n', '{"name":"A"}')),
    )
    expect(reply.statusCode).toBe(415)
    expectProblem(reply)
  })

  test('a body that a GET brings along is refused, and does not become the next request', async () => {
    const hidden = `GET ${operations.getLiveness.path} HTTP/1.1\r\nhost: x\r\n\r\n`
    const reply = await raw(
      `GET ${accounts} HTTP/1.1\r\nhost: x\r\n${authorized()}content-length: ${hidden.length}\r\n\r\n${hidden}`,
    )
    expect(reply.statusCode).toBe(400)
    expectProblem(reply)
  })

  test('many requests in one packet are answered in order', async () => {
    const socket = connect(port, '127.0.0.1')
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk.toString()
    })
    socket.write(
      `GET /livez HTTP/1.1\r\nhost: x\r\nx-request-id: one\r\n\r\nGET /none HTTP/1.1\r\nhost: x\r\nx-request-id: two\r\n\r\nGET /livez HTTP/1.1\r\nhost: x\r\nx-request-id: three\r\nconnection: close\r\n\r\n`,
    )
    await once(socket, 'close')
    expect([...text.matchAll(/x-request-id: (\w+)/g)].map(([, id]) => id)).toEqual(['one', 'two', 'three'])
    expect([...text.matchAll(/HTTP\/1.1 (\d+)/g)].map(([, status]) => status)).toEqual(['200', '404', '200'])
  })

  test('a client that hangs up in the middle leaves nothing behind', async () => {
    const before = await contentsOf({ harness, owner })
    for (const bytes of [
      post('content-length: 100\r\n', '{"name":'),
      post('transfer-encoding: chunked\r\n', '7\r\n{"na'),
      'GET /api',
      post('content-length: 12\r\n'),
    ]) {
      const socket = connect(port, '127.0.0.1')
      await once(socket, 'connect')
      socket.write(bytes)
      await pause()
      socket.resetAndDestroy()
    }
    expect((await owner.get(accounts)).statusCode).toBe(200)
    expect(await contentsOf({ harness, owner })).toEqual(before)
  })

  test('nothing of all this broke the contract', async () => {
    expect((await harness.send({ url: operations.getLiveness.path })).statusCode).toBe(200)
    expect(harness.sightings.filter(({ status }) => status >= 500)).toEqual([])
  })
})

describe('every property of every body', () => {
  const VALUES = [
    null,
    true,
    -1,
    0,
    1.5,
    1e308,
    '',
    ' ',
    'x',
    "'",
    '2026-02-30',
    '00000000-0000-0000-0000-000000000000',
    '\u202e\u{1F600}',
    'a'.repeat(70_000),
    `${'a'.repeat(50_000)}\u0001`,
    [],
    [null],
    [[[]]],
    {},
    { a: { b: 1 } },
  ]

  test.each(operationIds.filter((id) => operations[id].mediaTypes.length > 0))(
    'of %s survives any value',
    async (id) => {
      const paths = schemasOf(id).filter((path) => path.length > 0)
      const caller = await newCaller(harness, owner.organizationId, 'owner')
      const token = operations[id].public ? undefined : caller.token
      let target = await newTarget(harness, owner, id)
      for (const path of paths) {
        for (const value of VALUES) {
          const body = structuredClone(requestExamples(id)[0]?.value)
          set(body, path, value)
          const reply = await harness.send(requestOf(id, token, { ...(target && { pathId: target }), body }))
          expect(
            reply.statusCode,
            `/${path.join('/')} ${JSON.stringify(value)?.slice(0, 60)}: ${reply.payload}`,
          ).toBeLessThan(500)
          if (reply.statusCode >= 400) expectProblem(reply)
          else if (id === 'convertLead') target = await newTarget(harness, owner, id)
        }
      }
    },
  )

  test.each(operationIds)('of the query and headers of %s too', async (id) => {
    const texts = [
      '',
      ' ',
      '0',
      '-1',
      'x',
      "'",
      '%',
      '\\',
      ',',
      '"1"',
      '*',
      '2026-02-30T00:00:00Z',
      '\u{1F600}',
      'a'.repeat(5_000),
      '00000000-0000-0000-0000-000000000000',
    ]
    const token = operations[id].public ? undefined : owner.token
    for (const { in: where, name } of parametersOf(id).filter((parameter) => parameter.in !== 'path')) {
      for (const text of texts) {
        if (where === 'header' && /[^ -~]/.test(text)) continue
        const target = readable(id)
        const variation = where === 'query' ? { query: { [name]: text } } : { headers: { [name]: text } }
        const reply = await harness.send(requestOf(id, token, { ...(target && { pathId: target }), ...variation }))
        expect(reply.statusCode, `${name}=${text.slice(0, 60)}: ${reply.payload}`).toBeLessThan(500)
        if (reply.statusCode >= 400) expectProblem(reply)
      }
    }
  })
})

/** Something that is there for reading, and not for everything else: this is about the form of requests. */
function readable(id: OperationId): string | undefined {
  if (!operations[id].path.includes('{')) return undefined
  return operations[id].path.includes('{accountId}') ? accountId : owner.userId
}

/** Puts a value at a path, through objects and lists that may be missing. */
function set(body: unknown, path: readonly string[], value: unknown): void {
  let at = body as Record<string, unknown>
  for (const [index, name] of path.slice(0, -1).entries()) {
    at[name] ??= path[index + 1] === '0' ? [] : {}
    at = at[name] as Record<string, unknown>
  }
  at[path.at(-1) as string] = value
}
