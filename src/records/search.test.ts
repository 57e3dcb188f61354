import { getTableName, is } from 'drizzle-orm'
import { getTableConfig, PgJsonb, PgText } from 'drizzle-orm/pg-core'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { operations } from '../../generated/operations.js'
import { type Caller, createHarness, type Harness } from '../testing/harness.js'
import { recordTypes } from './record-type.js'
import { isSearched } from './search.js'

const accounts = operations.listAccounts.path
const contacts = operations.listContacts.path
const leads = operations.listLeads.path

let harness: Harness
let owner: Caller
beforeAll(async () => {
  harness = await createHarness()
})
beforeEach(async () => {
  owner = await harness.newOrganization()
})
afterAll(() => harness.close())

type Hit = {
  object: string
  id: string
  title: string
  score: number
  highlights: { field: string; text: string; ranges: [number, number][] }[]
}
type Stored = { id: string; name: string; version: number }

async function create(path: string, body: Record<string, unknown>, by = owner): Promise<Stored> {
  const reply = await by.post(path, body)
  expect(reply.statusCode, reply.payload).toBe(201)
  return reply.json()
}

async function search(q: string, by = owner, more: Record<string, string> = {}): Promise<Hit[]> {
  const reply = await by.get(`${operations.searchRecords.path}?${new URLSearchParams({ q, ...more })}`)
  expect(reply.statusCode, reply.payload).toBe(200)
  return reply.json<{ data: Hit[] }>().data
}

const titles = async (q: string, by = owner) => (await search(q, by)).map(({ title }) => title)

async function listed(path: string, q: string, by = owner, more: Record<string, string> = {}) {
  const reply = await by.get(`${path}?${new URLSearchParams({ q, ...more })}`)
  expect(reply.statusCode, reply.payload).toBe(200)
  return reply.json<{ data: Stored[]; page: { nextCursor: string | null; total?: number; totalIsExact?: boolean } }>()
}

const names = async (path: string, q: string, by = owner) => (await listed(path, q, by)).data.map(({ name }) => name)

const documents = async () =>
  (
    await harness.sql.query('select record_id from app.search_documents where organization_id = $1', [
      owner.organizationId,
    ])
  ).rows

