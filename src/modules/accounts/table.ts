import { integer, pgTable, text, uuid } from 'drizzle-orm/pg-core'
import type { components } from '../../../generated/types.js'
import { int64, json } from '../../db/columns.js'
import { lookUpIndex, recordColumns, recordConstraints, referenceWithin, uniqueWhileLive } from '../../records/table.js'

type Account = components['schemas']['Account']

export const crmAccounts = pgTable(
  'crm_accounts',
  {
    ...recordColumns(),
    name: text('name').notNull(),
    legalName: text('legal_name'),
    domain: text('domain'),
    website: text('website'),
    type: text('type').$type<NonNullable<Account['type']>>(),
    industry: text('industry'),
    phone: text('phone'),
    email: text('email'),
    numberOfEmployees: integer('number_of_employees'),
    annualRevenueMinor: int64('annual_revenue_minor'),
    annualRevenueCurrency: text('annual_revenue_currency'),
    description: text('description'),
    billingAddress: json<NonNullable<Account['billingAddress']>>('billing_address'),
    shippingAddress: json<NonNullable<Account['shippingAddress']>>('shipping_address'),
    parentAccountId: uuid('parent_account_id'),
    source: text('source'),
    taxId: text('tax_id'),
    registrationNumber: text('registration_number'),
    linkedinUrl: text('linkedin_url'),
    lifecycleStage: text('lifecycle_stage').$type<NonNullable<Account['lifecycleStage']>>(),
  },
  (t) => [
    ...recordConstraints('crm_accounts', t, {
      sorts: { name: t.name },
      filters: { industry: t.industry, type: t.type, parent_account_id: t.parentAccountId },
    }),
    uniqueWhileLive('crm_accounts_domain_key', t, t.domain),
    lookUpIndex('crm_accounts_phone_idx', t, t.phone),
    ...referenceWithin('crm_accounts_parent_account_fk', [t.organizationId, t.parentAccountId], t),
  ],
)
