import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { operations } from '../../../generated/operations.js'
import { type Row, refused, rowsOf, unchanged } from '../../testing/case.js'
import { type Caller, createHarness, type Harness } from '../../testing/harness.js'

const { path } = operations.listSegments
const accounts = operations.listAccounts.path

let harness: Harness
let owner: Caller
let member: Caller
let world: { harness: Harness; owner: Caller }
beforeAll(async () => {
  harness = await createHarness()
  owner = await harness.newOrganization()
  member = await harness.newUser(owner.organizationId, 'member')
  world = { harness, owner }
})
afterAll(() => harness.close())

type Stored = Row & { id: string }
type Faults = { errors: { pointer: string; code: string }[] }

async function create(caller: Caller, url: string, body: Row): Promise<Stored> {
  const reply = await caller.post(url, body)
  expect(reply.statusCode, reply.payload).toBe(201)
  return reply.json()
}

const newAccount = (caller = owner) => create(caller, accounts, { name: 'Member' })
const newSegment = (caller: Caller, more: Row = {}) =>
  create(caller, path, { object: 'account', kind: 'static', name: 'Some', ...more })
const membersOf = async (segment: Stored, caller = owner) =>
  (await caller.get(`${path}/${segment.id}/accounts`)).json<{ data: Stored[] }>().data.map(({ id }) => id)

async function faultsOf(send: () => ReturnType<Caller['get']>): Promise<[string, string][]> {
  const reply = await refused(world, 'invalid_request', send)
  return reply.json<Faults>().errors.map(({ pointer, code }) => [pointer, code])
}

describe('members', () => {
  it('must be records of the kind that the caller may see, or nothing changes', async () => {
    const segment = await newSegment(member)
    const url = `${path}/${segment.id}/members`
    const [own, hidden, deleted] = [await newAccount(member), await newAccount(), await newAccount(member)]
    const contact = await create(member, operations.listContacts.path, { lastName: 'Lovelace' })
    const stranger = await newAccount(await harness.newOrganization())
    await member.post(url, { add: [deleted.id] })
    await member.delete(`${accounts}/${deleted.id}`)
    const missing = [hidden.id, contact.id, stranger.id, randomUUID()]
    const missingAt = (list: string, from: number) =>
      missing.map((_, index) => [`/${list}/${index + from}`, 'missing_reference'])
    const add = [own.id, ...missing, deleted.id]
    expect(await faultsOf(() => member.post(url, { add }))).toEqual([
      ...missingAt('add', 1),
      [`/add/${add.length - 1}`, 'missing_reference'],
    ])
    expect(await faultsOf(() => member.post(url, { remove: [own.id, ...missing] }))).toEqual(missingAt('remove', 1))
    expect(await faultsOf(() => member.post(url, { add: [own.id], remove: [own.id] }))).toEqual([
      ['/remove/0', 'repeated'],
    ])
    expect((await member.post(url, { add: [own.id], remove: [deleted.id] })).json()).toEqual({ added: 1, removed: 1 })
    expect(await membersOf(segment)).toEqual([own.id])
  })

  it('are shown to those only who may read them', async () => {
    const segment = await newSegment(owner)
    const [own, hidden] = [await newAccount(member), await newAccount()]
    await owner.post(`${path}/${segment.id}/members`, { add: [own.id, hidden.id] })
    expect(await membersOf(segment)).toEqual([hidden.id, own.id])
    expect(await membersOf(segment, member)).toEqual([own.id])
  })

  it('leave every segment when they are purged, and only then', async () => {
    const segment = await newSegment(owner)
    const [gone, kept] = [await newAccount(), await newAccount()]
    await owner.post(`${path}/${segment.id}/members`, { add: [gone.id, kept.id] })
    const rows = async () =>
      (await rowsOf(world, 'crm_segment_members t where segment_id = $1', segment.id)).map((row) => row.record_id)
    await owner.delete(`${accounts}/${gone.id}`)
    expect(await membersOf(segment)).toEqual([kept.id])
    expect(await rows()).toHaveLength(2)
    await unchanged(world, () => owner.post(`${accounts}/${gone.id}/purge?dryRun=true`))
    expect((await owner.post(`${accounts}/${gone.id}/purge`)).statusCode).toBe(200)
    expect(await rows()).toEqual([kept.id])
  })

  it('of the segments of others are changed by those only who manage all', async () => {
    const segment = await newSegment(owner)
    const { id } = await newAccount(member)
    const url = `${path}/${segment.id}`
    await refused(world, 'forbidden', () => member.post(`${url}/members`, { add: [id] }))
    await refused(world, 'forbidden', () => member.patch(url, { object: 'account', name: 'Mine' }))
    await refused(world, 'forbidden', () => member.delete(url))
    const manager = await harness.newUser(owner.organizationId, 'manager')
    expect((await manager.post(`${url}/members`, { add: [id] })).json()).toEqual({ added: 1, removed: 0 })
  })

  it('that come in at the same time are there once', async () => {
    const segment = await newSegment(owner)
    const ids = (await Promise.all(Array.from({ length: 5 }, () => newAccount()))).map(({ id }) => id)
    const send = () => owner.post(`${path}/${segment.id}/members`, { add: ids })
    const replies = await Promise.all([send(), send(), send()])
    expect(replies.map((reply) => reply.json<{ added: number }>().added).sort()).toEqual([0, 0, 5])
    expect((await membersOf(segment)).sort()).toEqual([...ids].sort())
  })
})

describe('filters', () => {
  it.each([
    [{ kind: 'static', filter: { field: 'name', op: 'eq', value: 'x' } }, '/filter', 'not_of_kind'],
    [{ kind: 'dynamic', filter: { field: 'name', op: 'lt', value: 'x' } }, '/filter/op', 'enum'],
    [
      { kind: 'dynamic', filter: { field: 'ownerId', op: 'eq', value: randomUUID() } },
      '/filter/value',
      'missing_reference',
    ],
    [{ kind: 'nonsense' }, '/kind', 'enum'],
  ])('are held to what a query is held to: %j', async (more, pointer, code) => {
    const body = { object: 'account', name: 'Some', ...more }
    expect(await faultsOf(() => owner.post(path, body))).toEqual([[pointer, code]])
  })

  it('stay with the kind of the segment', async () => {
    const filter = { field: 'name', op: 'eq', value: 'x' }
    const url = `${path}/${(await newSegment(owner)).id}`
    expect(await faultsOf(() => owner.patch(url, { object: 'account', filter }))).toEqual([['/filter', 'not_of_kind']])
    expect(await faultsOf(() => owner.patch(url, { object: 'lead' }))).toEqual([['/object', 'object_mismatch']])
    expect(await faultsOf(() => owner.patch(url, { object: 'account', kind: 'dynamic' }))).toEqual([
      ['/kind', 'additional_properties'],
    ])
  })
})
