import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Scope } from '../context.js'
import { expectProblem, unchanged } from '../testing/case.js'
import { type Caller, createHarness, type Harness } from '../testing/harness.js'
import { aggregate } from './aggregate.js'
import { fromMinorUnits, toMinorUnits } from './money.js'
import { type AnyRecord, recordTypeOf } from './record-type.js'

type Json = Record<string, unknown>
type Schema = { oneOf?: Schema[]; properties?: Record<string, Schema>; enum?: string[] }
type Group = { field: string; interval?: string; timeZone?: string }
type Measure = { function: string; field?: string; as: string }
type Body = { filter?: Json; groupBy?: Group[]; measures: Measure[]; sort?: string[]; limit?: number }
type Line = { groups: Json; values: Json }
type Result = { data: Line[]; hasMore: boolean }
type Money = { amount: string; currency: string }

const contract = JSON.parse(readFileSync(new URL('../../generated/openapi.json', import.meta.url), 'utf8')) as {
  components: { schemas: Record<string, Schema> }
}

const RECORDS = { accounts: 'Account', contacts: 'Contact', leads: 'Lead', opportunities: 'Opportunity' } as const
type Name = keyof typeof RECORDS
const names = Object.keys(RECORDS) as Name[]

/** The forms of a component of the contract: of each, the values that its properties may have. */
const formsOf = (component: string) =>
  (contract.components.schemas[component]?.oneOf ?? []).map(({ properties = {} }) => ({
    fields: properties.field?.enum,
    functions: properties.function?.enum ?? [],
    intervals: properties.interval?.enum,
    hasZone: properties.timeZone !== undefined,
  }))
const groupForms = (each: Name) => formsOf(`${RECORDS[each]}Group`)
const measureForms = (each: Name) => formsOf(`${RECORDS[each]}Measure`)

// ---- what is aggregated

const REFERENCES: Record<Name, Record<string, Name>> = {
  accounts: { parentAccountId: 'accounts' },
  contacts: { accountId: 'accounts', reportsToId: 'contacts' },
  leads: {},
  opportunities: { accountId: 'accounts', primaryContactId: 'contacts' },
}
/** Grouped without regard to case, as filters compare. */
const FOLDED: Record<Name, string[]> = {
  accounts: ['domain'],
  contacts: ['email'],
  leads: ['email'],
  opportunities: [],
}

const maybe = <Value>(value: fc.Arbitrary<Value>) => fc.option(value, { freq: 3 })
const text = fc.constantFrom('', 'Retail', 'retail', 'Ærø 😀', 'a"b', "d'e", '__proto__', 'constructor', 'null', '$1')
const count = maybe(fc.constantFrom(0, 1, 2, 100, 2147483647))
const date = maybe(fc.constantFrom('1900-01-01', '2024-12-30', '2026-02-28', '2027-01-03', '2299-12-31'))
const money = maybe(
  fc.record({
    amount: fc.constantFrom('0', '1234', '-7', '999999999999', '3', '-999999999999'),
    currency: fc.constantFrom('EUR', 'USD', 'JPY', 'KWD'),
  }),
)
const address = maybe(fc.record({ city: maybe(text), countryCode: maybe(fc.constantFrom('DE', 'JP')) }))
const enumOf = (...values: string[]) => maybe(fc.constantFrom(...values))

const bodies: Record<Name, fc.Arbitrary<Json>> = {
  accounts: fc.record({
    ...{ name: fc.constantFrom('Alpha', 'alpha', 'toString'), industry: maybe(text), annualRevenue: money },
    ...{ numberOfEmployees: count, billingAddress: address, type: enumOf('prospect', 'customer') },
  }),
  contacts: fc.record({
    ...{ lastName: fc.constantFrom('Lovelace', 'Ærø'), title: maybe(text), birthdate: date, mailingAddress: address },
    ...{ doNotCall: fc.boolean(), lifecycleStage: enumOf('lead', 'customer') },
  }),
  leads: fc.record({
    ...{ lastName: fc.constantFrom('Lovelace', 'Hopper'), source: maybe(text), annualRevenue: money, address },
    ...{ score: maybe(fc.constantFrom(0, 1, 500, 1000)), numberOfEmployees: count, emailOptOut: fc.boolean() },
    ...{ email: enumOf('Ada@Example.com', 'ada@example.com'), status: fc.constantFrom('open', 'working') },
    utm: maybe(fc.record({ source: maybe(text) }, { requiredKeys: [] })),
  }),
  opportunities: fc.record({
    ...{ name: fc.constantFrom('Deal', 'deal'), amount: money, expectedCloseDate: date, lostReason: maybe(text) },
    ...{ probability: maybe(fc.constantFrom(0, 10, 100)), type: enumOf('renewal', 'new_business') },
  }),
}

