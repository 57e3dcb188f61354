import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { operations, type Role } from '../../../generated/operations.js'
import { type Row, refused, unchanged } from '../../testing/case.js'
import { type Caller, createHarness, type Harness } from '../../testing/harness.js'

const { path } = operations.listViews

let harness: Harness
let owner: Caller
let world: { harness: Harness; owner: Caller }
beforeAll(async () => {
  harness = await createHarness()
  owner = await harness.newOrganization()
  world = { harness, owner }
})
afterAll(() => harness.close())

type View = Row & { id: string }
type Faults = { errors: { pointer: string; code: string }[] }

async function save(caller: Caller, more: Row = {}): Promise<View> {
  const reply = await caller.post(path, { object: 'account', name: 'Some', ...more })
  expect(reply.statusCode, reply.payload).toBe(201)
  return reply.json()
}

/** The fault of a request that is refused and changes nothing. */
async function faultOf(send: () => ReturnType<Caller['get']>): Promise<[string, string]> {
  const reply = await refused(world, 'invalid_request', send)
  const [{ pointer, code } = { pointer: '', code: '' }] = reply.json<Faults>().errors
  return [pointer, code]
}

describe('sharing', () => {
  let team: string
  let mate: Caller
  let manager: Caller
  let admin: Caller
  let stranger: Caller
  beforeAll(async () => {
    const newUser = (role: Role) => harness.newUser(owner.organizationId, role)
    ;[mate, manager, admin, stranger] = [
      await newUser('member'),
      await newUser('manager'),
      await newUser('admin'),
      await newUser('member'),
    ]
    team = await harness.newTeam(owner.organizationId, [mate, manager])
  })

  const who = () => ({ mate, manager, admin, stranger })

  it.each([
    ['private', { mate: [200, 200], manager: [404, 404], admin: [404, 404], stranger: [404, 404] }],
    ['team', { mate: [200, 200], manager: [200, 200], admin: [200, 200], stranger: [404, 404] }],
    ['organization', { mate: [200, 200], manager: [200, 403], admin: [200, 200], stranger: [200, 403] }],
  ] as const)('a %s view of a member: who reads it, and who changes it', async (sharing, expected) => {
    const view = await save(mate, sharing === 'team' ? { sharing, teamId: team } : {})
    const url = `${path}/${view.id}`
    if (sharing === 'organization')
      await harness.sql.query(`update crm_views set sharing = $2 where id = $1`, [view.id, sharing])
    for (const [name, caller] of Object.entries(who())) {
      const [read, change] = expected[name as keyof typeof expected]
      expect((await caller.get(url)).statusCode, name).toBe(read)
      const listed = (await caller.get(`${path}?limit=200`)).json<{ data: View[] }>().data
      expect(
        listed.some(({ id }) => id === view.id),
        name,
      ).toBe(read === 200)
      expect((await caller.get(`${url}/accounts`)).statusCode, name).toBe(read)
      const patch = { object: 'account', name: `By ${name}` }
      const send = () => caller.patch(url, patch)
      const reply = change === 200 ? await send() : await unchanged(world, send)
      expect(reply.statusCode, name).toBe(change)
      if (change !== 200) {
        const gone = await unchanged(world, () => caller.delete(url))
        expect(gone.statusCode, name).toBe(change)
      }
    }
    const last = sharing === 'private' ? mate : admin
    expect((await last.delete(url)).statusCode).toBe(204)
  })

  it('only who manages all views shares with the organization, and members share with teams of theirs only', async () => {
    const elsewhere = await harness.newTeam(owner.organizationId, [stranger])
    const body = { object: 'account', name: 'Shared' }
    for (const caller of [mate, manager]) {
      await refused(world, 'forbidden', () => caller.post(path, { ...body, sharing: 'organization' }))
      for (const teamId of [elsewhere, randomUUID()]) {
        const fault = await faultOf(() => caller.post(path, { ...body, sharing: 'team', teamId }))
        expect(fault).toEqual(['/teamId', 'missing_reference'])
      }
      const { id } = await save(caller)
      await refused(world, 'forbidden', () =>
        caller.patch(`${path}/${id}`, { object: 'account', sharing: 'organization' }),
      )
    }
    expect(await save(admin, { sharing: 'team', teamId: elsewhere })).toMatchObject({ teamId: elsewhere })
    expect(await save(admin, { sharing: 'organization' })).toMatchObject({ sharing: 'organization', teamId: null })
  })

  it('a team goes with sharing with a team, and only with that', async () => {
    const body = { object: 'account', name: 'Shared' }
    expect(await faultOf(() => mate.post(path, { ...body, sharing: 'team' }))).toEqual(['/teamId', 'team_required'])
    const both = { ...body, sharing: 'private', teamId: team }
    expect(await faultOf(() => mate.post(path, both))).toEqual(['/teamId', 'not_of_sharing'])
    expect(await save(mate, { teamId: team })).toMatchObject({ sharing: 'team', teamId: team })
    const view = await save(mate, { sharing: 'team', teamId: team })
    const url = `${path}/${view.id}`
    const clear = { object: 'account', teamId: null }
    expect(await faultOf(() => mate.patch(url, clear))).toEqual(['/teamId', 'team_required'])
    const moved = await mate.patch(`${path}/${(await save(mate)).id}`, { object: 'account', teamId: team })
    expect(moved.json()).toMatchObject({ sharing: 'team', teamId: team })
    const back = await mate.patch(url, { object: 'account', sharing: 'private' })
    expect(back.json()).toMatchObject({ sharing: 'private', teamId: null })
    expect((await manager.get(url)).statusCode).toBe(404)
  })

  it('a shared view shows a member no record, and no total, beyond what they may read', async () => {
    const { path: accounts } = operations.createAccount
    const name = randomUUID()
    const theirs = (await owner.post(accounts, { name })).json<{ id: string }>()
    const own = (await mate.post(accounts, { name })).json<{ id: string }>()
    const filter = { or: [{ field: 'name', op: 'eq', value: name }, { not: { field: 'name', op: 'ne', value: name } }] }
    const view = await save(admin, { sharing: 'organization', filter })
    const shown = async (caller: Caller) => {
      const reply = (await caller.get(`${path}/${view.id}/accounts?count=exact`)).json<{
        data: { id: string }[]
        page: { total: number }
      }>()
      return [reply.data.map(({ id }) => id), reply.page.total]
    }
    expect(await shown(mate)).toEqual([[own.id], 1])
    expect(await shown(owner)).toEqual([[own.id, theirs.id], 2])
  })

  it('a filter by a record that its viewer cannot see is refused like one by a record that is gone', async () => {
    const { path: accounts } = operations.createAccount
    const parent = (await owner.post(accounts, { name: 'Parent' })).json<{ id: string }>()
    const own = (await mate.post(accounts, { name: 'Child' })).json<{ id: string }>()
    await owner.patch(`${accounts}/${own.id}`, { parentAccountId: parent.id })
    const filter = { field: 'parentAccountId', op: 'eq', value: parent.id }
    const view = await save(admin, { sharing: 'organization', filter })
    const run = () => mate.get(`${path}/${view.id}/accounts`, { 'x-request-id': 'same' })
    const hidden = await refused(world, 'view_not_applicable', run)
    expect(hidden.json<Faults>().errors).toMatchObject([{ pointer: '/filter/value', code: 'missing_reference' }])
    expect((await owner.get(`${path}/${view.id}/accounts`)).json()).toMatchObject({ data: [{ id: own.id }] })
    await owner.delete(`${accounts}/${parent.id}`)
    const gone = await refused(world, 'view_not_applicable', run)
    expect(gone.payload).toBe(hidden.payload)
    expect((await owner.get(`${path}/${view.id}/accounts`)).json()).toMatchObject({ code: 'view_not_applicable' })
  })
})

