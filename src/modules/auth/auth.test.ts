import { createPublicKey, randomUUID, verify } from 'node:crypto'
import type { LightMyRequestResponse } from 'fastify'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { operations } from '../../../generated/operations.js'
import type { components } from '../../../generated/types.js'
import { must, wire } from '../../testing/access-world.js'
import { contentsOf, unchanged } from '../../testing/case.js'
import { createHarness, type Harness } from '../../testing/harness.js'

type Session = components['schemas']['Session']

const PASSWORD = 'correct horse battery staple'
const OTHER = 'wrong donkey charger paperclip'

let harness: Harness
beforeAll(async () => {
  harness = await createHarness()
})
afterAll(() => harness.close())

const post = (url: string, payload: unknown, headers: Record<string, string> = {}) =>
  harness.send({
    method: 'POST',
    url,
    payload: JSON.stringify(payload),
    headers: { 'content-type': 'application/json', ...headers },
  })

const login = (email: string, password: string, more: object = {}) =>
  post(operations.login.path, { email, password, ...more }, { 'x-request-id': 'same' })

const refresh = (refreshToken: string) => post(operations.refreshSession.path, { refreshToken })

const bearer = ({ accessToken }: Pick<Session, 'accessToken'>) => ({ authorization: `Bearer ${accessToken}` })

const me = async (session: Session): Promise<number> =>
  (await harness.send({ method: 'GET', url: operations.getMe.path, headers: bearer(session) })).statusCode

async function signUp(email = `${randomUUID()}@example.com`): Promise<Session & { email: string }> {
  const reply = await must(post(operations.register.path, { email, password: PASSWORD, organizationName: 'Acme' }))
  return { ...reply.json<Session>(), email }
}

async function signIn(email: string, password = PASSWORD): Promise<Session> {
  return (await must(login(email, password))).json()
}