/** Around the ends of days, weeks, years and of summer time, here and elsewhere. */
const INSTANTS = [
  ...['2024-12-30T00:00:00.000Z', '2025-12-31T23:30:00.000Z', '2026-01-01T00:00:00.000Z', '2026-03-28T23:59:59.999Z'],
  ...['2026-03-29T00:30:00.000Z', '2026-03-29T01:00:00.000Z', '2026-10-25T00:59:00.000Z', '2026-07-01T10:00:00.000Z'],
]
const ZONES = ['UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kathmandu', 'Pacific/Kiritimati', 'Pacific/Niue']

const SIZE = 40
let harness: Harness
let owner: Caller
let member: Caller
let stranger: Caller
const data = {} as Record<Name, Json[]>
/** What the member sees of it. */
const seen = {} as Record<Name, Json[]>

beforeAll(async () => {
  harness = await createHarness()
  owner = await harness.newOrganization()
  stranger = await harness.newOrganization()
  member = await harness.newUser(owner.organizationId, 'member')
  const list = async (caller: Caller, each: Name) =>
    (await caller.get(`/api/v1/${each}?limit=200`)).json<{ data: Json[] }>().data
  for (const each of names) {
    const made: string[] = []
    for (const [index, body] of fc.sample(bodies[each], { seed: 20260105, numRuns: SIZE }).entries()) {
      const references = Object.entries(REFERENCES[each]).flatMap(([field, target]) => {
        const targets = target === each ? made : data[target].map(({ id }) => id)
        return index % 3 > 0 && targets.length > 0 ? [[field, targets[index % Math.min(5, targets.length)]]] : []
      })
      const mine = index % 4 === 0 ? { ownerId: member.userId } : {}
      const reply = await owner.post(`/api/v1/${each}`, { ...body, ...Object.fromEntries(references), ...mine })
      expect(reply.statusCode, reply.payload).toBe(201)
      made.push(reply.json<{ id: string }>().id)
      await stranger.post(`/api/v1/${each}`, body)
    }
    for (const [index, id] of made.entries()) {
      await harness.sql.query(`update crm_${each} set created_at = $1 where id = $2`, [INSTANTS[index % 8], id])
    }
    await owner.delete(`/api/v1/${each}/${made.at(-1)}`)
    data[each] = await list(owner, each)
    seen[each] = await list(member, each)
    expect(data[each]).toHaveLength(SIZE - 1)
    expect(seen[each].length).toBeLessThan(SIZE / 2)
  }
})
afterAll(() => harness.close())

// ---- what an aggregation means, said naively

const valueIn = (record: Json | undefined, field: string): unknown =>
  field.split('.').reduce<unknown>((value, part) => (value as Json | null | undefined)?.[part] ?? null, record ?? null)

const isMoney = (value: unknown): value is Money => value instanceof Object && 'currency' in value

function fieldOf(all: Record<Name, Json[]>, each: Name, record: Json | undefined, field: string): unknown {
  const [first = '', ...rest] = field.split('.')
  const target = REFERENCES[each][`${first}Id`]
  if (target) {
    const related = all[target].find(({ id }) => id === record?.[`${first}Id`])
    return fieldOf(all, target, related, rest.join('.'))
  }
  const value = valueIn(record, field)
  return typeof value === 'string' && FOLDED[each].includes(field) ? value.toLowerCase() : value
}

/** The first day of the period that a day is in. */
function floor(day: string, interval: string): string {
  const [year = '', month = ''] = day.split('-')
  const pad = (number: number) => String(number).padStart(2, '0')
  const date = new Date(`${day}T00:00:00Z`)
  date.setUTCDate(date.getUTCDate() - ((date.getUTCDay() + 6) % 7))
  const starts: Record<string, string> = {
    ...{ day, month: `${year}-${month}-01`, year: `${year}-01-01` },
    week: date.toISOString().slice(0, 10),
    quarter: `${year}-${pad(Math.floor((Number(month) - 1) / 3) * 3 + 1)}-01`,
  }
  return starts[interval] ?? ''
}

