import { expect } from 'vitest'
import { operations } from '../../generated/operations.js'
import { create, refusedThrough, type Stored } from './asset-cases.js'
import { type Case, expectProblem, type Row, unchanged, type World } from './case.js'

/** The name of a kind of record, the path of its collection, and a body that creates one as often as it is sent. */
type Facts = { object: string; path: string; body: Row }

const views = operations.listViews.path

/** The cases of what lists the records of a saved view. */
export function viewCases({ object, path, body }: Facts) {
  const url = (id: string) => `${views}/${id}/${path.split('/').at(-1)}`
  const save = (caller: Pick<World['owner'], 'post'>, more: Row) =>
    create(caller, views, { object, name: 'Some', ...more })

  return {
    view: {
      200: async (world) => {
        const { harness, owner } = world
        const theirs = await create(await harness.newOrganization(), path, body)
        const [first, second] = [await create(owner, path, body), await create(owner, path, body)]
        const deleted = await create(owner, path, body)
        await owner.delete(`${path}/${deleted.id}`)
        const other = await create(owner, path, body)

        const value = [first.id, second.id, deleted.id]
        // Whoever saves a view must see what it is about.
        const unknown = { object, name: 'Theirs', filter: { field: 'id', op: 'in', value: [theirs.id] } }
        const filter = { field: 'id', op: 'in', value }
        const view = await save(owner, { filter, sort: ['createdAt'], sharing: 'organization' })
        const page = await unchanged(world, () => owner.get(`${url(view.id)}?limit=1&count=exact`))
        expect(page.json()).toEqual({
          data: [first],
          page: { nextCursor: expect.any(String), hasMore: true, total: 2, totalIsExact: true },
        })
        const { nextCursor } = page.json<{ page: { nextCursor: string } }>().page
        expect(page.headers.link).toContain(nextCursor)
        const last = await owner.get(`${url(view.id)}?limit=1&cursor=${nextCursor}`)
        expect(last.json()).toEqual({ data: [second], page: { nextCursor: null, hasMore: false } })

        // A view of another, with the same records in another order.
        const turned = await save(owner, { filter, sort: ['-createdAt'] })
        expect((await owner.get(url(turned.id))).json<{ data: Row[] }>().data).toEqual([second, first])
        const elsewhere = await unchanged(world, () => owner.get(`${url(turned.id)}?cursor=${nextCursor}`))
        expectProblem(elsewhere, 'invalid_request')
        const all = await save(owner, { name: 'All' })
        expect((await owner.get(url(all.id))).json<{ data: Row[] }>().data).toEqual([other, second, first])
        expect((await owner.post(views, unknown)).statusCode).toBe(201)

        // A colleague sees through it what they may see themselves.
        const member = await harness.newUser(owner.organizationId, 'member')
        expect((await member.get(url(view.id))).json()).toMatchObject({ data: [] })
        const seen = await create(member, path, body)
        expect((await owner.patch(`${views}/${view.id}`, { object, filter: null })).statusCode).toBe(200)
        const shown = (await member.get(url(view.id))).json<{ data: Stored[] }>().data
        expect(shown.map(({ id }) => id)).toEqual([seen.id])
        return page
      },
      ...refusedThrough({
        ...{ name: 'view', object, url, make: save },
        hidden: async (world, stranger) => [
          await save(await world.harness.newUser(world.owner.organizationId, 'member'), {}),
          await save(stranger, { sharing: 'organization' }),
        ],
      }),
    },
  } satisfies Record<string, Record<number, Case>>
}
