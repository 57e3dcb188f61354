import { randomUUID } from 'node:crypto'
import type { LightMyRequestResponse } from 'fastify'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type OperationFacts, operations } from '../../generated/operations.js'
import { must, newTarget, newVariation, requestOf } from '../testing/access-world.js'
import { contentsOf, unchanged } from '../testing/case.js'
import { operationIds } from '../testing/examples.js'
import { type Caller, createHarness, type Harness } from '../testing/harness.js'

const { path } = operations.createAccount

let harness: Harness
let owner: Caller
beforeAll(async () => {
  harness = await createHarness()
})
beforeEach(async () => {
  owner = await harness.newOrganization()
})
afterAll(() => harness.close())

const post = (key: string, body: unknown, caller = owner) => caller.post(path, body, { 'idempotency-key': key })

async function count(table: string): Promise<number> {
  const { rowCount } = await harness.sql.query(`select from ${table} where organization_id = $1`, [
    owner.organizationId,
  ])
  return rowCount ?? 0
}

/** What may differ between a reply and its replay: the id of the request and the marker. */
function comparable({ statusCode, headers, payload }: LightMyRequestResponse): unknown {
  const { date: _, 'x-request-id': __, 'idempotency-replayed': ___, ...rest } = headers
  return { statusCode, headers: rest, payload }
}

async function expectReplay(reply: LightMyRequestResponse, first: LightMyRequestResponse): Promise<void> {
  expect(reply.headers['idempotency-replayed']).toBe('true')
  expect(first.headers).not.toHaveProperty('idempotency-replayed')
  expect(comparable(reply)).toEqual(comparable(first))
}

describe('every operation that takes a key', () => {
  test.each(operationIds.filter((id) => operations[id].idempotent))(
    '%s happens once, and the replay is the same byte for byte',
    async (id) => {
      const request = requestOf(id, owner.token, {
        ...(await newVariation(harness, owner, id)),
        headers: { 'idempotency-key': 'a-key' },
      })
      const first = await must(harness.send(request))
      const second = await unchanged({ harness, owner }, () => harness.send(request))
      await expectReplay(second, first)
      const third = await unchanged({ harness, owner }, () =>
        harness.send({ ...request, headers: { ...request.headers, 'x-request-id': 'another' } }),
      )
      await expectReplay(third, first)
      expect(third.headers['x-request-id']).toBe('another')
    },
  )

  test('are all that create something, but for those that nobody is signed in for', () => {
    const facts = operationIds.map((id): OperationFacts & { id: string } => ({ id, ...operations[id] }))
    // Whoever may read may query: that changes nothing.
    const changing = facts.filter(({ method, permission }) => method === 'POST' && !permission?.endsWith(':read'))
    const without = changing.filter(({ idempotent, public: open }) => !idempotent && !open)
    expect(without.map(({ id }) => id).sort()).toEqual(['changePassword', 'logout'])
  })
})

test('of fifty at once one has its effect, the others are told to wait or get its reply', async () => {
  const replies = await Promise.all(Array.from({ length: 50 }, () => post('race', { name: 'Once' })))
  const created = replies.filter(({ statusCode }) => statusCode === 201)
  const busy = replies.filter(({ statusCode }) => statusCode === 409)
  expect(created.length + busy.length).toBe(50)
  expect(created.filter(({ headers }) => headers['idempotency-replayed'] === undefined)).toHaveLength(1)
  expect(new Set(created.map(({ payload }) => payload)).size).toBe(1)
  for (const reply of busy) expect(reply.json()).toMatchObject({ code: 'idempotency_key_in_use' })
  expect(await count('crm_accounts')).toBe(1)
  expect(await count('crm_events')).toBe(1)
  expect(await count('crm_idempotency_keys')).toBe(1)
  // Once it is done nobody has to wait any more.
  const retries = await Promise.all(Array.from({ length: 20 }, () => post('race', { name: 'Once' })))
  for (const reply of retries) expect(reply.headers['idempotency-replayed']).toBe('true')
})

test('while the first one runs the others are told to wait', async () => {
  const blocker = await harness.sql.connect()
  try {
    await blocker.query('begin')
    await blocker.query('lock table crm_accounts in share mode')
    let answered = 0
    const replies = Array.from({ length: 50 }, async () => {
      const reply = await post('held', { name: 'Once' })
      answered += 1
      return reply.statusCode
    })
    while (answered < 49) await new Promise((resolve) => setTimeout(resolve, 5))
    await blocker.query('commit')
    expect((await Promise.all(replies)).sort()).toEqual([201, ...Array.from({ length: 49 }, () => 409)])
  } finally {
    blocker.release()
  }
  expect(await count('crm_accounts')).toBe(1)
})

test('another request with the same key is refused', async () => {
  await must(post('key', { name: 'A' }))
  const { path: leads } = operations.createLead
  await unchanged({ harness, owner }, async () => {
    for (const send of [
      () => post('key', { name: 'B' }),
      () => post('key', { name: 'A', tags: [] }),
      () => owner.post(leads, { lastName: 'A' }, { 'idempotency-key': 'key' }),
    ]) {
      const reply = await send()
      expect(reply.statusCode).toBe(422)
      expect(reply.json()).toMatchObject({ code: 'idempotency_key_reused' })
    }
    expect((await owner.post(leads, { name: 'A' }, { 'idempotency-key': 'key' })).statusCode).toBe(400)
  })
})

