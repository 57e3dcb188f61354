import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { operations, type Role, rolePermissions } from '../../../generated/operations.js'
import type { components } from '../../../generated/types.js'
import { must } from '../../testing/access-world.js'
import { unchanged } from '../../testing/case.js'
import { type Caller, createHarness, type Harness } from '../../testing/harness.js'
import { invitationToken } from './jobs.js'

type Session = components['schemas']['Session']

const users = operations.listUsers.path
const PASSWORD = 'correct horse battery staple'
const roles = Object.keys(rolePermissions) as Role[]

let harness: Harness
let owner: Caller
beforeAll(async () => {
  harness = await createHarness()
})
beforeEach(async () => {
  owner = await harness.newOrganization()
})
afterAll(() => harness.close())

const setRole = (caller: Caller, target: Caller, role: Role) => caller.patch(`${users}/${target.userId}`, { role })
const deactivate = (caller: Caller, target: Caller) => caller.post(`${users}/${target.userId}/deactivate`)

async function activeOwners(): Promise<number> {
  const { rowCount } = await harness.sql.query(
    `select from crm_memberships where organization_id = $1 and role = 'owner' and status = 'active'`,
    [owner.organizationId],
  )
  return rowCount ?? 0
}

describe('the last owner', () => {
  test('stays, whoever asks', async () => {
    const admin = await harness.newUser(owner.organizationId, 'admin')
    await unchanged({ harness, owner }, async () => {
      for (const reply of [await setRole(owner, owner, 'member'), await deactivate(owner, owner)]) {
        expect(reply.statusCode).toBe(409)
        expect(reply.json()).toMatchObject({ code: 'last_owner' })
      }
      expect((await setRole(admin, owner, 'member')).statusCode).toBe(403)
      expect((await deactivate(admin, owner)).statusCode).toBe(403)
    })
  })

  test('a deactivated owner does not count', async () => {
    const other = await harness.newUser(owner.organizationId, 'owner')
    await must(deactivate(owner, other))
    expect((await setRole(owner, owner, 'admin')).statusCode).toBe(409)
    await must(owner.post(`${users}/${other.userId}/reactivate`))
    await must(setRole(owner, owner, 'admin'))
    expect(await activeOwners()).toBe(1)
  })

  test.each([
    ['each demotes the other', (a: Caller, b: Caller) => [setRole(a, b, 'member'), setRole(b, a, 'member')]],
    ['each demotes themselves', (a: Caller, b: Caller) => [setRole(a, a, 'member'), setRole(b, b, 'member')]],
    ['each deactivates the other', (a: Caller, b: Caller) => [deactivate(a, b), deactivate(b, a)]],
    ['each leaves', (a: Caller, b: Caller) => [deactivate(a, a), deactivate(b, b)]],
    ['one is demoted, the other leaves', (a: Caller, b: Caller) => [setRole(a, b, 'admin'), deactivate(a, a)]],
  ])('is not lost when two act at once: %s', async (_name, act) => {
    for (let round = 0; round < 5; round++) {
      owner = await harness.newOrganization()
      const other = await harness.newUser(owner.organizationId, 'owner')
      const replies = await Promise.all(act(owner, other))
      expect(await activeOwners(), replies.map(({ statusCode }) => statusCode).join()).toBe(1)
      expect(replies.filter(({ statusCode }) => statusCode === 200)).toHaveLength(1)
      // The one who lost may have lost the right to ask, too.
      for (const { statusCode } of replies) expect([200, 401, 403, 409]).toContain(statusCode)
    }
  })
})

