import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type OperationFacts,
  type OperationId,
  operations,
  type Role,
  rolePermissions,
} from '../../generated/operations.js'
import { buildApp } from '../app.js'
import { openDatabase } from '../db/database.js'
import { createQueryObserver } from '../http/metrics.js'
import { KeyRing } from '../modules/auth/keys.js'
import { must, newCaller, newTarget, requestOf } from './access-world.js'
import { unchanged } from './case.js'
import { operationIds } from './examples.js'
import { type Caller, createHarness, type Harness } from './harness.js'

let harness: Harness
let second: FastifyInstance
let close: () => Promise<void>

beforeAll(async () => {
  harness = await createHarness()
  const { services, signer } = harness.resources
  const database = openDatabase({ url: harness.database.appUrl, poolSize: 2, applicationName: 'second' })
  second = await buildApp({
    services: { ...services, database },
    keys: new KeyRing(database, signer, services.clock),
    log: pino({ level: 'silent' }),
    metrics: { queries: createQueryObserver(), queueCounts: async () => undefined },
  })
  await second.ready()
  close = async () => {
    await second.close()
    await database.close()
    await harness.close()
  }
})
afterAll(() => close())

const guarded = operationIds.filter((id) => !operations[id].public)
const facts = (id: OperationId): OperationFacts => operations[id]
const me = (caller: Caller): InjectOptions => requestOf('getMe', caller.token)

/** Both instances have seen the caller, and remember what the caller may do. */
async function remembered(caller: Caller): Promise<void> {
  for (const app of [harness.app, second]) expect((await app.inject(me(caller))).statusCode).toBe(200)
}

async function onBoth(request: InjectOptions): Promise<LightMyRequestResponse[]> {
  return [await harness.app.inject(request), await second.inject(request)]
}

async function expectBoth(request: InjectOptions, status: number): Promise<void> {
  for (const reply of await onBoth(request)) expect(reply.statusCode, reply.payload).toBe(status)
}

const users = operations.listUsers.path

describe('a session that has ended ends every operation', () => {
  test.each(guarded)('%s', async (id) => {
    const owner = await harness.newOrganization()
    const caller = await newCaller(harness, owner.organizationId, 'owner')
    const target = await newTarget(harness, owner, id)
    const request = requestOf(id, caller.token, target ? { pathId: target } : {})
    const keyed = requestOf(id, caller.token, {
      ...(target && { pathId: target }),
      headers: { 'idempotency-key': 'key' },
    })
    await remembered(caller)
    await harness.sql.query('update crm_sessions set revoked = true where id = $1', [caller.sessionId])
    await unchanged({ harness, owner }, async () => {
      await expectBoth(request, 401)
      await expectBoth(keyed, 401)
    })
  })
})

describe('a role that was taken away is gone for every operation', () => {
  test.each(guarded)('%s', async (id) => {
    const owner = await harness.newOrganization()
    const caller = await newCaller(harness, owner.organizationId, 'admin')
    const target = await newTarget(harness, owner, id)
    await remembered(caller)
    await must(owner.patch(`${users}/${caller.userId}`, { role: 'read_only' }))
    const { permission } = facts(id)
    if (permission === null || rolePermissions.read_only[permission]) return
    await unchanged({ harness, owner }, () =>
      expectBoth(requestOf(id, caller.token, target ? { pathId: target } : {}), 403),
    )
  })
})

test('a role that was given counts at once', async () => {
  const owner = await harness.newOrganization()
  const caller = await harness.newUser(owner.organizationId, 'read_only')
  await remembered(caller)
  const create = requestOf('createAccount', caller.token, { body: { name: 'A' } })
  await expectBoth(create, 403)
  for (const [role, invited, status] of [
    ['admin', 'admin', 201],
    ['admin', 'owner', 403],
    ['owner', 'owner', 201],
    ['admin', 'owner', 403],
  ] as [Role, Role, number][]) {
    await must(owner.patch(`${users}/${caller.userId}`, { role }))
    await expectBoth(create, 201)
    const body = { email: `${role}-${invited}@example.com`, role: invited }
    await expectBoth(requestOf('createInvitation', caller.token, { body }), status)
  }
})

test('a team that was joined or left counts at once', async () => {
  const owner = await harness.newOrganization()
  const caller = await harness.newUser(owner.organizationId, 'member')
  const mate = await harness.newUser(owner.organizationId, 'member')
  const teamId = await harness.newTeam(owner.organizationId, [mate])
  const { id } = (await must(owner.post('/api/v1/accounts', { name: 'A', ownerId: mate.userId, teamId }))).json<{
    id: string
  }>()
  await remembered(caller)
  const get = requestOf('getAccount', caller.token, { pathId: id })
  const change = async (text: string) => {
    await harness.sql.query(text, [owner.organizationId, caller.userId, teamId])
    await harness.sql.query('update crm_memberships set version = version + 1 where user_id = $1', [caller.userId])
  }
  await expectBoth(get, 404)
  await change('insert into crm_team_members (organization_id, user_id, team_id) values ($1, $2, $3)')
  await expectBoth(get, 200)
  await change('delete from crm_team_members where organization_id = $1 and user_id = $2 and team_id = $3')
  await expectBoth(get, 404)
})

test('a deactivated user is out, and comes back only by signing in', async () => {
  const owner = await harness.newOrganization()
  const caller = await harness.newUser(owner.organizationId, 'member')
  await remembered(caller)
  await must(owner.post(`${users}/${caller.userId}/deactivate`))
  await expectBoth(me(caller), 401)
  await must(owner.post(`${users}/${caller.userId}/reactivate`))
  await expectBoth(me(caller), 401)
})

test('who logs out ends this session and no other', async () => {
  const owner = await harness.newOrganization()
  await remembered(owner)
  const { sessionId } = owner
  await harness.sql.query(
    `insert into crm_sessions (organization_id, id, user_id, created_at, refreshed_at, expires_at)
     select organization_id, gen_random_uuid(), user_id, now(), now(), now() + interval '1 day' from crm_sessions where id = $1`,
    [sessionId],
  )
  expect((await second.inject(requestOf('logout', owner.token))).statusCode).toBe(204)
  await expectBoth(me(owner), 401)
  await expectBoth(requestOf('logout', owner.token), 401)
  const { rows } = await harness.sql.query('select revoked from crm_sessions where user_id = $1 order by revoked', [
    owner.userId,
  ])
  expect(rows).toEqual([{ revoked: false }, { revoked: true }])
})

test('rights that change under a running request are those of its start or of its end, never an error', async () => {
  const owner = await harness.newOrganization()
  const caller = await harness.newUser(owner.organizationId, 'member')
  await remembered(caller)
  let running = true
  const flapping = (async () => {
    for (let round = 0; running; round++) {
      await must(owner.patch(`${users}/${caller.userId}`, { role: round % 2 ? 'member' : 'admin' }))
    }
  })()
  const statuses = new Set<number>()
  for (let round = 0; round < 60; round++) {
    for (const reply of await onBoth(requestOf('createAccount', caller.token, { body: { name: `A${round}` } }))) {
      statuses.add(reply.statusCode)
    }
  }
  running = false
  await flapping
  statuses.delete(503)
  expect([...statuses]).toEqual([201])
})
