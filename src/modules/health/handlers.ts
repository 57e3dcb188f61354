import { sql } from 'drizzle-orm'
import type { HealthHandlers } from '../../../generated/handlers.js'
import type { Services } from '../../context.js'
import { statement } from '../../db/statement.js'

const ping = statement('health.ping', sql`select 1`)

async function databaseIsUp({ database }: Services): Promise<boolean> {
  try {
    await database.as({ kind: 'maintenance' }).run(ping())
    return true
  } catch {
    // Why it is down is in the log and in the metrics; strangers are told no more than that.
    return false
  }
}

export const handlers: HealthHandlers = {
  getHealth: async (_request, context) => {
    const redis = context.redisIsUp ? (context.redisIsUp() ? 'up' : 'down') : 'unused'
    return (await databaseIsUp(context))
      ? { status: 200, body: { status: 'up', dependencies: { database: 'up', redis } } }
      : { status: 503, body: { status: 'down', dependencies: { database: 'down', redis } } }
  },

  getLiveness: async () => ({ status: 200, body: { status: 'up' } }),
}
