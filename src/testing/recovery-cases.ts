import { expect } from 'vitest'
import type { components } from '../../generated/types.js'
import { type Case, eventsOf, type Reply, type Row, refused, rowsOf, unchanged } from './case.js'
import { changesOf, create, hidden, OUTDATED, type RecordFacts, remove, strangerTo } from './record-cases.js'

type Event = components['schemas']['RecordEvent']
type Entry = components['schemas']['TimelineEntry']
type Page<Item> = { data: Item[]; page: { nextCursor: string | null; hasMore: boolean } }

/** The cases of history, timeline, recycle bin and purge. */
export function recoveryCases(facts: RecordFacts) {
  const { object, table, path, body, patch } = facts
  const bin = path.replace(/\/([\w-]+)$/, '/recycle-bin/$1')

  return {
    history: {
      200: async (world) => {
        const before = await create(world, facts)
        await create(world, facts)
        const url = `${path}/${before.id}/history`
        const updated = await world.owner.patch(`${path}/${before.id}`, patch)
        await remove(world, facts, before)

        const reply = await unchanged(world, () => world.owner.get(`${url}?limit=2`))
        const { data, page } = reply.json<Page<Event>>()
        const shared = { object, recordId: before.id, cause: 'api', actor: { type: 'user', id: world.owner.userId } }
        expect(data).toMatchObject([
          { ...shared, type: `${object}.deleted`, version: 3 },
          {
            ...{ ...shared, type: `${object}.updated`, version: 2, occurredAt: updated.json<Row>().updatedAt },
            requestId: updated.headers['x-request-id'],
          },
        ])
        expect(data.map(({ changes }) => changes)).toEqual([{}, changesOf(before, patch)])
        expect(page).toEqual({ nextCursor: expect.any(String), hasMore: true })
        expect(reply.headers.link).toBe(`<${url}?limit=2&cursor=${page.nextCursor}>; rel="next"`)

        const last = await world.owner.get(`${url}?limit=2&cursor=${page.nextCursor}`)
        const first = { ...shared, type: `${object}.created`, version: 1, occurredAt: before.createdAt }
        expect(last.json()).toMatchObject({ data: [first], page: { nextCursor: null, hasMore: false } })
        expect(last.json<Page<Event>>().data[0]?.changes).toMatchObject(changesOf({}, body))
        expect(last.headers).not.toHaveProperty('link')

        for (const field of Object.keys(patch)) {
          const some = (await world.owner.get(`${url}?field=${field}`)).json<Page<Event>>().data
          const all = [2, 1].filter((version) => version === 2 || (before[field] ?? null) !== null)
          expect(some.map(({ version }) => version)).toEqual(all)
        }
        expect((await world.owner.get(`${url}?field=teamId`)).json()).toEqual({
          data: [],
          page: { nextCursor: null, hasMore: false },
        })
        return reply
      },
      404: hidden(facts, ({ owner }, url, headers) => owner.get(`${url}/history`, headers), 'all'),
    },

    timeline: {
      200: async (world) => {
        const before = await create(world, facts)
        await create(world, facts)
        const url = `${path}/${before.id}/timeline`
        world.harness.advance(1_000)
        await world.owner.patch(`${path}/${before.id}`, patch)
        world.harness.advance(1_000)
        await remove(world, facts, before)

        const reply = await unchanged(world, () => world.owner.get(`${url}?limit=2`))
        const { data, page } = reply.json<Page<Entry>>()
        expect(data.map(({ event }) => event.type)).toEqual([`${object}.deleted`, `${object}.updated`])
        expect(page).toEqual({ nextCursor: expect.any(String), hasMore: true })
        expect(reply.headers.link).toBe(`<${url}?limit=2&cursor=${page.nextCursor}>; rel="next"`)
        const last = await world.owner.get(`${url}?limit=2&cursor=${page.nextCursor}`)
        const history = (await world.owner.get(`${path}/${before.id}/history`)).json<Page<Event>>().data
        expect([...data, ...last.json<Page<Entry>>().data].map(({ event }) => event)).toEqual(history)
        expect(last.json()).toMatchObject({ page: { nextCursor: null, hasMore: false } })
        return reply
      },
      404: hidden(facts, ({ owner }, url, headers) => owner.get(`${url}/timeline`, headers), 'all'),
    },

    bin: {
      200: async (world) => {
        const stranger = await strangerTo(world)
        await remove(stranger, facts, await create(stranger, facts))
        const [first, second, third, live] = [
          await create(world, facts),
          await create(world, facts),
          await create(world, facts),
          await create(world, facts),
        ]
        for (const record of [second, third, first]) {
          await remove(world, facts, record)
          // Those that are deleted in one millisecond stand in the order of their ids.
          world.harness.advance(1_000)
        }
        const idsOf = (reply: Reply) => reply.json<Page<Row>>().data.map(({ id }) => id)

        const reply = await unchanged(world, () => world.owner.get(`${bin}?limit=2`))
        expect(idsOf(reply)).toEqual([first.id, third.id])
        const { data, page } = reply.json<Page<Row>>()
        const deleted = { version: 2, deletedAt: expect.any(String), updatedAt: expect.any(String) }
        expect(data).toEqual([
          { ...first, ...deleted },
          { ...third, ...deleted },
        ])
        expect(page).toEqual({ nextCursor: expect.any(String), hasMore: true })
        expect(reply.headers.link).toBe(`<${bin}?limit=2&cursor=${page.nextCursor}>; rel="next"`)
        const last = await world.owner.get(`${bin}?limit=2&cursor=${page.nextCursor}`)
        expect(idsOf(last)).toEqual([second.id])
        expect(last.headers).not.toHaveProperty('link')

        await world.owner.post(`${path}/${third.id}/restore`)
        expect(idsOf(await world.owner.get(bin))).toEqual([first.id, second.id])
        expect((await world.owner.get(`${path}/${live.id}`)).json()).toEqual(live)
        return reply
      },
    },

    purge: {
      200: async (world) => {
        const { id } = await create(world, facts)
        const other = await create(world, facts)
        await world.owner.patch(`${path}/${id}`, patch)
        await world.owner.delete(`${path}/${id}`)
        const url = `${path}/${id}/purge`
        const dry = await unchanged(world, () => world.owner.post(`${url}?dryRun=true`))
        expect(dry.json()).toEqual({ dryRun: true, object, id, events: 3, cleared: [] })

        const before = await eventsOf(world, id)
        const reply = await world.owner.post(url, undefined, { 'if-match': '"3"' })
        expect(reply.json()).toEqual({ dryRun: false, object, id, events: 3, cleared: [] })
        expect(await rowsOf(world, `${table} t where id = $1`, id)).toEqual([])
        for (const gone of ['', '/history', '/timeline']) {
          expect((await world.owner.get(`${path}/${id}${gone}`)).statusCode).toBe(404)
        }
        expect((await world.owner.post(`${path}/${id}/restore`)).statusCode).toBe(404)
        expect((await world.owner.get(bin)).json()).toMatchObject({ data: [] })

        // Who did what and when stays, and the values are gone.
        const tombstone = {
          ...{ type: `${object}.purged`, object, version: 4, changes: {}, cause: 'api' },
          ...{ actor_type: 'user', actor_id: world.owner.userId, request_id: reply.headers['x-request-id'] },
        }
        expect(await eventsOf(world, id)).toEqual([
          ...before.map((event) => ({ ...event, changes: {} })),
          expect.objectContaining(tombstone),
        ])
        expect((await world.owner.get(`${path}/${other.id}`)).json()).toEqual(other)
        expect(await eventsOf(world, other.id)).toMatchObject([{ changes: changesOf({}, body) }])
        return reply
      },
      404: hidden(facts, ({ owner }, url, headers) => owner.post(`${url}/purge`, undefined, headers), 'all'),
      409: async (world) => {
        const record = await create(world, facts)
        const purge = () => world.owner.post(`${path}/${record.id}/purge`)
        await refused(world, 'not_deleted', purge)
        await remove(world, facts, record)
        // Also when a table refers to it that the engine does not know.
        const { sql } = world.harness
        await sql.query(
          `create table probe (organization_id uuid, record_id uuid, foreign key (organization_id, record_id) references ${table})`,
        )
        try {
          await sql.query('insert into probe values ($1, $2)', [world.owner.organizationId, record.id])
          const reply = await refused(world, 'still_referenced', purge)
          expect(reply.json()).not.toHaveProperty('conflicts')
          return reply
        } finally {
          await sql.query('drop table probe')
        }
      },
      412: async (world) => {
        const record = await create(world, facts)
        await remove(world, facts, record)
        return refused(world, 'version_mismatch', () =>
          world.owner.post(`${path}/${record.id}/purge`, undefined, OUTDATED),
        )
      },
    },
  } satisfies Record<string, Record<number, Case>>
}

/**
 * The 409 of purging a record that others refer to.
 *
 * @param referrer what refers to it, and by which property
 */
export function referredCase(facts: RecordFacts, referrer: RecordFacts, property: string): Case {
  const conflict = (id: string) => ({ object: referrer.object, id, matchedOn: [property] })
  return async (world) => {
    await recoveryCases(facts).purge[409](world)
    const record = await create(world, facts)
    const holder = await create(world, referrer, { [property]: record.id })
    await remove(world, facts, record)
    const purge = () => world.owner.post(`${facts.path}/${record.id}/purge`)
    const reply = await refused(world, 'still_referenced', purge)
    expect(reply.json()).toMatchObject({ conflicts: [conflict(holder.id)] })
    // From the recycle bin it could come back, reference and all.
    await remove(world, referrer, holder)
    const again = await refused(world, 'still_referenced', () =>
      world.owner.post(`${facts.path}/${record.id}/purge?dryRun=true`),
    )
    expect(again.json()).toMatchObject({ conflicts: [conflict(holder.id)] })
    expect((await world.owner.post(`${referrer.path}/${holder.id}/purge`)).statusCode).toBe(200)
    expect((await purge()).statusCode).toBe(200)
    return reply
  }
}
