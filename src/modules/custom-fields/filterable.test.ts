import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Database } from '../../db/database.js'
import type { CustomField } from '../../records/custom-fields/definitions.js'
import { keyOfValue } from '../../records/custom-fields/key.js'
import { eventsOf, type Reply, type Row, refused, rowsOf, unchanged } from '../../testing/case.js'
import { type Caller, createHarness, type Harness } from '../../testing/harness.js'
import { customFieldBackfill } from './jobs.js'

const path = '/api/v1/custom-fields'
const accounts = '/api/v1/accounts'

type Stored = Row & { id: string; version: number; customFields: Row }
type Page = { data: Stored[]; page: { nextCursor: string | null } }

let harness: Harness
let owner: Caller
beforeAll(async () => {
  harness = await createHarness()
})
beforeEach(async () => {
  owner = await harness.newOrganization()
})
afterAll(() => harness.close())

async function define(key: string, type: string, more: Row = {}): Promise<CustomField> {
  const body = { object: 'account', key, type, label: key, filterable: true, ...more }
  const reply = await owner.post(path, body)
  expect(reply.statusCode, reply.payload).toBe(201)
  return reply.json()
}

async function change(id: string, patch: Row): Promise<CustomField> {
  const reply = await owner.patch(`${path}/${id}`, patch)
  expect(reply.statusCode, reply.payload).toBe(200)
  return reply.json()
}

const fieldOf = async (id: string) => (await owner.get(`${path}/${id}`)).json<CustomField>()

async function create(name: string, customFields: Row = {}): Promise<Stored> {
  const reply = await owner.post(accounts, { name, customFields })
  expect(reply.statusCode, reply.payload).toBe(201)
  return reply.json()
}

async function names(body: Row, caller = owner): Promise<unknown[]> {
  const reply = await caller.post(`${accounts}/query`, { limit: 200, ...body })
  expect(reply.statusCode, reply.payload).toBe(200)
  return reply.json<Page>().data.map(({ name }) => name)
}

const is = (field: string, op: string, value: unknown) => ({ field: `customFields.${field}`, op, value })

/** What the database has for keys, and what it should have: whatever happened, the two are the same. */
async function expectRightKeys(): Promise<void> {
  const world = { harness, owner }
  const fields = await rowsOf(world, 'crm_custom_fields t where organization_id = $1', owner.organizationId)
  const kept = fields.filter(({ index_state: state }) => state === 'ready' || state === 'building')
  const records = await rowsOf(world, 'crm_accounts t where organization_id = $1', owner.organizationId)
  for (const record of records) {
    const wanted: Row = {}
    for (let slot = 1; slot <= 10; slot++) {
      const field = kept.find((each) => each.slot === slot)
      const value = field && (record.custom_fields as Row)[String(field.key)]
      wanted[`custom_key_${slot}`] = field ? keyOfValue(field as unknown as CustomField, value) : null
    }
    expect(record).toMatchObject(wanted)
  }
}

/** What is searched is what all documents would be if they were made at once. */
async function expectRightDocuments(): Promise<void> {
  const documents = async () =>
    (
      await harness.sql.query('select * from app.search_documents where organization_id = $1 order by record_id', [
        owner.organizationId,
      ])
    ).rows
  const kept = await documents()
  await harness.sql.query('select app.search_records(true)')
  expect(kept).toEqual(await documents())
}

/** More accounts than a request gives their keys. */
const fill = (count: number) =>
  harness.sql.query(
    `insert into crm_accounts (organization_id, id, version, owner_id, tags, custom_fields, created_at, created_by_type, updated_at, updated_by_type, name)
     select $1, gen_random_uuid(), 1, $2, '[]', jsonb_build_object('seats', n), now(), 'system', now(), 'system', 'n' || n
     from generate_series(1, $3::int) n`,
    [owner.organizationId, owner.userId, count],
  )

const run = (field: CustomField, database: Database = harness.resources.database) =>
  customFieldBackfill.run(`${owner.organizationId}_${field.id}`, { ...harness.resources.services, database })

