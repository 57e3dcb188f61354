import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { must } from '../testing/access-world.js'
import type { Row } from '../testing/case.js'
import { type Caller, createHarness, type Harness } from '../testing/harness.js'

// A merge patch changes what it names and nothing else, down to the bytes that are stored.

const RUNS = 25
const SEED = 20261125

let harness: Harness
let owner: Caller
beforeAll(async () => {
  harness = await createHarness()
  owner = await harness.newOrganization()
})
afterAll(() => harness.close())

/** The columns of a row as PostgreSQL prints them; of objects every leaf, by the path to it. */
async function bytesOf(table: string, id: string): Promise<Map<string, unknown>> {
  const { rows: columns } = await harness.sql.query<{ name: string; type: string }>(
    'select column_name as name, data_type as type from information_schema.columns where table_name = $1',
    [table],
  )
  const leaves = (name: string) => `(with recursive walk (path, value) as (
      select array['${name}'], ${name} union all
      select walk.path || e.key, e.value from walk, jsonb_each(case jsonb_typeof(walk.value) when 'object' then walk.value else '{}' end) e)
    select json_object_agg(array_to_json(path)::text, value::text) from walk where jsonb_typeof(value) <> 'object' or value = '{}')`
  const selected = columns.map(({ name, type }) => `${type === 'jsonb' ? leaves(name) : `${name}::text`} as ${name}`)
  const { rows } = await harness.sql.query<Row>(`select ${selected} from ${table} where id = $1`, [id])
  const bytes = Object.entries(rows[0] ?? {}).flatMap(([name, value]): [string, unknown][] =>
    value instanceof Object ? Object.entries(value) : [[JSON.stringify([name]), value]],
  )
  return new Map(bytes)
}

const isObject = (value: unknown): value is Row => value instanceof Object && !Array.isArray(value)

const snakeCase = (name: string) => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

/** The paths, as of leaves, that a patch names. */
function named(patch: Row, follows: Record<string, string[]>): string[][] {
  const walk = (value: unknown, path: string[]): string[][] =>
    isObject(value) && Object.keys(value).length > 0
      ? Object.entries(value).flatMap(([key, each]) => walk(each, [...path, key]))
      : [path]
  return Object.entries(patch).flatMap(([name, value]) => {
    const column = snakeCase(name)
    const money = [[`${column}_minor`], [`${column}_currency`]]
    return [...(/revenue/i.test(name) ? money : walk(value, [column])), ...(follows[name] ?? []).map((each) => [each])]
  })
}

const text = fc.stringMatching(/^[ -~äß€\u{1F600}]{1,20}$/u)
const orNull = <Value>(of: fc.Arbitrary<Value>) => fc.option(of, { freq: 4 })
const money = fc.record({
  amount: fc.integer({ min: -99_999_999, max: 99_999_999 }).map((cents) => (cents / 100).toFixed(2)),
  currency: fc.constantFrom('EUR', 'USD'),
})
const address = fc.record(
  {
    street1: orNull(text),
    city: orNull(text),
    postalCode: orNull(text),
    countryCode: fc.constantFrom('DE', 'FR', null),
  },
  { requiredKeys: [] },
)
const key = fc.constantFrom('a', 'b', 'c', 'ü', 'A b')
const { json } = fc.letrec<{ json: unknown }>((tie) => ({
  json: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.oneof(text, fc.double({ noNaN: true, noDefaultInfinity: true }), fc.integer(), fc.boolean(), fc.constant(null)),
    fc.array(tie('json'), { maxLength: 3 }),
    fc.dictionary(key, tie('json'), { maxKeys: 3 }),
  ),
}))
const shared = {
  tags: fc.uniqueArray(text, { maxLength: 3 }),
  customFields: fc.dictionary(key, json, { maxKeys: 4 }),
  externalIds: fc.constantFrom([], [{ system: 'erp', externalId: 'one' }]),
}

type Kind = {
  path: string
  table: string
  needed: Row
  /** Columns that follow from properties. */
  follows: Record<string, string[]>
  properties: Record<string, fc.Arbitrary<unknown>>
}

const KINDS: Kind[] = [
  {
    ...{ path: '/api/v1/accounts', table: 'crm_accounts', needed: { name: 'A' }, follows: {} },
    properties: {
      ...{ ...shared, legalName: orNull(text), industry: orNull(text), description: orNull(text) },
      ...{ numberOfEmployees: orNull(fc.nat(1_000_000)), annualRevenue: orNull(money) },
      ...{ billingAddress: orNull(address), shippingAddress: orNull(address) },
    },
  },
  {
    ...{ path: '/api/v1/leads', table: 'crm_leads', needed: { lastName: 'A', email: 'Ada@Example.com' } },
    follows: { firstName: ['name'], lastName: ['name'] },
    properties: {
      ...{
        ...shared,
        firstName: orNull(text),
        lastName: text,
        annualRevenue: orNull(money),
        score: orNull(fc.nat(100)),
      },
      ...{ address: orNull(address), doNotCall: fc.boolean(), rating: fc.constantFrom('hot', 'cold', null) },
      utm: orNull(fc.record({ source: orNull(text), campaign: orNull(text) }, { requiredKeys: [] })),
    },
  },
]

test.each(KINDS)(
  'what a patch of $path does not name stays as it is stored',
  async ({ path, table, needed, follows, properties }) => {
    const some = fc.record(properties, { requiredKeys: [] })
    const patches = fc.array(some, { minLength: 1, maxLength: 3 })
    await fc.assert(
      fc.asyncProperty(fc.record(properties), patches, async (body, changes) => {
        const { id } = (await must(owner.post(path, { ...needed, ...body }))).json<{ id: string }>()
        try {
          for (const patch of changes) {
            const before = await bytesOf(table, id)
            await must(owner.patch(`${path}/${id}`, patch))
            const after = await bytesOf(table, id)
            const touched = named(patch, follows)
            for (const leaf of new Set([...before.keys(), ...after.keys()])) {
              const [column, ...rest] = JSON.parse(leaf) as string[]
              if (/^(version|updated_.*)$/.test(column ?? '')) continue
              const at = [column, ...rest]
              const isTouched = touched.some((other) =>
                other.every((step, index) => index >= at.length || step === at[index]),
              )
              if (!isTouched) expect([leaf, after.get(leaf)]).toEqual([leaf, before.get(leaf)])
            }
          }
        } finally {
          await must(owner.delete(`${path}/${id}`))
        }
      }),
      { numRuns: RUNS, seed: SEED },
    )
  },
)
