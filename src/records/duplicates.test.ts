import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { components } from '../../generated/types.js'
import { type Reply, unchanged } from '../testing/case.js'
import { type Caller, createHarness, type Harness } from '../testing/harness.js'

type Reason = components['schemas']['DuplicateReason']
type Found = { record: { id: string; name: string }; score: number; reasons: Reason[] }
type Json = Record<string, unknown> & { id: string }

let harness: Harness
let owner: Caller
beforeAll(async () => {
  harness = await createHarness()
})
afterAll(() => harness.close())
beforeEach(async () => {
  owner = await harness.newOrganization()
})

async function create(path: string, body: object, caller = owner): Promise<Json> {
  const reply = await caller.post(`/api/v1/${path}`, body)
  expect(reply.statusCode, reply.payload).toBe(201)
  return reply.json()
}

async function of(path: string, { id }: { id: string }, caller = owner, query = ''): Promise<Found[]> {
  const reply = await caller.get(`/api/v1/${path}/${id}/duplicates${query}`)
  expect(reply.statusCode, reply.payload).toBe(200)
  return reply.json<{ data: Found[] }>().data
}

async function ofNew(path: string, body: object, caller = owner, query = ''): Promise<Found[]> {
  const reply = await caller.post(`/api/v1/${path}/duplicates${query}`, body)
  expect(reply.statusCode, reply.payload).toBe(200)
  return reply.json<{ data: Found[] }>().data
}

const told = (found: Found[]) =>
  found.map(({ record, score, reasons }) => [
    record.name,
    score,
    reasons.map(({ rule, fields }) => `${rule}: ${fields.join()}`).join('; '),
  ])
const pointersOf = (reply: Reply) => {
  expect(reply.statusCode, reply.payload).toBe(400)
  return reply.json<{ errors: { pointer: string }[] }>().errors.map(({ pointer }) => pointer)
}
const names = (found: Found[]) => found.map(({ record }) => record.name)

