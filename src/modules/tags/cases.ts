import { expect } from 'vitest'
import { operations } from '../../../generated/operations.js'
import type { Cases } from '../../http/contract.js'
import { type Case, eventsOf, type Reply, refused, unchanged, type World } from '../../testing/case.js'

const { path } = operations.listTags
const accounts = operations.createAccount.path
const contacts = operations.createContact.path

type Tagged = { id: string; version: number; tags: string[] }
type Caller = World['owner']

async function tagged(caller: Caller, collection: string, ...tags: string[]): Promise<string> {
  const reply = await caller.post(collection, {
    ...(collection === accounts ? { name: 'A' } : { lastName: 'A' }),
    tags,
  })
  expect(reply.statusCode, reply.payload).toBe(201)
  return reply.json<Tagged>().id
}

const read = async (caller: Caller, collection: string, id: string): Promise<Tagged> =>
  (await caller.get(`${collection}/${id}`)).json()

const at = (tag: string) => `${path}/${encodeURIComponent(tag)}`

type Change = (
  caller: Caller,
  tag: string,
  more?: { query?: string; headers?: Record<string, string> },
) => Promise<Reply>

const rename: Change = (caller, tag, { query = '', headers } = {}) =>
  caller.send('PATCH', `${at(tag)}${query}`, { name: 'b' }, headers)
const remove: Change = (caller, tag, { query = '', headers } = {}) =>
  caller.send('DELETE', `${at(tag)}${query}`, undefined, headers)

/** A tag of another organization, or of nothing but deleted records, looks like one that never was. */
const missing =
  (change: Change): Case =>
  async (world) => {
    const { harness, owner } = world
    const stranger = { harness, owner: await harness.newOrganization() }
    await tagged(stranger.owner, accounts, 'theirs')
    await owner.delete(`${accounts}/${await tagged(owner, accounts, 'deleted')}`)
    const replies: Reply[] = []
    for (const tag of ['never', 'theirs', 'deleted']) {
      const attempt = () =>
        refused(world, 'not_found', () => change(owner, tag, { headers: { 'x-request-id': 'same' } }))
      replies.push(await unchanged(stranger, attempt))
    }
    expect(new Set(replies.map(({ payload }) => payload)).size).toBe(1)
    return replies[0] as Reply
  }

const tooMany =
  (change: Change): Case =>
  async (world) => {
    const { harness, owner } = world
    const id = await tagged(owner, accounts, 'a')
    await harness.sql.query(
      `insert into crm_accounts select (jsonb_populate_record(a, jsonb_build_object('id', gen_random_uuid()))).*
       from crm_accounts a, generate_series(2, 2001) where a.id = $1`,
      [id],
    )
    return refused(world, 'too_many_records', () => change(owner, 'a'))
  }