describe('nobody gives, or takes, more than they have', () => {
  const LEVELS = { own: 1, team: 2, all: 3 }
  const covers = (mine: Role, theirs: Role): boolean =>
    (theirs !== 'owner' || mine === 'owner') &&
    Object.entries(rolePermissions[theirs]).every(([permission, level]) => {
      const held = rolePermissions[mine][permission as keyof (typeof rolePermissions)['owner']]
      return held !== undefined && LEVELS[held] >= LEVELS[level]
    })
  const may = (role: Role, permission: 'users:update' | 'users:invite') =>
    rolePermissions[role][permission] !== undefined

  test.each(roles)('%s changes roles', async (role) => {
    const caller = await harness.newUser(owner.organizationId, role)
    for (const before of roles) {
      for (const after of roles.filter((each) => each !== before)) {
        const target = await harness.newUser(owner.organizationId, before)
        const allowed = may(role, 'users:update') && covers(role, before) && covers(role, after)
        const reply = await setRole(caller, target, after)
        expect(reply.statusCode, `${before} to ${after}`).toBe(allowed ? 200 : 403)
        const { rows } = await harness.sql.query('select role from crm_memberships where user_id = $1', [target.userId])
        expect(rows).toEqual([{ role: allowed ? after : before }])
      }
    }
  })

  test.each(roles)('%s deactivates and lets in', async (role) => {
    const caller = await harness.newUser(owner.organizationId, role)
    for (const of of roles) {
      const target = await harness.newUser(owner.organizationId, of)
      const expected = may(role, 'users:update') && covers(role, of) ? 200 : 403
      expect((await deactivate(caller, target)).statusCode, of).toBe(expected)
      if (expected === 403) await must(deactivate(owner, target))
      expect((await caller.post(`${users}/${target.userId}/reactivate`)).statusCode, of).toBe(expected)
    }
  })

  test.each(roles)('%s invites', async (role) => {
    const caller = await harness.newUser(owner.organizationId, role)
    for (const invited of roles) {
      const reply = await caller.post(operations.createInvitation.path, {
        email: `${randomUUID()}@example.com`,
        role: invited,
      })
      expect(reply.statusCode, invited).toBe(may(role, 'users:invite') && covers(role, invited) ? 201 : 403)
    }
    const { rowCount } = await harness.sql.query(
      `select from crm_invitations where organization_id = $1 and role = 'owner' and $2 <> 'owner'`,
      [owner.organizationId, role],
    )
    expect(rowCount).toBe(0)
  })

  test.each(roles)('%s does not raise themselves', async (role) => {
    const caller = await harness.newUser(owner.organizationId, role)
    for (const wished of roles.filter((each) => !covers(role, each))) {
      expect((await setRole(caller, caller, wished)).statusCode).toBe(403)
    }
    const me = (await caller.get(operations.getMe.path)).json<components['schemas']['Me']>()
    expect(me.organization.role).toBe(role)
  })
})

