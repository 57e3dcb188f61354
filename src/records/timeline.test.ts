import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { components } from '../../generated/types.js'
import { expectProblem, unchanged } from '../testing/case.js'
import { type Caller, createHarness, type Harness } from '../testing/harness.js'

type Entry = components['schemas']['TimelineEntry']
type Page = { data: Entry[]; page: { nextCursor: string | null; hasMore: boolean } }
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
  // So that nothing happens in the same millisecond.
  harness.advance(1_000)
  return reply.json()
}

async function read(path: string, caller = owner): Promise<Page> {
  const reply = await caller.get(`/api/v1/${path}`)
  expect(reply.statusCode, reply.payload).toBe(200)
  return reply.json()
}

const told = ({ data }: Page) => data.map(({ event, title }) => `${event.type} ${title}`)

async function walk(url: string, limit: number, caller = owner): Promise<Entry[]> {
  const entries: Entry[] = []
  let cursor: string | null = null
  do {
    const page: Page = await read(`${url}&limit=${limit}${cursor ? `&cursor=${cursor}` : ''}`, caller)
    expect(page.data.length).toBeLessThanOrEqual(limit)
    expect(page.page.hasMore).toBe(page.page.nextCursor !== null)
    entries.push(...page.data)
    cursor = page.page.nextCursor
  } while (cursor)
  return entries
}