describe('a field that becomes filterable', () => {
  test('has the keys of all records, which no event and no version tells of', async () => {
    const free = await create('free', { tier: 'gold' })
    await create('other', { tier: 5 })
    const gone = await create('gone', { tier: 'gold' })
    await owner.delete(`${accounts}/${gone.id}`)
    const field = await define('tier', 'text', { filterable: false })
    expect(field).toMatchObject({ filterable: false, indexState: 'none' })
    expect(await change(field.id, { filterable: true })).toMatchObject({ indexState: 'ready', version: 2 })
    await expectRightKeys()
    expect(await names({ filter: is('tier', 'eq', 'gold') })).toEqual(['free'])
    // What is not of the type of the field counts as no value.
    expect(await names({ filter: is('tier', 'isNull', true) })).toEqual(['other'])
    expect((await owner.get(`${accounts}/${free.id}`)).json()).toEqual(free)
    expect(await eventsOf({ harness, owner }, free.id)).toHaveLength(1)
    await owner.post(`${accounts}/${gone.id}/restore`)
    expect(await names({ filter: is('tier', 'eq', 'gold'), sort: ['name'] })).toEqual(['free', 'gone'])
  })

  test('and has many records is ready when a job has been through them, whatever is written meanwhile', async () => {
    await fill(4_500)
    const field = await define('seats', 'integer')
    expect(field).toMatchObject({ indexState: 'building', version: 1 })
    const refusal = await refused({ harness, owner }, 'invalid_request', () =>
      owner.get(`${accounts}?sort=customFields.seats`),
    )
    expect(refusal.json()).toMatchObject({ errors: [{ pointer: '/query/sort/0', code: 'index_not_ready' }] })

    const due = await customFieldBackfill.due(harness.resources.services)
    expect(due).toContain(`${owner.organizationId}_${field.id}`)
    const { rows } = await harness.sql.query<{ id: string }>(
      'select id from crm_accounts where organization_id = $1 order by id desc limit 1',
      [owner.organizationId],
    )
    // A worker that is killed after its first part leaves the rest to the next one.
    await expect(run(field, dyingAfter(1))).rejects.toThrow('killed')
    const { rows: progress } = await harness.sql.query('select indexed_to from crm_custom_fields where id = $1', [
      field.id,
    ])
    expect(progress[0]).toMatchObject({ indexed_to: expect.any(String) })
    await owner.patch(`${accounts}/${rows[0]?.id}`, { customFields: { seats: -7 } })
    await create('new', { seats: 9_999 })
    await run(field)
    await run(field)

    expect(await fieldOf(field.id)).toMatchObject({ indexState: 'ready', version: 2 })
    expect((await owner.get(`${path}/${field.id}`, { 'if-none-match': '"1"' })).statusCode).toBe(200)
    await expectRightKeys()
    const page = (await owner.get(`${accounts}?sort=-customFields.seats&limit=2`)).json<Page>()
    expect(page.data.map(({ customFields }) => customFields.seats)).toEqual([9_999, expect.any(Number)])
    expect((await names({ sort: ['customFields.seats'], limit: 1 })).length).toBe(1)
    expect(await names({ filter: is('seats', 'lt', 0) })).toHaveLength(1)

    // And back: the keys go, by the job too.
    expect(await change(field.id, { filterable: false })).toMatchObject({ indexState: 'clearing' })
    await run(await fieldOf(field.id))
    expect(await fieldOf(field.id)).toMatchObject({ indexState: 'none' })
    await expectRightKeys()
  }, 60_000)

  test('leaves records that others hold to the job, instead of waiting for them', async () => {
    const { id } = await create('held', { seats: 1 })
    await create('free', { seats: 2 })
    const client = await harness.sql.connect()
    await client.query('begin')
    await client.query('select from crm_accounts where id = $1 for no key update', [id])
    const field = await define('seats', 'integer')
    await client.query('commit')
    client.release()
    expect(field).toMatchObject({ indexState: 'building' })
    await run(field)
    expect(await fieldOf(field.id)).toMatchObject({ indexState: 'ready' })
    expect(await names({ sort: ['customFields.seats'] })).toEqual(['held', 'free'])
  })
})

