import { randomUUID } from 'node:crypto'
import { expect } from 'vitest'
import {
  type Case,
  contentsOf,
  eventsOf,
  type Reply,
  type Row,
  refused,
  rowsOf,
  unchanged,
  type World,
} from './case.js'
import { changesOf, create, type RecordFacts, remove, strangerTo } from './record-cases.js'

type Stored = Row & { id: string; version: number }

const ERP = { system: 'erp', externalId: '10042' }

/** Where a record with an external id is; slashes and blanks are characters like any other. */
const at = (path: string, externalId = 'A/42 ü'): string => `${path}/external/erp/${encodeURIComponent(externalId)}`

/** The cases of external ids and of upserts that every record has. */
export function upsertCases(facts: RecordFacts) {
  const { object, table, path, body, patch } = facts
  const put = ({ owner }: World, more: Row = {}, headers = {}): Promise<Reply> =>
    owner.send('PUT', at(path), { ...body, ...more }, headers)
  const upsert = ({ owner }: World, record: Row): Promise<Reply> =>
    owner.post(`${path}/upsert`, { matchOn: 'externalIds.erp', record: { ...body, externalIds: [ERP], ...record } })
  const idsOf = (world: World) =>
    rowsOf(world, 'crm_external_ids t where organization_id = $1 order by external_id', world.owner.organizationId)

  /** Somebody who may change records, and sees none of the organization's. */
  const blind = async ({ harness, owner }: World): Promise<World> => ({
    harness,
    owner: await harness.newUser(owner.organizationId, 'member'),
  })

  const madeOnce = async (world: World, reply: Reply, externalId: string): Promise<Stored> => {
    const record = reply.json<Stored>()
    expect(record).toMatchObject({ ...body, version: 1, externalIds: [{ system: 'erp', externalId }] })
    expect(reply.headers).toMatchObject({ etag: '"1"', location: `${path}/${record.id}` })
    expect((await world.owner.get(`${path}/${record.id}`)).json()).toEqual(record)
    expect(await rowsOf(world, `${table} t where organization_id = $1`, world.owner.organizationId)).toHaveLength(1)
    expect(await idsOf(world)).toEqual([
      {
        ...{ organization_id: world.owner.organizationId, object, system: 'erp', external_id: externalId },
        record_id: record.id,
      },
    ])
    const ids = [{ system: 'erp', externalId }]
    expect(await eventsOf(world, record.id)).toMatchObject([
      { type: `${object}.created`, version: 1, changes: changesOf({}, { ...body, externalIds: ids }) },
    ])
    return record
  }

  const changedOnce = async (world: World, before: Stored, reply: Reply): Promise<void> => {
    expect(reply.json()).toEqual({ ...before, ...patch, version: 2, updatedAt: expect.any(String) })
    expect(reply.headers.etag).toBe('"2"')
    expect(reply.headers).not.toHaveProperty('location')
    const [, ...events] = await eventsOf(world, before.id)
    expect(events).toMatchObject([{ type: `${object}.updated`, version: 2, changes: changesOf(before, patch) }])
  }

  return {
    getByExternalId: {
      200: async (world) => {
        const record = (await put(world)).json<Stored>()
        const reply = await unchanged(world, () => world.owner.get(at(path)))
        expect(reply.json()).toEqual(record)
        expect(reply.headers.etag).toBe('"1"')
        return reply
      },
      304: async (world) => {
        await put(world)
        const reply = await unchanged(world, () => world.owner.get(at(path), { 'if-none-match': '"1"' }))
        expect(reply.payload).toBe('')
        return reply
      },
      404: async (world) => {
        const stranger = await strangerTo(world)
        await put(stranger)
        const theirs = await contentsOf(stranger)
        const get = (externalId?: string) =>
          refused(world, 'not_found', () => world.owner.get(at(path, externalId), { 'x-request-id': 'the-same' }))
        const foreign = await get()
        const never = await get(randomUUID())
        const { id } = (await put(world)).json<Stored>()
        for (const other of [at(path, 'a/42 ü'), at(path).replace('/erp/', '/shop/')]) {
          expect((await world.owner.get(other)).statusCode).toBe(404)
        }
        expect((await world.owner.delete(`${path}/${id}`)).statusCode).toBe(204)
        const deleted = await get()
        expect(new Set([foreign, never, deleted].map(({ payload }) => payload)).size).toBe(1)
        expect(await contentsOf(stranger)).toEqual(theirs)
        return deleted
      },
    },

    putByExternalId: {
      200: async (world) => {
        const before = (await put(world, { externalIds: [{ system: 'shop', externalId: '7' }] })).json<Stored>()
        const same = await unchanged(world, () => put(world))
        expect([same.statusCode, same.json()]).toEqual([200, before])
        const reply = await put(world, patch, { 'if-match': '"1"' })
        await changedOnce(world, before, reply)
        return reply
      },
      201: async (world) => {
        const reply = await put(world)
        await madeOnce(world, reply, 'A/42 ü')
        return reply
      },
      409: async (world) => {
        await put(world)
        const hidden = await blind(world)
        const reply = await refused(world, 'duplicate_value', () => put(hidden))
        expect(reply.json()).toMatchObject({ errors: [{ pointer: '/path/externalId', code: 'duplicate_value' }] })
        expect(reply.json()).not.toHaveProperty('conflicts')
        return reply
      },
      412: async (world) => {
        await refused(world, 'version_mismatch', () => put(world, {}, { 'if-match': '*' }))
        await put(world)
        return refused(world, 'version_mismatch', () => put(world, patch, { 'if-match': '"7"' }))
      },
    },

    upsert: {
      200: async (world) => {
        const before = (await upsert(world, {})).json<Stored>()
        const same = await unchanged(world, () => upsert(world, {}))
        expect([same.statusCode, same.json()]).toEqual([200, before])
        const reply = await upsert(world, patch)
        await changedOnce(world, before, reply)
        return reply
      },
      201: async (world) => {
        const reply = await upsert(world, {})
        await madeOnce(world, reply, ERP.externalId)
        return reply
      },
      409: async (world) => {
        await upsert(world, {})
        const shop = { system: 'shop', externalId: '7' }
        const { id } = await create(world, facts, { externalIds: [shop] })
        const reply = await refused(world, 'duplicate_value', () => upsert(world, { externalIds: [ERP, shop] }))
        expect(reply.json()).toMatchObject({
          errors: [{ pointer: '/record/externalIds/1', code: 'duplicate_value' }],
          conflicts: [{ object, id, matchedOn: ['externalIds.shop'] }],
        })
        const hidden = await blind(world)
        const unseen = await refused(world, 'duplicate_value', () => upsert(hidden, {}))
        expect(unseen.json()).toMatchObject({ errors: [{ pointer: '/record/externalIds/0' }] })
        expect(unseen.json()).not.toHaveProperty('conflicts')
        return reply
      },
    },
  } satisfies Record<string, Record<number, Case>>
}