describe('what is saved', () => {
  const body = { object: 'account', name: 'Some' }
  const nested = (depth: number): object =>
    depth === 1 ? { field: 'name', op: 'eq', value: 'x' } : { not: nested(depth - 1) }

  it.each([
    [{ field: 'nonsense', op: 'eq', value: 'x' }, '/filter/field', 'enum'],
    [{ field: 'name', op: 'lt', value: 'x' }, '/filter/op', 'enum'],
    [{ and: [{ field: 'name', op: 'eq', value: 1 }] }, '/filter/and/0/value', 'type'],
    [{ field: 'score', op: 'eq', value: 1 }, '/filter/field', 'enum'],
    [nested(6), '/filter/not/not/not/not/not', 'max_depth'],
    [
      { field: 'annualRevenue', op: 'eq', value: { amount: '1.234', currency: 'EUR' } },
      '/filter/value/amount',
      'decimals',
    ],
    [{ field: 'ownerId', op: 'in', value: [randomUUID()] }, '/filter/value/0', 'missing_reference'],
    [[], '/filter', 'type'],
  ])('a filter is held to what a query is held to: %j', async (filter, pointer, code) => {
    expect(await faultOf(() => owner.post(path, { ...body, filter }))).toEqual([pointer, code])
    const { id } = await save(owner)
    expect(await faultOf(() => owner.patch(`${path}/${id}`, { object: 'account', filter }))).toEqual([pointer, code])
  })

  it.each([
    [{ columns: ['name', 'nonsense'] }, '/columns/1', 'unknown_field'],
    [{ columns: ['constructor'] }, '/columns/0', 'unknown_field'],
    [{ columns: ['name.first'] }, '/columns/0', 'unknown_field'],
    [{ columns: ['parentAccount.nonsense'] }, '/columns/0', 'unknown_field'],
    [{ columns: ['name', 'name'] }, '/columns', 'unique_items'],
    [{ sort: ['amount'] }, '/sort/0', 'enum'],
    [{ object: 'nonsense' }, '/object', 'discriminator'],
    [{ object: 'contact', filter: { field: 'industry', op: 'eq', value: 'x' } }, '/filter/field', 'enum'],
  ])('columns and order are about fields of the record: %j', async (more, pointer, code) => {
    expect(await faultOf(() => owner.post(path, { ...body, ...more }))).toEqual([pointer, code])
  })

  it('a view stays of its kind, and a new filter takes the place of the old one', async () => {
    const { id } = await save(owner, { filter: { and: [{ field: 'name', op: 'eq', value: 'x' }] } })
    const url = `${path}/${id}`
    expect(await faultOf(() => owner.patch(url, { object: 'lead', name: 'L' }))).toEqual(['/object', 'object_mismatch'])
    const filter = { not: { field: 'name', op: 'eq', value: 'x' } }
    expect((await owner.patch(url, { object: 'account', filter })).json()).toMatchObject({ filter })
  })

  it('a view that was saved under another contract is refused when it is run, and can be read and mended', async () => {
    const { id } = await save(owner, { filter: { field: 'name', op: 'eq', value: 'x' } })
    const url = `${path}/${id}`
    for (const [column, value, pointer] of [
      ['filter', { field: 'nonsense', op: 'eq', value: 1 }, '/filter'],
      ['sort', ['nonsense'], '/sort/0'],
    ] as const) {
      await harness.sql.query(`update crm_views set ${column} = $2 where id = $1`, [id, JSON.stringify(value)])
      const reply = await refused(world, 'view_not_applicable', () => owner.get(`${url}/accounts`))
      expect(reply.json()).toMatchObject({ status: 409, errors: [{ pointer, code: 'unknown_field' }] })
    }
    const patch = { object: 'account', filter: null, sort: ['name'] }
    expect((await owner.patch(url, patch)).json()).toMatchObject({ filter: null, sort: ['name'] })
    expect((await owner.get(`${url}/accounts`)).statusCode).toBe(200)
  })

  it('a cursor ends when the view is changed', async () => {
    const { path: accounts } = operations.createAccount
    for (const name of ['A', 'B']) await owner.post(accounts, { name })
    const { id } = await save(owner, { filter: { field: 'name', op: 'in', value: ['A', 'B'] } })
    const url = `${path}/${id}/accounts`
    const { nextCursor } = (await owner.get(`${url}?limit=1`)).json<{ page: { nextCursor: string } }>().page
    await owner.patch(`${path}/${id}`, { object: 'account', filter: { field: 'name', op: 'in', value: ['A', 'C'] } })
    expect(await faultOf(() => owner.get(`${url}?cursor=${nextCursor}`))).toEqual(['/query/cursor', 'cursor'])
  })
})
