import { randomUUID } from 'node:crypto'
import type { LightMyRequestResponse } from 'fastify'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { operations } from '../../generated/operations.js'
import type { components } from '../../generated/types.js'
import { must, newRecord } from './access-world.js'
import { type Caller, createHarness, type Harness } from './harness.js'

const accounts = operations.createAccount.path
const contacts = operations.createContact.path
const leads = operations.createLead.path
const opportunities = operations.createOpportunity.path

let harness: Harness
let owner: Caller
beforeAll(async () => {
  harness = await createHarness({ DATABASE_POOL_SIZE: '8' })
})
beforeEach(async () => {
  owner = await harness.newOrganization()
})
afterAll(() => harness.close())

const times = <Result>(count: number, act: (index: number) => Promise<Result>): Promise<Result[]> =>
  Promise.all(Array.from({ length: count }, (_, index) => act(index)))

const statuses = (replies: readonly LightMyRequestResponse[]): number[] =>
  replies.map(({ statusCode }) => statusCode).sort()

async function rowsOf(table: string, condition = 'true'): Promise<Record<string, unknown>[]> {
  const { rows } = await harness.sql.query(`select * from ${table} where organization_id = $1 and ${condition}`, [
    owner.organizationId,
  ])
  return rows
}

test('a unique value goes to one of many who want it', async () => {
  const replies = await times(12, (index) =>
    owner.post(accounts, { name: `A${index}`, domain: index % 2 ? 'one.example' : 'ONE.example' }),
  )
  expect(statuses(replies)).toEqual([201, ...Array.from({ length: 11 }, () => 409)])
  expect(await rowsOf('crm_accounts')).toHaveLength(1)
  expect(await rowsOf('crm_events')).toHaveLength(1)
})

test('a unique value goes to one of many who change to it, or bring it back', async () => {
  const targets = await times(6, () => newRecord(owner, contacts))
  const deleted = await times(3, async () => {
    const record = await newRecord(owner, contacts, { email: 'same@example.com' })
    await must(owner.delete(`${contacts}/${record.id}`))
    return record
  }).catch(() => [])
  const replies = await Promise.all([
    ...targets.map(({ id }) => owner.patch(`${contacts}/${id}`, { email: 'Same@Example.com' })),
    ...deleted.map(({ id }) => owner.post(`${contacts}/${id}/restore`)),
  ])
  expect(replies.filter(({ statusCode }) => statusCode === 200)).toHaveLength(1)
  expect(replies.every(({ statusCode }) => statusCode === 200 || statusCode === 409)).toBe(true)
  expect(await rowsOf('crm_contacts', `email_key = 'same@example.com' and deleted_at is null`)).toHaveLength(1)
})

test('of many changes of one version one goes through', async () => {
  const { id } = await newRecord(owner, accounts)
  const replies = await times(12, (index) =>
    owner.patch(`${accounts}/${id}`, { name: `N${index}` }, { 'if-match': '"1"' }),
  )
  expect(statuses(replies)).toEqual([200, ...Array.from({ length: 11 }, () => 412)])
  expect(await rowsOf('crm_accounts')).toMatchObject([{ version: 2 }])
})

test('changes of different properties at once are all kept, each with its event', async () => {
  const { id } = await newRecord(owner, accounts, { customFields: {} })
  const replies = await times(12, (index) =>
    owner.patch(`${accounts}/${id}`, { customFields: { [`f${index}`]: index } }),
  )
  expect(new Set(statuses(replies))).toEqual(new Set([200]))
  expect(Object.keys((await rowsOf('crm_accounts'))[0]?.custom_fields as object)).toHaveLength(12)
  const versions = (await rowsOf('crm_events')).map(({ version }) => version).sort((a, b) => Number(a) - Number(b))
  expect(versions).toEqual(Array.from({ length: 13 }, (_, index) => index + 1))
})

test('a lead is converted once', async () => {
  const { id } = await newRecord(owner, leads)
  const replies = await times(10, () => owner.post(`${leads}/${id}/convert`, { opportunity: { name: 'Deal' } }))
  expect(statuses(replies)).toEqual([200, ...Array.from({ length: 9 }, () => 409)])
  const result = replies
    .find(({ statusCode }) => statusCode === 200)
    ?.json<components['schemas']['LeadConversionResult']>()
  for (const reply of replies.filter(({ statusCode }) => statusCode === 409)) {
    expect(reply.json()).toMatchObject({
      code: 'already_converted',
      conflicts: [
        { id: result?.account.record.id },
        { id: result?.contact.record.id },
        { id: result?.opportunity?.record.id },
      ],
    })
  }
  for (const table of ['crm_accounts', 'crm_contacts', 'crm_opportunities']) expect(await rowsOf(table)).toHaveLength(1)
})

