import { expect } from 'vitest'
import { operations } from '../../../generated/operations.js'
import type { Cases } from '../../http/contract.js'
import { assetCases, create, deleteOne, firstOfTwo, type Stored } from '../../testing/asset-cases.js'
import { eventsOf, type Row, refused, rowsOf, unchanged, type World } from '../../testing/case.js'

const { path } = operations.listSegments
const body = {
  object: 'account',
  kind: 'dynamic',
  name: 'Big wholesalers',
  filter: { not: { field: 'numberOfEmployees', op: 'lt', value: 100 } },
}

type Segment = Stored & { name: string }

const save = (caller: World['owner'], more: Row = {}) => create(caller, path, { ...body, ...more })

const facts = { name: 'segment', table: 'crm_segments', path, body } as const
const verbs = assetCases({
  ...facts,
  initial: { description: null },
  row: { kind: 'dynamic' },
  patch: { description: 'Many' },
  hidden: async (_, stranger) => [await save(stranger)],
})

const newAccount = async ({ owner }: World): Promise<string> =>
  (await owner.post(operations.createAccount.path, { name: 'Member' })).json<{ id: string }>().id

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
      return firstOfTwo(world, path, [first, second], lead)
    },
  },
  createSegment: verbs.create,
  getSegment: verbs.get,
  updateSegment: verbs.update,
  deleteSegment: {
    ...verbs.delete,
    204: async (world) => {
      const { owner } = world
      const account = await newAccount(world)
      const segment = await save(owner, { kind: 'static', filter: null })
      const other = await save(owner)
      await owner.post(`${path}/${segment.id}/members`, { add: [account] })
      const reply = await deleteOne(world, facts, segment, other, [['segment.members_changed', 1]])
      expect(await rowsOf(world, 'crm_segment_members t where segment_id = $1', segment.id)).toEqual([])
      expect((await owner.get(`${operations.createAccount.path}/${account}`)).statusCode).toBe(200)
      return reply
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
    404: verbs.unseen((owner, url, headers) => owner.post(`${url}/members`, {}, headers)),
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
