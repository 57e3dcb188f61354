import { createPublicKey, randomUUID, verify } from 'node:crypto'
import { expect } from 'vitest'
import { operations } from '../../../generated/operations.js'
import type { components } from '../../../generated/types.js'
import type { Cases } from '../../http/contract.js'
import {
  expectProblem,
  PASSWORD,
  type Reply,
  refused,
  rowsOf,
  signUp,
  unchanged,
  type World,
} from '../../testing/case.js'

type Session = components['schemas']['Session']
type Keys = components['schemas']['JsonWebKeySet']

const me = operations.getMe.path

const post = (
  { harness }: World,
  operation: 'register' | 'login' | 'refreshSession',
  payload: object,
): Promise<Reply> =>
  harness.send({ method: 'POST', url: operations[operation].path, payload, headers: { 'x-request-id': 'the-same' } })

const as = ({ accessToken }: Session) => ({ authorization: `Bearer ${accessToken}` })

/** What the session of an access token looks like in the database. */
async function sessionOf(world: World, { accessToken }: Session) {
  const [row] = await rowsOf(world, 'crm_sessions t where id = $1', decode(accessToken.split('.')[1]).sessionId)
  return row
}

const decode = (part = ''): Record<string, unknown> => JSON.parse(Buffer.from(part, 'base64url').toString())

const tenantOf = ({ harness }: World, { organization }: Session) => ({
  harness,
  owner: { organizationId: organization.id },
})