describe('what is found', () => {
  it('what was written just before', async () => {
    for (let round = 0; round < 5; round += 1) {
      const { id } = await create(accounts, { name: `${round}th round` })
      expect((await search(`${round}th`)).map((hit) => hit.id)).toEqual([id])
      await owner.patch(`${accounts}/${id}`, { name: `No ${round}` })
      expect(await names(accounts, `${round}th`)).toEqual([])
      expect(await names(accounts, `no ${round}`)).toEqual([`No ${round}`])
    }
  })

  it('by the beginning of every word, in any order, and of all words only', async () => {
    await create(contacts, { firstName: 'Ada', lastName: 'Lovelace', title: 'Analyst' })
    for (const q of ['ada', 'lov', 'Lovelace Ada', 'lo ad an', 'ADA'])
      expect(await titles(q), q).toEqual(['Ada Lovelace'])
    for (const q of ['acel', 'ada hopper', 'd']) expect(await titles(q), q).toEqual([])
  })

  it('without regard to accents, in any script', async () => {
    for (const name of ['Müller & Søn', 'Cafe\u0301 Zoë', 'Straße AG', 'Иванова', '山田太郎', 'שלום'])
      await create(accounts, { name })
    for (const [q, name] of [
      ['muller son', 'Müller & Søn'],
      ['CAFÉ', 'Cafe\u0301 Zoë'],
      ['strasse', 'Straße AG'],
      ['Иван', 'Иванова'],
      ['山', '山田太郎'],
      ['שלום', 'שלום'],
    ] as const) {
      expect(await titles(q), q).toEqual([name])
    }
  })

  it('by a name that is only similar, behind those that match', async () => {
    await create(contacts, { lastName: 'Lovelace' })
    await create(contacts, { lastName: 'Lovelase' })
    await create(contacts, { lastName: 'Hopper' })
    const hits = await search('lovelase')
    expect(hits.map(({ title }) => title)).toEqual(['Lovelase', 'Lovelace'])
    expect(hits[0]?.score).toBe(1)
    expect(hits[1]?.score).toBeLessThan(0.5)
    expect(hits[1]?.highlights).toEqual([{ field: 'name', text: 'Lovelace', ranges: [[0, 8]] }])
    expect((await names(contacts, 'lovelase')).sort()).toEqual(['Lovelace', 'Lovelase'])
  })

  it('exact names before longer ones', async () => {
    for (const name of ['Northwind Traders International', 'Northwind', 'Northwinds']) await create(accounts, { name })
    expect(await titles('northwind')).toEqual(['Northwind', 'Northwinds', 'Northwind Traders International'])
  })

  it('by telephone numbers, however they are written', async () => {
    await create(contacts, { lastName: 'Abroad', phone: '+493090182012' })
    await create(contacts, { lastName: 'Home', mobilePhone: '+13090182012' })
    for (const q of ['+493090182012', '0049 30 90182012', '+49 (0)30 901820-12', '(030) 90 18 20 12', '9018-2012']) {
      const [hit] = (await search(q)).filter(({ title }) => title === 'Abroad')
      expect(hit, q).toBeDefined()
      const [phone] = hit?.highlights ?? []
      expect(phone?.text.slice(...(phone.ranges[0] ?? [])), q).toMatch(/90182012$/)
    }
    expect((await titles('9018 2012')).sort()).toEqual(['Abroad', 'Home'])
    expect(await titles('+49 30 9018')).toEqual(['Abroad'])
    expect(await titles('93090182')).toEqual([])
  })

  it('by addresses, domains, websites and texts of custom fields', async () => {
    await create(accounts, {
      ...{ name: 'A', domain: 'Northwind.example', website: 'https://shop.northwind.example/about' },
      customFields: { code: 'K-4711', seats: 5, nested: { text: 'hidden' } },
    })
    await create(contacts, {
      lastName: 'B',
      email: 'ada.lovelace@example.org',
      additionalEmails: ['countess@home.example'],
    })
    await create(leads, { companyName: 'Acme', lastName: 'C', website: 'https://acme.example' })
    for (const [q, title] of [
      ['northwind.ex', 'A'],
      ['shop', 'A'],
      ['k-4711', 'A'],
      ['ada.lovelace@example.org', 'B'],
      ['countess@', 'B'],
      ['acme', 'C'],
    ] as const) {
      expect(await titles(q), q).toEqual([title])
    }
    expect(await titles('hidden')).toEqual([])
    expect((await search('k-4711'))[0]?.highlights).toEqual([
      {
        field: 'customFields.code',
        text: 'K-4711',
        ranges: [
          [0, 1],
          [2, 6],
        ],
      },
    ])
  })

  it('of some kinds only, and as many as asked for', async () => {
    await create(accounts, { name: 'Same' })
    await create(leads, { lastName: 'Same' })
    expect((await search('same', owner, { objects: 'lead' })).map(({ object }) => object)).toEqual(['lead'])
    expect((await search('same', owner, { objects: 'lead,account' })).map(({ object }) => object).sort()).toEqual([
      'account',
      'lead',
    ])
    expect(await search('same', owner, { limit: '1' })).toHaveLength(1)
  })
})

describe('highlights', () => {
  it('name the places in UTF-16 code units of the text as it is', async () => {
    await create(accounts, { name: '\u{1F680} Straße Ärzte GmbH', legalName: 'Ärztehaus "Nord"' })
    const [hit] = await search('arzte stras')
    const shown = hit?.highlights.map(({ field, text, ranges }) => [
      field,
      ranges.map(([from, to]) => text.slice(from, to)),
    ])
    expect(shown).toEqual([
      ['name', ['Straß', 'Ärzte']],
      ['legalName', ['Ärzte']],
    ])
  })
})

describe('rights', () => {
  it('a level reaches what it says, in one search and in lists, however many others match', async () => {
    const member = await harness.newUser(owner.organizationId, 'member')
    const mate = await harness.newUser(owner.organizationId, 'member')
    const team = await harness.newTeam(owner.organizationId, [member, mate])
    await create(accounts, { name: 'Shared one', ownerId: member.userId })
    await create(accounts, { name: 'Shared two', ownerId: mate.userId, teamId: team })
    await create(accounts, { name: 'Shared three', ownerId: mate.userId })
    expect((await titles('shared', member)).sort()).toEqual(['Shared one', 'Shared two'])
    expect((await names(accounts, 'shared', member)).sort()).toEqual(['Shared one', 'Shared two'])
    expect(await titles('shared')).toHaveLength(3)
    const { page } = await listed(accounts, 'shared', member, { count: 'exact' })
    expect(page).toMatchObject({ total: 2, totalIsExact: true })

    const { id } = (await search('three'))[0] as Hit
    await owner.patch(`${accounts}/${id}`, { ownerId: member.userId })
    expect(await titles('shared', member)).toHaveLength(3)
  })
})

