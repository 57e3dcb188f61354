import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { eventsOf, type Reply, type Row, refused, rowsOf, unchanged } from '../../testing/case.js'
import { type Caller, createHarness, type Harness } from '../../testing/harness.js'

const path = '/api/v1/custom-fields'
const kinds = {
  account: { url: '/api/v1/accounts', body: { name: 'Northwind' } },
  contact: { url: '/api/v1/contacts', body: { lastName: 'Hopper' } },
  lead: { url: '/api/v1/leads', body: { lastName: 'Hopper' } },
  opportunity: { url: '/api/v1/opportunities', body: { name: 'Pilot' } },
} as const
const accounts = kinds.account.url

type Stored = Row & { id: string; version: number; customFields: Row }

let harness: Harness
let owner: Caller
beforeAll(async () => {
  harness = await createHarness()
})
beforeEach(async () => {
  owner = await harness.newOrganization()
})
afterAll(() => harness.close())

async function define(key: string, type: string, more: Row = {}): Promise<string> {
  const reply = await owner.post(path, { object: 'account', key, type, label: key, ...more })
  expect(reply.statusCode, reply.payload).toBe(201)
  return reply.json<{ id: string }>().id
}

async function change(id: string, patch: Row): Promise<void> {
  const reply = await owner.patch(`${path}/${id}`, patch)
  expect(reply.statusCode, reply.payload).toBe(200)
}

async function create(customFields: Row | undefined, kind: keyof typeof kinds = 'account'): Promise<Stored> {
  const { url, body } = kinds[kind]
  const reply = await owner.post(url, { ...body, ...(customFields && { customFields }) })
  expect(reply.statusCode, reply.payload).toBe(201)
  return reply.json()
}

const patch = (id: string, customFields: Row) => owner.patch(`${accounts}/${id}`, { customFields })

/** Sends what must be refused for these reasons, and must change nothing. */
async function refuses(faults: Record<string, string>, send: () => Promise<Reply>): Promise<void> {
  const reply = await refused({ harness, owner }, 'invalid_request', send)
  expect(reply.statusCode).toBe(400)
  const { errors } = reply.json<{ errors: { pointer: string; code: string }[] }>()
  expect(Object.fromEntries(errors.map(({ pointer, code }) => [pointer, code]))).toEqual(faults)
}

const select = { options: ['gold', 'silver'].map((value) => ({ value, label: value, archived: false })) }

describe.each(Object.keys(kinds) as (keyof typeof kinds)[])('custom fields of %s', (kind) => {
  const { url, body } = kinds[kind]

  test('are free until the first is defined, and held against their definitions from then on', async () => {
    const free = await create({ anything: [1, { a: null }] }, kind)
    const seats = await define('seats', 'integer', { object: kind })
    await refuses({ '/customFields/seats': 'type', '/customFields/other': 'unknown_custom_field' }, () =>
      owner.post(url, { ...body, customFields: { seats: '5', other: 1 } }),
    )
    const record = await create({ seats: 5 }, kind)
    expect(record.customFields).toEqual({ seats: 5 })
    await refuses({ '/customFields/seats': 'type' }, () =>
      owner.patch(`${url}/${record.id}`, { customFields: { seats: 1.5 } }),
    )

    // What was there before stays, can be cleared, and cannot be changed.
    const kept = await owner.patch(`${url}/${free.id}`, { customFields: { seats: 7 } })
    expect(kept.json()).toMatchObject({ customFields: { anything: [1, { a: null }], seats: 7 } })
    await refuses({ '/customFields/anything': 'unknown_custom_field' }, () =>
      owner.patch(`${url}/${free.id}`, { customFields: { anything: 2 } }),
    )
    const cleared = await owner.patch(`${url}/${free.id}`, { customFields: { anything: null } })
    expect(cleared.json<Stored>().customFields).toEqual({ seats: 7 })

    await change(seats, { archived: true })
    expect((await owner.get(`${url}/${record.id}`)).json<Stored>().customFields).toEqual({ seats: 5 })
    await refuses({ '/customFields/seats': 'archived_custom_field' }, () =>
      owner.patch(`${url}/${record.id}`, { customFields: { seats: 6 } }),
    )
    await refuses({ '/customFields/seats': 'archived_custom_field' }, () =>
      owner.post(url, { ...body, customFields: { seats: 6 } }),
    )
    await change(seats, { archived: false })
    expect(
      (await owner.patch(`${url}/${record.id}`, { customFields: { seats: 6 } })).json<Stored>().customFields,
    ).toEqual({ seats: 6 })
  })
})

