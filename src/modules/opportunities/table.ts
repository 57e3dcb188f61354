import { date, foreignKey, integer, type PgTableExtraConfigValue, pgTable, text, uuid } from 'drizzle-orm/pg-core'
import type { components } from '../../../generated/types.js'
import { instant, int64 } from '../../db/columns.js'
import { orMissing, recordColumns, recordConstraints, referenceWithin } from '../../records/table.js'
import { crmAccounts } from '../accounts/table.js'
import { crmContacts } from '../contacts/table.js'
// biome-ignore lint/suspicious/noImportCycles: the two tables refer to each other, and Drizzle follows that only later.
import { crmLeads } from '../leads/table.js'
import { crmStages } from '../pipelines/table.js'

type Opportunity = components['schemas']['Opportunity']

/** A deal without an amount sorts below every amount, one without a date before every date. */
export const amountKey = orMissing('amount_minor', '-9223372036854775807')
export const expectedCloseDateKey = orMissing('expected_close_date', "'-infinity'::date")

export const crmOpportunities = pgTable(
  'crm_opportunities',
  {
    ...recordColumns(),
    name: text('name').notNull(),
    accountId: uuid('account_id'),
    primaryContactId: uuid('primary_contact_id'),
    pipelineId: uuid('pipeline_id').notNull(),
    stageId: uuid('stage_id').notNull(),
    status: text('status').$type<Opportunity['status']>().notNull(),
    amountMinor: int64('amount_minor'),
    amountCurrency: text('amount_currency'),
    probability: integer('probability').notNull(),
    expectedCloseDate: date('expected_close_date', { mode: 'string' }),
    stageEnteredAt: instant('stage_entered_at').notNull(),
    closedAt: instant('closed_at'),
    lostReason: text('lost_reason'),
    type: text('type').$type<NonNullable<Opportunity['type']>>(),
    source: text('source'),
    nextStep: text('next_step'),
    competitor: text('competitor'),
    description: text('description'),
    originLeadId: uuid('origin_lead_id'),
  },
  // The two tables refer to each other, so the type cannot be inferred.
  (t): PgTableExtraConfigValue[] => [
    ...recordConstraints('crm_opportunities', t, {
      sorts: { name: t.name, amount: amountKey, expected_close_date_key: expectedCloseDateKey },
      filters: {
        account_id: t.accountId,
        stage_id: t.stageId,
        pipeline_id: t.pipelineId,
        status: t.status,
        expected_close_date: t.expectedCloseDate,
      },
    }),
    ...referenceWithin('crm_opportunities_account_fk', [t.organizationId, t.accountId], crmAccounts),
    ...referenceWithin('crm_opportunities_primary_contact_fk', [t.organizationId, t.primaryContactId], crmContacts),
    ...referenceWithin('crm_opportunities_origin_lead_fk', [t.organizationId, t.originLeadId], crmLeads),
    foreignKey({
      name: 'crm_opportunities_stage_fk',
      columns: [t.organizationId, t.pipelineId, t.stageId],
      foreignColumns: [crmStages.organizationId, crmStages.pipelineId, crmStages.id],
    }),
  ],
)