/** Lets some transactions through. */
function dyingAfter(count: number): Database {
  const { database } = harness.resources
  let left = count
  return {
    as: (claim) => {
      const executor = database.as(claim)
      return {
        run: (bound) => executor.run(bound),
        all: (...bounds) => executor.all(...bounds),
        transaction: (work) => (left-- > 0 ? executor.transaction(work) : Promise.reject(new Error('killed'))),
      }
    },
    close: async () => undefined,
  }
}

describe('ten fields of a kind of record', () => {
  test('are filterable; one that is archived or filterable no longer makes room', async () => {
    const fields: CustomField[] = []
    for (let index = 0; index < 10; index++) fields.push(await define(`f${index}`, 'text'))
    const body = { object: 'account', key: 'more', type: 'text', label: 'More', filterable: true }
    await refused({ harness, owner }, 'too_many_filterable_fields', () => owner.post(path, body))
    await define('f0', 'text', { object: 'contact' })
    const [first, second] = fields as [CustomField, CustomField]
    expect(await change(first.id, { archived: true })).toMatchObject({ filterable: true, indexState: 'none' })
    const more = await define('more', 'text')
    await create('one', { more: 'a', f1: 'b' })
    expect(await names({ filter: is('more', 'eq', 'a') })).toEqual(['one'])
    const late = await refused({ harness, owner }, 'too_many_filterable_fields', () =>
      owner.patch(`${path}/${first.id}`, { archived: false }),
    )
    expect(late.statusCode).toBe(409)
    await change(second.id, { filterable: false })
    await change(first.id, { archived: false })
    expect(await fieldOf(more.id)).toMatchObject({ indexState: 'ready' })
    await expectRightKeys()
  })

  test('a slot that is still being cleared can be taken over', async () => {
    await fill(2_500)
    const fields: CustomField[] = []
    for (let index = 0; index < 10; index++) fields.push(await define(`f${index}`, 'text'))
    const [first] = fields as [CustomField]
    await run(first)
    expect(await change(first.id, { filterable: false })).toMatchObject({ indexState: 'clearing' })
    const seats = await define('seats', 'integer')
    expect(await fieldOf(first.id)).toMatchObject({ indexState: 'none' })
    await run(first)
    for (const field of [...fields, seats]) await run(field)
    expect(await names({ sort: ['customFields.seats'], limit: 3 })).toEqual(['n1', 'n2', 'n3'])
    await expectRightKeys()
  }, 60_000)
})

test('a process that remembers other definitions never answers with wrong rows', async () => {
  const [a, b] = [await define('a', 'text'), await define('b', 'text')]
  await create('one', { a: 'x', b: 'y' })
  await create('two', { a: 'y', b: 'x' })
  await create('three', { a: 'z', b: 'a' })
  expect(await names({ filter: is('a', 'eq', 'x') })).toEqual(['one'])
  expect(await names({ sort: ['customFields.a'] })).toEqual(['one', 'two', 'three'])
  // Elsewhere the two fields have changed places.
  await harness.sql.query('update crm_custom_fields set slot = null where id = $1', [a.id])
  await harness.sql.query('update crm_custom_fields set slot = 1 where id = $1', [b.id])
  await harness.sql.query('update crm_custom_fields set slot = 2 where id = $1', [a.id])
  await harness.sql.query(
    'update crm_accounts set custom_key_1 = custom_key_2, custom_key_2 = custom_key_1 where organization_id = $1',
    [owner.organizationId],
  )
  const revise = () =>
    harness.sql.query('update crm_custom_field_revisions set revision = gen_random_uuid() where organization_id = $1', [
      owner.organizationId,
    ])
  await revise()
  expect(await names({ filter: is('a', 'eq', 'x') })).toEqual(['one'])
  expect(await names({ sort: ['-customFields.a'] })).toEqual(['three', 'two', 'one'])
  await harness.sql.query(`update crm_custom_fields set filterable = false where id = $1`, [a.id])
  await revise()
  await refuses('/filter/field', 'not_filterable', { filter: is('a', 'eq', 'x') })
})

async function refuses(pointer: string, code: string, body: Row): Promise<void> {
  const reply: Reply = await refused({ harness, owner }, 'invalid_request', () => owner.post(`${accounts}/query`, body))
  expect(reply.statusCode).toBe(400)
  expect(reply.json()).toMatchObject({ errors: [{ pointer, code }] })
}