test('definitions of one kind of record, and of one organization, do not touch the others', async () => {
  await define('seats', 'integer', { required: true })
  await create({ seats: 'free' }, 'lead')
  owner = await harness.newOrganization()
  await create({ seats: 'free' })
})

test('required fields are asked for in new records, and cannot be cleared; records without one stay usable', async () => {
  const old = await create(undefined)
  const tier = await define('tier', 'select', { ...select, required: true })
  await refuses({ '/customFields/tier': 'required' }, () => owner.post(accounts, { name: 'Without' }))
  await refuses({ '/customFields/tier': 'required' }, () =>
    owner.post(accounts, { name: 'Without', customFields: { tier: null } }),
  )
  const { id } = await create({ tier: 'gold' })
  await refuses({ '/customFields/tier': 'required' }, () => patch(id, { tier: null }))
  expect((await owner.patch(`${accounts}/${old.id}`, { name: 'Renamed' })).statusCode).toBe(200)
  expect((await patch(old.id, { tier: 'silver' })).statusCode).toBe(200)
  await change(tier, { archived: true })
  await create(undefined)
  expect((await patch(id, { tier: null })).json<Stored>().customFields).toEqual({})
})

test('defaults fill what a new record does not say; null says that there is no value', async () => {
  await define('tier', 'select', { ...select, required: true, defaultValue: 'silver' })
  await define('price', 'money', { defaultValue: { amount: '10.00', currency: 'EUR' } })
  const filled = await create(undefined)
  expect(filled.customFields).toEqual({ tier: 'silver', price: { amount: '10.00', currency: 'EUR' } })
  expect((await eventsOf({ harness, owner }, filled.id))[0]?.changes).toMatchObject({
    customFields: { to: filled.customFields },
  })
  expect((await create({ tier: 'gold', price: null })).customFields).toEqual({ tier: 'gold' })
})

test('a patch that does not touch custom fields never fails because of them', async () => {
  const { id } = await create({ seats: 'many', tier: 'bronze', gone: true })
  await define('seats', 'integer', { required: true, minimum: 10 })
  await define('tier', 'select', { ...select, required: true })
  await define('other', 'text', { required: true })
  const reply = await owner.patch(`${accounts}/${id}`, { industry: 'Logistics' })
  expect(reply.json()).toMatchObject({ version: 2, customFields: { seats: 'many', tier: 'bronze', gone: true } })
  expect((await patch(id, { tier: 'gold' })).statusCode).toBe(200)
  expect((await owner.delete(`${accounts}/${id}`)).statusCode).toBe(204)
  expect((await owner.post(`${accounts}/${id}/restore`)).statusCode).toBe(200)
})

test('rules that become stricter hold for new values only', async () => {
  const seats = await define('seats', 'integer')
  const labels = await define('labels', 'multiSelect', select)
  const { id } = await create({ seats: 1, labels: ['gold'] })
  await change(seats, { minimum: 10 })
  await change(labels, { options: select.options.map((each) => ({ ...each, archived: each.value === 'gold' })) })
  expect((await patch(id, { seats: 1, labels: ['silver', 'gold'] })).statusCode).toBe(200)
  await refuses({ '/customFields/seats': 'minimum' }, () => patch(id, { seats: 2 }))
  await refuses({ '/customFields/labels': 'archived_option' }, () =>
    owner.post(accounts, { name: 'New', customFields: { labels: ['gold'] } }),
  )
})

test('users and references must be visible to who writes them; what is not is answered like what does not exist', async () => {
  await define('manager', 'user')
  await define('partner', 'reference', { referenceObject: 'account' })
  const member = await harness.newUser(owner.organizationId, 'member')
  const theirs = await create(undefined)
  const own = (await member.post(accounts, { name: 'Own' })).json<Stored>()
  const stranger = await harness.newOrganization()
  const foreign = (await stranger.post(accounts, { name: 'Foreign' })).json<Stored>()
  const good = { manager: owner.userId, partner: own.id.toUpperCase() }
  const made = await member.post(accounts, { name: 'A', customFields: good })
  expect(made.json<Stored>().customFields).toEqual(good)

  const bodies = new Set<string>()
  for (const partner of [theirs.id, foreign.id, '01935f3a-7c1e-7e12-9a55-0e7f9d1f4b21']) {
    const customFields = { manager: stranger.userId, partner }
    const reply = await refused({ harness, owner }, 'invalid_request', () =>
      member.post(accounts, { name: 'A', customFields }, { 'x-request-id': 'same' }),
    )
    bodies.add(reply.payload)
    expect(reply.json()).toMatchObject({
      errors: [
        { pointer: '/customFields/manager', code: 'missing_reference' },
        { pointer: '/customFields/partner', code: 'missing_reference' },
      ],
    })
  }
  expect(bodies.size).toBe(1)
  // A reference that stays is not looked up again.
  expect((await member.delete(`${accounts}/${own.id}`)).statusCode).toBe(204)
  const { id } = made.json<Stored>()
  expect((await member.patch(`${accounts}/${id}`, { customFields: { manager: member.userId } })).statusCode).toBe(200)
  await refuses({ '/customFields/partner': 'missing_reference' }, () =>
    owner.post(accounts, { name: 'B', customFields: { partner: own.id } }),
  )
})

