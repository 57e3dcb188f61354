import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { CustomField } from '../../records/custom-fields/definitions.js'
import { must } from '../../testing/access-world.js'
import { eventsOf, type Row, refused } from '../../testing/case.js'
import { type Caller, createHarness, type Harness } from '../../testing/harness.js'
import { customFieldBackfill } from './jobs.js'

const path = '/api/v1/custom-fields'
const accounts = '/api/v1/accounts'

type Hit = { title: string; highlights: { field: string; text: string; ranges: [number, number][] }[] }

let harness: Harness
let owner: Caller
beforeAll(async () => {
  harness = await createHarness()
})
beforeEach(async () => {
  owner = await harness.newOrganization()
})
afterAll(() => harness.close())

const define = async (key: string, type: string, more: Row = {}): Promise<CustomField> =>
  (await must(owner.post(path, { object: 'account', key, type, label: key, ...more }))).json()

const change = async (id: string, patch: Row): Promise<CustomField> =>
  (await must(owner.patch(`${path}/${id}`, patch))).json()

const fieldOf = async (id: string): Promise<CustomField> => (await must(owner.get(`${path}/${id}`))).json()

const create = async (name: string, customFields: Row = {}): Promise<{ id: string }> =>
  (await must(owner.post(accounts, { name, customFields }))).json()

const search = async (q: string): Promise<Hit[]> =>
  (await must(owner.get(`/api/v1/search?${new URLSearchParams({ q })}`))).json<{ data: Hit[] }>().data

/** The names that a search of all kinds and one of accounts find, which are the same. */
async function found(q: string): Promise<string[]> {
  const titles = (await search(q)).map(({ title }) => title).sort()
  const reply = await owner.get(`${accounts}?${new URLSearchParams({ q, sort: 'name' })}`)
  expect(reply.json<{ data: { name: string }[] }>().data.map(({ name }) => name)).toEqual(titles)
  return titles
}

const run = (field: CustomField) =>
  customFieldBackfill.run(`${owner.organizationId}_${field.id}`, harness.resources.services)