describe('invitations', () => {
  const accept = (token: string, password = PASSWORD) =>
    harness.send({
      method: 'POST',
      url: operations.acceptInvitation.path,
      payload: JSON.stringify({ token, password, firstName: 'Grace', lastName: 'Hopper' }),
      headers: { 'content-type': 'application/json' },
    })

  async function invite(
    email: string,
    role: Role = 'member',
    by: Caller = owner,
  ): Promise<{ id: string; token: string }> {
    const reply = await must(by.post(operations.createInvitation.path, { email, role }))
    const { id } = reply.json<{ id: string }>()
    const token = invitationToken(harness.resources.services, by.organizationId, id)
    // Only the mail holds the token.
    expect(reply.payload).not.toContain(token.split('.')[1])
    return { id, token }
  }

  const address = () => `${randomUUID()}@example.com`

  async function expectRefused(token: string, password = PASSWORD): Promise<void> {
    const reply = await unchanged({ harness, owner }, () => accept(token, password))
    expect(reply.statusCode, reply.payload).toBe(401)
    expect(reply.json()).toMatchObject({ code: 'invalid_invitation' })
  }

  const membership = async (email: string) => {
    const { rows } = await harness.sql.query<{ role: Role; status: string }>(
      `select m.role, m.status from crm_memberships m join crm_users u on u.id = m.user_id where m.organization_id = $1 and u.email_key = lower($2)`,
      [owner.organizationId, email],
    )
    return rows
  }

  test('one is good once', async () => {
    const email = address()
    const { token } = await invite(email, 'manager')
    const session = (await must(accept(token))).json<Session>()
    expect(session.organization).toMatchObject({ id: owner.organizationId, role: 'manager' })
    expect(await membership(email)).toEqual([{ role: 'manager', status: 'active' }])
    await expectRefused(token)
  })

  test('of many uses at once one succeeds', async () => {
    const email = address()
    const { token } = await invite(email)
    const replies = await Promise.all(Array.from({ length: 8 }, () => accept(token)))
    expect(replies.map(({ statusCode }) => statusCode).sort()).toEqual([201, ...Array.from({ length: 7 }, () => 401)])
    expect(await membership(email)).toHaveLength(1)
    expect((await harness.sql.query('select from crm_users where email_key = $1', [email])).rowCount).toBe(1)
    expect(
      (
        await harness.sql.query(
          'select from crm_sessions s join crm_users u on u.id = s.user_id where email_key = $1',
          [email],
        )
      ).rowCount,
    ).toBe(1)
  })

  test('it ends after seven days', async () => {
    const { id, token } = await invite(address())
    await harness.sql.query(`update crm_invitations set expires_at = now() - interval '1 second' where id = $1`, [id])
    await expectRefused(token)
  })

  test('a later one to the same address takes its place', async () => {
    const email = address()
    const first = await invite(email, 'admin')
    const second = await invite(email.toUpperCase(), 'read_only')
    await expectRefused(first.token)
    await must(accept(second.token))
    expect(await membership(email)).toEqual([{ role: 'read_only', status: 'active' }])
  })

  test('whatever the server has not signed is refused alike', async () => {
    const { id, token } = await invite(address())
    const [payload = '', signature = ''] = token.split('.')
    const other = await harness.newOrganization()
    const { signer, services } = harness.resources
    for (const bad of [
      payload,
      `${payload}.`,
      `${payload}.${signature}x`,
      `${other.organizationId}_${id}.${signature}`,
      invitationToken(services, other.organizationId, id),
      invitationToken(services, owner.organizationId, randomUUID()),
      signer.sign('refresh', payload),
      signer.sign('cursor', payload),
      signer.sign('invitation', 'nonsense'),
      signer.sign('invitation', '_'),
    ]) {
      await expectRefused(bad)
    }
    await must(accept(token))
  })

  test('it needs a good password, and goes on waiting after a bad one', async () => {
    const { token } = await invite(address())
    const reply = await unchanged({ harness, owner }, () => accept(token, 'password1234'))
    expect(reply.statusCode).toBe(400)
    expect(reply.json()).toMatchObject({ errors: [{ pointer: '/password', code: 'weak_password' }] })
    await must(accept(token))
  })

  test('somebody who has an account joins with its password only', async () => {
    const email = address()
    const registered = await must(
      harness.send({
        method: 'POST',
        url: operations.register.path,
        payload: JSON.stringify({ email, password: PASSWORD, organizationName: 'Elsewhere' }),
        headers: { 'content-type': 'application/json' },
      }),
    )
    const { user } = registered.json<Session>()
    const { token } = await invite(email)
    await expectRefused(token, 'wrong donkey charger paperclip')
    const joined = (await must(accept(token))).json<Session>()
    expect(joined.user).toEqual(user)
    expect(joined.organization.id).toBe(owner.organizationId)
  })

  test('a member cannot be invited, somebody deactivated can, and comes back with the new role', async () => {
    const email = address()
    await must(accept((await invite(email, 'admin')).token))
    const { user } = (
      await must(
        harness.send({
          method: 'POST',
          url: operations.login.path,
          payload: JSON.stringify({ email, password: PASSWORD }),
          headers: { 'content-type': 'application/json' },
        }),
      )
    ).json<Session>()
    expect(
      (await owner.post(operations.createInvitation.path, { email: email.toUpperCase(), role: 'member' })).statusCode,
    ).toBe(409)
    await must(owner.post(`${users}/${user.id}/deactivate`))
    const { token } = await invite(email, 'member')
    await must(accept(token))
    expect(await membership(email)).toEqual([{ role: 'member', status: 'active' }])
  })

  test('one that still waits does not change the role of somebody who is let in another way', async () => {
    const email = address()
    const { user } = (await must(accept((await invite(email, 'admin')).token))).json<Session>()
    await must(owner.post(`${users}/${user.id}/deactivate`))
    const { token } = await invite(email, 'admin')
    await must(owner.post(`${users}/${user.id}/reactivate`))
    await must(owner.patch(`${users}/${user.id}`, { role: 'read_only' }))
    await expectRefused(token)
    expect(await membership(email)).toEqual([{ role: 'read_only', status: 'active' }])
  })

  test('it does not tell one organization who belongs to another', async () => {
    const stranger = await harness.newOrganization()
    const { rows } = await harness.sql.query<{ email: string }>('select email from crm_users where id = $1', [
      stranger.userId,
    ])
    const known = await owner.post(operations.createInvitation.path, { email: rows[0]?.email, role: 'member' })
    const unknown = await owner.post(operations.createInvitation.path, { email: address(), role: 'member' })
    expect(known.statusCode).toBe(unknown.statusCode)
    expect(Object.keys(known.json<object>())).toEqual(Object.keys(unknown.json<object>()))
  })
})
