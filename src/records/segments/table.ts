import { sql } from 'drizzle-orm'
import { check, foreignKey, index, pgTable, primaryKey, text, uuid } from 'drizzle-orm/pg-core'
import type { components } from '../../../generated/types.js'
import { instant, json, organizationId, tenantPolicy } from '../../db/columns.js'
import { assetColumns, assetConstraints } from '../table.js'

type Segment = components['schemas']['Segment']

/** Groups of records of one kind: those that match a filter, or those in `crm_segment_members`. */
export const crmSegments = pgTable(
  'crm_segments',
  {
    ...assetColumns(),
    description: text('description'),
    object: text('object').$type<Segment['object']>().notNull(),
    kind: text('kind', { enum: ['static', 'dynamic'] }).notNull(),
    filter: json<NonNullable<Segment['filter']>>('filter'),
  },
  (t) => [
    ...assetConstraints('crm_segments', t),
    index('crm_segments_object_idx').on(t.organizationId, t.object, t.name, t.id),
    check('crm_segments_kind_check', sql`kind in ('static', 'dynamic')`),
    check('crm_segments_filter_check', sql`kind = 'dynamic' or filter is null`),
  ],
)

/** Which records are in which static segment. A purge takes a record out of all of them. */
export const crmSegmentMembers = pgTable(
  'crm_segment_members',
  {
    organizationId: organizationId(),
    segmentId: uuid('segment_id').notNull(),
    recordId: uuid('record_id').notNull(),
    addedAt: instant('added_at').notNull(),
    addedById: uuid('added_by_id').notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.organizationId, t.segmentId, t.recordId] }),
    index('crm_segment_members_record_idx').on(t.organizationId, t.recordId),
    foreignKey({
      name: 'crm_segment_members_segment_fk',
      columns: [t.organizationId, t.segmentId],
      foreignColumns: [crmSegments.organizationId, crmSegments.id],
    }).onDelete('cascade'),
    tenantPolicy('crm_segment_members'),
  ],
)
