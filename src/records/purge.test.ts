import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { operations, type Permission, rolePermissions } from '../../generated/operations.js'
import type { components } from '../../generated/types.js'
import { type Caller, createHarness, type Harness } from '../testing/harness.js'

type Stored = Record<string, unknown> & { id: string; version: number }
type Problem = components['schemas']['Problem']
type Page<Item> = { data: Item[]; page: { nextCursor: string | null; hasMore: boolean } }

const accounts = operations.listAccounts.path
const contacts = operations.listContacts.path
const leads = operations.listLeads.path
const opportunities = operations.listOpportunities.path
const bin = operations.listDeletedAccounts.path

let harness: Harness
let owner: Caller
beforeAll(async () => {
  harness = await createHarness()
})
beforeEach(async () => {
  owner = await harness.newOrganization()
})
afterAll(() => harness.close())

async function create(path: string, body: object, caller = owner): Promise<Stored> {
  const reply = await caller.post(path, body)
  expect(reply.statusCode, reply.payload).toBe(201)
  return reply.json()
}

async function remove(path: string, { id }: Stored): Promise<void> {
  expect((await owner.delete(`${path}/${id}`)).statusCode).toBe(204)
}

const purge = (path: string, { id }: { id: string }, caller = owner) => caller.post(`${path}/${id}/purge`)

describe('the recycle bin', () => {
  test('each sees what they may restore', async () => {
    const { organizationId } = owner
    const member = await harness.newUser(organizationId, 'member')
    const mate = await harness.newUser(organizationId, 'member')
    const manager = await harness.newUser(organizationId, 'manager')
    const reader = await harness.newUser(organizationId, 'read_only')
    const teamId = await harness.newTeam(organizationId, [member, mate, manager])
    const records = {
      own: await create(accounts, { name: 'Own', ownerId: member.userId, teamId }),
      mates: await create(accounts, { name: 'Of a mate', ownerId: mate.userId, teamId }),
      strangers: await create(accounts, { name: 'Of a stranger' }),
    }
    for (const record of Object.values(records)) {
      await remove(accounts, record)
      harness.advance(1_000)
    }
    const seen = async (caller: Caller, query = '') =>
      (await caller.get(`${bin}${query}`)).json<Page<{ name: string }>>().data.map(({ name }) => name)
    expect(await seen(owner)).toEqual(['Of a stranger', 'Of a mate', 'Own'])
    expect(await seen(owner, `?ownerId=${mate.userId}`)).toEqual(['Of a mate'])
    expect(await seen(manager)).toEqual(['Of a mate', 'Own'])
    expect(await seen(member)).toEqual(['Own'])
    expect((await reader.get(bin)).statusCode).toBe(403)
    expect((await member.post(`${accounts}/${records.mates.id}/restore`)).statusCode).toBe(403)
    expect((await member.post(`${accounts}/${records.own.id}/restore`)).statusCode).toBe(200)
  })

  test('its pages show everything that stays there once, while records come and go', async () => {
    const records: Stored[] = []
    for (let index = 0; index < 8; index += 1) {
      const record = await create(accounts, { name: `Deleted ${index}` })
      await remove(accounts, record)
      harness.advance(1_000)
      records.push(record)
    }
    const seen: string[] = []
    let url: string | undefined = `${bin}?limit=3`
    while (url) {
      const reply = await owner.get(url)
      seen.push(...reply.json<Page<Stored>>().data.map(({ id }) => id))
      url = /<(.*)>/.exec(String(reply.headers.link ?? ''))?.[1]
      await remove(accounts, await create(accounts, { name: 'Meanwhile' }))
      await owner.post(`${accounts}/${records[7]?.id}/restore`)
    }
    expect(seen).toEqual(records.map(({ id }) => id).reverse())
  })

  test('a record comes back with its references, though they were deleted meanwhile', async () => {
    const account = await create(accounts, { name: 'Gone' })
    const contact = await create(contacts, { lastName: 'Back', accountId: account.id })
    await remove(contacts, contact)
    await remove(accounts, account)
    const restored = await owner.post(`${contacts}/${contact.id}/restore`)
    expect(restored.json()).toMatchObject({ accountId: account.id, deletedAt: null })
    // The reference can stay, be cleared, and not be made anew.
    expect((await owner.patch(`${contacts}/${contact.id}`, { title: 'Engineer' })).statusCode).toBe(200)
    expect((await owner.post(contacts, { lastName: 'New', accountId: account.id })).statusCode).toBe(400)
    expect((await purge(accounts, account)).json()).toMatchObject({
      code: 'still_referenced',
      conflicts: [{ object: 'contact', id: contact.id, matchedOn: ['accountId'] }],
    })
    expect((await owner.patch(`${contacts}/${contact.id}`, { accountId: null })).statusCode).toBe(200)
    expect((await purge(accounts, account)).statusCode).toBe(200)
  })
})

