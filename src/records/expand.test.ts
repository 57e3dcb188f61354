import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Executor } from '../db/database.js'
import { expectProblem, unchanged } from '../testing/case.js'
import { type Caller, createHarness, type Harness } from '../testing/harness.js'

// Levels that no role of the contract has: reading one's own accounts only, and no users.
vi.mock('../../generated/operations.js', async (original) => {
  const module = await original<typeof import('../../generated/operations.js')>()
  const { 'users:read': _, ...narrow } = { ...module.rolePermissions.read_only, 'accounts:read': 'own' }
  return { ...module, rolePermissions: { ...module.rolePermissions, read_only: narrow } }
})

type Json = Record<string, unknown> & { id: string }
type Expanded = Json & { expanded: Record<string, Expanded | null> }

let harness: Harness
let owner: Caller
beforeAll(async () => {
  harness = await createHarness()
})
afterAll(() => harness.close())
beforeEach(async () => {
  owner = await harness.newOrganization()
})
afterEach(() => vi.restoreAllMocks())

async function create(path: string, body: object, caller = owner): Promise<Json> {
  const reply = await caller.post(`/api/v1/${path}`, body)
  expect(reply.statusCode, reply.payload).toBe(201)
  return reply.json()
}

async function read(path: string, caller = owner): Promise<Expanded> {
  const reply = await caller.get(`/api/v1/${path}`)
  expect(reply.statusCode, reply.payload).toBe(200)
  return reply.json()
}

const pageOf = async (path: string, caller = owner) =>
  ((await read(path, caller)) as unknown as { data: Expanded[] }).data

