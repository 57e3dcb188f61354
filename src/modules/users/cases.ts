import { randomUUID } from 'node:crypto'
import { expect } from 'vitest'
import { operations } from '../../../generated/operations.js'
import type { Cases } from '../../http/contract.js'
import type { Mail } from '../../jobs/mail.js'
import {
  type Case,
  contentsOf,
  expectProblem,
  PASSWORD,
  type Reply,
  refused,
  rowsOf,
  signUp,
  unchanged,
  type World,
} from '../../testing/case.js'
import { invitationMail, invitationToken } from './jobs.js'

const users = operations.listUsers.path
const invitations = operations.createInvitation.path
const OUTDATED = { 'if-match': '"7"' }

const newMember = ({ harness, owner }: World) => harness.newUser(owner.organizationId, 'member')

const membershipOf = async (world: World, userId: string) =>
  (
    await rowsOf(
      world,
      'crm_memberships t where organization_id = $1 and user_id = $2',
      world.owner.organizationId,
      userId,
    )
  )[0]

type SendTo = (world: World, url: string, headers?: Record<string, string>) => Promise<Reply>

const edit: SendTo = ({ owner }, url, headers) => owner.patch(url, { title: 'Sales lead' }, headers)
const deactivate: SendTo = ({ owner }, url, headers) => owner.post(`${url}/deactivate`, undefined, headers)
const reactivate: SendTo = ({ owner }, url, headers) => owner.post(`${url}/reactivate`, undefined, headers)

/** A user of another organization looks like one that never was. */
const missing =
  (send: SendTo): Case =>
  async (world) => {
    const stranger = { harness: world.harness, owner: await world.harness.newOrganization() }
    const theirs = await contentsOf(stranger)
    const sameId = { 'x-request-id': 'the-same' }
    const other = await refused(world, 'not_found', () => send(world, `${users}/${stranger.owner.userId}`, sameId))
    const nobody = await refused(world, 'not_found', () => send(world, `${users}/${randomUUID()}`, sameId))
    expect(other.payload).toBe(nobody.payload)
    expect(await contentsOf(stranger)).toEqual(theirs)
    return nobody
  }

const outdated =
  (send: SendTo): Case =>
  async (world) => {
    const { userId } = await newMember(world)
    return refused(world, 'version_mismatch', () => send(world, `${users}/${userId}`, OUTDATED))
  }

/** Invites somebody; answers with what the mail will hold. */
async function invited(world: World, email = `grace-${randomUUID()}@example.com`) {
  const { id } = (await world.owner.post(invitations, { email, role: 'manager' })).json<{ id: string }>()
  return { id, email, token: invitationToken(world.harness.resources.services, world.owner.organizationId, id) }
}

const accept = ({ harness }: World, token: string, password = PASSWORD): Promise<Reply> =>
  harness.send({
    ...{ method: 'POST', url: operations.acceptInvitation.path },
    payload: { token, password, firstName: 'Grace' },
  })