test('a lead is converted by the definitions of what it becomes', async () => {
  await define('tier', 'select', { ...select, required: true })
  await define('role', 'text', { object: 'contact', defaultValue: 'Buyer' })
  await define('budget', 'money', { object: 'opportunity', required: true })
  const { id } = await create(undefined, 'lead')
  const convert = (body: Row) => owner.post(`${kinds.lead.url}/${id}/convert`, body)
  await refuses({ '/account/customFields/tier': 'required' }, () => convert({}))
  await refuses({ '/opportunity/customFields/budget': 'required' }, () =>
    convert({ account: { customFields: { tier: 'gold' } }, opportunity: { name: 'Pilot' } }),
  )
  await refuses({ '/contact/customFields/role': 'type' }, () =>
    convert({ account: { customFields: { tier: 'gold' } }, contact: { customFields: { role: 1 } } }),
  )
  const account = await create({ tier: 'silver' })
  await refuses({ '/account': 'not_new' }, () =>
    convert({ accountId: account.id, account: { customFields: { tier: 'gold' } } }),
  )
  const budget = { amount: '5.00', currency: 'EUR' }
  const reply = await convert({
    account: { customFields: { tier: 'gold' } },
    opportunity: { name: 'Pilot', customFields: { budget } },
  })
  expect(reply.json()).toMatchObject({
    account: { record: { customFields: { tier: 'gold' } } },
    contact: { record: { customFields: { role: 'Buyer' } } },
    opportunity: { record: { customFields: { budget } } },
  })
})

// Who saves a definition tells nobody but the database, so that other requests of this process are like those of others.
describe('a definition that is saved', () => {
  test('counts for the next write, whatever is remembered', async () => {
    const { id } = await create(undefined)
    const create2 = (customFields: Row) => owner.post(accounts, { name: 'Other', customFields })
    const patch2 = (customFields: Row) => patch(id, customFields)
    expect((await create2({ a: 1 })).statusCode).toBe(201)

    const field = await define('a', 'text')
    expect((await create2({ a: 1 })).statusCode).toBe(400)
    expect((await patch2({ b: 1 })).statusCode).toBe(400)
    await define('b', 'integer')
    expect((await patch2({ b: 1 })).statusCode).toBe(200)
    await change(field, { maxLength: 3 })
    expect((await create2({ a: 'long' })).statusCode).toBe(400)
    await change(field, { maxLength: 4 })
    expect((await create2({ a: 'long' })).statusCode).toBe(201)
    await change(field, { defaultValue: 'now' })
    expect((await create2({ b: 1 })).json<Stored>().customFields).toEqual({ a: 'now', b: 1 })
    await change(field, { archived: true })
    expect((await create2({ b: 1 })).json<Stored>().customFields).toEqual({ b: 1 })
  })

  test('waits for writes that go by the definitions before it', async () => {
    const running = await harness.sql.connect()
    try {
      await running.query('begin')
      await running.query(`select app.custom_fields_revision($1, 'account')`, [owner.organizationId])
      const defining = define('seats', 'integer')
      // Writes of others are not held up by each other.
      await expect
        .poll(
          async () =>
            (await harness.sql.query(`select from pg_locks where locktype = 'advisory' and not granted`)).rowCount,
        )
        .toBe(1)
      expect(
        await rowsOf({ harness, owner }, 'crm_custom_fields t where organization_id = $1', owner.organizationId),
      ).toEqual([])
      await running.query('commit')
      await defining
    } finally {
      running.release()
    }
  })
})

