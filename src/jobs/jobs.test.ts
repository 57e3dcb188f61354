import { UnrecoverableError } from 'bullmq'
import { expect, it, vi } from 'vitest'
import { withClient } from '../db/client.js'
import { createEmptyDatabase } from '../testing/database.js'
import { describeJobs, log, patience } from './guarantees.js'
import { defineJob } from './job.js'
import { migrateJobSchema } from './schema.js'
import { startWorker } from './worker.js'

describeJobs('PostgreSQL', async (database) => ({ databaseUrl: database.appUrl }))

it('counts a row as due again some minutes after its job failed for good', async () => {
  const database = await createEmptyDatabase()
  await migrateJobSchema(database.ownerUrl, 'zenith_app')
  let attempts = 0
  const job = defineJob<undefined>({
    name: 'fail',
    due: async () => ['row'],
    async run() {
      attempts += 1
      throw new UnrecoverableError('never')
    },
  })
  const config = { databaseUrl: database.appUrl }
  const worker = startWorker({ config, services: undefined, jobs: [job], log, sweepSeconds: 0.5 })
  await vi.waitUntil(async () => (await worker.counts())?.failed === 1, patience)
  expect(attempts).toBe(1)
  await withClient(database.ownerUrl, (owner) =>
    owner.query(`update bullmq.job set finished_at_ms = finished_at_ms - 600000`),
  )
  await vi.waitUntil(() => attempts === 2, patience)
  await worker.close()
  await database.drop()
})

it('serves a role that may create nothing', async () => {
  const database = await createEmptyDatabase()
  await migrateJobSchema(database.ownerUrl, 'zenith_app')
  await migrateJobSchema(database.ownerUrl, 'zenith_app')
  const rights = await withClient(database.appUrl, async (app) => {
    const { rows } = await app.query(`
      select has_schema_privilege('bullmq', 'usage') as use, has_schema_privilege('bullmq', 'create') as create,
             has_database_privilege(current_database(), 'temporary') as temporary`)
    return rows[0]
  })
  expect(rights).toEqual({ use: true, create: false, temporary: false })
  await database.drop()
})

it('refuses a job name that BullMQ or a metric label could not carry', () => {
  expect(() => defineJob<undefined>({ name: 'a:b', every: 1, run: async () => undefined })).toThrow('kebab-case')
})