function groupValue(value: unknown, { interval, timeZone = 'UTC' }: Group): unknown {
  if (!interval || value === null) return value
  const isDate = String(value).length === 10
  const local = new Intl.DateTimeFormat('en-CA', { timeZone, year: 'numeric', month: '2-digit', day: '2-digit' })
  return floor(isDate ? String(value) : local.format(new Date(String(value))), interval)
}

/** Half away from zero. */
const roundedQuotient = (sum: bigint, by: bigint) =>
  ((sum < 0n ? -1n : 1n) * (2n * (sum < 0n ? -sum : sum) + by)) / (2n * by)

function measured(values: unknown[], name: string): unknown {
  if (name === 'count') return values.length
  if (name === 'countDistinct') return new Set(values).size
  if (values.length === 0) return null
  if (isMoney(values[0])) {
    const { currency } = values[0]
    const units = values.map((value) => BigInt(toMinorUnits(value as Money, '')))
    const sum = units.reduce((a, b) => a + b)
    const sorted = units.sort((a, b) => (a < b ? -1 : 1))
    const avg = roundedQuotient(sum, BigInt(units.length))
    const results: Record<string, unknown> = { sum, avg, min: sorted[0], max: sorted.at(-1) }
    return fromMinorUnits(String(results[name]), currency)
  }
  const sorted = [...values].sort((a, b) => ((a as number) < (b as number) ? -1 : 1))
  if (name === 'min') return sorted[0]
  if (name === 'max') return sorted.at(-1)
  const sum = (values as number[]).reduce((a, b) => a + b)
  return name === 'sum' ? sum : sum / values.length
}

const rank = (value: unknown): string | number | Buffer => {
  if (isMoney(value)) return Number(toMinorUnits(value, ''))
  return typeof value === 'string' ? Buffer.from(value) : Number(value)
}

function compare(a: unknown, b: unknown): number {
  if (a === null || b === null) return Number(b === null) - Number(a === null)
  const [left, right] = [rank(a), rank(b)]
  if (Buffer.isBuffer(left) && Buffer.isBuffer(right)) return Buffer.compare(left, right)
  return left < right ? -1 : Number(left > right)
}

function naively(all: Record<Name, Json[]>, each: Name, { groupBy = [], measures, sort = [] }: Body): Line[] {
  const isAmount = ({ function: name, field }: Measure) =>
    field !== undefined && name !== 'count' && all[each].some((record) => isMoney(record[field]))
  const given = groupBy.map(({ field }) => field)
  const currencies = new Set(measures.filter(isAmount).map(({ field }) => `${field}.currency`))
  const groups = [...groupBy, ...[...currencies].filter((name) => !given.includes(name)).map((field) => ({ field }))]
  const lines = new Map<string, { groups: Json; records: Json[] }>()
  if (groups.length === 0) lines.set('[]', { groups: {}, records: [] })
  for (const record of all[each]) {
    const values = groups.map((group) => groupValue(fieldOf(all, each, record, group.field), group))
    const key = JSON.stringify(values)
    const line = lines.get(key) ?? {
      groups: Object.fromEntries(groups.map(({ field }, i) => [field, values[i]])),
      records: [],
    }
    line.records.push(record)
    lines.set(key, line)
  }
  const measure = ({ function: name, field }: Measure, records: Json[]) =>
    field === undefined
      ? records.length
      : measured(
          records.flatMap((record) => fieldOf(all, each, record, field) ?? []),
          name,
        )
  const results = [...lines.values()].map(({ groups: shared, records }) => ({
    groups: shared,
    values: Object.fromEntries(measures.map((each) => [each.as, measure(each, records)])),
  }))
  const terms = [...sort, ...groups.map(({ field }) => field)]
  return results.sort((a, b) => {
    for (const term of terms) {
      const name = term.replace('-', '')
      const pick = (line: Line) => (Object.hasOwn(line.groups, name) ? line.groups[name] : line.values[name])
      const [left, right] = [pick(a), pick(b)]
      const currency = measures.find(({ as, ...rest }) => as === name && isAmount({ as, ...rest }))
      const within = currency ? `${currency.field}.currency` : undefined
      const first = within ? compare(a.groups[within], b.groups[within]) : 0
      const order = first || (term.startsWith('-') ? -compare(left, right) : compare(left, right))
      if (order !== 0) return order
    }
    return 0
  })
}

