import { foreignKey, index, integer, pgTable, primaryKey, text, uuid } from 'drizzle-orm/pg-core'
import { instant, json, organizationId, tenantPolicy } from '../../db/columns.js'

/** Records that became one. What the merge changed stands in its events; here is what it takes to find them and to undo it. */
export const crmMerges = pgTable(
  'crm_merges',
  {
    organizationId: organizationId(),
    id: uuid('id').notNull(),
    version: integer('version').notNull(),
    object: text('object').notNull(),
    winnerId: uuid('winner_id').notNull(),
    /** The version of the winner that the merge made; null when it changed nothing about the winner. */
    winnerVersion: integer('winner_version'),
    loserIds: json<string[]>('loser_ids').notNull(),
    /** Also the `deleted_at` of the losers, for as long as it is this merge that deleted them. */
    mergedAt: instant('merged_at').notNull(),
    mergedByType: text('merged_by_type', { enum: ['user', 'system'] }).notNull(),
    mergedById: uuid('merged_by_id'),
    undoneAt: instant('undone_at'),
    undoneByType: text('undone_by_type', { enum: ['user', 'system'] }),
    undoneById: uuid('undone_by_id'),
  },
  (t) => [
    primaryKey({ columns: [t.organizationId, t.id] }),
    index('crm_merges_merged_idx').on(t.organizationId, t.object, t.mergedAt, t.id),
    index('crm_merges_winner_idx').on(t.organizationId, t.winnerId, t.mergedAt, t.id),
    tenantPolicy('crm_merges'),
  ],
)

/** Where the id of a loser leads. */
export const crmMergeLosers = pgTable(
  'crm_merge_losers',
  {
    organizationId: organizationId(),
    loserId: uuid('loser_id').notNull(),
    mergeId: uuid('merge_id').notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.organizationId, t.loserId, t.mergeId] }),
    index('crm_merge_losers_merge_idx').on(t.organizationId, t.mergeId),
    foreignKey({
      name: 'crm_merge_losers_merge_fk',
      columns: [t.organizationId, t.mergeId],
      foreignColumns: [crmMerges.organizationId, crmMerges.id],
    }),
    tenantPolicy('crm_merge_losers'),
  ],
)

/**
 * What a merge has led from a loser to the winner, until it is undone: the references of records, in columns and custom fields, the
 * memberships in static segments (`record_id` is the segment) and the followers (`record_id` is the user).
 */
export const crmMergeReferences = pgTable(
  'crm_merge_references',
  {
    organizationId: organizationId(),
    mergeId: uuid('merge_id').notNull(),
    object: text('object').notNull(),
    property: text('property').notNull(),
    recordId: uuid('record_id').notNull(),
    loserId: uuid('loser_id').notNull(),
    /** What a custom field had: the id of the loser, as somebody has written it. */
    value: text('value'),
  },
  (t) => [
    primaryKey({ columns: [t.organizationId, t.mergeId, t.object, t.property, t.recordId] }),
    foreignKey({
      name: 'crm_merge_references_merge_fk',
      columns: [t.organizationId, t.mergeId],
      foreignColumns: [crmMerges.organizationId, crmMerges.id],
    }),
    tenantPolicy('crm_merge_references'),
  ],
)
