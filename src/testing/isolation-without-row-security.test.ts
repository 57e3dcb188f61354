import pg from 'pg'
import { expect, test } from 'vitest'
import { createHarness } from './harness.js'
import { dropRowSecurity, isolationSuite } from './isolation.js'

isolationSuite(dropRowSecurity)

test('the wall is down: the role of the application sees rows without any claim', async () => {
  const harness = await createHarness()
  const client = new pg.Client({ connectionString: harness.database.appUrl })
  try {
    await harness.newOrganization()
    await client.connect()
    expect((await client.query('select from crm_pipelines')).rowCount).toBe(0)
    await dropRowSecurity(harness)
    expect((await client.query('select from crm_pipelines')).rowCount).toBe(1)
  } finally {
    await client.end()
    await harness.close()
  }
})
