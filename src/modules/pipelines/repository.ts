import { asc, sql } from 'drizzle-orm'
import { v7 as uuidv7 } from 'uuid'
import type { components } from '../../../generated/types.js'
import type { Scope } from '../../context.js'
import type { Executor } from '../../db/database.js'
import { parameter, query, statement } from '../../db/statement.js'
import { column } from '../../records/fields.js'
import { defineReadable } from '../../records/record-type.js'
import { requireLevel, sameOrganization, scopeParameters } from '../../records/scope.js'
import { crmPipelines, crmStages } from './table.js'

type Pipeline = components['schemas']['Pipeline']
type Stage = components['schemas']['Stage']

/** Every stage of every pipeline. */
export const stages = defineReadable<Stage>()({
  plural: 'pipelines',
  from: sql`${crmStages}`,
  id: crmStages.id,
  visible: () => sameOrganization(crmStages),
  sorts: {},
  fields: {
    id: column(crmStages.id),
    key: column(crmStages.key),
    name: column(crmStages.name),
    position: column(crmStages.position),
    type: column(crmStages.type),
    probability: column(crmStages.probability),
    forecastCategory: column(crmStages.forecastCategory),
  },
})

const findPipelines = statement(
  'pipelines.list',
  query
    .select({
      id: crmPipelines.id,
      name: crmPipelines.name,
      isDefault: crmPipelines.isDefault,
      position: crmPipelines.position,
    })
    .from(crmPipelines)
    .where(sameOrganization(crmPipelines))
    .orderBy(asc(crmPipelines.position), asc(crmPipelines.id)),
)

const findStages = statement(
  'pipelines.stages',
  query
    .select({
      pipelineId: crmStages.pipelineId,
      id: crmStages.id,
      key: crmStages.key,
      name: crmStages.name,
      position: crmStages.position,
      type: crmStages.type,
      probability: crmStages.probability,
      forecastCategory: crmStages.forecastCategory,
    })
    .from(crmStages)
    .where(sameOrganization(crmStages))
    .orderBy(asc(crmStages.position), asc(crmStages.id)),
)

/** All pipelines with their stages, in order. */
export async function listPipelines(scope: Scope): Promise<Pipeline[]> {
  requireLevel(scope, 'pipelines:read')
  const [pipelines, stages] = await scope.db.all(
    findPipelines(scopeParameters(scope)),
    findStages(scopeParameters(scope)),
  )
  return pipelines.map((pipeline) => ({
    ...pipeline,
    stages: stages.filter(({ pipelineId }) => pipelineId === pipeline.id).map(({ pipelineId: _, ...stage }) => stage),
  }))
}

const DEFAULT_STAGES: readonly Omit<Stage, 'id' | 'position'>[] = [
  { key: 'prospecting', name: 'Prospecting', type: 'open', probability: 10, forecastCategory: 'pipeline' },
  { key: 'qualification', name: 'Qualification', type: 'open', probability: 25, forecastCategory: 'pipeline' },
  { key: 'proposal', name: 'Proposal', type: 'open', probability: 50, forecastCategory: 'best_case' },
  { key: 'closing', name: 'Closing', type: 'open', probability: 80, forecastCategory: 'commit' },
  { key: 'won', name: 'Won', type: 'won', probability: 100, forecastCategory: 'closed' },
  { key: 'lost', name: 'Lost', type: 'lost', probability: 0, forecastCategory: 'omitted' },
]

const insertPipeline = statement(
  'pipelines.add_default',
  sql`with pipeline as (
    insert into ${crmPipelines} (organization_id, id, name, is_default, position)
    values (${parameter('organizationId')}, ${parameter('id')}, 'Sales', true, 0) returning organization_id, id)
  insert into ${crmStages} (organization_id, pipeline_id, id, key, name, position, type, probability, forecast_category)
  select pipeline.organization_id, pipeline.id, stage.id, stage.key, stage.name, stage.position, stage.type, stage.probability, stage."forecastCategory"
    from pipeline, jsonb_to_recordset(${parameter('stages')}::jsonb)
      as stage (id uuid, key text, name text, position integer, type text, probability integer, "forecastCategory" text)`,
)

/** Gives a new organization the pipeline that its opportunities start in. */
export async function addDefaultPipeline(tx: Executor, organizationId: string): Promise<void> {
  const stages = DEFAULT_STAGES.map((stage, position) => ({ ...stage, id: uuidv7(), position }))
  await tx.run(insertPipeline({ organizationId, id: uuidv7(), stages: JSON.stringify(stages) }))
}
