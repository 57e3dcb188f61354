import { index, pgTable, primaryKey, text, uuid } from 'drizzle-orm/pg-core'
import { key, organizationId, tenantPolicy } from '../../db/columns.js'

/**
 * Which live record has which tag, and whose it is. Triggers of the record tables write it in the transaction of the change
 * (`app.note_tags`), so that tags can be counted, and found by, without reading records.
 */
export const crmTagUses = pgTable(
  'crm_tag_uses',
  {
    organizationId: organizationId(),
    tag: key('tag').notNull(),
    object: text('object').notNull(),
    recordId: uuid('record_id').notNull(),
    ownerId: uuid('owner_id').notNull(),
    teamId: uuid('team_id'),
  },
  (t) => [
    primaryKey({ columns: [t.organizationId, t.tag, t.object, t.recordId] }),
    index('crm_tag_uses_record_idx').on(t.organizationId, t.recordId),
    index('crm_tag_uses_owner_idx').on(t.organizationId, t.ownerId, t.tag, t.object),
    index('crm_tag_uses_team_idx').on(t.organizationId, t.teamId, t.tag, t.object),
    tenantPolicy('crm_tag_uses'),
  ],
)
