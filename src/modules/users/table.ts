import { sql } from 'drizzle-orm'
import { foreignKey, index, pgTable, primaryKey, text, uniqueIndex, uuid } from 'drizzle-orm/pg-core'
import { instant, maintenancePolicy, organizationId, tenantPolicy } from '../../db/columns.js'
import { crmMemberships } from '../../db/table.js'

export const crmInvitations = pgTable(
  'crm_invitations',
  {
    organizationId: organizationId(),
    id: uuid('id').notNull(),
    email: text('email').notNull(),
    emailKey: text('email_key').notNull().generatedAlwaysAs(sql`lower(email)`),
    role: text('role', { enum: ['owner', 'admin', 'manager', 'member', 'read_only'] }).notNull(),
    invitedById: uuid('invited_by_id').notNull(),
    createdAt: instant('created_at').notNull(),
    expiresAt: instant('expires_at').notNull(),
    acceptedAt: instant('accepted_at'),
    /** Null while the mail waits to be sent: the job looks for that. */
    mailedAt: instant('mailed_at'),
  },
  (t) => [
    primaryKey({ columns: [t.organizationId, t.id] }),
    foreignKey({
      columns: [t.organizationId, t.invitedById],
      foreignColumns: [crmMemberships.organizationId, crmMemberships.userId],
    }),
    uniqueIndex('crm_invitations_email_key').on(t.organizationId, t.emailKey).where(sql`accepted_at is null`),
    index('crm_invitations_unsent_idx').on(t.createdAt).where(sql`mailed_at is null`),
    tenantPolicy('crm_invitations'),
    maintenancePolicy('crm_invitations', sql`mailed_at is null and expires_at > now()`),
  ],
)
