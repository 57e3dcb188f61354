import { randomUUID } from 'node:crypto'
import { expect } from 'vitest'
import {
  type Case,
  contentsOf,
  eventsOf,
  expectPart,
  type Reply,
  type Row,
  refused,
  rowsOf,
  unchanged,
  type World,
} from './case.js'
import { followerCases } from './follower-cases.js'
import { queryCases } from './query-cases.js'
import { segmentCases } from './segment-cases.js'
import { tagCases } from './tag-cases.js'
import { viewCases } from './view-cases.js'

/** What the cases must know of a kind of record. */
export type RecordFacts = {
  /** The singular name, as in event types and conflicts. */
  object: string
  table: string
  /** The path of the collection. */
  path: string
  /** A body that creates one, as often as it is sent. */
  body: Row
  /** A merge patch of top-level values that changes such a record. */
  patch: Row
}

type Stored = Row & { id: string; version: number }

export const OUTDATED = { 'if-match': '"7"' }

const lastPage = { page: { nextCursor: null, hasMore: false } }

/** Of a record what `fields=ownerId` shows. */
const ownerOf = ({ id, version, ownerId }: Stored) => ({ id, version, ownerId })

/** The cases of the verbs that every record has. */
export function recordCases(facts: RecordFacts) {
  const { object, table, path, body, patch } = facts
  const missing = (send: SendTo, among: 'live' | 'all'): Case => hidden(facts, send, among)

  return {
    list: {
      200: async (world) => {
        await create(await strangerTo(world), facts)
        const [first, second, third] = [
          await create(world, facts),
          await create(world, facts),
          await create(world, facts),
        ]
        await remove(world, facts, await create(world, facts))

        const page = await unchanged(world, () => world.owner.get(`${path}?limit=2`))
        expect(page.json()).toEqual({ data: [third, second], page: { nextCursor: expect.any(String), hasMore: true } })
        const { nextCursor } = page.json<{ page: { nextCursor: string } }>().page
        expect(page.headers.link).toBe(`<${path}?limit=2&cursor=${nextCursor}>; rel="next"`)
        expect(page.headers).not.toHaveProperty('etag')

        const last = await world.owner.get(`${path}?limit=2&cursor=${nextCursor}`)
        expect(last.json()).toEqual({ data: [first], page: { nextCursor: null, hasMore: false } })
        expect(last.headers).not.toHaveProperty('link')
        for (const count of ['exact', 'estimate']) {
          const counted = await world.owner.get(`${path}?limit=1&count=${count}`)
          expect(counted.json()).toMatchObject({ data: [third], page: { total: 3, totalIsExact: true } })
        }
        const none = await world.owner.get(`${path}?count=exact&createdAt[lt]=2020-01-01T00:00:00Z`)
        expect(none.json()).toMatchObject({ data: [], page: { total: 0, totalIsExact: true } })
        const expanded = await world.owner.get(`${path}?limit=1&expand=owner`)
        const owner = expect.objectContaining({ id: world.owner.userId, role: 'owner' })
        expect(expanded.json()).toMatchObject({ data: [{ ...third, expanded: { owner } }] })
        const part = await world.owner.get(`${path}?createdAt[gte]=${third.createdAt}&fields=ownerId`)
        expectPart(part, { ...lastPage, data: [ownerOf(third)] })
        return page
      },
    },

    ...queryCases(facts),
    ...viewCases(facts),
    ...followerCases(facts),
    ...tagCases(facts),
    ...segmentCases(facts),

    create: {
      201: async (world) => {
        const { organizationId, userId } = world.owner
        const reply = await world.owner.post(path, body)
        const record = reply.json<Stored>()
        const actor = { type: 'user', id: userId }
        expect(record).toMatchObject({ ...body, version: 1, createdBy: actor, updatedBy: actor, deletedAt: null })
        expect(record).toMatchObject({ ownerId: userId, teamId: null, updatedAt: record.createdAt })
        expect(reply.headers).toMatchObject({ etag: '"1"', location: `${path}/${record.id}` })
        expect(reply.headers).not.toHaveProperty('idempotency-replayed')
        expect((await world.owner.get(`${path}/${record.id}`)).json()).toEqual(record)

        expect(await rowsOf(world, `${table} t where organization_id = $1`, organizationId)).toEqual([
          expect.objectContaining({
            ...columnsOf(body),
            id: record.id,
            version: 1,
            owner_id: userId,
            deleted_at: null,
          }),
        ])
        expect(await eventsOf(world, record.id)).toMatchObject([
          {
            ...{ organization_id: organizationId, type: `${object}.created`, object, version: 1, cause: 'api' },
            ...{ actor_type: 'user', actor_id: userId, request_id: reply.headers['x-request-id'] },
            changes: changesOf({}, body),
          },
        ])
        return reply
      },
    },

    get: {
      200: async (world) => {
        const record = await create(world, facts)
        const reply = await unchanged(world, () => world.owner.get(`${path}/${record.id}`))
        expect(reply.json()).toEqual(record)
        expect(reply.headers.etag).toBe('"1"')
        const owner = (await world.owner.get(`/api/v1/users/${world.owner.userId}`)).json<Row>()
        const expanded = await world.owner.get(`${path}/${record.id}?expand=owner`)
        expect(expanded.json()).toEqual({ ...record, expanded: { owner } })
        const part = await world.owner.get(`${path}/${record.id}?fields=ownerId`)
        expectPart(part, ownerOf(record))
        return reply
      },
      304: async (world) => {
        const { id } = await create(world, facts)
        const reply = await unchanged(world, () => world.owner.get(`${path}/${id}`, { 'if-none-match': 'W/"0", "1"' }))
        expect(reply.payload).toBe('')
        expect(reply.headers.etag).toBe('"1"')
        expect(reply.headers).not.toHaveProperty('content-type')
        await world.owner.patch(`${path}/${id}`, patch)
        expect((await world.owner.get(`${path}/${id}`, { 'if-none-match': '"1"' })).statusCode).toBe(200)
        return reply
      },
      404: missing(({ owner }, url, headers) => owner.get(url, headers), 'live'),
    },

    update: {
      200: async (world) => {
        const before = await create(world, facts)
        const url = `${path}/${before.id}`
        const reply = await world.owner.patch(url, patch, { 'if-match': '"1"' })
        const after = reply.json<Stored>()
        expect(after).toEqual({ ...before, ...patch, version: 2, updatedAt: expect.any(String) })
        expect(reply.headers.etag).toBe('"2"')
        expect(await rowsOf(world, `${table} t where id = $1`, before.id)).toMatchObject([
          { ...columnsOf(patch), version: 2 },
        ])
        const [, ...events] = await eventsOf(world, before.id)
        expect(events).toMatchObject([{ type: `${object}.updated`, version: 2, actor_id: world.owner.userId }])
        expect(events[0]?.changes).toEqual(changesOf(before, patch))

        const same = await unchanged(world, () => world.owner.patch(url, patch))
        expect(same.json()).toEqual(after)
        return reply
      },
      404: missing(({ owner }, url, headers) => owner.patch(url, patch, headers), 'live'),
      412: async (world) => {
        const { id } = await create(world, facts)
        return refused(world, 'version_mismatch', () => world.owner.patch(`${path}/${id}`, patch, OUTDATED))
      },
    },

    remove: {
      204: async (world) => {
        const { id } = await create(world, facts)
        const reply = await world.owner.delete(`${path}/${id}`, { 'if-match': '"1"' })
        expect(reply.payload).toBe('')
        expect(reply.headers).not.toHaveProperty('etag')
        expect((await world.owner.get(`${path}/${id}`)).statusCode).toBe(404)
        expect(await rowsOf(world, `${table} t where id = $1`, id)).toMatchObject([
          { ...columnsOf(body), version: 2, deleted_at: expect.any(String) },
        ])
        const [, ...events] = await eventsOf(world, id)
        expect(events).toMatchObject([{ type: `${object}.deleted`, version: 2, actor_id: world.owner.userId }])
        return reply
      },
      404: missing(({ owner }, url, headers) => owner.delete(url, headers), 'live'),
      412: async (world) => {
        const { id } = await create(world, facts)
        return refused(world, 'version_mismatch', () => world.owner.delete(`${path}/${id}`, OUTDATED))
      },
    },

    restore: {
      200: async (world) => {
        const before = await create(world, facts)
        const url = `${path}/${before.id}/restore`
        const live = await unchanged(world, () => world.owner.post(url))
        expect(live.json()).toEqual(before)

        await remove(world, facts, before)
        const reply = await world.owner.post(url, undefined, { 'if-match': '"2"' })
        expect(reply.json()).toEqual({ ...before, version: 3, updatedAt: expect.any(String) })
        expect(reply.headers.etag).toBe('"3"')
        expect((await world.owner.get(`${path}/${before.id}`)).json()).toEqual(reply.json())
        expect((await eventsOf(world, before.id)).map(({ type }) => type)).toEqual([
          `${object}.created`,
          `${object}.deleted`,
          `${object}.restored`,
        ])
        return reply
      },
      404: missing(({ owner }, url, headers) => owner.post(`${url}/restore`, undefined, headers), 'all'),
      412: async (world) => {
        const record = await create(world, facts)
        await remove(world, facts, record)
        return refused(world, 'version_mismatch', () =>
          world.owner.post(`${path}/${record.id}/restore`, undefined, OUTDATED),
        )
      },
    },
  } satisfies Record<string, Record<number, Case>>
}

