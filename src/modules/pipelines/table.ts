import { sql } from 'drizzle-orm'
import { boolean, foreignKey, integer, pgTable, primaryKey, text, unique, uniqueIndex, uuid } from 'drizzle-orm/pg-core'
import type { components } from '../../../generated/types.js'
import { organizationId, tenantPolicy } from '../../db/columns.js'
import { crmOrganizations } from '../../db/table.js'

type Stage = components['schemas']['Stage']

export const crmPipelines = pgTable(
  'crm_pipelines',
  {
    organizationId: organizationId().references(() => crmOrganizations.id),
    id: uuid('id').notNull(),
    name: text('name').notNull(),
    isDefault: boolean('is_default').notNull(),
    position: integer('position').notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.organizationId, t.id] }),
    uniqueIndex('crm_pipelines_default_key').on(t.organizationId).where(sql`is_default`),
    tenantPolicy('crm_pipelines'),
  ],
)

export const crmStages = pgTable(
  'crm_stages',
  {
    organizationId: organizationId(),
    id: uuid('id').notNull(),
    pipelineId: uuid('pipeline_id').notNull(),
    key: text('key').notNull(),
    name: text('name').notNull(),
    position: integer('position').notNull(),
    type: text('type').$type<Stage['type']>().notNull(),
    probability: integer('probability').notNull(),
    forecastCategory: text('forecast_category').$type<Stage['forecastCategory']>().notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.organizationId, t.id] }),
    unique('crm_stages_pipeline_key').on(t.organizationId, t.pipelineId, t.id),
    foreignKey({
      columns: [t.organizationId, t.pipelineId],
      foreignColumns: [crmPipelines.organizationId, crmPipelines.id],
    }),
    tenantPolicy('crm_stages'),
  ],
)