// ---- aggregations, as the contract declares them

const anyGroup = (each: Name): fc.Arbitrary<Group> =>
  fc.constantFrom(...groupForms(each)).chain(({ fields = [], intervals, hasZone }) =>
    fc.record(
      {
        field: fc.constantFrom(...fields),
        ...(intervals && { interval: fc.constantFrom(...intervals) }),
        ...(hasZone && { timeZone: fc.constantFrom(...ZONES) }),
      },
      { requiredKeys: ['field', ...(intervals ? ['interval' as never] : [])] },
    ),
  ) as fc.Arbitrary<Group>

const anyMeasure = (each: Name): fc.Arbitrary<Omit<Measure, 'as'>> =>
  fc.constantFrom(...measureForms(each)).chain(({ fields, functions }) =>
    fc.record({
      function: fc.constantFrom(...functions),
      ...(fields && { field: fc.constantFrom(...fields) }),
    }),
  )

const NAMES = ['constructor', 'toString', 'hasOwnProperty', 'valueOf', 'a', 'Z_9', 'length', 'prototype', 'then', 'x']

function anyBody(each: Name): fc.Arbitrary<Body> {
  const groups = fc.uniqueArray(anyGroup(each), { maxLength: 3, selector: ({ field }) => field })
  return fc
    .record({ groups, measures: fc.array(anyMeasure(each), { minLength: 1, maxLength: 10 }) })
    .chain(({ groups, measures }) => {
      // A measure that has the name of a group would be refused.
      const named = measures.map((measure, index) => ({ ...measure, as: NAMES[index] ?? '' }))
      const known = [...groups.map(({ field }) => field), ...named.map(({ as }) => as)]
      const terms = fc.uniqueArray(fc.constantFrom(...known.flatMap((name) => [name, `-${name}`])), {
        ...{ minLength: 1, maxLength: 4, selector: (term: string) => term.replace('-', '') },
      })
      return fc.record(
        {
          measures: fc.constant(named),
          ...(groups.length > 0 && { groupBy: fc.constant(groups) }),
          sort: terms,
        },
        { requiredKeys: ['measures', ...(groups.length > 0 ? ['groupBy' as never] : [])] },
      ) as fc.Arbitrary<Body>
    })
}

async function ask(caller: Caller, each: Name, body: object): Promise<Result> {
  const reply = await caller.post(`/api/v1/${each}/aggregate`, body)
  expect(reply.statusCode, `${JSON.stringify(body)} ${reply.payload}`).toBe(200)
  return reply.json()
}

/** Means are compared as closely as JSON numbers allow. */
const rounded = (lines: Line[]): Line[] =>
  lines.map(({ groups, values }) => ({
    groups,
    values: Object.fromEntries(
      Object.entries(values).map(([name, value]) => [
        name,
        typeof value === 'number' ? Number(value.toPrecision(12)) : value,
      ]),
    ),
  }))