describe('a condition on a custom field is refused', () => {
  const options = [
    { value: 'gold', label: 'Gold', archived: false },
    { value: 'old', label: 'Old', archived: true },
  ]
  const money = (amount: string, currency = 'EUR') => ({ amount, currency })

  test('for what the field is not, with a pointer, and nothing has changed', async () => {
    await define('tier', 'select', { options })
    await define('seats', 'integer')
    await define('price', 'money')
    await define('since', 'date')
    await define('note', 'text')
    await define('partner', 'reference', { referenceObject: 'contact' })
    await define('plain', 'text', { filterable: false })
    const old = await define('old', 'text')
    await change(old.id, { archived: true })
    for (const [field, op, value, pointer, code] of [
      ['nothing', 'eq', 'x', '/field', 'unknown_custom_field'],
      ['constructor', 'eq', 'x', '/field', 'unknown_custom_field'],
      ['plain', 'eq', 'x', '/field', 'not_filterable'],
      ['old', 'eq', 'x', '/field', 'archived_custom_field'],
      ['tier', 'gt', 'gold', '/op', 'enum'],
      ['tier', 'startsWith', 'gold', '/op', 'enum'],
      ['seats', 'startsWith', '1', '/op', 'enum'],
      ['note', 'gt', '1', '/op', 'enum'],
      ['tier', 'eq', 'bronze', '/value', 'enum'],
      ['tier', 'in', ['gold', 'bronze'], '/value/1', 'enum'],
      ['tier', 'in', 'gold', '/value', 'type'],
      ['tier', 'isNull', 'true', '/value', 'type'],
      ['seats', 'eq', 1.5, '/value', 'type'],
      ['seats', 'eq', '1', '/value', 'type'],
      ['seats', 'eq', [1], '/value', 'type'],
      ['seats', 'between', [1], '/value', 'min_items'],
      ['seats', 'between', [1, 2, 3], '/value', 'max_items'],
      ['price', 'gt', money('1.001'), '/value/amount', 'decimals'],
      ['price', 'in', [money('1'), money('1', 'XQQ')], '/value/1/currency', 'currency'],
      ['since', 'lt', '2026-02-30', '/value', 'format'],
      ['note', 'eq', 5, '/value', 'type'],
      ['partner', 'eq', 'nobody', '/value', 'format'],
    ] as const) {
      const filter = { not: is(field, op, value) }
      await refuses(`/filter/not${pointer}`, code, { filter })
    }
    // The contract itself refuses these.
    const bad = (field: string, op: string) => ({ filter: { field, op, value: 'x' } })
    await refuses('/filter/op', 'enum', bad('customFields.tier', 'like'))
    await refuses('/filter/field', 'pattern', bad("customFields.tier' or true", 'eq'))
    await refuses('/filter/field', 'pattern', bad('account.customFields.tier', 'eq'))
    await refuses('/filter/field', 'enum', bad('customFields', 'eq'))
    await refuses('/filter/value', 'characters', { filter: is('note', 'eq', '\0') })
  })

  test('and so is an order by one', async () => {
    await define('plain', 'text', { filterable: false })
    await refuses('/sort/1', 'not_filterable', { sort: ['name', 'customFields.plain'] })
    await refuses('/sort/0', 'unknown_custom_field', { sort: ['-customFields.nothing'] })
    for (const sort of ['customFields.', 'customFields.a b', '--customFields.plain', 'customFields.plain.x']) {
      const reply = await unchanged({ harness, owner }, () => owner.get(`${accounts}?sort=${encodeURIComponent(sort)}`))
      expect(reply.json()).toMatchObject({ errors: [{ pointer: '/query/sort/0', code: 'pattern' }] })
    }
    const reply = await owner.get(`${accounts}?sort=customFields.plain`)
    expect(reply.json()).toMatchObject({ errors: [{ pointer: '/query/sort/0', code: 'not_filterable' }] })
  })

  test('by a record that the caller cannot see, like by one that does not exist', async () => {
    await define('partner', 'reference', { referenceObject: 'contact' })
    await define('manager', 'user')
    const stranger = await harness.newOrganization()
    const theirs = (await stranger.post('/api/v1/contacts', { lastName: 'Theirs' })).json<Stored>().id
    const mine = (await owner.post('/api/v1/contacts', { lastName: 'Mine' })).json<Stored>().id
    const missing = '01935f3a-7c1e-7e12-9a55-0e7f9d1f4b21'
    for (const [field, good, bad] of [
      ['partner', mine, theirs],
      ['manager', owner.userId, stranger.userId],
    ] as const) {
      const send = (id: string) =>
        owner.post(`${accounts}/query`, { filter: is(field, 'in', [good, id]) }, { 'x-request-id': 'same' })
      const reply = await send(missing)
      expect(reply.json()).toMatchObject({ errors: [{ pointer: '/filter/value/1', code: 'missing_reference' }] })
      expect((await send(bad)).payload).toBe(reply.payload)
      expect((await send(good)).statusCode).toBe(200)
    }
  })
})

