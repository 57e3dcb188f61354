import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Caller, createHarness, type Harness } from '../testing/harness.js'

type Json = Record<string, unknown>
type Page = { data: (Json & { id: string })[]; page: { nextCursor: string | null; hasMore: boolean } }
type Parameter = { name?: string; schema?: { items?: { enum?: string[]; anyOf?: { enum?: string[] }[] } } }

const contract = JSON.parse(readFileSync(new URL('../../generated/openapi.json', import.meta.url), 'utf8')) as {
  paths: Record<string, { get: { parameters: Parameter[] } }>
}

const LISTS = ['accounts', 'contacts', 'leads', 'opportunities'] as const
type Name = (typeof LISTS)[number]

/** The orders by fields of the record itself that the contract declares for a list. */
function ordersOf(each: Name): string[] {
  const sort = contract.paths[`/${each}`]?.get.parameters.find(({ name }) => name === 'sort')?.schema?.items
  return [sort?.enum ?? [], ...(sort?.anyOf ?? []).map((form) => form.enum ?? [])].flat()
}

/** Few values, so that many records are equal in an order, and some have none. */
const VALUES: Record<Name, fc.Arbitrary<Json>> = {
  accounts: fc.record({ name: fc.constantFrom('A', 'B', 'C', 'é') }),
  contacts: fc.record({ lastName: fc.constantFrom('A', 'B', 'C', 'é') }),
  leads: fc.record({ lastName: fc.constantFrom('A', 'B', 'é'), score: fc.constantFrom(null, 0, 1, 1000) }),
  opportunities: fc.record({
    name: fc.constantFrom('A', 'B', 'é'),
    amount: fc.constantFrom(null, { amount: '0', currency: 'EUR' }, { amount: '-5', currency: 'EUR' }),
    expectedCloseDate: fc.constantFrom(null, '2026-01-01', '2026-12-31'),
  }),
}

const SIZE = 12
let harness: Harness
beforeAll(async () => {
  harness = await createHarness()
})
afterAll(() => harness.close())

/** What happens between two pages. */
type Act = { kind: 'insert' | 'update' | 'remove'; of: number; values: Json }

const anyAct = (each: Name): fc.Arbitrary<Act> =>
  fc.record({
    kind: fc.constantFrom('insert', 'update', 'remove'),
    of: fc.nat({ max: SIZE - 1 }),
    values: VALUES[each],
  })

async function create(caller: Caller, each: Name, bodies: readonly Json[]): Promise<string[]> {
  const items = bodies.map((body) => ({ op: 'create', body }))
  const reply = await caller.post(`/api/v1/${each}/batch`, { items })
  expect(reply.statusCode, reply.payload).toBe(200)
  return reply.json<{ results: { body: { id: string } }[] }>().results.map(({ body }) => body.id)
}

/** The ids on all pages, by the list or by a query; something happens after each page. */
async function walk(
  caller: Caller,
  each: Name,
  { sort, limit, queries }: { sort: readonly string[]; limit: number; queries: boolean },
  between: (page: number) => Promise<void>,
): Promise<string[]> {
  const found: string[] = []
  let cursor: string | null = null
  for (let page = 0; page === 0 || cursor; page++) {
    expect(page).toBeLessThan(100)
    const more: Json = cursor === null ? {} : { cursor }
    const search = new URLSearchParams({ sort: sort.join(), limit: String(limit), ...more })
    const reply: Awaited<ReturnType<Caller['get']>> = queries
      ? await caller.post(`/api/v1/${each}/query`, { sort, limit, ...more })
      : await caller.get(`/api/v1/${each}?${search}`)
    expect(reply.statusCode, reply.payload).toBe(200)
    const { data, page: shown } = reply.json<Page>()
    found.push(...data.map(({ id }) => id))
    cursor = shown.nextCursor
    await between(page)
  }
  return found
}

const times = (list: readonly string[], id: string): number => list.filter((each) => each === id).length

describe.each(LISTS)('the pages of %s, in every order and while records come, change and go,', (each) => {
  const orders = ordersOf(each)
  const nameOf = (term: string) => term.replace('-', '')
  const order = fc.uniqueArray(fc.constantFrom(...orders), { minLength: 1, maxLength: 2, selector: nameOf })
  const sorts = fc.oneof(...orders.map((term) => fc.constant([term])), order)

  it('show what stays as it is once, nothing twice that does not change, and nothing of others', async () => {
    expect(orders.length).toBeGreaterThan(5)
    const stranger = await harness.newOrganization()
    await create(stranger, each, fc.sample(VALUES[each], { seed: 1, numRuns: SIZE }))
    await fc.assert(
      fc.asyncProperty(
        fc.array(VALUES[each], { minLength: SIZE, maxLength: SIZE }),
        fc.array(fc.array(anyAct(each), { maxLength: 3 }), { maxLength: 8 }),
        fc.record({ sort: sorts, limit: fc.integer({ min: 1, max: 5 }), queries: fc.boolean() }),
        async (bodies, acts, how) => {
          const caller = await harness.newOrganization()
          const known = await create(caller, each, bodies)
          const inserted: string[] = []
          const touched: string[] = []
          const found = await walk(caller, each, how, async (page) => {
            for (const { kind, of, values } of acts[page] ?? []) {
              const id = known[of] as string
              const url = `/api/v1/${each}/${id}`
              if (kind === 'insert') inserted.push(...(await create(caller, each, [values])))
              else touched.push(id)
              if (kind === 'update') await caller.patch(url, values)
              if (kind === 'remove') await caller.delete(url)
            }
          })
          for (const id of known.filter((one) => !touched.includes(one))) expect(times(found, id)).toBe(1)
          for (const id of inserted) expect(times(found, id)).toBeLessThanOrEqual(1)
          // A record that moves ahead of the walk may be met again there.
          for (const id of touched) expect(times(found, id)).toBeLessThanOrEqual(1 + times(touched, id))
          expect(found.filter((id) => !known.includes(id) && !inserted.includes(id))).toEqual([])
        },
      ),
      { seed: 11, numRuns: 40 },
    )
  })
})