describe('a purge', () => {
  test('leaves no value in the record, nor in its events', async () => {
    const secret = `secret-${randomUUID()}`
    const record = await create(contacts, { lastName: secret, email: `${secret}@example.com` })
    await owner.patch(`${contacts}/${record.id}`, { customFields: { note: secret } })
    await remove(contacts, record)
    expect((await purge(contacts, record)).statusCode).toBe(200)
    for (const table of ['crm_contacts', 'crm_events']) {
      const { rows } = await harness.sql.query(`select to_jsonb(t)::text as row from ${table} t`)
      expect(rows.filter(({ row }) => row.includes(secret))).toEqual([])
    }
  })

  test('is repeated under its key, and then finds nothing', async () => {
    const record = await create(accounts, { name: 'Once' })
    await remove(accounts, record)
    const send = (key: string) => owner.post(`${accounts}/${record.id}/purge`, undefined, { 'idempotency-key': key })
    const first = await send('purge-1')
    const again = await send('purge-1')
    expect(first.statusCode).toBe(200)
    expect(again.payload).toBe(first.payload)
    expect(again.headers['idempotency-replayed']).toBe('true')
    expect((await send('purge-2')).statusCode).toBe(404)
  })

  test('is for owners and admins', async () => {
    for (const role of ['admin', 'manager', 'member', 'read_only'] as const) {
      const caller = await harness.newUser(owner.organizationId, role)
      const record = await create(accounts, { name: 'Whose', ownerId: caller.userId })
      await remove(accounts, record)
      expect((await purge(accounts, record, caller)).statusCode, role).toBe(role === 'admin' ? 200 : 403)
    }
  })

  test('names at most a hundred of those that refer to the record, and none that the caller cannot see', async () => {
    const account = await create(accounts, { name: 'Popular' })
    const colleague = await harness.newUser(owner.organizationId, 'member')
    for (let index = 0; index < 99; index += 1) {
      await create(contacts, { lastName: `Contact ${index}`, accountId: account.id, ownerId: colleague.userId })
    }
    await create(opportunities, { name: 'One', accountId: account.id })
    await create(accounts, { name: 'Child', parentAccountId: account.id })
    await remove(accounts, account)
    const conflicts = async () => {
      const problem = (await purge(accounts, account)).json<Problem>()
      expect(problem.code).toBe('still_referenced')
      return (problem.conflicts ?? []).map(({ object, matchedOn }) => `${object} ${matchedOn}`)
    }
    const all = await conflicts()
    expect(all).toHaveLength(100)
    expect(new Set(all)).toContain('contact accountId')

    const levels: Partial<Record<Permission, unknown>> = rolePermissions.owner
    levels['contacts:read'] = 'own'
    try {
      expect((await conflicts()).sort()).toEqual(['account parentAccountId', 'opportunity accountId'])
    } finally {
      levels['contacts:read'] = 'all'
    }
  })

  test('is not held up by a record that refers to itself', async () => {
    const record = await create(accounts, { name: 'Own parent' })
    expect((await owner.patch(`${accounts}/${record.id}`, { parentAccountId: record.id })).statusCode).toBe(200)
    await remove(accounts, record)
    expect((await purge(accounts, record)).statusCode).toBe(200)
  })

  test('takes a converted lead and what became of it, step by step', async () => {
    const lead = await create(leads, { lastName: 'Hopper', companyName: 'Harbour', email: 'grace@example.com' })
    const converted = await owner.post(`${leads}/${lead.id}/convert`, { opportunity: { name: 'Pilot' } })
    const { account, contact, opportunity } = converted.json<Record<string, { record: Stored }>>()
    const parts = [
      [opportunities, opportunity?.record],
      [contacts, contact?.record],
      [accounts, account?.record],
    ] as const
    await remove(leads, lead)
    for (const [path, record] of parts) if (record) await remove(path, record)
    const refused = await purge(opportunities, { id: String(opportunity?.record.id) })
    expect(refused.json()).toMatchObject({
      code: 'still_referenced',
      conflicts: [{ object: 'lead', id: lead.id, matchedOn: ['convertedOpportunityId'] }],
    })

    const cleared = [{ object: 'opportunity', id: opportunity?.record.id, matchedOn: ['originLeadId'] }]
    const dry = await owner.post(`${leads}/${lead.id}/purge?dryRun=true`)
    expect(dry.json()).toMatchObject({ dryRun: true, cleared })
    expect((await purge(leads, lead)).json()).toMatchObject({ dryRun: false, cleared })
    const history = await owner.get(`${opportunities}/${opportunity?.record.id}/history?field=originLeadId`)
    expect(history.json()).toMatchObject({
      data: [
        { type: 'opportunity.updated', changes: { originLeadId: { from: lead.id, to: null } } },
        { type: 'opportunity.created', changes: { originLeadId: { from: null, to: lead.id } } },
      ],
    })
    for (const [path, record] of parts) {
      expect((await purge(path, { id: String(record?.id) })).statusCode, path).toBe(200)
    }
  })

  test('and a restore at the same time: one of them comes first, and the other one sees it', async () => {
    for (let round = 0; round < 8; round += 1) {
      const record = await create(accounts, { name: `Round ${round}` })
      await remove(accounts, record)
      const [restored, purged] = await Promise.all([
        owner.post(`${accounts}/${record.id}/restore`),
        purge(accounts, record),
      ])
      expect([
        [200, 409],
        [404, 200],
      ]).toContainEqual([restored.statusCode, purged.statusCode])
      const there = (await owner.get(`${accounts}/${record.id}`)).statusCode
      expect(there).toBe(restored.statusCode)
    }
  })
})

