import { afterAll, beforeAll, expect, it } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../../src/testing/database.js'
import { type Explained, explainStatements } from './explain.js'
import { type Answered, explainPages } from './pages.js'
import { SORTS } from './pages-questions.js'
import { scans } from './plans.js'
import { scaledTo, seed } from './seed.js'

let database: TestDatabase
let explained: Explained[]
let pages: Answered[]
beforeAll(async () => {
  database = await createTestDatabase()
  // Small, but with statistics of all rows, and no tenant with so much of it that reading everything would be right.
  await seed(
    database.superuserUrl,
    { ...scaledTo(20_000), bigShare: 0.2, leads: 8_000, opportunities: 8_000, accounts: 8_000 },
    () => undefined,
  )
  explained = await explainStatements(database, 'common')
  pages = await explainPages(database, ({ scenario }) => scenario === SORTS)
}, 600_000)
afterAll(() => database.drop())

it('no list, filter, order or change that the contract allows reads a whole table', () => {
  const scanning = explained
    .filter(({ plans }) => scans(plans).length > 0)
    .map(({ request, statement, plans }) => ({ request, statement, plans }))
  expect(scanning).toEqual([])
  expect(explained.length).toBeGreaterThan(800)
})

it('a custom field is filtered and sorted by the index of its key slot, also deep in the list', () => {
  const reads = explained.filter(
    ({ text, statement }) => text.includes('custom_key_') && /\.(?:list|query)$/.test(statement),
  )
  const others = reads
    .filter(({ plans }) => !plans[plans.chosen].indexes.some((name) => /custom_key_\d+_idx$/.test(name)))
    .map(({ text, plans }) => [text, plans[plans.chosen]])
  expect(others).toEqual([])
  expect(reads.length).toBeGreaterThan(20)
})

it('a filter that requires a tag begins with its uses, where they are few', () => {
  const reads = explained.filter(({ text, statement }) => text.includes('crm_tag_uses') && statement.endsWith('.query'))
  expect(reads.map(({ request, plans }) => [request, plans[plans.chosen].indexes])).toEqual([
    [
      'POST /api/v1/accounts/query as owner',
      ['crm_tag_uses_organization_id_tag_object_record_id_pk', 'crm_accounts_organization_id_id_pk'],
    ],
  ])
})

it('what refers to a merged record in custom fields is found by keys, by unique values, and else among those of the organization', () => {
  const finding = explained.filter(({ text }) => text.includes('custom_key_') && text.includes('for no key update'))
  expect(finding.map(({ request }) => request)).toEqual(['POST /api/v1/accounts/merge as owner'])
  // There are hardly any unique values, so that any index of theirs will do; and a field that has neither is looked for in each record,
  // by whatever index leads to those of the organization.
  for (const { plans } of finding) {
    expect(plans[plans.chosen].indexes).toEqual([
      'crm_contacts_account_reference_idx',
      'crm_contacts_custom_key_5_idx',
      expect.stringMatching(/^crm_custom_field_values_/),
      expect.stringMatching(/^crm_contacts_/),
      'crm_contacts_organization_id_id_pk',
    ])
  }
})

it('a page deep in any order costs the owner no more than 200 buffers', () => {
  const costs = pages.map(({ question, costs }) => [question.what, costs['owner, deep']?.buffers ?? 0] as const)
  expect(costs.filter(([, buffers]) => buffers === 0 || buffers > 200)).toEqual([])
  expect(costs.length).toBeGreaterThan(20)
})