/**
 * The 409 of a record type with a unique property.
 *
 * @param value one for that property
 * @param same another spelling of it
 */
export function duplicateCases(facts: RecordFacts, property: string, value: string, same: string) {
  const { object, path } = facts
  const duplicate = async (world: World, id: string, send: () => Promise<Reply>): Promise<Reply> => {
    const reply = await refused(world, 'duplicate_value', send)
    expect(reply.json()).toMatchObject({
      errors: [{ pointer: `/${property}`, code: 'duplicate_value' }],
      conflicts: [{ object, id, matchedOn: [property] }],
    })
    return reply
  }
  return {
    create: async (world) => {
      const { id } = await create(world, facts, { [property]: value })
      return duplicate(world, id, () => world.owner.post(path, { ...facts.body, [property]: same }))
    },
    update: async (world) => {
      const { id } = await create(world, facts, { [property]: value })
      const other = await create(world, facts)
      return duplicate(world, id, () => world.owner.patch(`${path}/${other.id}`, { [property]: same }))
    },
    restore: async (world) => {
      const deleted = await create(world, facts, { [property]: value })
      await remove(world, facts, deleted)
      const { id } = await create(world, facts, { [property]: same })
      return duplicate(world, id, () => world.owner.post(`${path}/${deleted.id}/restore`))
    },
  } satisfies Record<string, Case>
}