describe('events', () => {
  let app: pg.Client
  beforeAll(async () => {
    app = new pg.Client({ connectionString: harness.database.appUrl })
    await app.connect()
  })
  afterAll(() => app.end())

  const update = async (assignment: string, id: string) => {
    await app.query('begin')
    try {
      await app.query(`select set_config('app.organization_id', $1, true)`, [owner.organizationId])
      return (await app.query(`update crm_events set ${assignment} where record_id = $1`, [id])).rowCount
    } finally {
      await app.query('rollback')
    }
  }

  test('can be changed by the role of the application in one way: those of a purged record lose their values', async () => {
    const [live, deleted, purged] = [
      await create(accounts, { name: 'Live' }),
      await create(accounts, { name: 'Deleted' }),
      await create(accounts, { name: 'Purged' }),
    ]
    await remove(accounts, deleted)
    await remove(accounts, purged)
    await purge(accounts, purged)
    for (const { id } of [live, deleted]) {
      for (const assignment of [`changes = '{}'`, 'changes = changes', `changes = '{"name":{"from":1,"to":2}}'`]) {
        await expect(update(assignment, id), assignment).rejects.toThrow('permission denied')
      }
    }
    expect(await update(`changes = '{}'`, purged.id)).toBe(3)
    for (const assignment of [
      `changes = '{"name":{"from":null,"to":"forged"}}'`,
      `changes = 'null'`,
      `changes = '{}', type = 'account.created'`,
      'actor_id = null',
      'occurred_at = now()',
      'record_id = gen_random_uuid()',
    ]) {
      await expect(update(assignment, purged.id), assignment).rejects.toThrow('permission denied')
    }
    await expect(app.query('delete from crm_events')).rejects.toThrow('permission denied')
  })
})
