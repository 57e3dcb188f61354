import { expect } from 'vitest'
import { type Case, expectPart, expectProblem, type Row, unchanged, type World } from './case.js'

/** The path of a collection, and a body that creates a record as often as it is sent. */
type Facts = { path: string; body: Row }

type Stored = Row & { id: string; createdAt: string }

async function create({ owner }: Pick<World, 'owner'>, { path, body }: Facts): Promise<Stored> {
  const reply = await owner.post(path, body)
  expect(reply.statusCode).toBe(201)
  return reply.json()
}

/** The cases of what asks a kind of record with a filter tree. */
export function queryCases(facts: Facts) {
  const url = `${facts.path}/query`
  return {
    aggregate: {
      200: async (world) => {
        const { owner } = world
        await create({ owner: await world.harness.newOrganization() }, facts)
        const [first, second, deleted] = [
          await create(world, facts),
          await create(world, facts),
          await create(world, facts),
        ]
        await owner.patch(`${facts.path}/${second.id}`, { tags: ['changed'] })
        await owner.delete(`${facts.path}/${deleted.id}`)

        const groupBy = [{ field: 'version' }, { field: 'createdAt', interval: 'year', timeZone: 'UTC' }]
        const measures = [
          { function: 'count', as: 'records' },
          { function: 'max', field: 'createdAt', as: 'latest' },
        ]
        const body = { groupBy, measures, sort: ['-version'] }
        const url = `${facts.path}/aggregate`
        const group = ({ createdAt }: Stored, version: number) => ({
          groups: { version, createdAt: `${createdAt.slice(0, 4)}-01-01` },
          values: { records: 1, latest: createdAt },
        })
        const reply = await unchanged(world, () => owner.post(url, body))
        expect(reply.json()).toEqual({ data: [group(second, 2), group(first, 1)], hasMore: false })
        expect((await owner.post(url, { ...body, limit: 1 })).json()).toEqual({
          data: [group(second, 2)],
          hasMore: true,
        })
        const filter = { field: 'id', op: 'in', value: [first.id] }
        expect((await owner.post(url, { ...body, filter })).json()).toMatchObject({ data: [group(first, 1)] })
        const all = await owner.post(url, { measures })
        expect(all.json()).toEqual({
          data: [{ groups: {}, values: { records: 2, latest: second.createdAt } }],
          hasMore: false,
        })
        return reply
      },
    },

    query: {
      200: async (world) => {
        const { harness, owner } = world
        const theirs = await create({ owner: await harness.newOrganization() }, facts)
        const [first, second, third] = [
          await create(world, facts),
          await create(world, facts),
          await create(world, facts),
        ]
        const deleted = await create(world, facts)
        await owner.delete(`${facts.path}/${deleted.id}`)

        const ids = [first, second, deleted, theirs].map(({ id }) => id)
        const body = { filter: { or: [{ field: 'id', op: 'in', value: ids }] }, sort: ['createdAt'], limit: 1 }
        const page = await unchanged(world, () => owner.post(url, { ...body, count: 'exact' }))
        expect(page.json()).toEqual({
          data: [first],
          page: { nextCursor: expect.any(String), hasMore: true, total: 2, totalIsExact: true },
        })
        const { nextCursor } = page.json<{ page: { nextCursor: string } }>().page
        const last = await owner.post(url, { ...body, cursor: nextCursor })
        expect(last.json()).toEqual({ data: [second], page: { nextCursor: null, hasMore: false } })

        // Everything but those two, which is neither what was deleted nor what belongs to others.
        const rest = await owner.post(url, { filter: { not: body.filter }, count: 'estimate' })
        expect(rest.json()).toEqual({
          data: [third],
          page: { nextCursor: null, hasMore: false, total: 1, totalIsExact: true },
        })
        expect((await owner.post(url, {})).json<{ data: Stored[] }>().data).toEqual([third, second, first])
        expect((await owner.post(url, { limit: 1, expand: ['owner'] })).json()).toMatchObject({
          data: [{ ...third, expanded: { owner: { id: owner.userId, role: 'owner' } } }],
        })

        const part = await owner.post(url, { ...body, limit: 2, fields: ['ownerId'] })
        const owned = [first, second].map(({ id, version, ownerId }) => ({ id, version, ownerId }))
        expectPart(part, { data: owned, page: { nextCursor: null, hasMore: false } })

        const elsewhere = await unchanged(world, () =>
          owner.post(url, { ...body, filter: { not: body.filter }, cursor: nextCursor }),
        )
        expectProblem(elsewhere, 'invalid_request')
        expect(elsewhere.json()).toMatchObject({ errors: [{ pointer: '/cursor', code: 'cursor' }] })
        return page
      },
    },
  } satisfies Record<string, Record<number, Case>>
}