describe('unique values', () => {
  const values = () =>
    rowsOf({ harness, owner }, 'crm_custom_field_values t where organization_id = $1', owner.organizationId)

  test('of ten writers at once one gets the value, and the others leave nothing', async () => {
    await define('number', 'text', { unique: true })
    const { id } = await create({ number: 'other' })
    const replies = await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        index % 3 === 0
          ? owner.post(accounts, { name: 'A', customFields: { number: 'X-1' } })
          : index % 3 === 1
            ? owner.post(accounts, { name: 'A', customFields: { number: 'X-1' } }, { 'idempotency-key': `k${index}` })
            : patch(id, { number: 'X-1' }),
      ),
    )
    const won = replies.filter(({ statusCode }) => statusCode < 300)
    expect(new Set(won.map((reply) => reply.json<Stored>().id)).size).toBe(1)
    for (const reply of replies.filter(({ statusCode }) => statusCode >= 300)) {
      expect(reply.json()).toMatchObject({
        code: 'duplicate_value',
        errors: [{ pointer: '/customFields/number', code: 'duplicate_value' }],
        conflicts: [{ object: 'account', matchedOn: ['customFields.number'] }],
      })
    }
    const held = await rowsOf(
      { harness, owner },
      `crm_accounts t where organization_id = $1 and custom_fields ->> 'number' = 'X-1'`,
      owner.organizationId,
    )
    expect(held).toHaveLength(1)
  })

  test('are free again when they change, are cleared, or their record is deleted', async () => {
    await define('number', 'integer', { unique: true })
    const first = await create({ number: 1 })
    expect((await patch(first.id, { number: 2 })).statusCode).toBe(200)
    const second = await create({ number: 1 })
    expect((await patch(second.id, { number: null })).statusCode).toBe(200)
    await create({ number: 1 })
    expect((await owner.delete(`${accounts}/${first.id}`)).statusCode).toBe(204)
    await create({ number: 2 })
    expect((await owner.post(`${accounts}/${first.id}/restore`)).statusCode).toBe(409)
    expect(await values()).toHaveLength(2)
  })

  test('belong to one field of one organization', async () => {
    await define('number', 'text', { unique: true })
    await define('other', 'text', { unique: true })
    await define('number', 'text', { unique: true, object: 'lead' })
    await create({ number: 'X', other: 'X' })
    await create({ number: 'X' }, 'lead')
    owner = await harness.newOrganization()
    await define('number', 'text', { unique: true })
    await create({ number: 'X' })
  })

  test('a record that the caller cannot see is in the way, and is not named', async () => {
    await define('number', 'text', { unique: true })
    await create({ number: 'X' })
    const member = await harness.newUser(owner.organizationId, 'member')
    const reply = await member.post(accounts, { name: 'A', customFields: { number: 'X' } })
    expect(reply.statusCode).toBe(409)
    expect(reply.json()).not.toHaveProperty('conflicts')
  })

  test('count also for records that had them before the field was unique', async () => {
    const old = await create({ number: 'x@example.com' })
    const deleted = await create({ number: 'x@example.com' })
    expect((await owner.delete(`${accounts}/${deleted.id}`)).statusCode).toBe(204)
    const field = await define('number', 'email', { unique: true })
    const reply = await owner.post(accounts, { name: 'A', customFields: { number: 'X@example.com' } })
    expect(reply.json()).toMatchObject({ conflicts: [{ id: old.id }] })
    expect((await owner.post(`${accounts}/${deleted.id}/restore`)).statusCode).toBe(409)

    await change(field, { unique: false })
    expect(await values()).toEqual([])
    const shared = await create({ number: 'X@example.com' })
    expect((await owner.patch(`${path}/${field}`, { unique: true })).statusCode).toBe(409)
    expect((await patch(shared.id, { number: null })).statusCode).toBe(200)
    await change(field, { unique: true })
  })
})