describe.each(names)('an aggregation of %s', (each) => {
  it('comes to what a naive one comes to, in the same order, for whoever asks', async () => {
    await fc.assert(
      fc.asyncProperty(anyBody(each), fc.boolean(), async (body, mine) => {
        const { data: lines, hasMore } = await ask(mine ? member : owner, each, { ...body, limit: 1000 })
        expect(rounded(lines)).toEqual(rounded(naively(mine ? seen : data, each, body)))
        expect(hasMore).toBe(false)
      }),
      { seed: 42, numRuns: 100 },
    )
  })

  it('can be by every field and interval, and measure every field in every way', async () => {
    for (const { fields = [], intervals = [undefined] } of groupForms(each)) {
      for (const field of fields) {
        for (const interval of intervals) {
          const body: Body = {
            groupBy: [{ field, ...(interval && { interval }) }],
            measures: [{ function: 'count', as: 'n' }],
          }
          const { data: lines } = await ask(owner, each, { ...body, limit: 1000 })
          expect(lines, JSON.stringify(body)).toEqual(naively(data, each, body))
        }
      }
    }
    for (const { fields, functions } of measureForms(each)) {
      for (const field of fields ?? [undefined]) {
        const measures = functions.map((name) => ({ function: name, ...(field && { field }), as: name }))
        const { data: lines } = await ask(owner, each, { measures })
        expect(rounded(lines), JSON.stringify(measures)).toEqual(rounded(naively(data, each, { measures })))
      }
    }
  })

  it('is about what the filter finds, and never about more than the caller may see', async () => {
    const measures = [{ function: 'count', as: 'n' }]
    const total = async (caller: Caller, filter?: Json) =>
      (await ask(caller, each, { measures, ...(filter && { filter }) })).data[0]?.values.n
    const everything = { not: { field: 'version', op: 'lt', value: 0 } }
    expect(await total(owner)).toBe(SIZE - 1)
    expect(await total(owner, { field: 'ownerId', op: 'eq', value: member.userId })).toBe(seen[each].length)
    expect(await total(member, { or: [everything, everything] })).toBe(seen[each].length)
    const { data: lines } = await ask(stranger, each, { groupBy: [{ field: 'id' }], measures, filter: everything })
    const ids = data[each].map(({ id }) => id)
    expect(lines).toHaveLength(SIZE)
    expect(lines.filter(({ groups }) => ids.includes(groups.id))).toEqual([])
  })

  it('answers no more groups than the limit, and says so', async () => {
    const body: Body = { groupBy: [{ field: 'id' }], measures: [{ function: 'count', as: 'n' }], sort: ['-id'] }
    const all = await ask(owner, each, body)
    expect(all).toMatchObject({ hasMore: false, data: naively(data, each, body) })
    expect(await ask(owner, each, { ...body, limit: 5 })).toEqual({ data: all.data.slice(0, 5), hasMore: true })
    expect(await ask(owner, each, { ...body, limit: SIZE - 1 })).toEqual(all)
  })

  it('of nothing has a line without groups, and none with', async () => {
    const nobody = await harness.newOrganization()
    const measures = [
      { function: 'count', as: 'n' },
      { function: 'max', field: 'createdAt', as: 'latest' },
      { function: 'countDistinct', field: 'ownerId', as: 'owners' },
      { function: 'sum', field: 'version', as: 'sum' },
    ]
    const values = { n: 0, latest: null, owners: 0, sum: null }
    expect(await ask(nobody, each, { measures })).toEqual({ data: [{ groups: {}, values }], hasMore: false })
    expect(await ask(nobody, each, { measures, groupBy: [{ field: 'ownerId' }] })).toEqual({ data: [], hasMore: false })
  })

  it('is answered or refused with a pointer, whatever is sent, and changes nothing', async () => {
    const hostile = fc.constantFrom<unknown>(
      ...[null, true, 0, -1, 1.5, 2 ** 53, '', 'x', '__proto__', 'constructor', '-', '-constructor', 'createdAt', '\0'],
      ...[
        [],
        [[]],
        {},
        { field: 'id' },
        { function: 'count', as: 'toString' },
        'week',
        'sum',
        'name',
        "'; select 1 --",
      ],
      ...['Europe/Nowhere', 'CET', '+01:00', 'Foo/Bar5', 'a'.repeat(70), 'ownerId', 'account.name', 'amount', 'tags'],
      ...[Array(11).fill({ function: 'count', as: 'n' }), Array(4).fill({ field: 'id' }), 1000, 1001, 'billingAddress'],
    )
    const path = fc.array(fc.nat({ max: 20 }), { minLength: 1, maxLength: 3 })
    const change = fc.record({ path, value: hostile, act: fc.constantFrom('set', 'add', 'remove') })
    await unchanged({ harness, owner }, () =>
      fc.assert(
        fc.asyncProperty(anyBody(each), fc.array(change, { minLength: 1, maxLength: 3 }), async (body, changes) => {
          const sent = changes.reduce<unknown>((tree, next) => altered(tree, next), structuredClone(body))
          const reply = await owner.post(`/api/v1/${each}/aggregate`, sent)
          if (reply.statusCode === 200) return
          expectProblem(reply, 'invalid_request')
          expect(reply.json<{ errors: unknown[] }>().errors.length).toBeGreaterThan(0)
        }),
        { seed: 3, numRuns: 300 },
      ),
    )
  })
})