export async function create({ owner }: World, { path, body }: RecordFacts, more: Row = {}): Promise<Stored> {
  const reply = await owner.post(path, { ...body, ...more })
  expect(reply.statusCode).toBe(201)
  return reply.json()
}

export async function remove({ owner }: World, { path }: RecordFacts, { id }: Stored): Promise<void> {
  expect((await owner.delete(`${path}/${id}`)).statusCode).toBe(204)
}

export const strangerTo = async ({ harness }: World): Promise<World> => ({
  harness,
  owner: await harness.newOrganization(),
})

type SendTo = (world: World, url: string, headers: Record<string, string>) => Promise<Reply>

/**
 * A record of another organization, and one in the recycle bin where the operation knows only live ones, look like one that never
 * was: the same bytes.
 */
export function hidden(facts: RecordFacts, send: SendTo, among: 'live' | 'all'): Case {
  return async (world) => {
    const stranger = await strangerTo(world)
    const ids = [randomUUID(), (await create(stranger, facts)).id]
    if (among === 'live') {
      const deleted = await create(world, facts)
      await remove(world, facts, deleted)
      ids.push(deleted.id)
    }
    const theirs = await contentsOf(stranger)
    const replies: Reply[] = []
    for (const id of ids) {
      const url = `${facts.path}/${id}`
      replies.push(await refused(world, 'not_found', () => send(world, url, { 'x-request-id': 'the-same' })))
    }
    expect(await contentsOf(stranger)).toEqual(theirs)
    expect(new Set(replies.map(({ payload }) => payload)).size).toBe(1)
    return replies[0] as Reply
  }
}

/** The properties that are kept as they are, under the names of their columns; money is not. */
function columnsOf(properties: Row): Row {
  const plain = Object.entries(properties).filter(([, value]) => !(value instanceof Object && 'currency' in value))
  return Object.fromEntries(
    plain.map(([name, value]) => [name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`), value]),
  )
}

export const changesOf = (before: Row, after: Row): Row =>
  Object.fromEntries(Object.entries(after).map(([name, to]) => [name, { from: before[name] ?? null, to }]))
