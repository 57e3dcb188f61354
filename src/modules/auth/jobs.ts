import { lt, sql } from 'drizzle-orm'
import type { JobServices } from '../../context.js'
import { query, statement } from '../../db/statement.js'
import { crmSessions } from '../../db/table.js'
import { defineJob } from '../../jobs/job.js'

const deleteExpiredSessions = statement(
  'auth.expired_sessions',
  query.delete(crmSessions).where(lt(crmSessions.expiresAt, sql`now()`)),
)

/** Removes sessions that have expired. */
export const sessionRetention = defineJob<JobServices>({
  name: 'session-retention',
  every: 3600,
  run: async (_id, { database }) => {
    await database.as({ kind: 'maintenance' }).run(deleteExpiredSessions())
  },
})

/** Rotates the signing keys once their time has come. */
export const keyRotation = defineJob<JobServices>({
  name: 'key-rotation',
  every: 3600,
  run: (_id, { rotateKeys }) => rotateKeys(),
})
