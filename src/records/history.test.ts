import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest'
import { operations } from '../../generated/operations.js'
import type { components } from '../../generated/types.js'
import { type Caller, createHarness, type Harness } from '../testing/harness.js'

type Event = components['schemas']['RecordEvent']
type Stored = Record<string, unknown> & { id: string; version: number }
type Page<Item> = { data: Item[]; page: { nextCursor: string | null; hasMore: boolean } }

let harness: Harness
let owner: Caller
beforeAll(async () => {
  harness = await createHarness()
  owner = await harness.newOrganization()
})
afterAll(() => harness.close())

const accounts = operations.listAccounts.path

async function create(path: string, body: object, caller = owner): Promise<Stored> {
  const reply = await caller.post(path, body)
  expect(reply.statusCode, reply.payload).toBe(201)
  return reply.json()
}

/** Everything that a list has, page by page; `between` runs after each page. */
async function walk<Item>(
  url: string,
  limit: number,
  between: (page: number) => Promise<unknown> = async () => undefined,
): Promise<Item[]> {
  const items: Item[] = []
  let next: string | undefined = `${url}${url.includes('?') ? '&' : '?'}limit=${limit}`
  for (let page = 0; next !== undefined; page += 1) {
    const reply = await owner.get(next)
    expect(reply.statusCode, reply.payload).toBe(200)
    const { data, page: state } = reply.json<Page<Item>>()
    expect(data.length).toBe(state.hasMore ? limit : data.length)
    items.push(...data)
    next = /<(.*)>; rel="next"/.exec(String(reply.headers.link ?? ''))?.[1]
    await between(page)
  }
  return items
}

const text = fc.string({ minLength: 1, maxLength: 12, unit: fc.constantFrom(...'aZ09 .,-_äß漢\u{1F600}"\\\'') })
const name = text.map((value) => `N${value}`)
const optional = <Value>(of: fc.Arbitrary<Value>) => fc.option(of, { nil: null })
const json: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.oneof(text, fc.integer(), fc.boolean(), fc.constant(null), fc.double({ noNaN: true, noDefaultInfinity: true })),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom('a', 'b', 'z'), tie('value'), { maxKeys: 3 }),
  ),
})).value
const shared = {
  tags: fc.uniqueArray(text, { maxLength: 3 }),
  customFields: fc.dictionary(fc.constantFrom('tier', 'seats', 'x', '1'), json, { maxKeys: 3 }),
}
const amount = optional(
  fc.record({ amount: fc.integer({ min: 0, max: 99_999 }).map(String), currency: fc.constantFrom('EUR', 'JPY') }),
)
const address = optional(fc.record({ city: text, countryCode: fc.constantFrom('DE', 'FR') }, { requiredKeys: [] }))

/** A record type, a body that creates one, and what a patch of it may hold. */
type Kind = { path: string; body: object; patch: Record<string, fc.Arbitrary<unknown>> }

const kinds: Kind[] = [
  {
    path: accounts,
    body: { name: 'First' },
    patch: { ...shared, name, industry: optional(text), annualRevenue: amount, billingAddress: address },
  },
  {
    path: operations.listContacts.path,
    body: { lastName: 'First' },
    patch: { ...shared, lastName: name, title: optional(text), doNotCall: fc.boolean(), mailingAddress: address },
  },
  {
    path: operations.listLeads.path,
    body: { companyName: 'First' },
    patch: { ...shared, companyName: name, score: optional(fc.nat(1000)), annualRevenue: amount, address },
  },
  {
    path: operations.listOpportunities.path,
    body: { name: 'First' },
    patch: { ...shared, name, nextStep: optional(text), amount, probability: optional(fc.nat(100)) },
  },
]

const BOOKKEEPING = ['id', 'version', 'createdAt', 'createdBy', 'updatedAt', 'updatedBy', 'deletedAt']

/** The record as its changes tell it, from nothing on. */
function replay(newestFirst: readonly Event[]): Record<string, unknown> {
  const state: Record<string, unknown> = {}
  for (const { changes } of newestFirst.toReversed()) {
    for (const [property, { from, to }] of Object.entries(changes)) {
      expect(state[property] ?? null).toEqual(from)
      expect(to).not.toEqual(from)
      state[property] = to
    }
  }
  return state
}