describe('what is expanded', () => {
  it('is what reading it directly shows, in lists, in queries and for one record, and absent unless asked for', async () => {
    const parent = await create('accounts', { name: 'Northwind Group' })
    const account = await create('accounts', { name: 'Northwind Traders', parentAccountId: parent.id, tags: ['vip'] })
    const boss = await create('contacts', { lastName: 'Hopper', accountId: account.id })
    const contact = await create('contacts', { lastName: 'Lovelace', accountId: account.id, reportsToId: boss.id })
    const user = await read(`users/${owner.userId}`)

    const expanded = { account, reportsTo: boss, owner: user }
    const names = Object.keys(expanded)
    const found = { ...contact, expanded }
    expect(await read(`contacts/${contact.id}?expand=${names}`)).toEqual(found)
    expect(await pageOf(`contacts?limit=1&expand=${names}`)).toEqual([found])
    const reply = await owner.post('/api/v1/contacts/query', { limit: 1, expand: names })
    expect(reply.json()).toMatchObject({ data: [found] })
    for (const plain of [await read(`contacts/${contact.id}`), ...(await pageOf('contacts?limit=1'))]) {
      expect(plain).toEqual(contact)
    }
  })

  it('reaches two hops, and a name with a dot brings what is before the dot', async () => {
    const parent = await create('accounts', { name: 'Northwind Group' })
    const account = await create('accounts', { name: 'Northwind Traders', parentAccountId: parent.id })
    const contact = await create('contacts', { lastName: 'Lovelace', accountId: account.id })
    const user = await read(`users/${owner.userId}`)
    const hops = await read(`contacts/${contact.id}?expand=account.owner,account.parentAccount`)
    expect(hops).toEqual({
      ...contact,
      expanded: { account: { ...account, expanded: { owner: user, parentAccount: parent } } },
    })
    // The same account twice: what is asked of one way to it does not show on the other.
    const deal = await create('opportunities', {
      name: 'Deal',
      accountId: account.id,
      primaryContactId: contact.id,
    })
    const { expanded } = await read(`opportunities/${deal.id}?expand=account,primaryContact.account,account.owner`)
    expect(expanded.account).toEqual({ ...account, expanded: { owner: user } })
    expect(expanded.primaryContact).toEqual({ ...contact, expanded: { account } })
  })

  it('knows the stage of a deal and what a lead became', async () => {
    const lead = await create('leads', { lastName: 'Lovelace', companyName: 'Northwind' })
    const converted = await owner.post(`/api/v1/leads/${lead.id}/convert`, { opportunity: { name: 'Deal' } })
    const result = converted.json<Record<'account' | 'contact' | 'opportunity', { record: Json }>>()
    const names = 'convertedAccount,convertedContact,convertedOpportunity'
    const after = await read(`leads/${lead.id}`)
    expect(await pageOf(`leads?expand=${names}`)).toEqual([
      {
        ...after,
        expanded: {
          convertedAccount: result.account.record,
          convertedContact: result.contact.record,
          convertedOpportunity: result.opportunity.record,
        },
      },
    ])
    const { data } = (await read('pipelines')) as unknown as { data: [{ stages: Json[] }] }
    const [deal] = await pageOf('opportunities?expand=stage,originLead')
    expect(deal?.expanded).toEqual({
      stage: data[0].stages.find(({ id }) => id === deal?.stageId),
      originLead: after,
    })
  })

  it('is null where there is nothing, where it was deleted and where the caller may not read it: all look the same', async () => {
    const member = await harness.newUser(owner.organizationId, 'member')
    const mate = await harness.newUser(owner.organizationId, 'member')
    const teamId = await harness.newTeam(owner.organizationId, [member, mate])
    const ours = await create('accounts', { name: 'Ours', teamId, ownerId: mate.userId })
    const theirs = await create('accounts', { name: 'Theirs' })
    const deleted = await create('accounts', { name: 'Deleted', teamId })
    const people: Record<string, string | null> = { ours: ours.id, theirs: theirs.id, deleted: deleted.id, none: null }
    for (const [lastName, accountId] of Object.entries(people))
      await create('contacts', { lastName, accountId, teamId })
    await owner.delete(`/api/v1/accounts/${deleted.id}`)

    const seenBy = async (caller: Caller) =>
      Object.fromEntries(
        (await pageOf('contacts?expand=account', caller)).map(({ lastName, expanded }) => [lastName, expanded]),
      )
    const nothing = { account: null }
    expect(await seenBy(member)).toEqual({ ours: { account: ours }, theirs: nothing, deleted: nothing, none: nothing })
    expect(await seenBy(owner)).toMatchObject({ theirs: { account: theirs }, deleted: nothing })

    const reader = await harness.newUser(owner.organizationId, 'read_only')
    await owner.patch(`/api/v1/accounts/${theirs.id}`, { ownerId: reader.userId })
    const own = await read(`accounts/${theirs.id}`)
    expect(await seenBy(reader)).toEqual({ ours: nothing, theirs: { account: own }, deleted: nothing, none: nothing })
    // Nor does a second hop lead past what the caller may not read.
    const [contact] = await pageOf('contacts?limit=1&expand=owner,account.owner', reader)
    expect(contact?.expanded).toEqual({ owner: null, account: null })
  })

  it('shows a user who was deactivated, as reading the user does', async () => {
    const member = await harness.newUser(owner.organizationId, 'member')
    const account = await create('accounts', { name: 'Orphan', ownerId: member.userId })
    await owner.post(`/api/v1/users/${member.userId}/deactivate`)
    const { expanded } = await read(`accounts/${account.id}?expand=owner`)
    expect(expanded.owner).toEqual(await read(`users/${member.userId}`))
    expect(expanded.owner).toMatchObject({ status: 'deactivated' })
  })
})

describe('names', () => {
  it.each([
    ['unknown', 'boss', 0],
    ['unknown at the second hop', 'account,account.stage', 1],
    ['three hops', 'account.parentAccount.owner', 0],
    ['not of this kind of record', 'owner,stage', 1],
    ['a property', 'accountId', 0],
    ['of the prototype', 'constructor', 0],
    ['nothing', '', 0],
    ['twice', 'owner,owner', undefined],
    ['more than eight', Array.from({ length: 9 }, () => 'owner').join(), undefined],
  ])('%s: refused, and the pointer says where', async (_what, names, index) => {
    const contact = await create('contacts', { lastName: 'Lovelace' })
    const at = index === undefined ? '' : `/${index}`
    await unchanged({ harness, owner }, async () => {
      for (const url of [`/api/v1/contacts?expand=${names}`, `/api/v1/contacts/${contact.id}?expand=${names}`]) {
        const reply = await owner.get(url)
        expectProblem(reply, 'invalid_request')
        expect(reply.json()).toMatchObject({ errors: [{ pointer: `/query/expand${at}` }] })
      }
      const reply = await owner.post('/api/v1/contacts/query', { expand: names.split(',') })
      expectProblem(reply, 'invalid_request')
      expect(reply.json()).toMatchObject({ errors: [{ pointer: `/expand${at}` }] })
    })
  })
})

