import { randomUUID } from 'node:crypto'
import { expect } from 'vitest'
import { operations } from '../../generated/operations.js'
import {
  type Case,
  eventsOf,
  type Reply,
  type Row,
  refused,
  rowsOf,
  type Tenant,
  unchanged,
  type World,
} from './case.js'
import type { Caller } from './harness.js'

export type Stored = Row & { id: string }

/** What people keep for themselves and others: its name in events and problems, its table, and how one is made. */
type Facts = {
  name: 'view' | 'segment'
  table: string
  path: string
  /** One of accounts, as often as it is sent. */
  body: Row & { name: string; filter: object }
  /** What a new one has beside the body and what all have. */
  initial: Row
  /** What its row holds beside its filter. */
  row: Row
  /** A change beside those of name and filter. */
  patch: Row
  /** Makes some that the owner cannot see; `stranger` owns another organization. */
  hidden(world: World, stranger: Caller): Promise<Stored[]>
}

/** Creates what the body says. */
export async function create(caller: Pick<Caller, 'post'>, path: string, body: Row): Promise<Stored> {
  const reply = await caller.post(path, body)
  expect(reply.statusCode, reply.payload).toBe(201)
  return reply.json()
}

/** What an organization cannot see looks like what never was: the same bytes; and it stays as it is. */
async function missing(
  world: World,
  other: Tenant,
  hidden: readonly Stored[],
  send: (id: string, headers: Record<string, string>) => Promise<Reply>,
): Promise<Reply> {
  const replies: Reply[] = []
  for (const id of [randomUUID(), ...hidden.map((each) => each.id)]) {
    const attempt = () => refused(world, 'not_found', () => send(id, { 'x-request-id': 'the-same' }))
    replies.push(await unchanged(other, attempt))
  }
  expect(new Set(replies.map(({ payload }) => payload)).size).toBe(1)
  return replies[0] as Reply
}

/** The first page of two, and that the last one is on the second. */
export async function firstOfTwo(world: World, path: string, first: readonly Row[], last: Row): Promise<Reply> {
  const page = await unchanged(world, () => world.owner.get(`${path}?limit=${first.length}`))
  expect(page.json()).toEqual({ data: first, page: { nextCursor: expect.any(String), hasMore: true } })
  const { nextCursor } = page.json<{ page: { nextCursor: string } }>().page
  expect((await world.owner.get(`${path}?cursor=${nextCursor}`)).json<{ data: Row[] }>().data).toEqual([last])
  return page
}

/** Deletes one, which leaves another; `since` are its events between its first and its last. */
export async function deleteOne(
  world: World,
  { name, table, path }: Pick<Facts, 'name' | 'table' | 'path'>,
  { id }: Stored,
  other: Stored,
  since: readonly [type: string, version: number][] = [],
): Promise<Reply> {
  const reply = await world.owner.delete(`${path}/${id}`, { 'if-match': '"1"' })
  const left = await rowsOf(world, `${table} t where organization_id = $1`, world.owner.organizationId)
  expect(left).toMatchObject([{ id: other.id }])
  expect((await eventsOf(world, id)).map(({ type, version }) => [type, version])).toEqual([
    [`${name}.created`, 1],
    ...since,
    [`${name}.deleted`, 2],
  ])
  expect((await world.owner.get(`${path}/${id}`)).statusCode).toBe(404)
  return reply
}