test('the longest values can be found', async () => {
  await define('note', 'text')
  await define('home', 'url')
  const note = '😀'.repeat(255)
  const home = `https://example.com/${'a'.repeat(2_028)}`
  await create('long', { note, home })
  expect(await names({ filter: { and: [is('note', 'eq', note), is('home', 'eq', home)] } })).toEqual(['long'])
  // Longer than any value can be, and so no record without a value either.
  expect(await names({ filter: is('note', 'eq', '😀'.repeat(1_024)) })).toEqual([])
})

test('whatever happens to definitions and records, keys and search documents are those of the values', async () => {
  const types = ['text', 'integer', 'boolean', 'date'] as const
  const values = {
    text: ['', 'a', 'B'],
    integer: [-1, 0, 7],
    boolean: [true, false],
    date: ['2026-01-05', '2027-01-05'],
  }
  const key = fc.constantFrom(...types)
  const value = fc.nat({ max: 3 })
  const step = fc.oneof(
    fc.record({ do: fc.constant('create' as const), key, value }),
    fc.record({ do: fc.constant('batch' as const), key, value }),
    fc.record({ do: fc.constant('patch' as const), key, value, at: fc.nat() }),
    fc.record({ do: fc.constant('delete' as const), at: fc.nat() }),
    fc.record({ do: fc.constant('restore' as const), at: fc.nat() }),
    fc.record({
      do: fc.constant('define' as const),
      key,
      patch: fc.constantFrom(
        ...[{ filterable: true }, { filterable: false }, { archived: true }, { archived: false }],
        ...[{ searchable: true }, { searchable: false }],
      ),
    }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
      owner = await harness.newOrganization()
      const fields = new Map<string, string>()
      for (const type of types) fields.set(type, (await define(type, type, { filterable: type !== 'date' })).id)
      const ids: string[] = []
      const pick = (at: number) => `${accounts}/${ids[at % Math.max(1, ids.length)]}`
      for (const each of steps) {
        const customFields =
          'key' in each && 'value' in each ? { [each.key]: values[each.key][each.value] ?? null } : {}
        if (each.do === 'create') {
          const reply = await owner.post(accounts, { name: 'A', customFields })
          if (reply.statusCode === 201) ids.push(reply.json<Stored>().id)
        } else if (each.do === 'batch') {
          const item = { op: 'create', body: { name: 'B', customFields } }
          const items = [item, item, ...(ids[0] ? [{ op: 'update', id: ids[0], body: { customFields } }] : [])]
          const { results = [] } = (await owner.post(`${accounts}/batch`, { items })).json<{
            results?: { body?: Stored }[]
          }>()
          for (const { body } of results) if (body && !ids.includes(body.id)) ids.push(body.id)
        } else if (each.do === 'define') await owner.patch(`${path}/${fields.get(each.key)}`, each.patch)
        else if (each.do === 'patch') await owner.patch(pick(each.at), { customFields })
        else if (each.do === 'delete') await owner.delete(pick(each.at))
        else await owner.post(`${pick(each.at)}/restore`)
      }
      await expectRightKeys()
      await expectRightDocuments()
    }),
    { numRuns: 15, seed: 11 },
  )
}, 60_000)
