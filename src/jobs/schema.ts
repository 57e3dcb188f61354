import { runMigrations } from 'bullmq'
import { withClient } from '../db/client.js'
import { queueName, queueSchema } from './queue.js'

/**
 * Creates or upgrades BullMQ's own schema as the owner, and lets the application's role use it without
 * creating anything. Repeatable; BullMQ serializes concurrent calls by an advisory lock.
 */
export async function migrateJobSchema(ownerUrl: string, appRole: string): Promise<void> {
  await withClient(ownerUrl, async (client) => {
    await runMigrations(client, queueSchema)
    // BullMQ creates a sequence at the first automatic id of a queue, which the application's role may not do.
    await client.query(`select ${queueSchema}.next_job_id($1)`, [queueName])
    const role = client.escapeIdentifier(appRole)
    await client.query(`
      grant usage on schema ${queueSchema} to ${role};
      grant select, insert, update, delete on all tables in schema ${queueSchema} to ${role};
      grant usage, select on all sequences in schema ${queueSchema} to ${role};`)
  })
}
