import { afterAll, beforeAll, expect, it } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../../src/testing/database.js'
import { type Explained, explainStatements } from './explain.js'
import { scaledTo, seed } from './seed.js'

let database: TestDatabase
let explained: Explained[]
beforeAll(async () => {
  database = await createTestDatabase()
  // Small, but with statistics of all rows, and no tenant with so much of it that reading everything would be right.
  await seed(
    database.superuserUrl,
    { ...scaledTo(20_000), bigShare: 0.2, leads: 8_000, opportunities: 8_000, accounts: 8_000 },
    () => undefined,
  )
  explained = await explainStatements(database, 'common')
}, 180_000)
afterAll(() => database.drop())

it('no list, filter, order or change that the contract allows reads a whole table', () => {
  const scanning = explained
    .filter(({ plans }) => plans.custom.sequentialScans.length + plans.generic.sequentialScans.length > 0)
    .map(({ request, statement, plans }) => ({ request, statement, plans }))
  expect(scanning).toEqual([])
  expect(explained.length).toBeGreaterThan(800)
})