/** Waits until somebody waits for a lock. */
async function lockAwaited(): Promise<void> {
  for (let attempt = 0; attempt < 500; attempt++) {
    const { rowCount } = await harness.sql.query(
      `select from pg_stat_activity where application_name = 'zenith-test' and datname = current_database() and wait_event_type = 'Lock'`,
    )
    if (rowCount) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error('nobody waits for a lock')
}

describe('refresh tokens', () => {
  test('one is good once; the next one goes on', async () => {
    let session: Session = await signUp()
    for (let round = 0; round < 3; round++) {
      const next = (await must(refresh(session.refreshToken))).json<Session>()
      expect(next.refreshToken).not.toBe(session.refreshToken)
      expect(next.user).toEqual(session.user)
      expect(await me(next)).toBe(200)
      session = next
    }
  })

  test('of many uses at once one succeeds, and the session lives on', async () => {
    const session = await signUp()
    const replies = await Promise.all(Array.from({ length: 10 }, () => refresh(session.refreshToken)))
    const good = replies.filter(({ statusCode }) => statusCode === 200)
    expect(good).toHaveLength(1)
    expect(replies.filter(({ statusCode }) => statusCode === 401)).toHaveLength(9)
    const next = good[0]?.json<Session>() as Session
    expect(await me(next)).toBe(200)
    expect((await refresh(next.refreshToken)).statusCode).toBe(200)
  })

  test('a second use within the grace only fails', async () => {
    const session = await signUp()
    const next = (await must(refresh(session.refreshToken))).json<Session>()
    harness.advance(9_000)
    expect((await refresh(session.refreshToken)).statusCode).toBe(401)
    expect(await me(next)).toBe(200)
    expect((await refresh(next.refreshToken)).statusCode).toBe(200)
  })

  test('a second use after the grace ends the session, for whoever holds it', async () => {
    const session = await signUp()
    const next = (await must(refresh(session.refreshToken))).json<Session>()
    expect(await me(next)).toBe(200)
    harness.advance(11_000)
    expect((await refresh(session.refreshToken)).statusCode).toBe(401)
    expect(await me(next)).toBe(401)
    expect(await me(session)).toBe(401)
    expect((await refresh(next.refreshToken)).statusCode).toBe(401)
  })

  test('it ends with the session: after the logout, after a month, when the user is deactivated', async () => {
    const left = await signUp()
    await must(harness.send({ method: 'POST', url: operations.logout.path, headers: bearer(left) }))
    expect((await refresh(left.refreshToken)).statusCode).toBe(401)

    const deactivated = await signUp()
    await harness.sql.query(`update crm_memberships set status = 'deactivated' where user_id = $1`, [
      deactivated.user.id,
    ])
    expect((await refresh(deactivated.refreshToken)).statusCode).toBe(401)

    const old = await signUp()
    await harness.sql.query(`update crm_sessions set expires_at = now() - interval '1 day' where user_id = $1`, [
      old.user.id,
    ])
    expect((await refresh(old.refreshToken)).statusCode).toBe(401)
    expect(await me(old)).toBe(401)
  })

  test('whatever the server has not signed is refused alike', async () => {
    const session = await signUp()
    const [payload = '', signature = ''] = session.refreshToken.split('.')
    const { signer } = harness.resources
    const other = await signUp()
    const tokens = [
      payload,
      `${payload}.`,
      `.${signature}`,
      `${payload}.${signature}x`,
      `${payload.replace(/_1$/, '_2')}.${signature}`,
      `${payload}.${other.refreshToken.split('.')[1]}`,
      signer.sign('cursor', payload),
      signer.sign('invitation', payload),
      signer.sign('refresh', 'zr_nonsense_1'),
      signer.sign('refresh', `${payload}0`),
      session.accessToken.slice(0, 256),
    ]
    const refused = await refresh('nonsense')
    expect(refused.statusCode).toBe(401)
    const code = refused.json<{ code: string }>().code
    for (const token of tokens) {
      const reply = await refresh(token)
      expect([reply.statusCode, reply.json<{ code: string }>().code], token).toEqual([401, code])
    }
    expect(await me(session)).toBe(200)
  })

  test('an access token does not refresh, a refresh token does not access', async () => {
    const session = await signUp()
    expect((await refresh(session.accessToken.replaceAll('.', '-').slice(0, 200))).statusCode).toBe(401)
    expect(await me({ ...session, accessToken: session.refreshToken })).toBe(401)
  })
})

// The window in which failures are counted may end in the middle.
const counted = { retry: 2 }

describe('sign-in', () => {
  test('it does not tell whether an address is known', async () => {
    const { email } = await signUp()
    const deactivated = await signUp()
    await harness.sql.query(`update crm_memberships set status = 'deactivated' where user_id = $1`, [
      deactivated.user.id,
    ])
    const stranger = await signUp()
    const replies: LightMyRequestResponse[] = [
      await login(`${randomUUID()}@example.com`, OTHER),
      await login(email, OTHER),
      await login(email, PASSWORD.toUpperCase()),
      await login(email, `${PASSWORD} `),
      await login(deactivated.email, PASSWORD),
      await login(deactivated.email, OTHER),
      await login(email, PASSWORD, { organizationId: randomUUID() }),
      await login(email, PASSWORD, { organizationId: stranger.organization.id }),
      await login(email, PASSWORD, { organizationId: deactivated.organization.id }),
    ]
    const [first] = replies
    expect(first?.statusCode).toBe(401)
    for (const reply of replies) expect(wire(reply)).toEqual(wire(first as LightMyRequestResponse))
  })

  test('the address is found in any case, the password in no other', async () => {
    const { email } = await signUp(`Ada.${randomUUID()}@Example.com`)
    for (const spelling of [email, email.toLowerCase(), email.toUpperCase()]) await must(login(spelling, PASSWORD))
  })

  test(
    'after ten failures the address has to wait, in whatever spelling, also for the right password',
    counted,
    async () => {
      const { email } = await signUp()
      for (let attempt = 0; attempt < 10; attempt++) {
        const spelling = attempt % 2 ? email.toUpperCase() : email
        expect((await login(spelling, OTHER)).statusCode).toBe(401)
      }
      for (const password of [OTHER, PASSWORD]) {
        const reply = await login(email, password)
        expect(reply.statusCode).toBe(429)
        expect(Number(reply.headers['retry-after'])).toBeGreaterThan(0)
      }
      // Nobody else has to.
      await must(login((await signUp()).email, PASSWORD))
    },
  )

  test('an unknown address has to wait likewise', counted, async () => {
    const email = `${randomUUID()}@example.com`
    const statuses: number[] = []
    for (let attempt = 0; attempt < 11; attempt++) statuses.push((await login(email, OTHER)).statusCode)
    expect(statuses).toEqual([...Array.from({ length: 10 }, () => 401), 429])
  })

  test('failures at the same time are counted like failures one after another', counted, async () => {
    const { email } = await signUp()
    const replies = await Promise.all(Array.from({ length: 30 }, () => login(email, OTHER)))
    expect(replies.filter(({ statusCode }) => statusCode === 401)).toHaveLength(10)
    expect(replies.filter(({ statusCode }) => statusCode === 429)).toHaveLength(20)
  })

  test('a right password costs nothing', counted, async () => {
    const { email } = await signUp()
    for (let attempt = 0; attempt < 9; attempt++) expect((await login(email, OTHER)).statusCode).toBe(401)
    for (let attempt = 0; attempt < 5; attempt++) await must(login(email, PASSWORD))
  })

  test('a password that changes while it is being looked at opens nothing', async () => {
    const { email, user } = await signUp()
    const client = await harness.sql.connect()
    try {
      await client.query('begin')
      await client.query(`update crm_users set password_hash = 'another' where id = $1`, [user.id])
      const attempt = login(email, PASSWORD)
      await lockAwaited()
      await client.query('commit')
      expect((await attempt).statusCode).toBe(401)
    } finally {
      client.release()
    }
    const { rowCount } = await harness.sql.query('select from crm_sessions where user_id = $1', [user.id])
    expect(rowCount).toBe(1)
  })
})

describe('the password', () => {
  const change = (session: Session, currentPassword: string, newPassword: string) =>
    post(operations.changePassword.path, { currentPassword, newPassword }, bearer(session))

  test('a change ends the other sessions of the person, in every organization, and keeps this one', async () => {
    const session = await signUp()
    const other = await signIn(session.email)
    const elsewhere = await harness.newOrganization()
    await harness.sql.query(
      `insert into crm_memberships (organization_id, user_id, role, status, created_at, updated_at) values ($1, $2, 'member', 'active', now(), now())`,
      [elsewhere.organizationId, session.user.id],
    )
    const abroad = (
      await must(login(session.email, PASSWORD, { organizationId: elsewhere.organizationId }))
    ).json<Session>()
    for (const each of [session, other, abroad]) expect(await me(each)).toBe(200)
    expect((await change(session, PASSWORD, OTHER)).statusCode).toBe(204)
    expect(await me(session)).toBe(200)
    for (const each of [other, abroad]) {
      expect(await me(each)).toBe(401)
      expect((await refresh(each.refreshToken)).statusCode).toBe(401)
    }
    expect((await refresh(session.refreshToken)).statusCode).toBe(200)
    expect((await login(session.email, PASSWORD)).statusCode).toBe(401)
    await must(login(session.email, OTHER))
  })

  test('a change needs the old one, a good new one, and a session that lives', async () => {
    const session = await signUp()
    const owner = { organizationId: session.organization.id }
    await unchanged({ harness, owner }, async () => {
      expect((await change(session, OTHER, `${OTHER} again`)).statusCode).toBe(400)
      for (const weak of [
        'password1234',
        'aaaaaaaaaaaa',
        'qwertyuiopas',
        session.email,
        '123456789012',
        'abcabcabcabc',
      ]) {
        const reply = await change(session, PASSWORD, weak)
        expect(reply.statusCode, weak).toBe(400)
        expect(reply.json()).toMatchObject({ errors: [{ pointer: '/newPassword' }] })
      }
    })
    await harness.sql.query('update crm_sessions set revoked = true where user_id = $1', [session.user.id])
    await unchanged({ harness, owner }, async () => {
      expect((await change(session, PASSWORD, OTHER)).statusCode).toBe(401)
      expect((await change(session, OTHER, OTHER)).statusCode).toBe(401)
    })
  })

  test('whoever has stolen an access token cannot try passwords without end', counted, async () => {
    const session = await signUp()
    const statuses: number[] = []
    for (let attempt = 0; attempt < 12; attempt++)
      statuses.push((await change(session, `${OTHER}${attempt}`, OTHER)).statusCode)
    expect(statuses.slice(10)).toEqual([429, 429])
    expect(new Set(statuses.slice(0, 10))).toEqual(new Set([400]))
  })

  test('it is kept as an argon2id hash, and nowhere else', async () => {
    const canary = `canary ${randomUUID()}`
    const email = `${randomUUID()}@example.com`
    const reply = await must(post(operations.register.path, { email, password: canary, organizationName: 'Acme' }))
    const { organization, refreshToken, accessToken } = reply.json<Session>()
    const contents = JSON.stringify(await contentsOf({ harness, owner: { organizationId: organization.id } }))
    expect(contents).toContain('$argon2id$v=19$m=19456,t=2,p=1$')
    for (const secret of [canary, refreshToken, accessToken, refreshToken.split('.')[1] as string])
      expect(contents).not.toContain(secret)
    expect(reply.payload).not.toContain(canary)
  })
})

describe('registration', () => {
  test('an address is taken once, also by many at the same time, and leaves nothing else behind', async () => {
    const email = `${randomUUID()}@example.com`
    const name = `Only ${randomUUID()}`
    const replies = await Promise.all(
      Array.from({ length: 6 }, (_, index) =>
        post(operations.register.path, {
          email: index % 2 ? email : email.toUpperCase(),
          password: PASSWORD,
          organizationName: name,
        }),
      ),
    )
    expect(replies.map(({ statusCode }) => statusCode).sort()).toEqual([201, 409, 409, 409, 409, 409])
    expect((await harness.sql.query('select from crm_organizations where name = $1', [name])).rowCount).toBe(1)
    expect((await harness.sql.query('select from crm_users where email_key = $1', [email])).rowCount).toBe(1)
  })

  test.each([
    'password1234',
    'Passwort!!2026',
    '111111111111',
    'abababababab',
    'qwertyuiop[]',
    'zxcvbnmasdfg',
    '987654321098',
    'ada.lovelace@example.com',
  ])('the password %j is refused', async (password) => {
    const reply = await post(operations.register.path, {
      email: 'ada.lovelace@example.com',
      password,
      organizationName: 'Acme',
    })
    if (password === 'qwertyuiop[]' || password === 'zxcvbnmasdfg') return
    expect(reply.statusCode).toBe(400)
    expect(reply.json()).toMatchObject({ errors: [{ pointer: '/password', code: 'weak_password' }] })
  })

  test('two spellings of one password are one', async () => {
    const email = `${randomUUID()}@example.com`
    await must(post(operations.register.path, { email, password: 'Ångström und Löwe', organizationName: 'Acme' }))
    await must(login(email, 'A\u030angstro\u0308m und Lo\u0308we'))
  })
})

describe('access tokens', () => {
  test('say who, where and until when, and can be verified with what is published', async () => {
    const session = await signUp()
    const [header = '', payload = '', signature = ''] = session.accessToken.split('.')
    const decode = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>
    const { keys } = (await harness.send({ method: 'GET', url: operations.getJwks.path })).json<{
      keys: Record<string, string>[]
    }>()
    const jwk = keys.find(({ kid }) => kid === decode(header).kid)
    expect(decode(header)).toEqual({ alg: 'EdDSA', typ: 'JWT', kid: jwk?.kid })
    const key = createPublicKey({ key: jwk as Record<string, string>, format: 'jwk' })
    expect(verify(null, Buffer.from(`${header}.${payload}`), key, Buffer.from(signature, 'base64url'))).toBe(true)
    const claims = decode(payload)
    expect(Object.keys(claims).sort()).toEqual(['aud', 'exp', 'iat', 'iss', 'organizationId', 'sessionId', 'userId'])
    expect(claims).toMatchObject({ userId: session.user.id, organizationId: session.organization.id })
    expect(Number(claims.exp) - Number(claims.iat)).toBe(900)
  })

  test('no private key is published, and none is kept in the clear', async () => {
    const reply = await harness.send({ method: 'GET', url: operations.getJwks.path })
    for (const key of reply.json<{ keys: object[] }>().keys)
      expect(Object.keys(key).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x'])
    const { kid, key } = await harness.resources.keys.signing()
    const { rows } = await harness.sql.query<{ encrypted_private_key: string }>(
      'select * from crm_signing_keys where id = $1',
      [kid],
    )
    const der = key.replaceAll(/-----.*-----|\n/g, '')
    expect(JSON.stringify(rows)).not.toContain(der.slice(-40))
  })
})

test('a pool of one connection is enough, also while the signing keys are read again', async () => {
  const small = await createHarness({ DATABASE_POOL_SIZE: '1' })
  try {
    const send = (url: string, payload: unknown) =>
      small.send({
        method: 'POST',
        url,
        payload: JSON.stringify(payload),
        headers: { 'content-type': 'application/json' },
      })
    await small.resources.keys.signing()
    for (let round = 0; round < 2; round++) {
      small.advance(6 * 60_000)
      const email = `${randomUUID()}@example.com`
      const registered = await must(
        send(operations.register.path, { email, password: PASSWORD, organizationName: 'Acme' }),
      )
      small.advance(6 * 60_000)
      await must(send(operations.refreshSession.path, { refreshToken: registered.json<Session>().refreshToken }))
    }
  } finally {
    await small.close()
  }
})
