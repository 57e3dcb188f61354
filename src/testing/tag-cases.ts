import { randomUUID } from 'node:crypto'
import { expect } from 'vitest'
import { type Case, eventsOf, type Reply, type Row, refused, rowsOf, unchanged, type World } from './case.js'

/** The path of a collection, and a body that creates one as often as it is sent. */
type Facts = { path: string; body: Row }

type Caller = World['owner']
type Tagged = { id: string; version: number; tags: string[] }

const numbered = (count: number, prefix = 'tag') => Array.from({ length: count }, (_, index) => `${prefix} ${index}`)

/** The cases of adding tags to a record and taking them off. */
export function tagCases({ path, body }: Facts) {
  const create = async (caller: Caller, tags: string[] = []): Promise<string> => {
    const reply = await caller.post(path, { ...body, tags })
    expect(reply.statusCode, reply.payload).toBe(201)
    return `${path}/${reply.json<Tagged>().id}`
  }
  const idOf = (url: string) => String(url.split('/').at(-1))
  const change = (caller: Caller, url: string, tags: Row, headers?: Record<string, string>) =>
    caller.post(`${url}/tags`, tags, headers)
  const uses = async (world: World, url: string) =>
    (await rowsOf(world, 'crm_tag_uses t where record_id = $1 order by tag', idOf(url))).map(({ tag }) => tag)

  return {
    changeTags: {
      200: async (world) => {
        const { owner, harness } = world
        const url = await create(owner, ['a', 'b'])
        const tags = { add: ['b', '“Ä/ö” \\'], remove: ['a', 'never'] }
        const reply = await change(owner, url, tags, { 'if-match': '"1"' })
        const after = ['b', '“Ä/ö” \\']
        expect(reply.json()).toMatchObject({ version: 2, tags: after })
        expect(reply.headers.etag).toBe('"2"')
        expect((await owner.get(url)).json()).toEqual(reply.json())
        expect(await uses(world, url)).toEqual(after)
        const [, event] = await eventsOf(world, idOf(url))
        expect(event).toMatchObject({ version: 2, changes: { tags: { from: ['a', 'b'], to: after } } })
        const again = await unchanged(world, () => change(owner, url, tags))
        expect(again.json()).toEqual(reply.json())
        // Of many at once none is lost.
        await Promise.all(numbered(10).map((tag) => change(owner, url, { add: [tag] })))
        const all = (await owner.get(url)).json<Tagged>()
        expect(all.version).toBe(12)
        expect(new Set(all.tags)).toEqual(new Set([...after, ...numbered(10)]))
        // As many as there may be, and no more.
        const full = await create(owner, numbered(50))
        for (const [wrong, pointer, code] of [
          [{ add: ['one more'] }, '/add', 'max_items'],
          [{ add: ['x'], remove: ['y', 'x'] }, '/remove/1', 'repeated'],
          [{ add: [''] }, '/add/0', 'min_length'],
          [{}, '', 'min_properties'],
        ] as const) {
          const refusal = await unchanged(world, () => change(owner, full, wrong))
          expect(refusal.json()).toMatchObject({ status: 400, errors: [{ pointer, code }] })
        }
        expect((await change(owner, full, { add: ['one more'], remove: ['tag 7'] })).statusCode).toBe(200)
        // Who may read it need not be one who may change it.
        const manager = await harness.newUser(owner.organizationId, 'manager')
        const refusal = await unchanged(world, () => change(manager, url, { add: ['mine'] }))
        expect(refusal.json()).toMatchObject({ status: 403, code: 'forbidden' })
        return reply
      },
      // A record of another organization, a deleted one, and one that the caller cannot see, look like one that never was.
      404: async (world) => {
        const { harness, owner } = world
        const stranger = { harness, owner: await harness.newOrganization() }
        const deleted = await create(owner)
        await owner.delete(deleted)
        const member = await harness.newUser(owner.organizationId, 'member')
        const theirs = await create(stranger.owner)
        const replies: Reply[] = []
        for (const url of [`${path}/${randomUUID()}`, theirs, deleted, await create(owner)]) {
          const attempt = () =>
            refused(world, 'not_found', () => change(member, url, { add: ['x'] }, { 'x-request-id': 'same' }))
          replies.push(await unchanged(stranger, attempt))
        }
        expect(new Set(replies.map(({ payload }) => payload)).size).toBe(1)
        return replies[0] as Reply
      },
      412: async (world) => {
        const url = await create(world.owner)
        return refused(world, 'version_mismatch', () => change(world.owner, url, { add: ['x'] }, { 'if-match': '"7"' }))
      },
    },
  } satisfies Record<string, Record<number, Case>>
}