/** The cases of creating, reading, changing and deleting. */
export function assetCases(facts: Facts) {
  const { name, table, path, body, initial, row, patch, hidden } = facts
  const save = (caller: Caller) => create(caller, path, body)
  const unseen =
    (send: (owner: Caller, url: string, headers: Record<string, string>) => Promise<Reply>): Case =>
    async (world) => {
      const stranger = await world.harness.newOrganization()
      const theirs = await hidden(world, stranger)
      return missing(world, { harness: world.harness, owner: stranger }, theirs, (id, headers) =>
        send(world.owner, `${path}/${id}`, headers),
      )
    }
  const late =
    (send: (owner: Caller, url: string, headers: Record<string, string>) => Promise<Reply>): Case =>
    async (world) => {
      const { id } = await save(world.owner)
      return refused(world, 'version_mismatch', () => send(world.owner, `${path}/${id}`, { 'if-match': '"7"' }))
    }
  const rename = { object: 'account', name: 'Other' }

  return {
    create: {
      201: async (world) => {
        const { userId, organizationId } = world.owner
        const reply = await world.owner.post(path, body)
        const asset = reply.json<Stored>()
        const by = { type: 'user', id: userId }
        expect(asset).toEqual({
          ...{ ...body, ...initial, id: asset.id, version: 1, ownerId: userId },
          ...{ createdAt: expect.any(String), createdBy: by, updatedAt: asset.createdAt, updatedBy: by },
        })
        expect(reply.headers).toMatchObject({ etag: '"1"', location: `${path}/${asset.id}` })
        expect((await world.owner.get(`${path}/${asset.id}`)).json()).toEqual(asset)
        expect(await rowsOf(world, `${table} t where id = $1`, asset.id)).toMatchObject([
          { organization_id: organizationId, owner_id: userId, filter: body.filter, ...row },
        ])
        expect(await eventsOf(world, asset.id)).toMatchObject([
          { type: `${name}.created`, version: 1, changes: { name: { from: null, to: body.name } } },
        ])
        return reply
      },
      409: async (world) => {
        const { id } = await save(world.owner)
        await world.harness.sql.query(
          `insert into ${table} select (jsonb_populate_record(t, jsonb_build_object('id', gen_random_uuid()))).*
           from ${table} t, generate_series(2, 200) where id = $1`,
          [id],
        )
        return refused(world, `too_many_${name}s`, () => world.owner.post(path, body))
      },
    },
    get: {
      200: async (world) => {
        const asset = await save(world.owner)
        const reply = await unchanged(world, () => world.owner.get(`${path}/${asset.id}`))
        expect(reply.json()).toEqual(asset)
        expect(reply.headers.etag).toBe('"1"')
        return reply
      },
      304: async (world) => {
        const { id } = await save(world.owner)
        const reply = await unchanged(world, () => world.owner.get(`${path}/${id}`, { 'if-none-match': '"1"' }))
        expect(reply.payload).toBe('')
        return reply
      },
      404: unseen((owner, url, headers) => owner.get(url, headers)),
    },
    update: {
      200: async (world) => {
        const asset = await save(world.owner)
        const url = `${path}/${asset.id}`
        const changes = { object: 'account', name: 'All', filter: { or: [body.filter] }, ...patch }
        const reply = await world.owner.patch(url, changes, { 'if-match': '"1"' })
        expect(reply.json()).toEqual({ ...asset, ...changes, version: 2, updatedAt: expect.any(String) })
        expect(reply.headers.etag).toBe('"2"')
        expect((await world.owner.get(url)).json()).toEqual(reply.json())
        const [, event] = await eventsOf(world, asset.id)
        expect(event).toMatchObject({
          type: `${name}.updated`,
          version: 2,
          changes: { name: { from: body.name, to: 'All' } },
        })
        const same = await unchanged(world, () => world.owner.patch(url, changes))
        expect(same.json()).toEqual(reply.json())
        const cleared = await world.owner.patch(url, { object: 'account', filter: null })
        expect(cleared.json()).toMatchObject({ name: 'All', filter: null, version: 3 })
        return reply
      },
      404: unseen((owner, url, headers) => owner.patch(url, rename, headers)),
      412: late((owner, url, headers) => owner.patch(url, rename, headers)),
    },
    delete: {
      204: async (world) => deleteOne(world, facts, await save(world.owner), await save(world.owner)),
      404: unseen((owner, url, headers) => owner.delete(url, headers)),
      412: late((owner, url, headers) => owner.delete(url, headers)),
    },
    unseen,
  } satisfies Record<string, Record<number, Case> | typeof unseen>
}

type Shown = {
  name: 'view' | 'segment'
  object: string
  url(id: string): string
  /** Makes one of records of this kind. */
  make(caller: Pick<Caller, 'post'>, more: Row): Promise<Stored>
  /** Makes some that the owner cannot see. */
  hidden(world: World, stranger: Caller): Promise<Stored[]>
}

/** The cases of listing records through one in which that is refused. */
export function refusedThrough({ name, object, url, make, hidden }: Shown) {
  return {
    404: async (world) => {
      const stranger = await world.harness.newOrganization()
      const ofOthers = await make(world.owner, { object: object === 'account' ? 'contact' : 'account' })
      const theirs = [...(await hidden(world, stranger)), ofOthers]
      return missing(world, { harness: world.harness, owner: stranger }, theirs, (id, headers) =>
        world.owner.get(url(id), headers),
      )
    },
    409: async ({ harness, owner }) => {
      const colleague = await harness.newUser(owner.organizationId, 'member')
      const { id } = await make(owner, { filter: { field: 'ownerId', op: 'eq', value: colleague.userId } })
      expect((await owner.get(url(id))).statusCode).toBe(200)
      await owner.post(`${operations.listUsers.path}/${colleague.userId}/deactivate`)
      return refused({ harness, owner }, `${name}_not_applicable`, () => owner.get(url(id)))
    },
  } satisfies Record<number, Case>
}
