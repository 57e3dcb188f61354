import { and, asc, eq, sql } from 'drizzle-orm'
import { operations } from '../../../generated/operations.js'
import type { components } from '../../../generated/types.js'
import type { Scope } from '../../context.js'
import type { Executor } from '../../db/database.js'
import { parameter, query, statement } from '../../db/statement.js'
import { InvalidRequest } from '../../problem.js'
import { column, filled, instantField, money, provenance, reference, type Target } from '../../records/fields.js'
import { defineRecord, type Readable, sortBy, sortByOptional } from '../../records/record-type.js'
import { sameOrganization, scopeParameters } from '../../records/scope.js'
import { accounts, accountTarget } from '../accounts/repository.js'
import { contacts, contactTarget } from '../contacts/repository.js'
// biome-ignore lint/suspicious/noImportCycles: leads and deals lead to each other, and relations are followed only later.
import { leads } from '../leads/repository.js'
import { stages } from '../pipelines/repository.js'
import { crmPipelines, crmStages } from '../pipelines/table.js'
import { users } from '../users/repository.js'
import { amountKey, expectedCloseDateKey, crmOpportunities as t } from './table.js'

type Opportunity = components['schemas']['Opportunity']
type Lead = components['schemas']['Lead']

const stage: Target = { table: () => crmStages, id: () => crmStages.id }
const pipeline: Target = { table: () => crmPipelines, id: () => crmPipelines.id }

const findStage = statement(
  'opportunities.stage',
  query
    .select({
      id: crmStages.id,
      pipelineId: crmStages.pipelineId,
      type: crmStages.type,
      probability: crmStages.probability,
    })
    .from(crmStages)
    .innerJoin(
      crmPipelines,
      and(eq(crmPipelines.organizationId, crmStages.organizationId), eq(crmPipelines.id, crmStages.pipelineId)),
    )
    .where(
      and(
        sameOrganization(crmStages),
        sql`(${crmStages.id} = ${parameter('stageId')}::uuid or ${parameter('stageId')}::uuid is null and ${crmPipelines.isDefault})`,
      ),
    )
    .orderBy(asc(crmStages.position))
    .limit(1),
)

/** What follows from the stage: pipeline, status, probability and when the deal entered and left it. */
async function followStage(
  tx: Executor,
  scope: Scope,
  next: Opportunity,
  before: Opportunity | undefined,
): Promise<Partial<Opportunity>> {
  const moved = next.stageId !== before?.stageId
  if (!moved && next.probability !== null) return {}
  const [found] = await tx.run(findStage({ ...scopeParameters(scope), stageId: next.stageId }))
  if (!found) {
    throw new InvalidRequest({
      pointer: '/stageId',
      code: 'missing_reference',
      message: 'must be the id of an existing resource',
    })
  }
  // A probability that the patch itself sets wins over the one of the new stage.
  const probability = next.probability === (before?.probability ?? null) ? found.probability : next.probability
  if (!moved) return { probability: found.probability }
  const now = scope.clock().toISOString()
  return {
    stageId: found.id,
    pipelineId: found.pipelineId,
    status: found.type,
    probability,
    stageEnteredAt: now,
    closedAt: found.type === 'open' ? null : now,
  }
}

export const opportunities = defineRecord<Opportunity>()({
  object: 'opportunity',
  plural: 'opportunities',
  path: operations.listOpportunities.path,
  table: t,
  title: t.name,
  fields: {
    name: column(t.name),
    accountId: reference(t.accountId, accountTarget),
    primaryContactId: reference(t.primaryContactId, contactTarget),
    pipelineId: reference(t.pipelineId, pipeline),
    stageId: reference(t.stageId, stage),
    status: column(t.status),
    amount: money(t.amountMinor, t.amountCurrency),
    probability: filled(t.probability),
    expectedCloseDate: column(t.expectedCloseDate),
    stageEnteredAt: instantField(t.stageEnteredAt),
    closedAt: instantField(t.closedAt),
    lostReason: column(t.lostReason),
    type: column(t.type),
    source: column(t.source),
    nextStep: column(t.nextStep),
    competitor: column(t.competitor),
    description: column(t.description),
    originLeadId: provenance(t.originLeadId),
  },
  defaults: {},
  sorts: {
    name: sortBy(t.name),
    amount: sortByOptional(t.amountMinor, amountKey, '-9223372036854775807'),
    expectedCloseDate: sortByOptional(t.expectedCloseDate, expectedCloseDateKey, '-infinity'),
  },
  unique: {},
  duplicates: { within: 'accountId' },
  follows: {
    pipelineId: 'stageId',
    status: 'stageId',
    stageEnteredAt: 'stageId',
    closedAt: 'stageId',
    originLeadId: null,
  },
  relations: {
    owner: { by: t.ownerId, to: () => users },
    account: { by: t.accountId, to: () => accounts },
    primaryContact: { by: t.primaryContactId, to: () => contacts },
    stage: { by: t.stageId, to: () => stages },
    originLead: { by: t.originLeadId, to: (): Readable<Lead> => leads },
  },
  resolve: followStage,
})