describe('definitions that make no sense are refused', () => {
  const slow = '(a|aa)+b'
  test.each<[string, Row, Record<string, string>]>([
    ['options for text', { type: 'text', ...select }, { '/options': 'not_of_type' }],
    ['no options', { type: 'select' }, { '/options': 'min_items' }],
    [
      'an option twice',
      { type: 'select', options: [...select.options, ...select.options] },
      { '/options': 'unique_items' },
    ],
    ['a pattern for numbers', { type: 'number', pattern: 'a' }, { '/pattern': 'not_of_type' }],
    ['a pattern that is none', { type: 'text', pattern: '(' }, { '/pattern': 'pattern' }],
    ['a pattern that may never end', { type: 'text', pattern: slow }, { '/pattern': 'pattern' }],
    ['bounds the wrong way round', { type: 'integer', minimum: 2, maximum: 1 }, { '/maximum': 'range' }],
    ['lengths the wrong way round', { type: 'text', minLength: 2, maxLength: 1 }, { '/maxLength': 'range' }],
    ['too long a text', { type: 'text', maxLength: 256 }, { '/maxLength': 'maximum' }],
    ['a length of a date', { type: 'date', maxLength: 1 }, { '/maxLength': 'not_of_type' }],
    ['a reference to nothing', { type: 'reference' }, { '/referenceObject': 'required' }],
    ['a default of another type', { type: 'integer', defaultValue: 'x' }, { '/defaultValue': 'type' }],
    ['a default that breaks a rule', { type: 'integer', maximum: 1, defaultValue: 2 }, { '/defaultValue': 'maximum' }],
    ['a unique yes', { type: 'boolean', unique: true }, { '/unique': 'not_of_type' }],
    ['a default that is unique', { type: 'text', unique: true, defaultValue: 'x' }, { '/defaultValue': 'not_unique' }],
    ['a default user', { type: 'user', defaultValue: 'x' }, { '/defaultValue': 'not_of_type' }],
    ['a key that every object has', { type: 'text', key: 'constructor' }, { '/key': 'reserved' }],
    ['a key with a dash', { type: 'text', key: 'a-b' }, { '/key': 'pattern' }],
  ])('%s', async (_name, body, faults) => {
    await refuses(faults, () => owner.post(path, { object: 'account', key: 'k', label: 'K', ...body }))
  })

  test('what never changes, and options that are left out', async () => {
    const id = await define('tier', 'select', select)
    for (const name of ['object', 'key', 'type', 'referenceObject']) {
      await refuses({ [`/${name}`]: 'additional_properties' }, () => owner.patch(`${path}/${id}`, { [name]: 'lead' }))
    }
    await refuses({ '/options': 'missing_option' }, () =>
      owner.patch(`${path}/${id}`, { options: select.options.slice(1) }),
    )
    const options = select.options.toReversed()
    expect((await owner.patch(`${path}/${id}`, { options })).json()).toMatchObject({ options })
  })
})

describe('rights', () => {
  test.each(['manager', 'member', 'read_only'] as const)('%s reads definitions and changes none', async (role) => {
    const id = await define('tier', 'select', select)
    const caller = await harness.newUser(owner.organizationId, role)
    expect((await caller.get(`${path}/${id}`)).statusCode).toBe(200)
    expect((await caller.get(path)).json()).toMatchObject({ data: [{ id }] })
    await unchanged({ harness, owner }, async () => {
      expect((await caller.patch(`${path}/${id}`, { label: 'X' })).statusCode).toBe(403)
      const body = { object: 'account', key: 'k', type: 'text', label: 'K' }
      expect((await caller.post(path, body)).statusCode).toBe(403)
    })
  })

  test('definitions of another organization are nowhere to be seen', async () => {
    const id = await define('secretly', 'text')
    const stranger = await harness.newOrganization()
    expect((await stranger.get(`${path}/${id}`)).statusCode).toBe(404)
    for (const url of [path, '/api/v1/organization/openapi.json', '/api/v1/organization/schemas/account']) {
      expect((await stranger.get(url)).payload).not.toContain('secretly')
    }
  })
})

