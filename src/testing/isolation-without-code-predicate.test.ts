import { sql } from 'drizzle-orm'
import { expect, test, vi } from 'vitest'
import { createHarness } from './harness.js'
import { dropRowSecurity, isolationSuite } from './isolation.js'

// Takes the first wall down: every row is as good as one of the caller's.
vi.mock('../records/scope.js', async (original) => ({
  ...(await original<typeof import('../records/scope.js')>()),
  within: () => sql`true`,
  sameOrganization: () => sql`true`,
}))

isolationSuite()

test('the wall is down: without the other one too, a tenant sees and changes the rows of another', async () => {
  const harness = await createHarness()
  try {
    const victim = await harness.newOrganization()
    const caller = await harness.newOrganization()
    const { id } = (await victim.post('/api/v1/accounts', { name: 'Secret' })).json<{ id: string }>()
    expect((await caller.get(`/api/v1/accounts/${id}`)).statusCode).toBe(404)
    await dropRowSecurity(harness)
    expect((await caller.get('/api/v1/accounts')).payload).toContain('Secret')
    expect((await caller.patch(`/api/v1/accounts/${id}`, { name: 'Changed' })).statusCode).toBe(200)
  } finally {
    await harness.close()
  }
})