/** A body with something else at a place in it. */
function altered(tree: unknown, { path, value, act }: { path: number[]; value: unknown; act: string }): unknown {
  const [at = 0, ...rest] = path
  if (typeof tree !== 'object' || tree === null) return value
  const keys = Object.keys(tree)
  const key = keys[at % Math.max(1, keys.length)] ?? 'more'
  if (rest.length > 0) return assigned(tree, key, altered((tree as Json)[key], { path: rest, value, act }))
  if (act === 'add') return assigned(tree, Array.isArray(tree) ? keys.length : 'timeZone', value)
  if (act === 'set') return assigned(tree, key, value)
  return Array.isArray(tree) ? tree.slice(1) : Object.fromEntries(Object.entries(tree).filter(([name]) => name !== key))
}

const assigned = (tree: object, key: string | number, value: unknown) =>
  Object.assign(Array.isArray(tree) ? [...(tree as unknown[])] : { ...tree }, { [key]: value })

describe('an aggregation is refused', () => {
  const count = { function: 'count', as: 'n' }
  const by = (...groupBy: unknown[]) => ({ groupBy, measures: [count] })
  const of = (...measures: unknown[]) => ({ measures })

  it.each<[what: string, body: object, pointer: string, code: string]>([
    ['without measures', {}, '/measures', 'required'],
    ['with no measure', of(), '/measures', 'min_items'],
    ['with 11 measures', of(...Array(11).fill(count)), '/measures', 'max_items'],
    ['with 4 groups', by(...['id', 'name', 'status', 'type'].map((field) => ({ field }))), '/groupBy', 'max_items'],
    ['with an empty list of groups', by(), '/groupBy', 'min_items'],
    ['by an unknown field', by({ field: 'id' }, { field: 'nam' }), '/groupBy/1/field', 'enum'],
    ['by what is too long to compare', by({ field: 'description' }), '/groupBy/0/field', 'enum'],
    ['by a list', by({ field: 'tags' }), '/groupBy/0/field', 'enum'],
    ['by an amount', by({ field: 'amount' }), '/groupBy/0/field', 'enum'],
    ['by nothing', by({}), '/groupBy/0/field', 'required'],
    ['by two hops', by({ field: 'account.parentAccount.name' }), '/groupBy/0/field', 'enum'],
    ['by a name of JavaScript', by({ field: 'constructor' }), '/groupBy/0/field', 'enum'],
    ['by intervals of a text', by({ field: 'name', interval: 'day' }), '/groupBy/0/interval', 'additional_properties'],
    ['by an unknown interval', by({ field: 'createdAt', interval: 'hour' }), '/groupBy/0/interval', 'enum'],
    [
      'by a date in a time zone',
      by({ field: 'expectedCloseDate', interval: 'day', timeZone: 'UTC' }),
      '/groupBy/0/timeZone',
      'additional_properties',
    ],
    ['by a time zone alone', by({ field: 'createdAt', timeZone: 'UTC' }), '/groupBy/0/interval', 'required'],
    ...['Europe/Nowhere', 'Mars/Olympus'].map((timeZone): [string, object, string, string] => [
      `by the time zone ${timeZone}`,
      by({ field: 'id' }, { field: 'createdAt', interval: 'day', timeZone }),
      '/groupBy/1/timeZone',
      'time_zone',
    ]),
    ...['CET', '+01:00', '', 'utc', 'Europe/Berlin '].map((timeZone): [string, object, string, string] => [
      `by the time zone ${JSON.stringify(timeZone)}`,
      by({ field: 'createdAt', interval: 'day', timeZone }),
      '/groupBy/0/timeZone',
      'pattern',
    ]),
    ['by a field twice', by({ field: 'id' }, { field: 'id' }), '/groupBy/1/field', 'repeated'],
    ['for an unknown function', of({ ...count, function: 'median' }), '/measures/0/function', 'enum'],
    ['for the sum of a text', of(count, { function: 'sum', field: 'name', as: 's' }), '/measures/1/function', 'enum'],
    ['for the mean of dates', of({ function: 'avg', field: 'closedAt', as: 's' }), '/measures/0/function', 'enum'],
    ['for the sum of nothing', of({ function: 'sum', as: 's' }), '/measures/0/field', 'required'],
    ['for an unknown field', of({ function: 'sum', field: 'amoun', as: 's' }), '/measures/0/field', 'enum'],
    ['for a measure without a name', of({ function: 'count' }), '/measures/0/as', 'required'],
    ['for a name twice', of(count, { ...count, field: 'amount' }), '/measures/1/as', 'repeated'],
    [
      'for the name of a group',
      { ...by({ field: 'id' }), measures: [{ ...count, as: 'id' }] },
      '/measures/0/as',
      'repeated',
    ],
    ['for a dangerous name', of({ ...count, as: '__proto__' }), '/measures/0/as', 'pattern'],
    ['for a name with a quote', of({ ...count, as: 'a"b' }), '/measures/0/as', 'pattern'],
    ['for a surplus property', of({ ...count, more: 1 }), '/measures/0/more', 'additional_properties'],
    ['in an order by nothing', { ...of(count), sort: ['n', '-m'] }, '/sort/1', 'unknown_name'],
    ['in an order by what is not grouped', { ...of(count), sort: ['name'] }, '/sort/0', 'unknown_name'],
    ['in an order by a name of JavaScript', { ...of(count), sort: ['constructor'] }, '/sort/0', 'unknown_name'],
    ['for 0 groups', { ...of(count), limit: 0 }, '/limit', 'minimum'],
    ['for 1001 groups', { ...of(count), limit: 1001 }, '/limit', 'maximum'],
    ['for a wrong filter', { ...of(count), filter: { field: 'nam', op: 'eq', value: 1 } }, '/filter/field', 'enum'],
    [
      'for a reference in the filter that leads nowhere',
      { ...of(count), filter: { not: { field: 'accountId', op: 'eq', value: randomUUID() } } },
      '/filter/not/value',
      'missing_reference',
    ],
  ])('%s', async (_, body, pointer, code) => {
    const reply = await unchanged({ harness, owner }, () => owner.post('/api/v1/opportunities/aggregate', body))
    expectProblem(reply, 'invalid_request')
    expect(reply.json()).toMatchObject({ status: 400, errors: [{ pointer, code }] })
  })
})