export const cases = {
  listUsers: {
    200: async (world) => {
      const { userId } = await newMember(world)
      await world.harness.newOrganization()
      const page = await unchanged(world, () => world.owner.get(`${users}?limit=1`))
      expect(page.json()).toMatchObject({
        data: [{ id: userId, role: 'member', status: 'active', version: 1, title: null }],
        page: { hasMore: true },
      })
      const { nextCursor } = page.json<{ page: { nextCursor: string } }>().page
      expect(page.headers.link).toBe(`<${users}?limit=1&cursor=${nextCursor}>; rel="next"`)
      const last = await world.owner.get(`${users}?limit=1&cursor=${nextCursor}`)
      expect(last.json()).toMatchObject({
        data: [{ id: world.owner.userId, role: 'owner' }],
        page: { nextCursor: null, hasMore: false },
      })
      expect(last.headers).not.toHaveProperty('link')
      return page
    },
  },

  getUser: {
    200: async (world) => {
      const { userId } = await newMember(world)
      const reply = await unchanged(world, () => world.owner.get(`${users}/${userId}`))
      expect(reply.json()).toMatchObject({ id: userId, role: 'member', status: 'active', version: 1 })
      expect(reply.headers.etag).toBe('"1"')
      expect(reply.payload).not.toContain('password')
      return reply
    },
    304: async (world) => {
      const url = `${users}/${world.owner.userId}`
      const reply = await unchanged(world, () => world.owner.get(url, { 'if-none-match': '"1"' }))
      expect(reply.payload).toBe('')
      expect(reply.headers.etag).toBe('"1"')
      return reply
    },
    404: missing(({ owner }, url, headers) => owner.get(url, headers)),
  },

  updateUser: {
    200: async (world) => {
      const member = await newMember(world)
      const url = `${users}/${member.userId}`
      const before = (await member.get(url)).json<object>()
      const patch = { role: 'read_only', title: 'Auditor' }
      const reply = await world.owner.patch(url, patch, { 'if-match': '"1"' })
      expect(reply.json()).toEqual({ ...before, ...patch, version: 2, updatedAt: expect.any(String) })
      expect(reply.headers.etag).toBe('"2"')
      expect(await membershipOf(world, member.userId)).toMatchObject({ ...patch, version: 2 })
      const next = await member.post(operations.createAccount.path, { name: 'No longer' })
      expectProblem(next, 'forbidden')
      return reply
    },
    404: missing(edit),
    409: (world) =>
      refused(world, 'last_owner', () => world.owner.patch(`${users}/${world.owner.userId}`, { role: 'admin' })),
    412: outdated(edit),
  },

  deactivateUser: {
    200: async (world) => {
      const member = await newMember(world)
      expect((await member.get(users)).statusCode).toBe(200)
      const reply = await deactivate(world, `${users}/${member.userId}`, { 'if-match': '"1"' })
      expect(reply.json()).toMatchObject({ id: member.userId, status: 'deactivated', version: 2 })
      expect(reply.headers.etag).toBe('"2"')
      expect(await membershipOf(world, member.userId)).toMatchObject({ status: 'deactivated', version: 2 })
      expect(await rowsOf(world, 'crm_sessions t where id = $1', member.sessionId)).toMatchObject([{ revoked: true }])
      expectProblem(await member.get(users), 'unauthenticated')
      return reply
    },
    404: missing(deactivate),
    409: (world) => refused(world, 'last_owner', () => deactivate(world, `${users}/${world.owner.userId}`)),
    412: outdated(deactivate),
  },

  reactivateUser: {
    200: async (world) => {
      const { email, session } = await signUp(world)
      const former = await accept(world, (await invited(world, email)).token)
      const login = async () => {
        const payload = { email, password: PASSWORD, organizationId: world.owner.organizationId }
        const { statusCode } = await world.harness.send({ method: 'POST', url: operations.login.path, payload })
        return statusCode
      }
      const url = `${users}/${session.user.id}`
      await deactivate(world, url)
      expect(await login()).toBe(401)

      const reply = await reactivate(world, url, { 'if-match': '"2"' })
      expect(reply.json()).toMatchObject({ id: session.user.id, status: 'active', version: 3 })
      expect(reply.headers.etag).toBe('"3"')
      expect(await membershipOf(world, session.user.id)).toMatchObject({ status: 'active', version: 3 })
      expect(await login()).toBe(200)
      // The sessions of before stay ended.
      const authorization = `Bearer ${former.json<{ accessToken: string }>().accessToken}`
      expectProblem(await world.harness.send({ url: users, headers: { authorization } }), 'unauthenticated')
      return reply
    },
    404: missing(reactivate),
    412: outdated(reactivate),
  },

  getInvitation: {
    200: async (world) => {
      const created = await world.owner.post(invitations, { email: `${randomUUID()}@example.com`, role: 'member' })
      const reply = await unchanged(world, () => world.owner.get(String(created.headers.location)))
      expect(reply.json()).toEqual(created.json())
      return reply
    },
    404: async (world) => {
      const stranger = await world.harness.newOrganization()
      const theirs = await stranger.post(invitations, { email: `${randomUUID()}@example.com`, role: 'member' })
      await refused(world, 'not_found', () => world.owner.get(String(theirs.headers.location)))
      return refused(world, 'not_found', () => world.owner.get(`${invitations}/${randomUUID()}`))
    },
  },

  createInvitation: {
    201: async (world) => {
      const { organizationId, userId } = world.owner
      const email = `Grace-${randomUUID()}@example.com`
      const reply = await world.owner.post(invitations, { email, role: 'member' })
      const { id } = reply.json<{ id: string }>()
      const token = invitationToken(world.harness.resources.services, organizationId, id)
      expect(reply.json()).toMatchObject({ email, role: 'member', invitedBy: { id: userId }, acceptedAt: null })
      expect(reply.headers.location).toBe(`${invitations}/${id}`)
      expect(reply.payload).not.toContain(token)
      expect(await rowsOf(world, 'crm_invitations t where organization_id = $1', organizationId)).toMatchObject([
        { id, email, role: 'member', invited_by_id: userId, mailed_at: null, accepted_at: null },
      ])

      const mails: Mail[] = []
      const mailer = { send: async (mail: Mail) => void mails.push(mail) }
      const services = { ...world.harness.resources.services, mailer, rotateKeys: async () => undefined }
      await invitationMail.run(`${organizationId}_${id}`, services)
      await invitationMail.run(`${organizationId}_${id}`, services)
      expect(mails).toMatchObject([{ id, to: email, text: expect.stringContaining(token) }])
      return reply
    },
    409: async (world) => {
      const { userId } = await newMember(world)
      const { email } = (await world.owner.get(`${users}/${userId}`)).json<{ email: string }>()
      return refused(world, 'already_member', () =>
        world.owner.post(invitations, { email: email.toUpperCase(), role: 'member' }),
      )
    },
  },

  acceptInvitation: {
    201: async (world) => {
      const { id, email, token } = await invited(world)
      const reply = await accept(world, token)
      const session = reply.json<{ accessToken: string; user: { id: string } }>()
      expect(session).toMatchObject({
        user: { email, firstName: 'Grace', lastName: null },
        organization: { id: world.owner.organizationId, name: 'Test', role: 'manager' },
      })
      expect(reply.headers.location).toBe(operations.getMe.path)
      expect(await membershipOf(world, session.user.id)).toMatchObject({ role: 'manager', status: 'active' })
      expect(await rowsOf(world, 'crm_invitations t where id = $1', id)).toMatchObject([
        { accepted_at: expect.any(String) },
      ])
      expect(await rowsOf(world, 'crm_users t where id = $1', session.user.id)).toMatchObject([
        { email, password_hash: expect.stringMatching(/^\$argon2id\$/) },
      ])
      const authorization = `Bearer ${session.accessToken}`
      expect((await world.harness.send({ url: users, headers: { authorization } })).statusCode).toBe(200)
      return reply
    },
    401: async (world) => {
      const refuse = (token: string, password?: string) =>
        refused(world, 'invalid_invitation', () => accept(world, token, password))

      const used = await invited(world)
      expect((await accept(world, used.token)).statusCode).toBe(201)
      await refuse(used.token)

      const replaced = await invited(world)
      await world.owner.post(invitations, { email: replaced.email, role: 'member' })
      await refuse(replaced.token)

      const { email } = await signUp(world)
      const { id, token } = await invited(world, email)
      await refuse(token, 'not the password of that account')
      await refuse(token.replace(id, randomUUID()))
      await world.harness.sql.query('update crm_invitations set expires_at = now() where id = $1', [id])
      return refuse(token)
    },
  },
} satisfies Cases<'users'>
