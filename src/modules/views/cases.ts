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

const { path } = operations.listViews
const body = {
  object: 'account',
  name: 'Big wholesalers',
  columns: ['name', 'billingAddress.city', 'parentAccount.name', 'customFields.tier'],
  filter: { not: { field: 'numberOfEmployees', op: 'lt', value: 100 } },
  sort: ['name'],
}

type View = Row & { id: string; name: string }

async function save(caller: World['owner'], more: Row = {}): Promise<View> {
  const reply = await caller.post(path, { ...body, ...more })
  expect(reply.statusCode, reply.payload).toBe(201)
  return reply.json()
}

/** A view of another organization, and a private one of a colleague, look like one that never was: the same bytes. */
const missing =
  (send: (world: World, url: string, headers: Record<string, string>) => Promise<Reply>): Case =>
  async (world) => {
    const stranger = { harness: world.harness, owner: await world.harness.newOrganization() }
    const colleague = await world.harness.newUser(world.owner.organizationId, 'admin')
    const theirs = [await save(stranger.owner, { sharing: 'organization' }), await save(colleague)]
    const replies: Reply[] = []
    for (const id of [randomUUID(), ...theirs.map((view) => view.id)]) {
      const attempt = () => refused(world, 'not_found', () => send(world, `${path}/${id}`, { 'x-request-id': 'same' }))
      replies.push(await unchanged(stranger, attempt))
    }
    expect(new Set(replies.map(({ payload }) => payload)).size).toBe(1)
    return replies[0] as Reply
  }

const outdated = { 'if-match': '"7"' }

export const cases = {
  listViews: {
    200: async (world) => {
      const { harness, owner } = world
      await save(await harness.newOrganization(), { sharing: 'organization' })
      const member = await harness.newUser(owner.organizationId, 'member')
      await save(member)
      const [second, first] = [
        await save(owner, { name: 'B' }),
        await save(owner, { name: 'A', sharing: 'organization' }),
      ]
      const lead = await save(owner, { object: 'lead', name: 'C', columns: [], filter: null })
      const names = async (query: string, caller = owner) =>
        (await caller.get(`${path}?${query}`)).json<{ data: View[] }>().data.map(({ name }) => name)
      expect(await names('object=account&sort=-name')).toEqual(['B', 'A'])
      expect(await names('sharing=organization')).toEqual(['A'])
      expect(await names(`ownerId=${member.userId}`)).toEqual([])
      expect(await names('sort=createdAt', member)).toEqual([body.name, 'A'])
      const page = await unchanged(world, () => owner.get(`${path}?limit=2`))
      expect(page.json()).toEqual({ data: [first, second], page: { nextCursor: expect.any(String), hasMore: true } })
      const { nextCursor } = page.json<{ page: { nextCursor: string } }>().page
      expect((await owner.get(`${path}?cursor=${nextCursor}`)).json<{ data: View[] }>().data).toEqual([lead])
      return page
    },
  },
  createView: {
    201: async (world) => {
      const { userId, organizationId } = world.owner
      const reply = await world.owner.post(path, body)
      const view = reply.json<View>()
      const by = { type: 'user', id: userId }
      expect(view).toEqual({
        ...{ ...body, id: view.id, version: 1, ownerId: userId, sharing: 'private', teamId: null },
        ...{ createdAt: expect.any(String), createdBy: by, updatedAt: view.createdAt, updatedBy: by },
      })
      expect(reply.headers).toMatchObject({ etag: '"1"', location: `${path}/${view.id}` })
      expect((await world.owner.get(`${path}/${view.id}`)).json()).toEqual(view)
      expect(await rowsOf(world, 'crm_views t where id = $1', view.id)).toMatchObject([
        { organization_id: organizationId, owner_id: userId, filter: body.filter, columns: body.columns },
      ])
      expect(await eventsOf(world, view.id)).toMatchObject([
        { type: 'view.created', version: 1, changes: { name: { from: null, to: body.name } } },
      ])
      return reply
    },
    409: async (world) => {
      const { id } = await save(world.owner)
      await world.harness.sql.query(
        `insert into crm_views select (jsonb_populate_record(v, jsonb_build_object('id', gen_random_uuid()))).*
         from crm_views v, generate_series(2, 200) where id = $1`,
        [id],
      )
      return refused(world, 'too_many_views', () => world.owner.post(path, body))
    },
  },
  getView: {
    200: async (world) => {
      const view = await save(world.owner)
      const reply = await unchanged(world, () => world.owner.get(`${path}/${view.id}`))
      expect(reply.json()).toEqual(view)
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
  updateView: {
    200: async (world) => {
      const view = await save(world.owner)
      const url = `${path}/${view.id}`
      const patch = { object: 'account', name: 'All', sharing: 'organization', filter: { or: [body.filter] } }
      const reply = await world.owner.patch(url, patch, { 'if-match': '"1"' })
      expect(reply.json()).toEqual({ ...view, ...patch, version: 2, updatedAt: expect.any(String) })
      expect(reply.headers.etag).toBe('"2"')
      expect((await world.owner.get(url)).json()).toEqual(reply.json())
      const [, event] = await eventsOf(world, view.id)
      expect(event).toMatchObject({
        type: 'view.updated',
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
  deleteView: {
    204: async (world) => {
      const { id } = await save(world.owner)
      const other = await save(world.owner)
      const reply = await world.owner.delete(`${path}/${id}`, { 'if-match': '"1"' })
      expect(await rowsOf(world, 'crm_views t where organization_id = $1', world.owner.organizationId)).toMatchObject([
        { id: other.id },
      ])
      expect((await eventsOf(world, id)).map(({ type, version }) => [type, version])).toEqual([
        ['view.created', 1],
        ['view.deleted', 2],
      ])
      expect((await world.owner.get(`${path}/${id}`)).statusCode).toBe(404)
      return reply
    },
    404: missing(({ owner }, url, headers) => owner.delete(url, headers)),
    412: async (world) => {
      const { id } = await save(world.owner)
      return refused(world, 'version_mismatch', () => world.owner.delete(`${path}/${id}`, outdated))
    },
  },
} satisfies Cases<'views'>
