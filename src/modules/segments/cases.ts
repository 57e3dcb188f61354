import { randomUUID } from 'node:crypto'
import { expect } from 'vitest'
import { operations } from '../../../generated/operations.js'
import type { Cases } from '../../http/contract.js'
import {
  type Case,
  eventsOf,
  type Reply,
  type Row,
  refused,
  rowsOf,
  unchanged,
  type World,
} from '../../testing/case.js'

const { path } = operations.listSegments
const body = {
  object: 'account',
  kind: 'dynamic',
  name: 'Big wholesalers',
  filter: { not: { field: 'numberOfEmployees', op: 'lt', value: 100 } },
}

type Segment = Row & { id: string; name: string }

async function save(caller: World['owner'], more: Row = {}): Promise<Segment> {
  const reply = await caller.post(path, { ...body, ...more })
  expect(reply.statusCode, reply.payload).toBe(201)
  return reply.json()
}

/** A segment of another organization looks like one that never was: the same bytes. */
const missing =
  (send: (world: World, url: string, headers: Record<string, string>) => Promise<Reply>): Case =>
  async (world) => {
    const stranger = { harness: world.harness, owner: await world.harness.newOrganization() }
    const theirs = await save(stranger.owner)
    const replies: Reply[] = []
    for (const id of [randomUUID(), theirs.id]) {
      const attempt = () => refused(world, 'not_found', () => send(world, `${path}/${id}`, { 'x-request-id': 'same' }))
      replies.push(await unchanged(stranger, attempt))
    }
    expect(new Set(replies.map(({ payload }) => payload)).size).toBe(1)
    return replies[0] as Reply
  }

const newAccount = async ({ owner }: World): Promise<string> =>
  (await owner.post(operations.createAccount.path, { name: 'Member' })).json<{ id: string }>().id

const outdated = { 'if-match': '"7"' }

