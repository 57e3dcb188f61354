import { operations } from '../../../generated/operations.js'
import type { components } from '../../../generated/types.js'
import { column, lowerCase, money, reference } from '../../records/fields.js'
import { defineRecord, type Readable, recordTarget, sortBy } from '../../records/record-type.js'
import { users } from '../users/repository.js'
import { crmAccounts as t } from './table.js'

type Account = components['schemas']['Account']

/** A live account, as other records refer to it. */
export const accountTarget = recordTarget(() => t, 'accounts:read')

export const accounts = defineRecord<Account>()({
  object: 'account',
  plural: 'accounts',
  path: operations.listAccounts.path,
  table: t,
  title: t.name,
  fields: {
    name: column(t.name),
    legalName: column(t.legalName),
    domain: lowerCase(t.domain),
    website: column(t.website),
    type: column(t.type),
    industry: column(t.industry),
    phone: column(t.phone),
    email: column(t.email),
    numberOfEmployees: column(t.numberOfEmployees),
    annualRevenue: money(t.annualRevenueMinor, t.annualRevenueCurrency),
    description: column(t.description),
    billingAddress: column(t.billingAddress),
    shippingAddress: column(t.shippingAddress),
    parentAccountId: reference(t.parentAccountId, accountTarget),
    source: column(t.source),
    taxId: column(t.taxId),
    registrationNumber: column(t.registrationNumber),
    linkedinUrl: column(t.linkedinUrl),
    lifecycleStage: column(t.lifecycleStage),
  },
  defaults: {},
  sorts: { name: sortBy(t.name) },
  unique: { domain: t.domain },
  duplicates: { domain: ['domain'], phone: ['phone'] },
  relations: {
    owner: { by: t.ownerId, to: () => users },
    parentAccount: { by: t.parentAccountId, to: (): Readable<Account> => accounts },
  },
})