it('takes every time zone that PostgreSQL knows, and refuses the others', async () => {
  const { rows } = await harness.sql.query<{ name: string }>('select name from pg_timezone_names')
  const known = new Set(rows.map(({ name }) => name))
  const zones = Intl.supportedValuesOf('timeZone').filter((name, index) => !known.has(name) || index % 10 === 0)
  for (const timeZone of [...zones, 'Asia/Calcutta', 'US/Pacific', 'Etc/GMT+5']) {
    const groupBy = [{ field: 'createdAt', interval: 'day', timeZone }]
    const reply = await owner.post('/api/v1/leads/aggregate', { groupBy, measures: [{ function: 'count', as: 'n' }] })
    expect([timeZone, reply.statusCode]).toEqual([timeZone, known.has(timeZone) ? 200 : 400])
  }
})

it('a time zone that only the runtime knows is refused where it stands', async () => {
  const error: unknown = Object.assign(Object.create(postgres.PostgresError.prototype), {
    ...{ code: '22023', message: 'time zone "Europe/Berlin" not recognized' },
  })
  const { organizationId, userId, role } = owner
  const db = { all: () => Promise.reject(error) }
  const scope = { principal: { organizationId, userId, role, teamIds: [] }, db } as unknown as Scope
  const groupBy = ['UTC', 'Europe/Berlin'].map((timeZone, index) => ({
    ...{ field: ['createdAt', 'updatedAt'][index] as 'createdAt', interval: 'day' as const, timeZone },
  }))
  const body = { groupBy, measures: [{ function: 'count' as const, as: 'n' }], limit: 1 }
  const refusal = aggregate(scope, recordTypeOf('lead') as AnyRecord, body)
  await expect(refusal).rejects.toMatchObject({ errors: [{ pointer: '/groupBy/1/timeZone', code: 'time_zone' }] })
})

