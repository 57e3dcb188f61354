import { sql } from 'drizzle-orm'
import { boolean, integer, type PgTableExtraConfigValue, pgTable, text, uuid } from 'drizzle-orm/pg-core'
import type { components } from '../../../generated/types.js'
import { instant, int64, json } from '../../db/columns.js'
import { lookUpIndex, orMissing, recordColumns, recordConstraints, referenceWithin } from '../../records/table.js'
import { crmAccounts } from '../accounts/table.js'
import { crmContacts } from '../contacts/table.js'
// biome-ignore lint/suspicious/noImportCycles: the two tables refer to each other, and Drizzle follows that only later.
import { crmOpportunities } from '../opportunities/table.js'

type Lead = components['schemas']['Lead']

/** A lead without a score sorts below every score. */
export const leadScoreKey = orMissing('score', '-1')

export const crmLeads = pgTable(
  'crm_leads',
  {
    ...recordColumns(),
    firstName: text('first_name'),
    lastName: text('last_name'),
    companyName: text('company_name'),
    name: text('name').notNull(),
    title: text('title'),
    email: text('email'),
    emailKey: text('email_key').generatedAlwaysAs(sql`lower(email)`),
    phone: text('phone'),
    mobilePhone: text('mobile_phone'),
    website: text('website'),
    status: text('status').$type<Lead['status']>().notNull(),
    unqualifiedReason: text('unqualified_reason'),
    rating: text('rating').$type<NonNullable<Lead['rating']>>(),
    score: integer('score'),
    source: text('source'),
    sourceDetail: text('source_detail'),
    utm: json<NonNullable<Lead['utm']>>('utm'),
    industry: text('industry'),
    numberOfEmployees: integer('number_of_employees'),
    annualRevenueMinor: int64('annual_revenue_minor'),
    annualRevenueCurrency: text('annual_revenue_currency'),
    address: json<NonNullable<Lead['address']>>('address'),
    description: text('description'),
    doNotCall: boolean('do_not_call').notNull(),
    emailOptOut: boolean('email_opt_out').notNull(),
    convertedAt: instant('converted_at'),
    convertedAccountId: uuid('converted_account_id'),
    convertedContactId: uuid('converted_contact_id'),
    convertedOpportunityId: uuid('converted_opportunity_id'),
  },
  // The two tables refer to each other, so the type cannot be inferred.
  (t): PgTableExtraConfigValue[] => [
    ...recordConstraints('crm_leads', t, {
      sorts: { name: t.name, score: leadScoreKey },
      filters: { status: t.status, rating: t.rating, source: t.source, email: t.emailKey },
    }),
    lookUpIndex('crm_leads_phone_idx', t, t.phone),
    lookUpIndex('crm_leads_mobile_phone_idx', t, t.mobilePhone),
    ...referenceWithin('crm_leads_converted_account_fk', [t.organizationId, t.convertedAccountId], crmAccounts),
    ...referenceWithin('crm_leads_converted_contact_fk', [t.organizationId, t.convertedContactId], crmContacts),
    ...referenceWithin(
      'crm_leads_converted_opportunity_fk',
      [t.organizationId, t.convertedOpportunityId],
      crmOpportunities,
    ),
  ],
)