describe('a timeline', () => {
  it('has what happened to a record and to those that refer to it, the newest first, as their histories tell it', async () => {
    const account = await create('accounts', { name: 'Northwind' })
    const contact = await create('contacts', { lastName: 'Lovelace', accountId: account.id })
    const deal = await create('opportunities', { name: 'Deal', accountId: account.id, primaryContactId: contact.id })
    await create('contacts', { lastName: 'Stranger' })
    await owner.patch(`/api/v1/accounts/${account.id}`, { name: 'Northwind Traders' })
    harness.advance(1_000)
    await owner.patch(`/api/v1/contacts/${contact.id}`, { title: 'Countess' })

    const page = await unchanged({ harness, owner }, () => read(`accounts/${account.id}/timeline`))
    expect(told(page)).toEqual([
      'contact.updated Lovelace',
      'account.updated Northwind Traders',
      'opportunity.created Deal',
      'contact.created Lovelace',
      // The title is the one that the record has now.
      'account.created Northwind Traders',
    ])
    expect(page.page).toEqual({ nextCursor: null, hasMore: false })
    const histories = await Promise.all(
      [`accounts/${account.id}`, `contacts/${contact.id}`, `opportunities/${deal.id}`].map(
        async (path) => ((await read(`${path}/history`)) as unknown as { data: Entry['event'][] }).data,
      ),
    )
    const byId = new Map(histories.flat().map((event) => [event.id, event]))
    expect(byId.size).toBe(5)
    for (const { event } of page.data) expect(event).toEqual(byId.get(event.id))

    expect(told(await read(`contacts/${contact.id}/timeline`))).toEqual([
      'contact.updated Lovelace',
      'opportunity.created Deal',
      'contact.created Lovelace',
    ])
    expect(told(await read(`opportunities/${deal.id}/timeline`))).toEqual(['opportunity.created Deal'])
  })

  it('of a lead has its conversion and the deal, that of the account has the lead', async () => {
    const lead = await create('leads', { lastName: 'Hopper', companyName: 'Harbour' })
    await owner.post(`/api/v1/leads/${lead.id}/convert`, { opportunity: { name: 'Deal' } })
    const { convertedAccountId } = (await read(`leads/${lead.id}`)) as unknown as Json
    const kinds = (page: Page) => told(page).toSorted()
    expect(kinds(await read(`leads/${lead.id}/timeline`))).toEqual([
      'lead.converted Hopper',
      'lead.created Hopper',
      'opportunity.created Deal',
    ])
    expect(kinds(await read(`accounts/${convertedAccountId}/timeline`))).toEqual([
      'account.created Harbour',
      'contact.created Hopper',
      'lead.converted Hopper',
      'lead.created Hopper',
      'opportunity.created Deal',
    ])
  })

  it('walked in pages of any size is the whole, each event once, also while more happens', async () => {
    const parent = await create('accounts', { name: 'Group' })
    for (let count = 0; count < 4; count += 1) {
      const { id } = await create('accounts', { name: `Member ${count}`, parentAccountId: parent.id })
      for (const tag of ['a', 'b', 'c']) await owner.patch(`/api/v1/accounts/${id}`, { tags: [tag] })
      await create('contacts', { lastName: `Contact ${count}`, accountId: parent.id })
    }
    const url = `accounts/${parent.id}/timeline?objects=account,contact`
    const { data: whole } = await read(`${url}&limit=200`)
    expect(whole).toHaveLength(1 + 4 * 4 + 4)
    const order = whole.map(({ event }) => [event.occurredAt, event.id].join())
    expect(order).toEqual(order.toSorted().toReversed())
    for (const limit of [1, 2, 7]) expect(await walk(url, limit)).toEqual(whole)

    const first = await read(`${url}&limit=3`)
    harness.advance(1_000)
    await create('contacts', { lastName: 'Latecomer', accountId: parent.id })
    const rest = await read(`${url}&limit=200&cursor=${first.page.nextCursor}`)
    expect([...first.data, ...rest.data]).toEqual(whole)
  })

  it('has an event once when its record refers to the other by two properties', async () => {
    const account = await create('accounts', { name: 'Alone' })
    await harness.sql.query('update crm_accounts set parent_account_id = id where id = $1', [account.id])
    expect(told(await read(`accounts/${account.id}/timeline`))).toEqual(['account.created Alone'])
  })

  it('of a deleted record is there, and of a purged one gone; what is deleted is in no other timeline', async () => {
    const account = await create('accounts', { name: 'Northwind' })
    const contact = await create('contacts', { lastName: 'Lovelace', accountId: account.id })
    await owner.delete(`/api/v1/contacts/${contact.id}`)
    expect(told(await read(`accounts/${account.id}/timeline`))).toEqual(['account.created Northwind'])
    expect(told(await read(`contacts/${contact.id}/timeline`))).toEqual([
      'contact.deleted Lovelace',
      'contact.created Lovelace',
    ])
    await owner.post(`/api/v1/contacts/${contact.id}/purge`)
    expectProblem(await owner.get(`/api/v1/contacts/${contact.id}/timeline`), 'not_found')
    expect(told(await read(`accounts/${account.id}/timeline`))).toEqual(['account.created Northwind'])
  })

  it('has only what the caller may read', async () => {
    const member = await harness.newUser(owner.organizationId, 'member')
    const teamId = await harness.newTeam(owner.organizationId, [member])
    const account = await create('accounts', { name: 'Northwind', teamId })
    await create('contacts', { lastName: 'Ours', accountId: account.id, teamId })
    await create('contacts', { lastName: 'Theirs', accountId: account.id })
    const hidden = await create('accounts', { name: 'Hidden' })
    expect(told(await read(`accounts/${account.id}/timeline`, member))).toEqual([
      'contact.created Ours',
      'account.created Northwind',
    ])
    expect((await read(`accounts/${account.id}/timeline`)).data).toHaveLength(3)
    expectProblem(await member.get(`/api/v1/accounts/${hidden.id}/timeline`), 'not_found')
  })

  it('shows the kinds of records that are asked for, and refuses those that cannot be in it', async () => {
    const account = await create('accounts', { name: 'Northwind' })
    await create('contacts', { lastName: 'Lovelace', accountId: account.id })
    await create('opportunities', { name: 'Deal', accountId: account.id })
    const url = `accounts/${account.id}/timeline`
    expect(told(await read(`${url}?objects=contact`))).toEqual(['contact.created Lovelace'])
    expect(told(await read(`${url}?objects=account,opportunity`))).toEqual([
      'opportunity.created Deal',
      'account.created Northwind',
    ])
    expect(await read(`${url}?objects=lead`)).toEqual({ data: [], page: { nextCursor: null, hasMore: false } })
    for (const [objects, index] of [['contact,user', 1] as const, ['constructor', 0] as const]) {
      const reply = await owner.get(`/api/v1/${url}?objects=${objects}`)
      expectProblem(reply, 'invalid_request')
      expect(reply.json()).toMatchObject({ errors: [{ pointer: `/query/objects/${index}`, code: 'enum' }] })
    }
    const { page } = await read(`${url}?objects=account,contact&limit=1`)
    const elsewhere = await owner.get(`/api/v1/${url}?objects=contact&limit=1&cursor=${page.nextCursor}`)
    expectProblem(elsewhere, 'invalid_request')
    expect(elsewhere.json()).toMatchObject({ errors: [{ pointer: '/query/cursor', code: 'cursor' }] })
  })

  it('looks at the hundred of each kind that were created last', async () => {
    const account = await create('accounts', { name: 'Large' })
    await harness.sql.query(
      `with made as (
         insert into crm_contacts (organization_id, id, version, owner_id, tags, custom_fields, last_name, name, account_id,
           additional_emails, do_not_call, email_opt_out, created_at, created_by_type, updated_at, updated_by_type)
         select $1, gen_random_uuid(), 1, $2, '[]', '{}', 'C', 'C ' || n, $3, '[]', false, false,
           '2026-01-01'::timestamptz + n * interval '1 second', 'system', '2026-01-01', 'system'
         from generate_series(1, 120) n returning *)
       insert into crm_events (organization_id, id, type, object, record_id, version, actor_type, cause, request_id, changes, occurred_at)
       select organization_id, gen_random_uuid(), 'contact.created', 'contact', id, 1, 'system', 'api', 'r', '{}', created_at from made`,
      [owner.organizationId, owner.userId, account.id],
    )
    const entries = await walk(`accounts/${account.id}/timeline?objects=contact`, 30)
    expect(entries.map(({ title }) => title)).toEqual(Array.from({ length: 100 }, (_, index) => `C ${120 - index}`))
  })
})
