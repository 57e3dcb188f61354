import { sql } from 'drizzle-orm'
import { boolean, date, pgTable, text, uuid } from 'drizzle-orm/pg-core'
import type { components } from '../../../generated/types.js'
import { json } from '../../db/columns.js'
import { lookUpIndex, recordColumns, recordConstraints, referenceWithin, uniqueWhileLive } from '../../records/table.js'
import { crmAccounts } from '../accounts/table.js'

type Contact = components['schemas']['Contact']

export const crmContacts = pgTable(
  'crm_contacts',
  {
    ...recordColumns(),
    firstName: text('first_name'),
    lastName: text('last_name').notNull(),
    name: text('name').notNull(),
    salutation: text('salutation'),
    title: text('title'),
    department: text('department'),
    email: text('email'),
    emailKey: text('email_key').generatedAlwaysAs(sql`lower(email)`),
    additionalEmails: json<Contact['additionalEmails']>('additional_emails').notNull(),
    phone: text('phone'),
    mobilePhone: text('mobile_phone'),
    accountId: uuid('account_id'),
    reportsToId: uuid('reports_to_id'),
    mailingAddress: json<NonNullable<Contact['mailingAddress']>>('mailing_address'),
    birthdate: date('birthdate', { mode: 'string' }),
    language: text('language'),
    timeZone: text('time_zone'),
    linkedinUrl: text('linkedin_url'),
    source: text('source'),
    doNotCall: boolean('do_not_call').notNull(),
    emailOptOut: boolean('email_opt_out').notNull(),
    lifecycleStage: text('lifecycle_stage').$type<NonNullable<Contact['lifecycleStage']>>(),
    description: text('description'),
  },
  (t) => [
    ...recordConstraints('crm_contacts', t, {
      sorts: { name: t.name },
      filters: { account_id: t.accountId, lifecycle_stage: t.lifecycleStage },
    }),
    uniqueWhileLive('crm_contacts_email_key', t, t.emailKey),
    lookUpIndex('crm_contacts_phone_idx', t, t.phone),
    lookUpIndex('crm_contacts_mobile_phone_idx', t, t.mobilePhone),
    ...referenceWithin('crm_contacts_account_fk', [t.organizationId, t.accountId], crmAccounts),
    ...referenceWithin('crm_contacts_reports_to_fk', [t.organizationId, t.reportsToId], t),
  ],
)