describe('the number of statements', () => {
  /** What a request sends to the database: the names of the statements, flight by flight. */
  async function flightsOf(send: () => Promise<unknown>): Promise<string[][]> {
    const { database } = harness.resources.services
    const flights: string[][] = []
    const { as } = database
    vi.spyOn(database, 'as').mockImplementation((claim) => {
      const executor = as(claim)
      const all: Executor['all'] = (...bounds) => {
        flights.push(bounds.map(({ name }) => name))
        return executor.all(...bounds)
      }
      return { ...executor, all, run: async (bound) => (await all(bound))[0], transaction: executor.transaction }
    })
    await send()
    vi.restoreAllMocks()
    return flights
  }

  it('is that of relations and hops, for a page of fifty as for one of one', async () => {
    const accounts = await Promise.all(
      Array.from({ length: 25 }, (_, index) => create('accounts', { name: `Account ${index}` })),
    )
    const boss = await create('contacts', { lastName: 'Hopper', accountId: accounts[0]?.id })
    for (let count = 0; count < 50; count += 1) {
      const accountId = accounts[count % accounts.length]?.id
      await create('contacts', { lastName: `Contact ${count}`, accountId, reportsToId: boss.id })
    }
    const names = ['account', 'owner', 'reportsTo', 'account.owner', 'reportsTo.account']
    const first = ['accounts.expand', 'users.expand', 'contacts.expand']
    const second = ['users.expand', 'accounts.expand']
    for (const limit of [1, 50]) {
      const list = await flightsOf(() => pageOf(`contacts?limit=${limit}&expand=${names}`))
      expect(list).toEqual([['contacts.list'], first, second])
      const query = await flightsOf(() => owner.post('/api/v1/contacts/query', { limit, expand: names }))
      expect(query).toEqual([['contacts.query'], first, second])
    }
    const page = await pageOf(`contacts?limit=50&expand=${names}`)
    expect(page).toHaveLength(50)
    for (const { accountId, expanded } of page) expect(expanded.account?.id).toBe(accountId)
  })

  it('is no more than that of the record where no reference leads anywhere', async () => {
    const account = await create('accounts', { name: 'Alone' })
    const get = await flightsOf(() => read(`accounts/${account.id}?expand=parentAccount.owner`))
    expect(get).toEqual([['accounts.get']])
    expect(await flightsOf(() => read(`accounts/${account.id}`))).toEqual([['accounts.get']])
  })
})

describe('the entity tag of a record with expanded ones', () => {
  it('stands for all of them, so that 304 is never wrong, and changes the record when sent back', async () => {
    const account = await create('accounts', { name: 'Northwind Traders' })
    const contact = await create('contacts', { lastName: 'Lovelace', accountId: account.id })
    const url = `/api/v1/contacts/${contact.id}`
    const get = (ifNoneMatch?: string) =>
      owner.get(`${url}?expand=account`, ifNoneMatch ? { 'if-none-match': ifNoneMatch } : {})
    const before = String((await get()).headers.etag)
    expect(before).toMatch(/^"1-[\w-]{22}"$/)
    expect((await get(before)).statusCode).toBe(304)
    expect((await get('"1"')).statusCode).toBe(200)
    expect((await owner.get(url, { 'if-none-match': before })).statusCode).toBe(200)

    await owner.patch(`/api/v1/accounts/${account.id}`, { name: 'Northwind' })
    const after = await get(before)
    expect(after.statusCode).toBe(200)
    expect(after.json()).toMatchObject({ version: 1, expanded: { account: { name: 'Northwind' } } })
    expect(after.headers.etag).not.toBe(before)

    const changed = await owner.patch(url, { title: 'Countess' }, { 'if-match': before })
    expect(changed.headers.etag).toBe('"2"')
    expectProblem(await owner.patch(url, { title: 'Ada' }, { 'if-match': before }), 'version_mismatch')
  })
})