describe('a custom field is searched', () => {
  test('for as long as its definition says so, in old records and new ones, and nothing else of them changes', async () => {
    const old = await create('Old', { note: 'saffron' })
    expect(await found('saffron')).toEqual(['Old'])
    const note = await define('note', 'text', { searchable: false })
    expect(note).toMatchObject({ searchable: false, searchState: 'none', version: 1 })
    await create('New', { note: 'saffron' })
    await owner.patch(`${accounts}/${old.id}`, { industry: 'spice' })
    expect(await found('saffron')).toEqual([])

    expect(await change(note.id, { searchable: true })).toMatchObject({ searchState: 'ready', version: 2 })
    expect(await found('saffron')).toEqual(['New', 'Old'])
    expect(await eventsOf({ harness, owner }, old.id)).toHaveLength(2)
    expect((await owner.get(`${accounts}/${old.id}`)).json()).toMatchObject({ version: 2 })

    expect(await change(note.id, { searchable: false })).toMatchObject({ searchState: 'none', version: 3 })
    expect(await found('saffron')).toEqual([])
    expect(await found('new')).toEqual(['New'])
    await change(note.id, { searchable: true })
    expect(await change(note.id, { archived: true })).toMatchObject({ searchable: true, searchState: 'ready' })
    expect(await found('saffron')).toEqual(['New', 'Old'])
  })

  test('of its kind of record and organization alone', async () => {
    const stranger = await harness.newOrganization()
    await define('note', 'text', { searchable: false })
    await define('note', 'text', { object: 'contact' })
    await create('Mine', { note: 'saffron' })
    const contact = { lastName: 'Contact', customFields: { note: 'saffron' } }
    expect((await owner.post('/api/v1/contacts', contact)).statusCode).toBe(201)
    expect((await search('saffron')).map(({ title }) => title)).toEqual(['Contact'])
    owner = stranger
    await create('Theirs', { note: 'saffron' })
    expect(await found('saffron')).toEqual(['Theirs'])
  })

  test('and highlighted there, every value of a list; one that is not searched never is', async () => {
    const options = ['red wine', 'white wine'].map((value) => ({ value, label: value, archived: false }))
    await define('likes', 'multiSelect', { options })
    await define('secret', 'text', { searchable: false })
    await create('Guest', { likes: ['white wine', 'red wine'], secret: 'wine cellar' })
    const [hit] = await search('wine')
    expect(hit?.highlights).toEqual([
      { field: 'customFields.likes', text: 'white wine', ranges: [[6, 10]] },
      { field: 'customFields.likes', text: 'red wine', ranges: [[4, 8]] },
    ])
    expect(await search('cellar')).toEqual([])
  })

  test('when its values are texts for people, unless it says otherwise; others cannot be', async () => {
    for (const type of ['text', 'longText', 'url', 'email', 'phone']) {
      expect(await define(`of_${type}`, type)).toMatchObject({ searchable: true, searchState: 'ready' })
    }
    for (const type of ['number', 'integer', 'boolean', 'date', 'timestamp', 'money', 'user']) {
      const field = await define(`of_${type}`, type)
      expect(field).toMatchObject({ searchable: false, searchState: 'none' })
      const send = () => owner.patch(`${path}/${field.id}`, { searchable: true })
      const reply = await refused({ harness, owner }, 'invalid_request', send)
      expect(reply.json()).toMatchObject({ status: 400, errors: [{ pointer: '/searchable', code: 'not_of_type' }] })
    }
    await create('Dated', { of_date: '2031-05-17', of_text: 'plain' })
    expect(await found('2031-05-17')).toEqual([])
    expect(await found('plain')).toEqual(['Dated'])
  })

  test('no more, once a job has been through all records, however many and whoever changes them meanwhile', async () => {
    await harness.sql.query(
      `insert into crm_accounts (organization_id, id, version, owner_id, tags, custom_fields, created_at, created_by_type, updated_at, updated_by_type, name)
       select $1, gen_random_uuid(), 1, $2, '[]', '{"note":"saffron"}', now(), 'system', now(), 'system', 'n' || n
       from generate_series(1, 2600) n`,
      [owner.organizationId, owner.userId],
    )
    const last = { id: 'ffffffff-ffff-7fff-bfff-ffffffffffff' }
    await harness.sql.query(
      `update crm_accounts set id = $1 where id = (select id from crm_accounts where organization_id = $2 order by id desc limit 1)`,
      [last.id, owner.organizationId],
    )
    const client = await harness.sql.connect()
    let note: CustomField
    try {
      // Its trigger still takes the field for searched.
      await client.query('begin')
      await client.query(`update crm_accounts set name = 'Slow' where id = $1`, [last.id])
      note = await define('note', 'text', { searchable: false })
      expect(note).toMatchObject({ searchState: 'clearing' })
      await client.query('commit')
    } finally {
      client.release()
    }
    expect(await customFieldBackfill.due(harness.resources.services)).toContain(`${owner.organizationId}_${note.id}`)
    expect((await search('saffron')).length).toBeGreaterThan(0)
    await run(note)
    expect(await fieldOf(note.id)).toMatchObject({ searchState: 'none', indexState: 'none', version: 2 })
    expect(await found('saffron')).toEqual([])
    expect(await found('slow')).toEqual(['Slow'])
  }, 60_000)

  test('by keys that are made meanwhile, when both change at once', async () => {
    await create('One', { note: 'saffron' })
    const note = await define('note', 'text', { searchable: false })
    const both = await change(note.id, { searchable: true, filterable: true })
    expect(both).toMatchObject({ searchState: 'ready', indexState: 'ready' })
    const reply = await owner.post(`${accounts}/query`, {
      filter: { field: 'customFields.note', op: 'eq', value: 'saffron' },
      q: 'saffron',
    })
    expect(reply.json<{ data: Row[] }>().data).toHaveLength(1)
  })
})