describe('possible duplicates', () => {
  it('have the same e-mail address, in whatever case', async () => {
    await create('leads', { lastName: 'Hopper', email: 'Grace@Harbour.example' })
    await create('leads', { lastName: 'Nobody', email: 'grace@elsewhere.example' })
    const lead = await create('leads', { lastName: 'Murray', email: 'grace@harbour.EXAMPLE' })
    expect(told(await of('leads', lead))).toEqual([['Hopper', 0.95, 'email: email']])
    await create('contacts', { lastName: 'Lovelace', email: 'ada@mail.example' })
    const asked = await ofNew('contacts', { lastName: 'Byron', email: 'ADA@mail.example' })
    expect(told(asked)).toEqual([['Lovelace', 0.95, 'email: email']])
  })

  it('have the same domain', async () => {
    const account = await create('accounts', { name: 'Northwind', domain: 'northwind.example' })
    const asked = await ofNew('accounts', { name: 'Something else', domain: 'NorthWind.example' })
    expect(asked).toEqual([{ record: account, score: 0.9, reasons: [{ rule: 'domain', fields: ['domain'] }] }])
  })

  it.each(['contacts', 'leads'])(
    'among the %s have the same telephone number, also as the other of two',
    async (path) => {
      const [fixed, mobile] = ['+494012345678', '+4917012345678']
      await create(path, { lastName: 'Straight', phone: fixed })
      await create(path, { lastName: 'Crossed', mobilePhone: fixed })
      await create(path, { lastName: 'Twofold', phone: mobile, mobilePhone: fixed })
      await create(path, { lastName: 'Another', phone: '+494012345679' })
      const record = await create(path, { lastName: 'Lovelace', phone: fixed, mobilePhone: mobile })
      const expected = [
        ['Twofold', 0.8, 'phone: phone,mobilePhone'],
        ['Crossed', 0.8, 'phone: mobilePhone'],
        ['Straight', 0.8, 'phone: phone'],
      ]
      expect(told(await of(path, record))).toEqual(expected)
      const asked = await ofNew(path, { lastName: 'Byron', mobilePhone: mobile })
      expect(told(asked)).toEqual([
        ['Lovelace', 0.8, 'phone: mobilePhone'],
        ['Twofold', 0.8, 'phone: phone'],
      ])
    },
  )

  it('have a similar name, whatever its case and accents', async () => {
    await create('accounts', { name: 'Müller & Söhne' })
    await create('accounts', { name: 'Northwind Traders' })
    await create('accounts', { name: 'Northwind Trader' })
    expect(told(await ofNew('accounts', { name: 'MULLER & SOHNE' }))).toEqual([['Müller & Söhne', 0.7, 'name: name']])
    const [same, similar] = await ofNew('accounts', { name: 'northwind traders' })
    expect(same).toMatchObject({ record: { name: 'Northwind Traders' }, score: 0.7 })
    expect(similar?.record.name).toBe('Northwind Trader')
    expect(similar?.score).toBeGreaterThan(0.5)
    expect(similar?.score).toBeLessThan(0.7)
    expect(await ofNew('accounts', { name: 'Contoso' })).toEqual([])
  })

  it('among the opportunities are those of the same account', async () => {
    const [a, b] = [await create('accounts', { name: 'A' }), await create('accounts', { name: 'B' })]
    const deal = await create('opportunities', { name: 'Renewal 2027', accountId: a.id })
    await create('opportunities', { name: 'Renewal 2026', accountId: a.id })
    await create('opportunities', { name: 'Renewal 2027', accountId: b.id })
    await create('opportunities', { name: 'Renewal 2027' })
    const [only, ...others] = await of('opportunities', deal)
    expect(only).toMatchObject({
      record: { name: 'Renewal 2026', accountId: a.id },
      reasons: [{ rule: 'name', fields: ['name', 'accountId'] }],
    })
    expect(others).toEqual([])
    expect(told(await ofNew('opportunities', { name: 'Renewal 2027' }))).toEqual([['Renewal 2027', 0.7, 'name: name']])
  })

  it('come once, with all reasons, the likeliest first, and no more than asked for', async () => {
    const [email, phone] = ['ada@mail.example', '+494012345678']
    await create('leads', { firstName: 'Ada', lastName: 'Lovelace' })
    await create('leads', { lastName: 'Phone', phone })
    await create('leads', { lastName: 'Mail', email })
    await create('leads', { firstName: 'Ada', lastName: 'Lovelace', email, phone })
    await create('leads', { firstName: 'Ada', lastName: 'Lovelace', phone })
    const body = { firstName: 'Ada', lastName: 'Lovelace', email, phone }
    const expected = [
      ['Ada Lovelace', 0.997, 'email: email; phone: phone; name: name'],
      ['Mail', 0.95, 'email: email'],
      ['Ada Lovelace', 0.94, 'phone: phone; name: name'],
      ['Phone', 0.8, 'phone: phone'],
      ['Ada Lovelace', 0.7, 'name: name'],
    ]
    const all = await unchanged({ harness, owner }, () => ofNew('leads', body))
    expect(told(all)).toEqual(expected)
    expect(told(await ofNew('leads', body, owner, '?limit=2'))).toEqual(expected.slice(0, 2))
    // Those with the same score stand with the youngest first.
    for (let count = 0; count < 12; count += 1) await create('leads', { firstName: 'Ada', lastName: 'Lovelace' })
    const many = await ofNew('leads', body)
    expect(many).toHaveLength(10)
    expect(await ofNew('leads', body, owner, '?limit=20')).toHaveLength(17)
    const ids = many.slice(4).map(({ record }) => record.id)
    expect(ids).toEqual(ids.toSorted().toReversed())
    for (const limit of ['0', '21', 'x']) {
      const reply = await owner.post(`/api/v1/leads/duplicates?limit=${limit}`, body)
      expect(pointersOf(reply)).toEqual(['/query/limit'])
    }
  })

  it('are never the record itself, and none that is deleted', async () => {
    const [one, other] = [await create('accounts', { name: 'Twin' }), await create('accounts', { name: 'Twin' })]
    expect((await of('accounts', one)).map(({ record }) => record.id)).toEqual([other.id])
    await owner.delete(`/api/v1/accounts/${other.id}`)
    expect(await of('accounts', one)).toEqual([])
    expect((await owner.get(`/api/v1/accounts/${other.id}/duplicates`)).statusCode).toBe(404)
    await owner.post(`/api/v1/accounts/${other.id}/restore`)
    expect(names(await of('accounts', one))).toEqual(['Twin'])
    await owner.patch(`/api/v1/accounts/${other.id}`, { name: 'Renamed' })
    expect(await of('accounts', one)).toEqual([])
  })

  it('by telephone number are the youngest of many', async () => {
    const phone = '+494012345678'
    for (let count = 0; count < 22; count += 1)
      await create('contacts', { lastName: String.fromCharCode(97 + count), phone })
    const found = names(await ofNew('contacts', { lastName: 'Zuse', phone }, owner, '?limit=20'))
    expect(found).toHaveLength(20)
    expect(found).not.toContain('a')
    expect(found[0]).toBe('v')
  })
})