/** A type with some rules, values that they let through, and values that they do not. */
const text = fc.string({ unit: 'grapheme', maxLength: 60 }).filter((each) => !/[\p{Cc}\p{Cs}]/u.test(each))
const id = fc.uuid()
const types: Record<string, { rules?: Row; good: fc.Arbitrary<unknown>; bad: fc.Arbitrary<unknown> }> = {
  text: {
    rules: { maxLength: 20, minLength: 2 },
    good: text.filter((each) => [...each].length >= 2 && [...each].length <= 20),
    bad: fc.oneof(fc.integer(), fc.constant(''), fc.constant('x'.repeat(21)), fc.constant('a\nb'), fc.constant(['ab'])),
  },
  longText: {
    good: fc.string({ unit: 'grapheme', maxLength: 200 }).filter((each) => !/[\0\p{Cs}]/u.test(each)),
    bad: fc.integer(),
  },
  number: {
    rules: { minimum: -1000, maximum: 1000 },
    good: fc.double({ min: -1000, max: 1000, noNaN: true }),
    bad: fc.oneof(fc.constant(1000.5), fc.constant('1'), fc.constant([1])),
  },
  integer: { good: fc.maxSafeInteger(), bad: fc.oneof(fc.constant(1.5), fc.constant('1'), fc.boolean()) },
  boolean: { good: fc.boolean(), bad: fc.constantFrom(0, 'true', []) },
  date: {
    good: fc
      .date({ min: new Date('1900-01-01'), max: new Date('2299-12-31'), noInvalidDate: true })
      .map((each) => each.toISOString().slice(0, 10)),
    bad: fc.constantFrom('2026-02-30', '2026-2-3', '2026-02-03T00:00:00Z', 20260203),
  },
  timestamp: {
    good: fc
      .date({ min: new Date('1900-01-01'), max: new Date('2299-12-31'), noInvalidDate: true })
      .map((each) => each.toISOString()),
    bad: fc.constantFrom('2026-02-30T00:00:00Z', '2026-02-03', 0),
  },
  money: {
    rules: { minimum: 0 },
    good: fc.record({
      amount: fc.integer({ min: 0, max: 999_999_999_999 }).map((each) => `${each}.5`),
      currency: fc.constantFrom('EUR', 'USD', 'KWD'),
    }),
    bad: fc.constantFrom<unknown>(
      { amount: '-1', currency: 'EUR' },
      { amount: 1, currency: 'EUR' },
      { amount: '1.5', currency: 'JPY' },
      { amount: '1', currency: 'XXQ' },
      { amount: '1' },
      { amount: '1', currency: 'EUR', more: 1 },
      '1 EUR',
      [],
    ),
  },
  select: { rules: select, good: fc.constantFrom('gold', 'silver'), bad: fc.constantFrom('bronze', '', ['gold'], 1) },
  multiSelect: {
    rules: select,
    good: fc.subarray(['gold', 'silver']),
    bad: fc.constantFrom<unknown>(['gold', 'gold'], ['bronze'], 'gold', [1]),
  },
  url: {
    good: fc.webUrl({ validSchemes: ['http', 'https'], withQueryParameters: true }),
    bad: fc.constantFrom('ftp://example.com', 'example.com', 'https://exa mple.com', 1),
  },
  email: { good: fc.constantFrom('ada@example.com', 'A.B+c@example.co.uk'), bad: fc.constantFrom('ada', 'a@', 1) },
  phone: { good: fc.constantFrom('+4930123456', '+12025550123'), bad: fc.constantFrom('030123', '+0', 4930) },
  user: { good: fc.constant('the owner'), bad: fc.oneof(id, fc.constant('me'), fc.constant(1)) },
  reference: {
    rules: { referenceObject: 'contact' },
    good: fc.constant('the contact'),
    bad: fc.oneof(id, fc.constant('it')),
  },
}

test('whatever a definition accepts comes back byte for byte, and what it refuses changes nothing', async () => {
  for (const [type, { rules }] of Object.entries(types)) await define(`${type}1`, type, rules)
  const contact = await create(undefined, 'contact')
  const real = (value: unknown) => (value === 'the owner' ? owner.userId : value === 'the contact' ? contact.id : value)
  const { id } = await create(undefined)
  const cases = fc.oneof(
    ...Object.entries(types).flatMap(([type, { good, bad }]) => [
      good.map((value) => ({ key: `${type}1`, value: real(value), accepted: true })),
      bad.map((value) => ({ key: `${type}1`, value, accepted: false })),
    ]),
  )
  await fc.assert(
    fc.asyncProperty(cases, fc.boolean(), async ({ key, value, accepted }, anew) => {
      const send = () =>
        anew ? owner.post(accounts, { name: 'New', customFields: { [key]: value } }) : patch(id, { [key]: value })
      if (!accepted) {
        const reply = await refused({ harness, owner }, 'invalid_request', send)
        const [error] = reply.json<{ errors: { pointer: string }[] }>().errors
        expect(error?.pointer.startsWith(`/customFields/${key}`)).toBe(true)
        return
      }
      const reply = await send()
      expect(reply.statusCode, reply.payload).toBeLessThan(300)
      const record = reply.json<Stored>()
      const bytes = (stored: Stored) => JSON.stringify(sorted(stored.customFields[key]))
      expect(bytes(record)).toBe(JSON.stringify(sorted(value)))
      expect(bytes((await owner.get(`${accounts}/${record.id}`)).json())).toBe(JSON.stringify(sorted(value)))
    }),
    { numRuns: 250, seed: 20_260_105 },
  )
}, 120_000)

/** JSON objects have no order. */
const sorted = (value: unknown): unknown =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
    : value
