import { randomUUID } from 'node:crypto'
import { expect } from 'vitest'
import { type Case, type Reply, type Row, refused, rowsOf, unchanged, type World } from './case.js'

/** The path of a collection, and a body that creates one as often as it is sent. */
type Facts = { path: string; body: Row }

type Caller = World['owner']

/** The cases of following a record. */
export function followerCases({ path, body }: Facts) {
  const create = async (caller: Caller): Promise<string> => {
    const reply = await caller.post(path, body)
    expect(reply.statusCode, reply.payload).toBe(201)
    return `${path}/${reply.json<{ id: string }>().id}`
  }
  const follow = (caller: Caller, url: string, headers?: Record<string, string>) =>
    caller.send('PUT', `${url}/followers/me`, undefined, headers)
  const followers = async (caller: Caller, url: string) =>
    (await caller.get(`${url}/followers`)).json<{ data: { userId: string }[] }>().data.map(({ userId }) => userId)
  const rows = (world: World, url: string) =>
    rowsOf(world, 'crm_followers t where record_id = $1', url.split('/').at(-1))

  /** A record of another organization, a deleted one, and one that the caller cannot see, look like one that never was. */
  const missing =
    (send: (caller: Caller, url: string, headers: Record<string, string>) => Promise<Reply>): Case =>
    async (world) => {
      const { harness, owner } = world
      const stranger = { harness, owner: await harness.newOrganization() }
      const deleted = await create(owner)
      await owner.delete(deleted)
      const member = await harness.newUser(owner.organizationId, 'member')
      const urls = [`${path}/${randomUUID()}`, await create(stranger.owner), deleted, await create(owner)]
      const replies: Reply[] = []
      for (const url of urls) {
        const attempt = () => refused(world, 'not_found', () => send(member, url, { 'x-request-id': 'same' }))
        replies.push(await unchanged(stranger, attempt))
      }
      expect(new Set(replies.map(({ payload }) => payload)).size).toBe(1)
      return replies[0] as Reply
    }

  return {
    followers: {
      200: async (world) => {
        const { harness, owner } = world
        const url = await create(owner)
        expect(await followers(owner, url)).toEqual([])
        const [second, third] = [
          await harness.newUser(owner.organizationId, 'read_only'),
          await harness.newUser(owner.organizationId, 'manager'),
        ]
        for (const caller of [owner, second, third]) expect((await follow(caller, url)).statusCode).toBe(204)
        await follow(owner, await create(owner))
        await owner.post(`/api/v1/users/${second.userId}/deactivate`)
        const reply = await unchanged(world, () => owner.get(`${url}/followers`))
        const at = { followedAt: expect.any(String) }
        expect(reply.json()).toEqual({
          data: [
            { userId: owner.userId, ...at },
            { userId: third.userId, ...at },
          ],
        })
        return reply
      },
      404: missing((caller, url, headers) => caller.get(`${url}/followers`, headers)),
    },
    follow: {
      204: async (world) => {
        const url = await create(world.owner)
        const reply = await follow(world.owner, url)
        const { organizationId, userId } = world.owner
        expect(await rows(world, url)).toMatchObject([{ organization_id: organizationId, user_id: userId }])
        expect((await unchanged(world, () => follow(world.owner, url))).statusCode).toBe(204)
        // The record itself has not changed.
        expect((await world.owner.get(url)).headers.etag).toBe('"1"')
        return reply
      },
      404: missing(follow),
      409: async (world) => {
        const { harness, owner } = world
        const url = await create(owner)
        await follow(owner, url)
        await harness.sql.query(
          `with made as (
             insert into crm_users (id, email, password_hash, created_at, updated_at)
             select gen_random_uuid(), gen_random_uuid() || '@example.com', 'none', now(), now() from generate_series(2, 200)
             returning id),
           joined as (
             insert into crm_memberships (organization_id, user_id, role, status, created_at, updated_at)
             select $1, id, 'member', 'active', now(), now() from made returning user_id)
           insert into crm_followers
           select f.organization_id, f.record_id, j.user_id, f.object, now() from crm_followers f, joined j where f.organization_id = $1`,
          [owner.organizationId],
        )
        expect(await followers(owner, url)).toHaveLength(200)
        expect((await unchanged(world, () => follow(owner, url))).statusCode).toBe(204)
        const late = await harness.newUser(owner.organizationId, 'admin')
        return refused(world, 'too_many_followers', () => follow(late, url))
      },
    },
    unfollow: {
      204: async (world) => {
        const { harness, owner } = world
        const url = await create(owner)
        const member = await harness.newUser(owner.organizationId, 'manager')
        for (const caller of [owner, member]) await follow(caller, url)
        const reply = await owner.delete(`${url}/followers/me`)
        expect(await followers(owner, url)).toEqual([member.userId])
        expect((await unchanged(world, () => owner.delete(`${url}/followers/me`))).statusCode).toBe(204)
        // Who lost sight of a record need not follow it forever.
        await harness.sql.query(
          `update crm_memberships set role = 'member', version = version + 1 where organization_id = $1 and user_id = $2`,
          [owner.organizationId, member.userId],
        )
        expect((await member.get(url)).statusCode).toBe(404)
        expect((await member.delete(`${url}/followers/me`)).statusCode).toBe(204)
        expect((await member.delete(`${url}/followers/me`)).statusCode).toBe(404)
        // A purge takes followers along.
        await follow(owner, url)
        await owner.delete(url)
        expect(await rows(world, url)).toHaveLength(1)
        expect((await owner.post(`${url}/purge`)).statusCode).toBe(200)
        expect(await rows(world, url)).toEqual([])
        return reply
      },
      404: missing((caller, url, headers) => caller.delete(`${url}/followers/me`, headers)),
    },
  } satisfies Record<string, Record<number, Case>>
}