describe('values at the ends of their ranges', () => {
  let tenant: Caller
  beforeAll(async () => {
    tenant = await harness.newOrganization()
    for (let index = 0; index < 4; index++) {
      const deal = (await tenant.post('/api/v1/opportunities', { name: 'Deal' })).json<{ id: string }>()
      const account = (await tenant.post('/api/v1/accounts', { name: 'Account' })).json<{ id: string }>()
      const year = index % 2 ? '0001-01-01' : '9999-12-31'
      await harness.sql.query(
        `update crm_opportunities set amount_minor = $2, amount_currency = 'EUR', expected_close_date = $3, created_at = $4 where id = $1`,
        [deal.id, index === 3 ? '-9223372036854775808' : '9223372036854775807', year, `${year}T12:00:00Z`],
      )
      await harness.sql.query('update crm_accounts set number_of_employees = 2147483647 where id = $1', [account.id])
    }
  })

  it('money adds up beyond 64 bits, to the cent', async () => {
    const measures = ['sum', 'avg', 'min', 'max'].map((name) => ({ function: name, field: 'amount', as: name }))
    const { data: lines } = await ask(tenant, 'opportunities', { measures, sort: ['-sum'] })
    const euros = (amount: string) => ({ amount, currency: 'EUR' })
    expect(lines).toEqual([
      {
        groups: { 'amount.currency': 'EUR' },
        values: {
          sum: euros('184467440737095516.13'),
          avg: euros('46116860184273879.03'),
          min: euros('-92233720368547758.08'),
          max: euros('92233720368547758.07'),
        },
      },
    ])
  })

  it('numbers add up beyond 32 bits', async () => {
    const measures = ['sum', 'avg', 'max'].map((name) => ({ function: name, field: 'numberOfEmployees', as: name }))
    const { data: lines } = await ask(tenant, 'accounts', { measures })
    expect(lines).toEqual([{ groups: {}, values: { sum: 8589934588, avg: 2147483647, max: 2147483647 } }])
  })

  it('dates and instants of the first and the last year have periods', async () => {
    const measures = [
      { function: 'count', as: 'n' },
      { function: 'min', field: 'expectedCloseDate', as: 'first' },
      { function: 'max', field: 'createdAt', as: 'last' },
    ]
    for (const interval of ['day', 'week', 'month', 'quarter', 'year']) {
      for (const timeZone of ['UTC', 'Pacific/Kiritimati', 'Pacific/Niue']) {
        const groupBy = [
          { field: 'expectedCloseDate', interval },
          { field: 'createdAt', interval, timeZone },
        ]
        const { data: lines } = await ask(tenant, 'opportunities', { groupBy, measures })
        expect(lines.map(({ values }) => values)).toEqual([
          { n: 2, first: '0001-01-01', last: '0001-01-01T12:00:00.000Z' },
          { n: 2, first: '9999-12-31', last: '9999-12-31T12:00:00.000Z' },
        ])
        expect(lines.map(({ groups }) => String(groups.expectedCloseDate).slice(0, 4))).toEqual(['0001', '9999'])
      }
    }
  })
})

it('a related record that the caller cannot see shows nothing but its id, which the record shows anyway', async () => {
  const accountId = (await owner.post('/api/v1/accounts', { name: 'Out of reach' })).json<{ id: string }>().id
  await owner.post('/api/v1/contacts', { lastName: 'Theirs', title: 'Secretive', accountId, ownerId: member.userId })
  const body = {
    filter: { field: 'title', op: 'eq', value: 'Secretive' },
    groupBy: [{ field: 'accountId' }, { field: 'account.name' }, { field: 'account.createdAt', interval: 'year' }],
    measures: [{ function: 'count', as: 'n' }],
  }
  const seenBy = async (caller: Caller) => (await ask(caller, 'contacts', body)).data.map(({ groups }) => groups)
  const nothing = { accountId, 'account.name': null, 'account.createdAt': null }
  expect(await seenBy(owner)).toMatchObject([{ accountId, 'account.name': 'Out of reach' }])
  expect(await seenBy(member)).toEqual([nothing])
  await owner.delete(`/api/v1/accounts/${accountId}`)
  expect(await seenBy(owner)).toEqual([nothing])
})

it('an aggregation that the database does not answer in time is a 503', async () => {
  const client = await harness.sql.connect()
  await client.query('begin; lock table crm_leads in access exclusive mode')
  try {
    const reply = await owner.post('/api/v1/leads/aggregate', { measures: [{ function: 'count', as: 'n' }] })
    expectProblem(reply, 'service_unavailable')
    expect(reply.headers).toHaveProperty('retry-after')
  } finally {
    await client.query('rollback')
    client.release()
  }
})
