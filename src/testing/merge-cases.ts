import { randomUUID } from 'node:crypto'
import { expect } from 'vitest'
import { type Case, eventsOf, type Row, refused, rowsOf, unchanged, type World } from './case.js'
import { create, hidden, OUTDATED, type RecordFacts, strangerTo } from './record-cases.js'

type Stored = Row & { id: string; version: number }
type Merge = Row & { id: string; winnerId: string; loserIds: string[] }
type Result = { merge: Merge; winner: Stored; losers: Stored[] }

/** The cases of merging records and of undoing that. */
export function mergeCases(facts: RecordFacts) {
  const { object, table, path, patch } = facts
  const merges = path.replace(/\/([\w-]+)$/, '/merges/$1')
  // Two that have what the patch takes away from them in common, so that the winner lacks it.
  const merged = async (world: World): Promise<Result> => {
    const [winner, loser] = [await create(world, facts), await create(world, facts)]
    const reply = await world.owner.post(`${path}/merge`, { winnerId: winner.id, loserIds: [loser.id] })
    expect(reply.statusCode, reply.payload).toBe(200)
    return reply.json()
  }
  const missing =
    (send: (world: World, id: string, headers: Record<string, string>) => ReturnType<Case>): Case =>
    async (world) => {
      const theirs = await merged(await strangerTo(world))
      const [reply, other] = [randomUUID(), theirs.merge.id].map((id) =>
        refused(world, 'not_found', () => send(world, id, { 'x-request-id': 'the-same' })),
      )
      expect((await other)?.payload).toBe((await reply)?.payload)
      return (await reply) as Awaited<ReturnType<Case>>
    }

  return {
    merge: {
      200: async (world) => {
        const [winner, loser, other] = [
          await create(world, facts),
          await create(world, facts, { tags: ['of the loser'] }),
          await create(world, facts),
        ]
        const body = { winnerId: winner.id, loserIds: [loser.id, other.id] }
        const dry = await unchanged(world, () => world.owner.post(`${path}/merge?dryRun=true`, body))
        const tags = [...(winner.tags as string[]), 'of the loser']
        const result = {
          winner: { ...winner, tags, version: 2, updatedAt: expect.any(String) },
          losers: [loser, other].map((each) => ({
            ...{ ...each, version: 2, updatedAt: expect.any(String), deletedAt: expect.any(String) },
          })),
          references: [],
        }
        expect(dry.json()).toMatchObject({ ...result, dryRun: true })

        const reply = await world.owner.post(`${path}/merge`, body, { 'if-match': '"1"' })
        expect(reply.json()).toMatchObject({
          ...{ ...result, dryRun: false },
          merge: { ...body, version: 1, object, undoneAt: null, mergedBy: { id: world.owner.userId } },
        })
        const { merge } = reply.json<Result>()
        expect(await rowsOf(world, `${table} t where id = any($1) order by id`, body.loserIds)).toMatchObject([
          { version: 2, deleted_at: expect.any(String) },
          { version: 2, deleted_at: expect.any(String) },
        ])
        expect((await world.owner.get(`${path}/${winner.id}`)).json()).toEqual(reply.json<Result>().winner)
        const told = { cause: 'merge', request_id: reply.headers['x-request-id'], actor_id: world.owner.userId }
        expect((await eventsOf(world, winner.id)).at(-1)).toMatchObject({
          ...{ ...told, type: `${object}.updated`, changes: { tags: { from: winner.tags, to: tags } } },
        })
        for (const id of body.loserIds) {
          expect((await eventsOf(world, id)).at(-1)).toMatchObject({ ...told, type: `${object}.merged`, changes: {} })
          const gone = await world.owner.get(`${path}/${id}`)
          expect([gone.statusCode, gone.headers.location]).toEqual([308, `${path}/${winner.id}`])
        }
        expect((await world.owner.get(`${merges}/${merge.id}`)).json()).toEqual(merge)
        return reply
      },
      412: async (world) => {
        const [winner, loser] = [await create(world, facts), await create(world, facts)]
        const body = { winnerId: winner.id, loserIds: [loser.id] }
        await refused(world, 'version_mismatch', () =>
          world.owner.post(`${path}/merge`, { ...body, ifMatch: { [loser.id]: '"7"' } }, { 'if-match': '"1"' }),
        )
        return refused(world, 'version_mismatch', () => world.owner.post(`${path}/merge`, body, OUTDATED))
      },
    },

    listMerges: {
      200: async (world) => {
        await merged(await strangerTo(world))
        const all: Merge[] = []
        for (let count = 0; count < 3; count += 1) {
          all.unshift((await merged(world)).merge)
          world.harness.advance(1_000)
        }
        const page = await unchanged(world, () => world.owner.get(`${merges}?limit=2`))
        expect(page.json()).toEqual({ data: all.slice(0, 2), page: { nextCursor: expect.any(String), hasMore: true } })
        const { nextCursor } = page.json<{ page: { nextCursor: string } }>().page
        expect(page.headers.link).toBe(`<${merges}?limit=2&cursor=${nextCursor}>; rel="next"`)
        const last = await world.owner.get(`${merges}?limit=2&cursor=${nextCursor}`)
        expect(last.json()).toEqual({ data: all.slice(2), page: { nextCursor: null, hasMore: false } })
        const one = await world.owner.get(`${merges}?winnerId=${all[1]?.winnerId}`)
        expect(one.json()).toMatchObject({ data: [all[1]] })
        return page
      },
    },

    getMerge: {
      200: async (world) => {
        const { merge } = await merged(world)
        const reply = await unchanged(world, () => world.owner.get(`${merges}/${merge.id}`))
        expect(reply.json()).toEqual(merge)
        return reply
      },
      304: async (world) => {
        const { merge } = await merged(world)
        const url = `${merges}/${merge.id}`
        const reply = await unchanged(world, () => world.owner.get(url, { 'if-none-match': '"1"' }))
        expect(reply.headers.etag).toBe('"1"')
        await world.owner.post(`${url}/undo`)
        expect((await world.owner.get(url, { 'if-none-match': '"1"' })).statusCode).toBe(200)
        return reply
      },
      404: missing(({ owner }, id, headers) => owner.get(`${merges}/${id}`, headers)),
    },

    undoMerge: {
      200: async (world) => {
        const before = [await create(world, facts, { tags: ['one'] }), await create(world, facts, { tags: ['two'] })]
        const [winner, loser] = before as [Stored, Stored]
        const { merge } = (
          await world.owner.post(`${path}/merge`, { winnerId: winner.id, loserIds: [loser.id] })
        ).json<Result>()
        const url = `${merges}/${merge.id}/undo`
        const later = await world.owner.patch(`${path}/${winner.id}`, patch)
        expect(later.statusCode).toBe(200)

        const dry = await unchanged(world, () => world.owner.post(`${url}?dryRun=true`))
        expect(dry.json()).toMatchObject({ dryRun: true, winner: { tags: ['one'] }, losers: [{ tags: ['two'] }] })
        const reply = await world.owner.post(url, undefined, { 'if-match': '"1"' })
        const at = { updatedAt: expect.any(String) }
        expect(reply.json()).toMatchObject({
          ...{ dryRun: false, kept: [], references: [] },
          merge: { ...merge, version: 2, undoneAt: expect.any(String), undoneBy: { id: world.owner.userId } },
          winner: { ...winner, ...patch, ...at, version: 4 },
          losers: [{ ...loser, ...at, version: 3 }],
        })
        for (const record of [reply.json<Result>().winner, ...reply.json<Result>().losers]) {
          expect((await world.owner.get(`${path}/${record.id}`)).json()).toEqual(record)
        }
        const told = { cause: 'unmerge', request_id: reply.headers['x-request-id'] }
        expect((await eventsOf(world, winner.id)).at(-1)).toMatchObject({ ...told, type: `${object}.updated` })
        expect((await eventsOf(world, loser.id)).at(-1)).toMatchObject({ ...told, type: `${object}.restored` })
        return reply
      },
      404: missing(({ owner }, id, headers) => owner.post(`${merges}/${id}/undo`, undefined, headers)),
      409: async (world) => {
        const { merge, losers } = await merged(world)
        const undo = () => world.owner.post(`${merges}/${merge.id}/undo`)
        const [loser] = losers as [Stored]
        await world.owner.post(`${path}/${loser.id}/restore`)
        const outdated = await refused(world, 'merge_outdated', undo)
        const conflict = { object, id: loser.id, matchedOn: ['deletedAt'] }
        expect(outdated.json()).toMatchObject({ conflicts: [conflict] })
        expect((await world.owner.get(`${path}/${loser.id}`)).statusCode).toBe(200)

        const other = await merged(world)
        const url = `${merges}/${other.merge.id}/undo`
        expect((await world.owner.post(url)).statusCode).toBe(200)
        return refused(world, 'already_undone', () => world.owner.post(url))
      },
      412: async (world) => {
        const { merge } = await merged(world)
        return refused(world, 'version_mismatch', () =>
          world.owner.post(`${merges}/${merge.id}/undo`, undefined, OUTDATED),
        )
      },
    },

    moved: {
      308: async (world) => {
        const { winner, losers } = await merged(world)
        const [loser] = losers as [Stored]
        const url = `${path}/${loser.id}`
        const reply = await unchanged(world, () => world.owner.get(url))
        expect(reply.headers.location).toBe(`${path}/${winner.id}`)
        expect(reply.payload).toBe('')
        // Who follows it gets what was asked for.
        const asked = await world.owner.get(`${url}?fields=version,%74ags&expand=owner`)
        const location = String(asked.headers.location)
        expect(location).toBe(`${path}/${winner.id}?fields=version%2Ctags&expand=owner`)
        const { version, tags } = winner
        const followed = (await world.owner.get(location)).json<Stored>()
        expect(followed).toMatchObject({ version, tags })
        expect(followed).not.toHaveProperty('createdAt')
        expect((await world.owner.get(`${url}?fields=no`)).statusCode).toBe(400)
        await hidden(facts, ({ owner }, at, headers) => owner.get(at, headers), 'live')(world)
        return reply
      },
    },
  } satisfies Record<string, Record<number, Case>>
}