export const cases = {
  register: {
    201: async (world) => {
      const email = `Ada-${randomUUID()}@example.com`
      const body = { email, password: PASSWORD, organizationName: 'Northwind Sales', firstName: 'Ada' }
      const reply = await post(world, 'register', body)
      const session = reply.json<Session>()
      expect(session).toMatchObject({
        ...{ tokenType: 'Bearer', expiresIn: 900 },
        user: { email, firstName: 'Ada', lastName: null, language: null, timeZone: null },
        organization: { name: 'Northwind Sales', role: 'owner' },
      })
      expect(reply.headers.location).toBe(me)
      expect(reply.payload).not.toContain('password')
      expect(await rowsOf(world, 'crm_users t where id = $1', session.user.id)).toMatchObject([
        { email, password_hash: expect.stringMatching(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/) },
      ])
      const { id } = session.organization
      expect(await rowsOf(world, 'crm_memberships t where organization_id = $1', id)).toMatchObject([
        { user_id: session.user.id, role: 'owner', status: 'active', version: 1 },
      ])
      expect(await rowsOf(world, 'crm_stages t where organization_id = $1', id)).toHaveLength(6)
      expect(await sessionOf(world, session)).toMatchObject({ user_id: session.user.id, generation: 1, revoked: false })
      expect((await world.harness.send({ url: me, headers: as(session) })).statusCode).toBe(200)
      return reply
    },
    409: async (world) => {
      const { email, session } = await signUp(world)
      const organizations = () => rowsOf(world, 'crm_organizations t order by id')
      const before = await organizations()
      const body = { email: email.toUpperCase(), password: 'another good password', organizationName: 'Other' }
      const reply = await refused(tenantOf(world, session), 'email_taken', () => post(world, 'register', body))
      expect(await organizations()).toEqual(before)
      return reply
    },
  },

  login: {
    200: async (world) => {
      const { email, session } = await signUp(world)
      const reply = await post(world, 'login', { email: email.toUpperCase(), password: PASSWORD })
      const fresh = reply.json<Session>()
      expect(fresh).toMatchObject({ user: session.user, organization: session.organization })
      expect(await sessionOf(world, fresh)).toMatchObject({ user_id: session.user.id, generation: 1 })
      expect((await sessionOf(world, fresh))?.id).not.toBe((await sessionOf(world, session))?.id)
      expect((await world.harness.send({ url: me, headers: as(fresh) })).statusCode).toBe(200)
      return reply
    },
    401: async (world) => {
      const { email, session } = await signUp(world)
      const attempt = (body: object) =>
        refused(tenantOf(world, session), 'invalid_credentials', () => post(world, 'login', body))
      const wrong = await attempt({ email, password: 'not the password' })
      const unknown = await attempt({ email: `nobody-${randomUUID()}@example.com`, password: PASSWORD })
      const elsewhere = await attempt({ email, password: PASSWORD, organizationId: world.owner.organizationId })
      expect([unknown.payload, elsewhere.payload]).toEqual([wrong.payload, wrong.payload])
      expect(wrong.headers['www-authenticate']).toMatch(/^Bearer /)
      return wrong
    },
  },

  refreshSession: {
    200: async (world) => {
      const { session } = await signUp(world)
      const reply = await post(world, 'refreshSession', { refreshToken: session.refreshToken })
      const next = reply.json<Session>()
      expect(next).toMatchObject({ user: session.user, organization: session.organization })
      expect(next.refreshToken).not.toBe(session.refreshToken)
      expect(await sessionOf(world, next)).toMatchObject({ generation: 2, revoked: false })
      expect((await sessionOf(world, next))?.id).toBe((await sessionOf(world, session))?.id)
      return reply
    },
    401: async (world) => {
      const { session } = await signUp(world)
      const { refreshToken } = session
      const tenant = tenantOf(world, session)
      const attempt = (token: string) =>
        refused(tenant, 'invalid_refresh_token', () => post(world, 'refreshSession', { refreshToken: token }))
      await attempt(refreshToken.replace('_1.', '_2.'))
      const [payload = ''] = refreshToken.split('.')
      await attempt(world.harness.resources.signer.sign('invitation', payload))

      const next = (await post(world, 'refreshSession', { refreshToken })).json<Session>()
      // Two tabs that refresh at once: the second is refused, and nothing else happens.
      const reply = await attempt(refreshToken)
      expect(reply.headers['www-authenticate']).toMatch(/^Bearer /)

      // Later the same is theft: the session ends, for whoever has its newest token.
      await world.harness.sql.query(
        `update crm_sessions set refreshed_at = now() - interval '1 hour' where organization_id = $1`,
        [session.organization.id],
      )
      expectProblem(await post(world, 'refreshSession', { refreshToken }), 'invalid_refresh_token')
      expect(await sessionOf(world, session)).toMatchObject({ revoked: true })
      await attempt(next.refreshToken)
      expectProblem(await world.harness.send({ url: me, headers: as(next) }), 'unauthenticated')
      return reply
    },
  },

  logout: {
    204: async (world) => {
      const other = await world.harness.newUser(world.owner.organizationId, 'member')
      expect((await world.owner.get(me)).statusCode).toBe(200)
      const reply = await world.owner.post(operations.logout.path)
      expect(reply.payload).toBe('')
      expect(await rowsOf(world, 'crm_sessions t where id = $1', world.owner.sessionId)).toMatchObject([
        { revoked: true },
      ])
      expectProblem(await world.owner.get(me), 'unauthenticated')
      expect((await other.get(me)).statusCode).toBe(200)
      return reply
    },
  },

  changePassword: {
    204: async (world) => {
      const { email, session } = await signUp(world)
      const elsewhere = (await post(world, 'login', { email, password: PASSWORD })).json<Session>()
      const newPassword = 'wrong donkey capacitor clip'
      const change = (currentPassword: string) =>
        world.harness.send({
          ...{ method: 'POST', url: operations.changePassword.path, headers: as(session) },
          payload: { currentPassword, newPassword },
        })
      const wrong = await unchanged(tenantOf(world, session), () => change('not the password'))
      expect(wrong.json()).toMatchObject({ errors: [{ pointer: '/currentPassword', code: 'incorrect' }] })

      const reply = await change(PASSWORD)
      expect(reply.payload).toBe('')
      expect((await post(world, 'login', { email, password: PASSWORD })).statusCode).toBe(401)
      expect((await post(world, 'login', { email, password: newPassword })).statusCode).toBe(200)
      expect((await world.harness.send({ url: me, headers: as(session) })).statusCode).toBe(200)
      expectProblem(await world.harness.send({ url: me, headers: as(elsewhere) }), 'unauthenticated')
      expect(await sessionOf(world, elsewhere)).toMatchObject({ revoked: true })
      return reply
    },
  },

  getJwks: {
    200: async (world) => {
      const reply = await world.harness.send({ url: operations.getJwks.path })
      const { keys } = reply.json<Keys>()
      const [header = '', payload = '', signature = ''] = world.owner.token.split('.')
      const key = keys.find(({ kid }) => kid === decode(header).kid)
      expect(Object.keys(key ?? {}).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x'])
      const publicKey = createPublicKey({ key: { ...key }, format: 'jwk' })
      expect(verify(null, Buffer.from(`${header}.${payload}`), publicKey, Buffer.from(signature, 'base64url'))).toBe(
        true,
      )
      return reply
    },
  },
} satisfies Cases<'auth'>