export const cases = {
  listTags: {
    200: async (world) => {
      const { harness, owner } = world
      await tagged(await harness.newOrganization(), accounts, 'theirs')
      const member = await harness.newUser(owner.organizationId, 'member')
      const mate = await harness.newUser(owner.organizationId, 'member')
      const teamId = await harness.newTeam(owner.organizationId, [member, mate])
      const first = await tagged(owner, accounts, 'vip', 'Ämter')
      await tagged(owner, contacts, 'vip', 'a')
      await tagged(member, accounts, 'vip', 'mine')
      await mate.post(contacts, { lastName: 'B', tags: ['ours', 'vip'], teamId })
      const all = await unchanged(world, () => owner.get(path))
      const use = (object: string, count: number) => ({ object, count, isExact: true })
      const mine = [
        { name: 'mine', uses: [use('account', 1)] },
        { name: 'ours', uses: [use('contact', 1)] },
      ]
      expect(all.json()).toEqual({
        data: [
          { name: 'a', uses: [use('contact', 1)] },
          ...mine,
          { name: 'vip', uses: [use('account', 2), use('contact', 2)] },
          { name: 'Ämter', uses: [use('account', 1)] },
        ],
        page: { nextCursor: null, hasMore: false },
      })
      // Only of what the caller may read.
      expect((await member.get(path)).json()).toMatchObject({
        data: [...mine, { name: 'vip', uses: [use('account', 1), use('contact', 1)] }],
      })
      const names = async (query: string, cursor = ''): Promise<string[]> => {
        const { data, page } = (await owner.get(`${path}?${query}${cursor}`)).json<{
          data: { name: string }[]
          page: { nextCursor: string | null }
        }>()
        const rest = page.nextCursor ? await names(query, `&cursor=${page.nextCursor}`) : []
        return [...data.map(({ name }) => name), ...rest]
      }
      expect(await names('limit=2')).toEqual(['a', 'mine', 'ours', 'vip', 'Ämter'])
      expect(await names(`startsWith=${encodeURIComponent('Ä')}`)).toEqual(['Ämter'])
      expect(await names('startsWith=v&limit=1')).toEqual(['vip'])
      // They come and go with the records.
      await owner.delete(`${accounts}/${first}`)
      expect(await names('limit=3')).toEqual(['a', 'mine', 'ours', 'vip'])
      await owner.post(`${accounts}/${first}/restore`)
      expect(await names('startsWith=%C3%84')).toEqual(['Ämter'])
      // No further than a thousand.
      await harness.sql.query(
        `insert into crm_accounts select (jsonb_populate_record(a, jsonb_build_object('id', gen_random_uuid()))).*
         from crm_accounts a, generate_series(2, 1001) where a.id = $1`,
        [first],
      )
      expect((await owner.get(`${path}?startsWith=%C3%84`)).json()).toMatchObject({
        data: [{ uses: [{ object: 'account', count: 1000, isExact: false }] }],
      })
      return all
    },
  },
  renameTag: {
    200: async (world) => {
      const { harness, owner } = world
      const stranger = { harness, owner: await harness.newOrganization() }
      await tagged(stranger.owner, accounts, 'a')
      const [one, both] = [await tagged(owner, accounts, 'x', 'a', 'y'), await tagged(owner, accounts, 'b', 'x', 'a')]
      const contact = await tagged(owner, contacts, 'a')
      const deleted = await tagged(owner, accounts, 'a')
      await owner.delete(`${accounts}/${deleted}`)
      const changed = [
        { object: 'account', count: 2 },
        { object: 'contact', count: 1 },
      ]
      const preview = await unchanged(world, () => rename(owner, 'a', { query: '?dryRun=true' }))
      expect(preview.json()).toEqual({ dryRun: true, name: 'b', changed })
      const reply = await unchanged(stranger, () => rename(owner, 'a'))
      expect(reply.json()).toEqual({ dryRun: false, name: 'b', changed })
      expect(await read(owner, accounts, one)).toMatchObject({ version: 2, tags: ['x', 'b', 'y'] })
      // Of two that become one the first stays.
      expect(await read(owner, accounts, both)).toMatchObject({ version: 2, tags: ['b', 'x'] })
      expect(await read(owner, contacts, contact)).toMatchObject({ version: 2, tags: ['b'] })
      const [, event] = await eventsOf(world, both)
      expect(event).toMatchObject({
        ...{ type: 'account.updated', version: 2, actor_id: owner.userId },
        changes: { tags: { from: ['b', 'x', 'a'], to: ['b', 'x'] } },
      })
      // What is in the recycle bin stays as it is.
      expect((await owner.post(`${accounts}/${deleted}/restore`)).json()).toMatchObject({ version: 3, tags: ['a'] })
      const same = await unchanged(world, () => rename(owner, 'b'))
      expect(same.json()).toEqual({ dryRun: false, name: 'b', changed: [] })
      return reply
    },
    404: missing(rename),
    409: tooMany(rename),
  },
  deleteTag: {
    200: async (world) => {
      const { harness, owner } = world
      const stranger = { harness, owner: await harness.newOrganization() }
      await tagged(stranger.owner, accounts, 'a')
      const id = await tagged(owner, accounts, 'x', 'a')
      const contact = await tagged(owner, contacts, 'a')
      await tagged(owner, contacts, 'x')
      const changed = [
        { object: 'account', count: 1 },
        { object: 'contact', count: 1 },
      ]
      const preview = await unchanged(world, () => remove(owner, 'a', { query: '?dryRun=true' }))
      expect(preview.json()).toEqual({ dryRun: true, name: null, changed })
      const reply = await unchanged(stranger, () => remove(owner, 'a'))
      expect(reply.json()).toEqual({ dryRun: false, name: null, changed })
      expect(await read(owner, accounts, id)).toMatchObject({ version: 2, tags: ['x'] })
      expect(await read(owner, contacts, contact)).toMatchObject({ version: 2, tags: [] })
      const [, event] = await eventsOf(world, contact)
      expect(event).toMatchObject({ type: 'contact.updated', changes: { tags: { from: ['a'], to: [] } } })
      expect((await owner.get(path)).json()).toMatchObject({ data: [{ name: 'x' }] })
      return reply
    },
    404: missing(remove),
    409: tooMany(remove),
  },
} satisfies Cases<'tags'>