describe('deletion', () => {
  it('what is in the recycle bin is not found, what is restored is, and a purge leaves nothing', async () => {
    const { id } = await create(contacts, { lastName: 'Erased', email: 'erased@example.com' })
    expect(await titles('erased')).toEqual(['Erased'])
    await owner.delete(`${contacts}/${id}`)
    expect(await titles('erased')).toEqual([])
    expect(await documents()).toEqual([])
    await owner.post(`${contacts}/${id}/restore`)
    expect(await titles('erased')).toEqual(['Erased'])
    await owner.delete(`${contacts}/${id}`)
    await owner.post(`${contacts}/${id}/purge`)
    expect(await documents()).toEqual([])
  })

  it('a change that does not commit leaves what is found as it was', async () => {
    const body = {
      atomic: true,
      items: [
        { op: 'create', body: { name: 'Phantom' } },
        { op: 'create', body: { name: 'Phantom', ownerId: '01935f39-1b2c-7d4e-8f60-718293a4b5c6' } },
      ],
    }
    expect((await owner.post(`${accounts}/batch`, body)).statusCode).toBe(400)
    expect(await titles('phantom')).toEqual([])
    const { id } = await create(accounts, { name: 'Kept' })
    const { rows } = await harness.sql.query('select ctid from app.search_documents where record_id = $1', [id])
    await owner.patch(`${accounts}/${id}`, { industry: 'Unsearched', customFields: { seats: 7 } })
    expect((await harness.sql.query('select ctid from app.search_documents where record_id = $1', [id])).rows).toEqual(
      rows,
    )
  })
})

describe('in lists and queries', () => {
  it('a search is one more condition, beside filter, order and count, and the cursor is bound to it', async () => {
    for (const [name, industry] of [
      ['Alpha One', 'Retail'],
      ['Alpha Two', 'Retail'],
      ['Alpha Three', 'Media'],
      ['Beta', 'Retail'],
    ]) {
      await create(accounts, { name, industry })
    }
    const all = await listed(accounts, 'alpha', owner, { industry: 'Retail', sort: '-name', count: 'exact' })
    expect(all.data.map(({ name }) => name)).toEqual(['Alpha Two', 'Alpha One'])
    expect(all.page).toMatchObject({ total: 2, totalIsExact: true })

    const first = await listed(accounts, 'alpha', owner, { sort: 'name', limit: '2' })
    const cursor = String(first.page.nextCursor)
    expect(
      (await listed(accounts, 'alpha', owner, { sort: 'name', limit: '2', cursor })).data.map(({ name }) => name),
    ).toEqual(['Alpha Two'])
    for (const q of ['alph', 'beta']) {
      const reply = await owner.get(`${accounts}?q=${q}&sort=name&limit=2&cursor=${cursor}`)
      expect(reply.json()).toMatchObject({ status: 400, errors: [{ pointer: '/query/cursor', code: 'cursor' }] })
    }
    expect((await owner.get(`${accounts}?sort=name&limit=2&cursor=${cursor}`)).statusCode).toBe(400)

    const body = {
      q: 'alpha',
      filter: { not: { field: 'industry', op: 'eq', value: 'Media' } },
      sort: ['name'],
      count: 'estimate',
    }
    const queried = (await owner.post(`${accounts}/query`, body)).json<{ data: Stored[] }>()
    expect(queried).toMatchObject({ data: [{ name: 'Alpha One' }, { name: 'Alpha Two' }], page: { total: 2 } })
  })
})