describe.each(kinds)('$path', ({ path, body, patch }) => {
  const step = fc.oneof(
    { arbitrary: fc.record(patch, { requiredKeys: [] }), weight: 6 },
    { arbitrary: fc.constantFrom('delete', 'restore', 'nothing'), weight: 3 },
    { arbitrary: fc.tuple(fc.record(patch, { requiredKeys: [] }), fc.record(patch, { requiredKeys: [] })), weight: 1 },
  )

  it('what the history tells, from the empty record on, is the record; a patch leaves the rest as it was, byte for byte', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 10 }), async (steps) => {
        const { id } = await create(path, body)
        const url = `${path}/${id}`
        let current = (await owner.get(url)).json<Stored>()
        let live = true
        for (const next of steps) {
          if (next === 'delete') await owner.delete(url)
          else if (next === 'restore') await owner.post(`${url}/restore`)
          else if (Array.isArray(next)) await Promise.all(next.map((each) => owner.patch(url, each)))
          else if (typeof next === 'object') {
            const reply = await owner.patch(url, next)
            expect(reply.statusCode).toBe(live ? 200 : 404)
          }
          live = next === 'delete' ? false : next === 'restore' ? true : live
          if (!live) continue
          const after = (await owner.get(url)).json<Stored>()
          if (typeof next === 'object' && !Array.isArray(next)) {
            // What follows from a patched property may change with it.
            for (const property of Object.keys(current).filter((each) => !(each in next))) {
              if (BOOKKEEPING.includes(property) || ['name', 'probability'].includes(property)) continue
              expect(JSON.stringify(after[property]), property).toBe(JSON.stringify(current[property]))
            }
          }
          current = after
        }
        await owner.post(`${url}/restore`)
        const record = (await owner.get(url)).json<Stored>()
        const events = await walk<Event>(`${url}/history`, 3)
        expect(events.map(({ version }) => version)).toEqual(events.map((_, index) => record.version - index))
        expect(events.at(-1)?.type).toMatch(/\.created$/)
        const told = replay(events)
        for (const property of Object.keys(record).filter((each) => !BOOKKEEPING.includes(each))) {
          expect(told[property] ?? null, property).toEqual(record[property])
        }
        expect(Object.keys(told).filter((property) => !(property in record))).toEqual([])
        // Property by property it is the same history.
        for (const property of ['name', 'tags', 'ownerId']) {
          const some = await walk<Event>(`${url}/history?field=${property}`, 2)
          expect(some).toEqual(events.filter(({ changes }) => property in changes))
        }
      }),
      { numRuns: 12, seed: 3 },
    )
  })
})

test('the pages are what there was when the first one was read, whatever happens meanwhile', async () => {
  const { id } = await create(accounts, { name: 'Paged' })
  const url = `${accounts}/${id}`
  for (let index = 0; index < 9; index += 1) await owner.patch(url, { industry: `Industry ${index}` })
  const meanwhile = async (page: number) => {
    await owner.patch(url, { industry: `Meanwhile ${page}` })
    if (page === 1) await owner.delete(url)
  }
  const events = await walk<Event>(`${url}/history`, 3, meanwhile)
  expect(events.map(({ version }) => version)).toEqual([10, 9, 8, 7, 6, 5, 4, 3, 2, 1])
})

test('a cursor belongs to one record and one property', async () => {
  const [one, other] = [await create(accounts, { name: 'One' }), await create(accounts, { name: 'Other' })]
  for (const { id } of [one, other]) await owner.patch(`${accounts}/${id}`, { name: 'Renamed' })
  const first = await owner.get(`${accounts}/${one.id}/history?limit=1&field=name`)
  const { nextCursor } = first.json<Page<Event>>().page
  const after = (path: string) => owner.get(`${accounts}/${path}&limit=1&cursor=${nextCursor}`)
  expect((await after(`${one.id}/history?field=name`)).statusCode).toBe(200)
  for (const path of [`${one.id}/history?field=tags`, `${one.id}/history?`, `${other.id}/history?field=name`]) {
    expect((await after(path)).json()).toMatchObject({ status: 400, errors: [{ pointer: '/query/cursor' }] })
  }
})

test('only properties of the record can be asked for', async () => {
  const { id } = await create(accounts, { name: 'Asked' })
  for (const field of ['firstName', 'version', 'nonsense', '']) {
    const reply = await owner.get(`${accounts}/${id}/history?field=${field}`)
    expect(reply.json()).toMatchObject({ status: 400, errors: [{ pointer: '/query/field' }] })
  }
})

test('whoever cannot see a record does not see its history, in the recycle bin either; the replies are the same bytes', async () => {
  const member = await harness.newUser(owner.organizationId, 'member')
  const stranger = await harness.newOrganization()
  const { id } = await create(accounts, { name: 'Hidden' })
  const missing = '01935f3a-7c1e-7e12-9a55-0e7f9d1f4b21'
  const as = (caller: Caller, of: string) => caller.get(`${accounts}/${of}/history`, { 'x-request-id': 'same' })
  for (const deleted of [false, true]) {
    if (deleted) await owner.delete(`${accounts}/${id}`)
    for (const caller of [member, stranger]) {
      const reply = await as(caller, id)
      expect(reply.statusCode).toBe(404)
      expect(reply.payload).toBe((await as(caller, missing)).payload)
    }
    expect((await as(owner, id)).statusCode).toBe(200)
  }
})

test('a reference in a change is an id, also of a record that the reader cannot see', async () => {
  const member = await harness.newUser(owner.organizationId, 'member')
  const parent = await create(accounts, { name: 'Secret parent' })
  const child = await create(accounts, { name: 'Child', ownerId: member.userId, parentAccountId: parent.id })
  const record = (await member.get(`${accounts}/${child.id}`)).json<Stored>()
  const reply = await member.get(`${accounts}/${child.id}/history`)
  expect(reply.json<Page<Event>>().data[0]?.changes.parentAccountId).toEqual({ from: null, to: record.parentAccountId })
  expect(reply.payload).not.toContain('Secret')
})