export const cases = {
  listSegments: {
    200: async (world) => {
      const { harness, owner } = world
      await save(await harness.newOrganization())
      const member = await harness.newUser(owner.organizationId, 'member')
      const [second, first] = [await save(owner, { name: 'B' }), await save(owner, { name: 'A' })]
      const lead = await save(member, { object: 'lead', name: 'C', kind: 'static', filter: null })
      const names = async (query: string, caller = owner) =>
        (await caller.get(`${path}?${query}`)).json<{ data: Segment[] }>().data.map(({ name }) => name)
      expect(await names('object=account&sort=-name')).toEqual(['B', 'A'])
      expect(await names('kind=static')).toEqual(['C'])
      expect(await names(`ownerId=${member.userId}`)).toEqual(['C'])
      expect(await names('sort=createdAt', member)).toEqual(['B', 'A', 'C'])
      const page = await unchanged(world, () => owner.get(`${path}?limit=2`))
      expect(page.json()).toEqual({ data: [first, second], page: { nextCursor: expect.any(String), hasMore: true } })
      const { nextCursor } = page.json<{ page: { nextCursor: string } }>().page
      expect((await owner.get(`${path}?cursor=${nextCursor}`)).json<{ data: Segment[] }>().data).toEqual([lead])
      return page
    },
  },
  createSegment: {
    201: async (world) => {
      const { userId, organizationId } = world.owner
      const reply = await world.owner.post(path, body)
      const segment = reply.json<Segment>()
      const by = { type: 'user', id: userId }
      expect(segment).toEqual({
        ...{ ...body, id: segment.id, version: 1, ownerId: userId, description: null },
        ...{ createdAt: expect.any(String), createdBy: by, updatedAt: segment.createdAt, updatedBy: by },
      })
      expect(reply.headers).toMatchObject({ etag: '"1"', location: `${path}/${segment.id}` })
      expect((await world.owner.get(`${path}/${segment.id}`)).json()).toEqual(segment)
      expect(await rowsOf(world, 'crm_segments t where id = $1', segment.id)).toMatchObject([
        { organization_id: organizationId, owner_id: userId, kind: 'dynamic', filter: body.filter },
      ])
      expect(await eventsOf(world, segment.id)).toMatchObject([
        { type: 'segment.created', version: 1, changes: { name: { from: null, to: body.name } } },
      ])
      return reply
    },
    409: async (world) => {
      const { id } = await save(world.owner)
      await world.harness.sql.query(
        `insert into crm_segments select (jsonb_populate_record(v, jsonb_build_object('id', gen_random_uuid()))).*
         from crm_segments v, generate_series(2, 200) where id = $1`,
        [id],
      )
      return refused(world, 'too_many_segments', () => world.owner.post(path, body))
    },
  },
  getSegment: {
    200: async (world) => {
      const segment = await save(world.owner)
      const reply = await unchanged(world, () => world.owner.get(`${path}/${segment.id}`))
      expect(reply.json()).toEqual(segment)
      expect(reply.headers.etag).toBe('"1"')
      return reply
    },
    304: async (world) => {
      const { id } = await save(world.owner)
      const reply = await unchanged(world, () => world.owner.get(`${path}/${id}`, { 'if-none-match': '"1"' }))
      expect(reply.payload).toBe('')
      return reply
    },
    404: missing(({ owner }, url, headers) => owner.get(url, headers)),
  },
  updateSegment: {
    200: async (world) => {
      const segment = await save(world.owner)
      const url = `${path}/${segment.id}`
      const patch = { object: 'account', name: 'All', description: 'Many', filter: { or: [body.filter] } }
      const reply = await world.owner.patch(url, patch, { 'if-match': '"1"' })
      expect(reply.json()).toEqual({ ...segment, ...patch, version: 2, updatedAt: expect.any(String) })
      expect(reply.headers.etag).toBe('"2"')
      expect((await world.owner.get(url)).json()).toEqual(reply.json())
      const [, event] = await eventsOf(world, segment.id)
      expect(event).toMatchObject({
        type: 'segment.updated',
        version: 2,
        changes: { name: { from: body.name, to: 'All' } },
      })
      const same = await unchanged(world, () => world.owner.patch(url, patch))
      expect(same.json()).toEqual(reply.json())
      const cleared = await world.owner.patch(url, { object: 'account', filter: null })
      expect(cleared.json()).toMatchObject({ name: 'All', filter: null, version: 3 })
      return reply
    },
    404: missing(({ owner }, url, headers) => owner.patch(url, { object: 'account', name: 'Theirs' }, headers)),
    412: async (world) => {
      const { id } = await save(world.owner)
      const patch = { object: 'account', name: 'Late' }
      return refused(world, 'version_mismatch', () => world.owner.patch(`${path}/${id}`, patch, outdated))
    },
  },
  deleteSegment: {
    204: async (world) => {
      const account = (await world.owner.post(operations.createAccount.path, { name: 'Kept' })).json<Row>()
      const { id } = await save(world.owner, { kind: 'static', filter: null })
      const other = await save(world.owner)
      await world.owner.post(`${path}/${id}/members`, { add: [account.id] })
      const reply = await world.owner.delete(`${path}/${id}`, { 'if-match': '"1"' })
      expect(
        await rowsOf(world, 'crm_segments t where organization_id = $1', world.owner.organizationId),
      ).toMatchObject([{ id: other.id }])
      expect(await rowsOf(world, 'crm_segment_members t where segment_id = $1', id)).toEqual([])
      expect((await eventsOf(world, id)).map(({ type, version }) => [type, version])).toEqual([
        ['segment.created', 1],
        ['segment.members_changed', 1],
        ['segment.deleted', 2],
      ])
      expect((await world.owner.get(`${operations.createAccount.path}/${account.id}`)).statusCode).toBe(200)
      expect((await world.owner.get(`${path}/${id}`)).statusCode).toBe(404)
      return reply
    },
    404: missing(({ owner }, url, headers) => owner.delete(url, headers)),
    412: async (world) => {
      const { id } = await save(world.owner)
      return refused(world, 'version_mismatch', () => world.owner.delete(`${path}/${id}`, outdated))
    },
  },
  changeSegmentMembers: {
    200: async (world) => {
      const { owner } = world
      const { id } = await save(owner, { kind: 'static', filter: null })
      const url = `${path}/${id}/members`
      const [first, second] = [await newAccount(world), await newAccount(world)]
      const reply = await owner.post(url, { add: [first, second] })
      expect(reply.json()).toEqual({ added: 2, removed: 0 })
      const again = await unchanged(world, () => owner.post(url, { add: [second.toUpperCase()] }))
      expect(again.json()).toEqual({ added: 0, removed: 0 })
      const third = await newAccount(world)
      const both = await owner.post(url, { add: [second, third], remove: [first] })
      expect(both.json()).toEqual({ added: 1, removed: 1 })
      const rows = await rowsOf(world, 'crm_segment_members t where segment_id = $1 order by record_id', id)
      const by = { organization_id: owner.organizationId, added_by_id: owner.userId }
      expect(rows).toMatchObject([second, third].sort().map((each) => ({ ...by, record_id: each })))
      expect((await eventsOf(world, id)).slice(1)).toMatchObject([
        { type: 'segment.members_changed', version: 1, changes: { members: { from: [], to: [first, second] } } },
        { type: 'segment.members_changed', version: 1, changes: { members: { from: [first], to: [third] } } },
      ])
      return reply
    },
    404: missing(({ owner }, url, headers) => owner.post(`${url}/members`, {}, headers)),
    409: async (world) => {
      const dynamic = await save(world.owner)
      const add = [await newAccount(world)]
      await refused(world, 'not_static', () => world.owner.post(`${path}/${dynamic.id}/members`, { add }))
      const { id } = await save(world.owner, { kind: 'static', filter: null })
      await world.harness.sql.query(
        `insert into crm_segment_members select $2, $1, gen_random_uuid(), now(), $3 from generate_series(1, 10000)`,
        [id, world.owner.organizationId, world.owner.userId],
      )
      return refused(world, 'too_many_members', () => world.owner.post(`${path}/${id}/members`, { add }))
    },
  },
} satisfies Cases<'segments'>
