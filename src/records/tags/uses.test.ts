import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Caller, createHarness, type Harness } from '../../testing/harness.js'

let harness: Harness
let owner: Caller
beforeAll(async () => {
  harness = await createHarness()
  owner = await harness.newOrganization()
})
afterAll(() => harness.close())

const BASE = '/api/v1'
const RECORDS = [
  { object: 'account', path: `${BASE}/accounts`, table: 'crm_accounts', body: { name: 'Tagged' } },
  { object: 'contact', path: `${BASE}/contacts`, table: 'crm_contacts', body: { lastName: 'Tagged' } },
  { object: 'lead', path: `${BASE}/leads`, table: 'crm_leads', body: { lastName: 'Tagged' } },
  { object: 'opportunity', path: `${BASE}/opportunities`, table: 'crm_opportunities', body: { name: 'Tagged' } },
]
const [ACCOUNT] = RECORDS as [(typeof RECORDS)[0]]

const USES = 'select organization_id, object, tag, record_id, owner_id, team_id from crm_tag_uses order by 1, 2, 3, 4'

/** What the uses have to be, by the records themselves. */
const EXPECTED = `${RECORDS.map(
  ({ object, table }) =>
    `select r.organization_id, '${object}' as object, tag collate "C" as tag, r.id as record_id, r.owner_id, r.team_id
     from ${table} r, jsonb_array_elements_text(r.tags) tag where r.deleted_at is null`,
).join(' union all ')} order by 1, 2, 3, 4`

async function areTrue(): Promise<number> {
  const [uses, expected] = await Promise.all([USES, EXPECTED].map((text) => harness.sql.query(text)))
  expect(uses?.rows).toEqual(expected?.rows)
  return uses?.rows.length ?? 0
}

async function create(tags: string[], { path, body } = ACCOUNT, caller = owner): Promise<string> {
  const reply = await caller.post(path, { ...body, tags })
  expect(reply.statusCode, reply.payload).toBe(201)
  return `${path}/${reply.json<{ id: string }>().id}`
}

describe('the uses of tags are those of the live records', () => {
  it.each(RECORDS)('through the life of every $object', async (kind) => {
    const url = await create(['b', 'a'], kind)
    const count = await areTrue()
    await owner.patch(url, { tags: ['c', 'a'] })
    expect(await areTrue()).toBe(count)
    await owner.patch(url, { tags: [] })
    expect(await areTrue()).toBe(count - 2)
    await owner.patch(url, { tags: ['a'] })
    const colleague = await harness.newUser(owner.organizationId, 'manager')
    const teamId = await harness.newTeam(owner.organizationId, [colleague])
    await owner.patch(url, { ownerId: colleague.userId, teamId })
    expect(await areTrue()).toBe(count - 1)
    await owner.delete(url)
    expect(await areTrue()).toBe(count - 2)
    await owner.post(`${url}/restore`)
    expect(await areTrue()).toBe(count - 1)
    await owner.delete(url)
    expect((await owner.post(`${url}/purge`)).statusCode).toBe(200)
    expect(await areTrue()).toBe(count - 2)
  })

  it('through batches, merges and their undoing, and the conversion of a lead', async () => {
    const [winner, loser] = [await create(['won', 'both']), await create(['lost', 'both'])]
    const [winnerId, loserId] = [winner, loser].map((url) => url.split('/').at(-1))
    const items = [
      { op: 'create', body: { name: 'One', tags: ['x', 'y'] } },
      { op: 'update', id: winnerId, body: { tags: ['won', 'both', 'x'] } },
      { op: 'create', body: { name: 'Two' } },
    ]
    expect((await owner.post(`${BASE}/accounts/batch`, { atomic: true, items })).statusCode).toBe(200)
    const count = await areTrue()
    const merged = await owner.post(`${BASE}/accounts/merge`, { winnerId, loserIds: [loserId] })
    expect(merged.statusCode, merged.payload).toBe(200)
    expect(await areTrue()).toBeLessThan(count)
    const { id } = merged.json<{ merge: { id: string } }>().merge
    expect((await owner.post(`${BASE}/merges/accounts/${id}/undo`)).statusCode).toBe(200)
    expect(await areTrue()).toBe(count)
    const lead = await create(['hot'], RECORDS[2])
    expect((await owner.post(`${lead}/convert`, {})).statusCode).toBe(200)
    await areTrue()
  })

  it('whatever is written, in whatever order', async () => {
    const urls = [await create([]), await create([]), await create([])]
    const tags = fc.uniqueArray(fc.constantFrom('a', 'b', 'A', 'ä', '"', '{}', 'x,y', '\\', ' '), { maxLength: 4 })
    const step = fc.record({
      url: fc.constantFrom(...urls),
      act: fc.oneof(tags, fc.constantFrom('delete' as const, 'restore' as const)),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 6 }), async (steps) => {
        for (const { url, act } of steps) {
          if (act === 'delete') await owner.delete(url)
          else if (act === 'restore') await owner.post(`${url}/restore`)
          else await owner.patch(url, { tags: act })
        }
        await areTrue()
      }),
      { numRuns: 25, seed: 16 },
    )
  })

  it('a migration run fills in what was loaded without triggers, and a deleted row takes its own along', async () => {
    await create(['kept'])
    const url = await create(['gone'])
    await harness.sql.query('truncate crm_tag_uses')
    await harness.sql.query('select app.tag_records(true)')
    const count = await areTrue()
    await harness.sql.query('delete from crm_accounts where id = $1', [url.split('/').at(-1)])
    expect(await areTrue()).toBe(count - 1)
    expect(
      (await harness.sql.query(`select from pg_class where relname = 'crm_tag_uses' and relforcerowsecurity`)).rowCount,
    ).toBe(1)
  })
})
