import { createHmac, createPrivateKey, generateKeyPairSync, sign as signBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { operations } from '../../generated/operations.js'
import { DatabaseUnavailable } from '../db/errors.js'
import { type Caller, createHarness, type Harness } from '../testing/harness.js'

const { path } = operations.listAccounts

let harness: Harness
let caller: Caller
let kid: string
let pem: string
beforeAll(async () => {
  harness = await createHarness()
  caller = await harness.newOrganization()
  const key = await harness.resources.keys.signing()
  kid = key.kid
  pem = key.key
})
afterAll(() => harness.close())

const encode = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

type Claims = Record<string, unknown>
const claims = (more: Claims = {}): Claims => {
  const now = Math.floor(Date.now() / 1000)
  const { userId, organizationId, sessionId } = caller
  return { userId, organizationId, sessionId, iat: now, exp: now + 900, iss: 'zenith-crm', aud: 'zenith-crm', ...more }
}

/** A token with a good signature over whatever it says. */
function forge(header: Claims = {}, payload: Claims = claims(), key: string = pem): string {
  const text = `${encode({ alg: 'EdDSA', typ: 'JWT', kid, ...header })}.${encode(payload)}`
  return `${text}.${signBytes(null, Buffer.from(text), createPrivateKey(key)).toString('base64url')}`
}

const send = (authorization: string) =>
  harness.send({ method: 'GET', url: path, headers: { authorization, 'x-request-id': 'same' } })

async function expectRefused(token: string): Promise<void> {
  const reply = await send(`Bearer ${token}`)
  expect(reply.statusCode, reply.payload).toBe(401)
  expect(reply.payload).toBe((await send('Bearer nonsense')).payload)
  expect(reply.headers['www-authenticate']).toBe('Bearer realm="zenith"')
}

test('a token as the server makes it is taken, also when this test makes it', async () => {
  expect((await send(`Bearer ${forge()}`)).statusCode).toBe(200)
  expect((await send(`bearer ${forge()}`)).statusCode).toBe(200)
})

describe('signatures that are none', () => {
  test.each(['none', 'None', 'NONE', 'nOnE', ''])('alg %j', async (alg) => {
    const text = `${encode({ alg, typ: 'JWT', kid })}.${encode(claims())}`
    await expectRefused(`${text}.`)
    await expectRefused(`${text}.${forge().split('.')[2]}`)
  })

  test.each(['HS256', 'HS384', 'HS512'])('%s with the public key as its secret', async (alg) => {
    const { keys } = (await harness.send({ method: 'GET', url: operations.getJwks.path })).json<{
      keys: { x: string }[]
    }>()
    const publicPem = (await harness.resources.keys.verifying(kid)) ?? ''
    const x = keys[0]?.x ?? ''
    for (const secret of [
      publicPem,
      publicPem.trim(),
      publicPem.replaceAll('\n', ''),
      x,
      Buffer.from(x, 'base64url'),
      JSON.stringify(keys[0]),
      '',
      kid,
    ]) {
      const text = `${encode({ alg, typ: 'JWT', kid })}.${encode(claims())}`
      const mac = createHmac(alg.replace('HS', 'sha'), secret).update(text).digest('base64url')
      await expectRefused(`${text}.${mac}`)
    }
  })

  test('a key that the token brings along, or names', async () => {
    const mine = generateKeyPairSync('ed25519')
    const key = mine.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()
    const jwk = mine.publicKey.export({ format: 'jwk' })
    for (const header of [
      {},
      { jwk },
      { jku: 'http://127.0.0.1:1/jwks.json' },
      { x5u: 'http://127.0.0.1:1/' },
      { x5c: ['x'] },
      { crit: ['jwk'], jwk },
      { kid: 'mine', jwk },
    ]) {
      await expectRefused(forge(header, claims(), key))
    }
  })

  test('one that is cut, changed or of another token', async () => {
    const token = forge()
    const [header = '', payload = '', signature = ''] = token.split('.')
    const other = forge({}, claims({ jti: 'other' })).split('.')[2]
    for (const bad of [
      '',
      signature.slice(1),
      signature.slice(0, -4),
      `${signature}AAAA`,
      'A'.repeat(86),
      other,
      `${other}.${signature}`,
    ]) {
      await expectRefused(`${header}.${payload}.${bad}`)
    }
    for (const change of [
      { organizationId: crypto.randomUUID() },
      { userId: crypto.randomUUID() },
      { sessionId: crypto.randomUUID() },
      { exp: 9_999_999_999 },
    ]) {
      await expectRefused(`${header}.${encode(claims(change))}.${signature}`)
    }
    await expectRefused(`${encode({ alg: 'EdDSA', kid })}.${payload}.${signature}`)
  })
})

describe('key ids that are none', () => {
  test.each([
    undefined,
    null,
    '',
    'unknown',
    crypto.randomUUID(),
    "' or 1=1 --",
    '../../dev/null',
    '/dev/null',
    'x'.repeat(3_000),
    0,
    true,
    [],
    {},
    ['a'],
    '__proto__',
    'constructor',
  ])('%j', async (value) => {
    await expectRefused(forge({ kid: value }))
    await expectRefused(forge({ kid: value, alg: 'none' }))
  })
})

describe('claims that do not hold', () => {
  const now = () => Math.floor(Date.now() / 1000)

  test.each<[string, () => Claims]>([
    ['expired', () => ({ exp: now() - 1 })],
    ['expires now', () => ({ exp: now() })],
    ['no end', () => ({ exp: undefined })],
    ['an end that is text', () => ({ exp: '9999999999' })],
    ['not yet', () => ({ nbf: now() + 600 })],
    ['another issuer', () => ({ iss: 'evil' })],
    ['no issuer', () => ({ iss: undefined })],
    ['several issuers', () => ({ iss: ['zenith-crm', 'evil'] })],
    ['another audience', () => ({ aud: 'evil' })],
    ['no audience', () => ({ aud: undefined })],
    ['no user', () => ({ userId: undefined })],
    ['no organization', () => ({ organizationId: undefined })],
    ['no session', () => ({ sessionId: undefined })],
    ['an unknown session', () => ({ sessionId: crypto.randomUUID() })],
    ['an unknown user', () => ({ userId: crypto.randomUUID() })],
    ['an unknown organization', () => ({ organizationId: crypto.randomUUID() })],
  ])('%s', async (_name, more) => {
    await expectRefused(forge({}, claims(more())))
  })

  test('the session of somebody else, in either direction', async () => {
    const other = await harness.newOrganization()
    const colleague = await harness.newUser(caller.organizationId, 'admin')
    for (const { organizationId, userId, sessionId } of [other, colleague]) {
      await expectRefused(forge({}, claims({ sessionId })))
      if (userId !== colleague.userId) await expectRefused(forge({}, claims({ organizationId, sessionId })))
      await expectRefused(forge({}, claims({ userId })))
    }
  })
})

test('a key ring that cannot be read is no verdict on the token', async () => {
  const away = vi.spyOn(harness.resources.keys, 'verifying').mockRejectedValue(new DatabaseUnavailable('away'))
  try {
    expect((await send(`Bearer ${forge({}, claims({ jti: 'new' }))}`)).statusCode).toBe(503)
    expect((await send('Bearer nonsense')).statusCode).toBe(401)
  } finally {
    away.mockRestore()
  }
})

describe('other things than access tokens', () => {
  test('a refresh token, a cursor, an invitation', async () => {
    const { signer } = harness.resources
    for (const purpose of ['refresh', 'cursor', 'invitation'] as const) {
      await expectRefused(signer.sign(purpose, encode(claims())))
      await expectRefused(signer.sign(purpose, `${encode({ alg: 'EdDSA', kid })}.${encode(claims())}`))
    }
  })

  test.each([
    '.',
    '..',
    '...',
    'a.b',
    'a.b.c.d',
    'null',
    '{}',
    'x'.repeat(10_000),
    `${'a'.repeat(4_000)}.${'b'.repeat(4_000)}.c`,
    'e30.e30.e30',
    'bnVsbA.bnVsbA.bnVsbA',
    'é',
    '\u0001',
  ])('%j', async (token) => {
    await expectRefused(token)
  })
})

test('a token that was good is refused once its time is over, though it is remembered', async () => {
  const other = await createHarness()
  try {
    const owner = await other.newOrganization()
    expect((await owner.get(path)).statusCode).toBe(200)
    other.advance(901_000)
    expect((await owner.get(path)).statusCode).toBe(401)
  } finally {
    await other.close()
  }
})

test('a key that is gone ends its tokens, a new one works at once', async () => {
  const other = await createHarness()
  try {
    const owner = await other.newOrganization()
    const before = await other.resources.keys.signing()
    await other.sql.query('delete from crm_signing_keys')
    await other.resources.keys.rotate()
    const after = await other.resources.keys.signing()
    expect(after.kid).not.toBe(before.kid)
    const { userId, organizationId, sessionId } = owner
    const token = other.app.jwt.sign({ userId, organizationId, sessionId }, { key: after.key, kid: after.kid })
    const call = (bearer: string) =>
      other.send({ method: 'GET', url: path, headers: { authorization: `Bearer ${bearer}` } })
    expect((await call(token)).statusCode).toBe(200)
    expect((await call(owner.token)).statusCode).toBe(401)
  } finally {
    await other.close()
  }
})
