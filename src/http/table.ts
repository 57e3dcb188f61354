import { sql } from 'drizzle-orm'
import { index, integer, pgTable, primaryKey, text, uuid } from 'drizzle-orm/pg-core'
import { instant, json, maintenancePolicy, organizationId, tenantPolicy } from '../db/columns.js'

/** The replies to requests with an `Idempotency-Key`, each stored in the transaction of its effect. */
export const crmIdempotencyKeys = pgTable(
  'crm_idempotency_keys',
  {
    organizationId: organizationId(),
    userId: uuid('user_id').notNull(),
    key: text('key').notNull(),
    /** Tells a retry from another request that uses the same key. */
    fingerprint: text('fingerprint').notNull(),
    status: integer('status').notNull(),
    headers: json<Record<string, string>>('headers').notNull(),
    /** JSON text: `jsonb` would not keep the order of properties. */
    body: text('body'),
    createdAt: instant('created_at').notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.organizationId, t.userId, t.key] }),
    index('crm_idempotency_keys_created_idx').on(t.createdAt),
    tenantPolicy('crm_idempotency_keys'),
    maintenancePolicy('crm_idempotency_keys', sql`created_at < now() - interval '24 hours'`),
  ],
)
