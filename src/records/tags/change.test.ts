import type pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { type Level, type Permission, rolePermissions } from '../../../generated/operations.js'
import { refused, unchanged } from '../../testing/case.js'
import { type Caller, createHarness, type Harness } from '../../testing/harness.js'
import { dropRowSecurity } from '../../testing/isolation.js'
import { recordTypes } from '../record-type.js'

let harness: Harness
let owner: Caller
beforeAll(async () => {
  harness = await createHarness()
})
beforeEach(async () => {
  owner = await harness.newOrganization()
})
afterAll(() => harness.close())

const BASE = '/api/v1'

async function create(...tags: string[]): Promise<string> {
  const reply = await owner.post(`${BASE}/accounts`, { name: 'Tagged', tags })
  expect(reply.statusCode, reply.payload).toBe(201)
  return reply.json<{ id: string }>().id
}

const tagsOf = async (id: string) => (await owner.get(`${BASE}/accounts/${id}`)).json<{ tags: string[] }>().tags

const rename = (tag: string, name: string, caller = owner) => caller.patch(`${BASE}/tags/${tag}`, { name })

/** Gives the role a right that reaches less, as a role may have it some day. */
function narrow(role: 'admin', permission: Permission, level: Level): void {
  const rights = rolePermissions[role] as Partial<Record<Permission, Level>>
  const before = rights[permission] as Level
  rights[permission] = level
  onTestFinished(() => {
    rights[permission] = before
  })
}

describe('whoever may not change all records changes no tag, whatever they may do with tags', () => {
  it.each(recordTypes.map((type) => type.permission('update')))('without %s of all', async (permission) => {
    await create('a')
    const admin = await harness.newUser(owner.organizationId, 'admin')
    narrow('admin', permission, 'team')
    const world = { harness, owner }
    for (const change of [() => rename('a', 'b', admin), () => admin.delete(`${BASE}/tags/a`)]) {
      const reply = await refused(world, 'forbidden', change)
      expect(reply.statusCode).toBe(403)
    }
  })
})

it('the records of other organizations stay as they are, without row-level security, too', async () => {
  const bare = await createHarness()
  onTestFinished(() => bare.close())
  await dropRowSecurity(bare)
  const [mine, theirs] = [await bare.newOrganization(), await bare.newOrganization()]
  for (const caller of [mine, theirs]) await caller.post(`${BASE}/accounts`, { name: 'Tagged', tags: ['a'] })
  await theirs.post(`${BASE}/accounts`, { name: 'Tagged', tags: ['theirs'] })
  await unchanged({ harness: bare, owner: theirs }, async () => {
    expect((await rename('a', 'b', mine)).json()).toMatchObject({ changed: [{ object: 'account', count: 1 }] })
    expect((await mine.delete(`${BASE}/tags/b`)).json()).toMatchObject({ changed: [{ object: 'account', count: 1 }] })
    expect((await rename('theirs', 'b', mine)).statusCode).toBe(404)
  })
})

describe('while others write', () => {
  /** A transaction of somebody else. */
  async function open(): Promise<pg.PoolClient> {
    const client = await harness.sql.connect()
    onTestFinished(() => client.release(true))
    await client.query('begin')
    return client
  }

  /** Waits until the app waits for these locks. */
  const waitsFor = (...locks: string[]) =>
    expect
      .poll(async () => {
        const { rows } = await harness.sql.query<{ wait_event: string }>(
          `select wait_event from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' order by 1`,
        )
        return rows.map(({ wait_event }) => wait_event)
      })
      .toEqual(locks)

  it('a tag that somebody is putting on a record is renamed there, too', async () => {
    const [one, other] = [await create('a'), await create()]
    const client = await open()
    await client.query(`update crm_accounts set tags = '["a"]' where id = $1`, [other])
    const renaming = rename('a', 'b')
    await waitsFor('advisory')
    // Nor does it hold up anybody meanwhile who changes something else.
    expect((await owner.patch(`${BASE}/accounts/${one}`, { name: 'Renamed' })).statusCode).toBe(200)
    await client.query('commit')
    expect((await renaming).json()).toMatchObject({ changed: [{ object: 'account', count: 2 }] })
    expect([await tagsOf(one), await tagsOf(other)]).toEqual([['b'], ['b']])
  })

  it('whoever holds a record with the tag may put tags on it, and it is renamed afterwards', async () => {
    const id = await create('a')
    const client = await open()
    await client.query('select from crm_accounts where id = $1 for no key update', [id])
    const renaming = rename('a', 'b')
    await waitsFor('transactionid')
    await client.query(`update crm_accounts set tags = '["x", "a"]' where id = $1`, [id])
    await client.query('commit')
    expect((await renaming).json()).toMatchObject({ changed: [{ object: 'account', count: 1 }] })
    expect(await tagsOf(id)).toEqual(['x', 'b'])
  })

  it('two changes that cross happen one after the other', async () => {
    const [a, b] = [await create('a'), await create('b')]
    const client = await open()
    await client.query('select from crm_accounts where id = $1 for no key update', [a])
    const first = rename('a', 'b')
    await waitsFor('transactionid')
    const second = rename('b', 'a')
    await waitsFor('advisory', 'transactionid')
    await client.query('commit')
    expect((await first).json()).toMatchObject({ changed: [{ count: 1 }] })
    expect((await second).json()).toMatchObject({ changed: [{ count: 2 }] })
    expect([await tagsOf(a), await tagsOf(b)]).toEqual([['a'], ['a']])
  })
})