test('the target of the request belongs to it, too', async () => {
  const targets = [await newTarget(harness, owner, 'restoreAccount'), await newTarget(harness, owner, 'restoreAccount')]
  const restore = (id: string | undefined) =>
    owner.post(`${path}/${id}/restore`, undefined, { 'idempotency-key': 'key' })
  expect((await restore(targets[0])).statusCode).toBe(200)
  expect((await restore(targets[1])).statusCode).toBe(422)
})

test('a key is bound to its user and tenant', async () => {
  const colleague = await harness.newUser(owner.organizationId, 'admin')
  const stranger = await harness.newOrganization()
  const body = { name: 'Same' }
  const replies = [
    await post('shared', body),
    await post('shared', body, colleague),
    await post('shared', body, stranger),
  ]
  for (const reply of replies) {
    expect(reply.statusCode).toBe(201)
    expect(reply.headers).not.toHaveProperty('idempotency-replayed')
  }
  expect(new Set(replies.map((reply) => reply.json<{ id: string }>().id)).size).toBe(3)
})

test('another session of the same user gets the replay', async () => {
  const first = await must(post('key', { name: 'A' }))
  const sessionId = randomUUID()
  await harness.sql.query(
    `insert into crm_sessions (organization_id, id, user_id, created_at, refreshed_at, expires_at) values ($1, $2, $3, now(), now(), now() + interval '1 day')`,
    [owner.organizationId, sessionId, owner.userId],
  )
  const { kid, key } = await harness.resources.keys.signing()
  const { organizationId, userId } = owner
  const token = harness.app.jwt.sign({ organizationId, userId, sessionId }, { key, kid })
  const second = await harness.send(
    requestOf('createAccount', token, { body: { name: 'A' }, headers: { 'idempotency-key': 'key' } }),
  )
  await expectReplay(second, first)
})

test('who has lost the right to ask does not get the replay either', async () => {
  const member = await harness.newUser(owner.organizationId, 'member')
  await must(post('key', { name: 'A' }, member))
  await must(owner.patch(`${operations.listUsers.path}/${member.userId}`, { role: 'read_only' }))
  expect((await post('key', { name: 'A' }, member)).statusCode).toBe(403)
})

test('a request that was refused can be sent again, mended or not', async () => {
  await must(owner.post(path, { name: 'First', domain: 'taken.example' }))
  const conflict = await unchanged({ harness, owner }, () => post('key', { name: 'Second', domain: 'taken.example' }))
  expect(conflict.statusCode).toBe(409)
  const missing = await unchanged({ harness, owner }, () =>
    post('key', { name: 'Second', parentAccountId: randomUUID() }),
  )
  expect(missing.statusCode).toBe(400)
  expect((await unchanged({ harness, owner }, () => post('key', { name: 5 }))).statusCode).toBe(400)
  const created = await post('key', { name: 'Second', domain: 'free.example' })
  expect(created.statusCode).toBe(201)
  expect(created.headers).not.toHaveProperty('idempotency-replayed')
})

test('a quoted string and a bare token are the same key', async () => {
  const first = await must(post('abc', { name: 'A' }))
  await expectReplay(await post('"abc"', { name: 'A' }), first)
})

test('after 24 hours a key is a new one', async () => {
  await must(post('key', { name: 'A' }))
  await harness.sql.query(`update crm_idempotency_keys set created_at = created_at - interval '23 hours 59 minutes'`)
  expect((await post('key', { name: 'B' })).statusCode).toBe(422)
  await harness.sql.query(`update crm_idempotency_keys set created_at = created_at - interval '2 minutes'`)
  const again = await post('key', { name: 'B' })
  expect(again.statusCode).toBe(201)
  expect(again.headers).not.toHaveProperty('idempotency-replayed')
  expect((await post('key', { name: 'A' })).statusCode).toBe(422)
})

describe('when it goes wrong between the effect and its end', () => {
  /** Does something to whoever stores a reply. */
  async function whenStoring(act: string, run: () => Promise<void>): Promise<void> {
    await harness.sql.query(`
      create function public.interfere() returns trigger language plpgsql security definer as $$ begin ${act}; return new; end $$;
      create trigger interfere before insert on crm_idempotency_keys for each row execute function interfere()`)
    try {
      await run()
    } finally {
      await harness.sql.query('drop trigger interfere on crm_idempotency_keys; drop function public.interfere()')
    }
  }

  test.each([
    ['an error', `raise exception 'on purpose'`, 500],
    ['a connection that dies', 'perform pg_terminate_backend(pg_backend_pid()); perform pg_sleep(5)', 503],
    ['a server that gives up', `raise exception using errcode = '57P01'`, 503],
  ])('%s leaves nothing, and the key is free', async (_name, act, status) => {
    const before = await contentsOf({ harness, owner })
    const body = { name: 'A', domain: 'once.example' }
    await whenStoring(act, async () => {
      expect((await post('key', body)).statusCode).toBe(status)
    })
    expect(await contentsOf({ harness, owner })).toEqual(before)
    const retried = await post('key', body)
    expect(retried.statusCode).toBe(201)
    expect(retried.headers).not.toHaveProperty('idempotency-replayed')
    expect(await count('crm_accounts')).toBe(1)
    expect(await count('crm_events')).toBe(1)
  })

  test('a reply that got lost on its way is there for the retry', async () => {
    const body = { name: 'A' }
    const key = randomUUID()
    const first = await must(post(key, body))
    for (let attempt = 0; attempt < 3; attempt++) await expectReplay(await post(key, body), first)
    expect(await count('crm_accounts')).toBe(1)
  })
})