describe('possible duplicates that the caller may not read', () => {
  const body = { lastName: 'Lovelace', email: 'ada@mail.example', phone: '+494012345678' }

  it('are not found, by level', async () => {
    const [member, mate] = [
      await harness.newUser(owner.organizationId, 'member'),
      await harness.newUser(owner.organizationId, 'member'),
    ]
    const teamId = await harness.newTeam(owner.organizationId, [member, mate])
    const hidden = await create('leads', { ...body, description: 'secret' })
    expect(await ofNew('leads', body, member)).toEqual([])
    const own = await create('leads', { ...body, lastName: 'Own' }, member)
    const team = await create('leads', { ...body, lastName: 'Team', teamId, ownerId: mate.userId })
    expect(names(await ofNew('leads', body, member))).toEqual(['Team', 'Own'])
    expect(names(await of('leads', own, member))).toEqual(['Team'])
    expect(names(await of('leads', team, mate))).toEqual([])
    expect(names(await ofNew('leads', body))).toEqual(['Lovelace', 'Team', 'Own'])
    const reply = (id: string) => member.get(`/api/v1/leads/${id}/duplicates`, { 'x-request-id': 'same' })
    const [unseen, missing] = [await reply(hidden.id), await reply(randomUUID())]
    expect(unseen.statusCode).toBe(404)
    expect(unseen.payload).toBe(missing.payload)
  })

  it('are not found in another organization', async () => {
    const stranger = await harness.newOrganization()
    for (const path of ['contacts', 'leads']) {
      const theirs = await create(path, body, stranger)
      expect(await ofNew(path, body)).toEqual([])
      expect(await of(path, await create(path, body))).toEqual([])
      expect((await owner.get(`/api/v1/${path}/${theirs.id}/duplicates`)).statusCode).toBe(404)
    }
  })

  it('may be asked for by who may only read', async () => {
    const reader = await harness.newUser(owner.organizationId, 'read_only')
    await create('leads', body)
    expect((await reader.post('/api/v1/leads', body)).statusCode).toBe(403)
    expect(names(await unchanged({ harness, owner }, () => ofNew('leads', body, reader)))).toEqual(['Lovelace'])
  })
})

describe('a record that is not created yet', () => {
  it('is refused as its creation would be, with pointers', async () => {
    const account = await create('accounts', { name: 'Theirs' }, await harness.newOrganization())
    const refusals: [string, object, string][] = [
      ['contacts', {}, '/lastName'],
      ['contacts', { lastName: 'A', phone: '040 1234' }, '/phone'],
      ['contacts', { lastName: 'A', accountId: account.id }, '/accountId'],
      ['contacts', { lastName: 'A', accountId: randomUUID(), ownerId: randomUUID() }, '/ownerId'],
      ['contacts', { lastName: 'A', timeZone: 'Mars/Olympus' }, '/timeZone'],
      ['leads', { firstName: 'Ada' }, ''],
      ['opportunities', { name: 'A', stageId: randomUUID() }, '/stageId'],
    ]
    for (const [path, body, pointer] of refusals) {
      const reply = await owner.post(`/api/v1/${path}/duplicates`, body)
      expect(pointersOf(reply)).toContain(pointer)
    }
  })

  it('goes by the custom fields that are defined now', async () => {
    await create('accounts', { name: 'Northwind' })
    expect(await ofNew('accounts', { name: 'Northwind', customFields: { anything: 1 } })).toHaveLength(1)
    const field = { object: 'account', key: 'seats', label: 'Seats', type: 'integer' }
    await create('custom-fields', field)
    expect(await ofNew('accounts', { name: 'Northwind', customFields: { seats: 1 } })).toHaveLength(1)
    const reply = await owner.post('/api/v1/accounts/duplicates', { name: 'Northwind', customFields: { seats: 'x' } })
    expect(pointersOf(reply)).toEqual(['/customFields/seats'])
  })

  it.each([
    "'; drop table crm_accounts; --",
    '%',
    '\\',
    '"}{,',
    '$1',
    '\u202e\u{1F600}',
    '\ufdfa'.repeat(255),
    'x'.repeat(255),
    'a '.repeat(127),
  ])('may be called %j', async (name) => {
    const account = await create('accounts', { name: 'Ordinary' })
    expect(names(await ofNew('accounts', { name }))).not.toContain('Ordinary')
    const called = await create('accounts', { name })
    expect((await of('accounts', called)).map(({ record }) => record.id)).not.toContain(called.id)
    expect(await of('accounts', account)).toEqual([])
  })
})
