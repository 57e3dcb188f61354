import { expect } from 'vitest'
import { operations } from '../../generated/operations.js'
import { create, refusedThrough, type Stored } from './asset-cases.js'
import { type Case, expectProblem, type Row, unchanged, type World } from './case.js'

/** The name of a kind of record, the path of its collection, and a body that creates one as often as it is sent. */
type Facts = { object: string; path: string; body: Row }

const segments = operations.listSegments.path

/** The cases of what lists the records in a segment. */
export function segmentCases({ object, path, body }: Facts) {
  const url = (id: string) => `${segments}/${id}/${path.split('/').at(-1)}`
  const make = (caller: Pick<World['owner'], 'post'>, more: Row) =>
    create(caller, segments, { object, kind: 'dynamic', name: 'Some', ...more })

  return {
    segment: {
      200: async (world) => {
        const { harness, owner } = world
        const member = await harness.newUser(owner.organizationId, 'member')
        const records: Stored[] = []
        for (const caller of [owner, member, owner, owner]) records.push(await create(caller, path, body))
        const [first, theirs, deleted, other] = records as [Stored, Stored, Stored, Stored]
        const ids = [first.id, theirs.id, deleted.id]
        const dynamic = await make(owner, { filter: { field: 'id', op: 'in', value: ids } })
        const fixed = await make(owner, { kind: 'static' })
        const put = await owner.post(`${segments}/${fixed.id}/members`, { add: ids })
        expect(put.json()).toEqual({ added: 3, removed: 0 })
        await owner.delete(`${path}/${deleted.id}`)

        for (const { id } of [dynamic, fixed]) {
          const shown = async (caller: World['owner']) =>
            (await caller.get(`${url(id)}?count=exact`)).json<{ data: Stored[]; page: Row }>()
          const all = await shown(owner)
          expect(all.data.map((each) => each.id)).toEqual([theirs.id, first.id])
          expect(all.page).toMatchObject({ total: 2, nextCursor: null })
          const own = await shown(member)
          expect(own.data.map((each) => each.id)).toEqual([theirs.id])
          expect(own.page).toMatchObject({ total: 1 })
        }
        const page = await unchanged(world, () => owner.get(`${url(fixed.id)}?limit=1`))
        const { nextCursor } = page.json<{ page: { nextCursor: string } }>().page
        expect(page.headers.link).toContain(nextCursor)
        const last = await owner.get(`${url(fixed.id)}?limit=1&cursor=${nextCursor}`)
        expect(last.json()).toMatchObject({ data: [{ id: first.id }], page: { nextCursor: null, hasMore: false } })
        for (const each of [dynamic, await make(owner, { kind: 'static' })]) {
          expectProblem(await owner.get(`${url(each.id)}?cursor=${nextCursor}`), 'invalid_request')
        }
        const everything = await make(owner, {})
        const shown = (await owner.get(url(everything.id))).json<{ data: Stored[] }>().data
        expect(shown.map(({ id }) => id)).toEqual([other.id, theirs.id, first.id])
        return page
      },
      ...refusedThrough({
        ...{ name: 'segment', object, url, make },
        hidden: async (_, stranger) => [await make(stranger, {})],
      }),
    },
  } satisfies Record<string, Record<number, Case>>
}