describe('hostile texts', () => {
  it.each([
    `'`,
    `a' | 'b`,
    'a & b | !c',
    '!a',
    'a:*',
    'a\\',
    '\\\\',
    `"a"`,
    '<->',
    'a <2> b',
    '%',
    '_%a',
    '--',
    '/*',
    '$1',
    '{}',
    '((((a',
    '\u{1F600}',
    '\u202eabc',
    '\u200b',
    'a\u0300',
    '\ufdfa'.repeat(20),
    'x'.repeat(200),
    '\u{1F468}\u200d\u{1F469}\u200d\u{1F467}',
    '½ ﬁ',
    '\ud800',
    `${'9'.repeat(200)}`,
  ])('%j is answered', async (q) => {
    await create(accounts, { name: 'Plain' })
    for (const reply of [
      await owner.get(`${operations.searchRecords.path}?${new URLSearchParams({ q })}`),
      await owner.get(`${accounts}?${new URLSearchParams({ q, count: 'exact' })}`),
      await owner.post(`${accounts}/query`, { q }),
    ]) {
      expect([200, 400], reply.payload).toContain(reply.statusCode)
      if (reply.statusCode === 400)
        expect(reply.json()).toMatchObject({
          errors: [{ code: expect.stringMatching(/^(no_words|max_words|characters)$/) }],
        })
      else expect(reply.json<{ data: unknown[] }>().data).toEqual([])
    }
  })

  it('a text without a word, of too many, too long or with control characters is refused', async () => {
    for (const [q, code] of [
      [' ... ', 'no_words'],
      ['a1 '.repeat(11), 'max_words'],
      ['x'.repeat(201), 'max_length'],
      ['', 'min_length'],
      ['a\u0001b', 'pattern'],
      ['a\nb', 'pattern'],
    ] as const) {
      const reply = await owner.get(`${operations.searchRecords.path}?${new URLSearchParams({ q })}`)
      expect(reply.json(), q).toMatchObject({ status: 400, errors: [{ pointer: '/query/q', code }] })
      const query = await owner.post(`${contacts}/query`, { q })
      expect(query.json(), q).toMatchObject({ status: 400, errors: [{ pointer: '/q', code }] })
    }
  })

  it('records of any text can be written and found', async () => {
    const name = `${'x'.repeat(250)} '\\:*`
    await create(accounts, {
      name,
      website: `https://e.example/${'y'.repeat(2000)}`,
      customFields: { a: 'z'.repeat(20_000), b: "'\\ &|!" },
    })
    expect(await titles('x'.repeat(200))).toEqual([name])
    expect(await titles('y'.repeat(100))).toEqual([name])
    expect(await titles('z'.repeat(200))).toEqual([name])
  })
})

describe('the database', () => {
  it('searches every kind of record, in the columns that highlights know', async () => {
    for (const { object, table } of recordTypes) {
      const { rows } = await harness.sql.query<{ source: string }>(
        `select p.prosrc as source from pg_trigger t join pg_proc p on p.oid = t.tgfoid
          where t.tgrelid = $1::regclass and t.tgname in ('search_insert', 'search_update', 'search_delete')`,
        [getTableName(table)],
      )
      expect(rows, object).toHaveLength(3)
      const source = String(rows[0]?.source)
      expect(source).toContain(`'${object}'`)
      const read = new Set([...source.matchAll(/NEW\.(\w+)/g)].map(([, column]) => column))
      const { columns } = getTableConfig(table)
      const texts = columns.filter(
        (column) => is(column, PgText) || (is(column, PgJsonb) && column.name !== 'custom_fields'),
      )
      expect(texts.filter(({ name }) => read.has(name)).map(({ name }) => name)).toEqual(
        texts.filter(isSearched).map(({ name }) => name),
      )
    }
  })

  it('finds similar names for the tenant of the claim', async () => {
    const stranger = await harness.newOrganization()
    await create(contacts, { firstName: 'Ada', lastName: 'Lovelace' }, stranger)
    const { id } = await create(contacts, { firstName: 'Ada', lastName: 'Lovelase' })
    await create(contacts, { firstName: 'Grace', lastName: 'Hopper' })
    const client = await harness.sql.connect()
    try {
      const similar = async () =>
        (await client.query('select * from app.similar_records($1, $2, $3, 5)', ['contact', 'Ada Lovelace', 0.5])).rows
      await client.query(`begin; set local role zenith_app`)
      expect(await similar()).toEqual([])
      await client.query(`select set_config('app.organization_id', $1, true)`, [owner.organizationId])
      expect(await similar()).toEqual([{ record_id: id, score: expect.closeTo(0.625, 1) }])
      expect((await client.query('show pg_trgm.similarity_threshold')).rows).toEqual([
        { 'pg_trgm.similarity_threshold': '0.3' },
      ])
    } finally {
      await client.query('rollback')
      client.release()
    }
  })

  it('takes in the records that were there before, once more when asked', async () => {
    const { id } = await create(accounts, { name: 'Before' })
    const { rows } = await harness.sql.query('select * from app.search_documents where record_id = $1', [id])
    await harness.sql.query('delete from app.search_documents')
    await harness.sql.query('select app.search_records(true)')
    expect((await harness.sql.query('select * from app.search_documents where record_id = $1', [id])).rows).toEqual(
      rows,
    )
    expect(await titles('before')).toEqual(['Before'])
  })
})