/** The 409 that every record has because of its external ids. */
export function externalIdCases(facts: RecordFacts) {
  const { object, path, body } = facts
  const externalIds = [ERP]
  const duplicate = async (world: World, id: string, send: () => Promise<Reply>): Promise<Reply> => {
    const reply = await refused(world, 'duplicate_value', send)
    expect(reply.json()).toMatchObject({
      errors: [{ pointer: '/externalIds/0', code: 'duplicate_value' }],
      conflicts: [{ object, id, matchedOn: ['externalIds.erp'] }],
    })
    return reply
  }
  return {
    create: async (world) => {
      const { id } = await create(world, facts, { externalIds })
      return duplicate(world, id, () => world.owner.post(path, { ...body, externalIds }))
    },
    update: async (world) => {
      const { id } = await create(world, facts, { externalIds })
      const other = await create(world, facts)
      const take = () => world.owner.patch(`${path}/${other.id}`, { externalIds })
      const reply = await duplicate(world, id, take)
      expect((await world.owner.patch(`${path}/${id}`, { externalIds: [] })).json()).not.toHaveProperty('externalIds')
      expect((await take()).json()).toMatchObject({ externalIds })
      return reply
    },
    restore: async (world) => {
      const deleted = await create(world, facts, { externalIds })
      await remove(world, facts, deleted)
      const other = await create(world, facts, { externalIds })
      const restore = () => world.owner.post(`${path}/${deleted.id}/restore`)
      const reply = await duplicate(world, other.id, restore)
      await remove(world, facts, other)
      expect((await restore()).json()).toMatchObject({ id: deleted.id, externalIds })
      return reply
    },
  } satisfies Record<string, Case>
}