test('deleting and restoring at once ends in one of both, and every step is told', async () => {
  const { id } = await newRecord(owner, accounts)
  const replies = await times(16, (index) =>
    index % 2 ? owner.delete(`${accounts}/${id}`) : owner.post(`${accounts}/${id}/restore`),
  )
  expect(replies.every(({ statusCode }) => [200, 204, 404].includes(statusCode))).toBe(true)
  const [record] = await rowsOf('crm_accounts')
  const events = (await rowsOf('crm_events')).sort((a, b) => Number(a.version) - Number(b.version))
  expect(events.map(({ version }) => version)).toEqual(
    Array.from({ length: Number(record?.version) }, (_, index) => index + 1),
  )
  expect(events.at(-1)?.type).toBe(
    record?.deleted_at === null && events.length > 1
      ? 'account.restored'
      : record?.deleted_at
        ? 'account.deleted'
        : 'account.created',
  )
})

test('records that come to refer to each other at once do not stand in each other’s way', async () => {
  for (let round = 0; round < 3; round++) {
    const [a, b] = await times(2, () => newRecord(owner, accounts))
    const first = await newRecord(owner, contacts)
    const second = await newRecord(owner, contacts)
    const replies = await times(16, (index) => {
      switch (index % 8) {
        case 0:
          return owner.patch(`${accounts}/${a?.id}`, { parentAccountId: b?.id, name: `A${index}` })
        case 1:
          return owner.patch(`${accounts}/${b?.id}`, { parentAccountId: a?.id, name: `B${index}` })
        case 2:
          return owner.patch(`${contacts}/${first.id}`, {
            reportsToId: second.id,
            accountId: a?.id,
            title: `T${index}`,
          })
        case 3:
          return owner.patch(`${contacts}/${second.id}`, {
            reportsToId: first.id,
            accountId: b?.id,
            title: `T${index}`,
          })
        case 4:
          return owner.post(contacts, { lastName: 'New', accountId: a?.id })
        case 5:
          return owner.post(opportunities, { name: 'New', accountId: b?.id, primaryContactId: first.id })
        case 6:
          return owner.patch(`${accounts}/${a?.id}`, { description: `D${index}` }, { 'if-match': '*' })
        default:
          return owner.post(accounts, { name: 'Child', parentAccountId: a?.id }, { 'idempotency-key': randomUUID() })
      }
    })
    expect(replies.filter(({ statusCode }) => statusCode >= 300).map(({ payload }) => payload)).toEqual([])
  }
})

test('users and what they own change at the same time', async () => {
  const members = await times(3, () => harness.newUser(owner.organizationId, 'owner'))
  const replies = await times(24, (index) => {
    const member = members[index % 3] as Caller
    if (index % 4 === 0) return owner.patch(`${operations.listUsers.path}/${member.userId}`, { title: `T${index}` })
    if (index % 4 === 1) return owner.post(accounts, { name: `A${index}`, ownerId: member.userId })
    if (index % 4 === 2)
      return owner.post(leads, { lastName: `L${index}`, ownerId: member.userId }, { 'idempotency-key': randomUUID() })
    return member.post(contacts, { lastName: `C${index}` })
  })
  expect(replies.filter(({ statusCode }) => statusCode >= 300).map(({ payload }) => payload)).toEqual([])
})

test('changes of one’s own profile at once are all kept', async () => {
  const replies = await Promise.all([
    owner.patch(operations.updateMe.path, { firstName: 'Ada' }),
    owner.patch(operations.updateMe.path, { lastName: 'Lovelace' }),
    owner.patch(operations.updateMe.path, { language: 'en' }),
    owner.patch(operations.updateMe.path, { timeZone: 'Europe/London' }),
  ])
  expect(new Set(statuses(replies))).toEqual(new Set([200]))
  expect((await owner.get(operations.getMe.path)).json()).toMatchObject({
    user: { firstName: 'Ada', lastName: 'Lovelace', language: 'en', timeZone: 'Europe/London' },
  })
})
