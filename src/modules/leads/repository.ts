import { operations } from '../../../generated/operations.js'
import type { components } from '../../../generated/types.js'
import { InvalidRequest } from '../../problem.js'
import { caseInsensitive, column, instantField, money } from '../../records/fields.js'
import { defineRecord, sortBy, sortByOptional } from '../../records/record-type.js'
import { accounts } from '../accounts/repository.js'
import { contacts } from '../contacts/repository.js'
// biome-ignore lint/suspicious/noImportCycles: leads and deals lead to each other, and relations are followed only later.
import { opportunities } from '../opportunities/repository.js'
import { users } from '../users/repository.js'
import { leadScoreKey, crmLeads as t } from './table.js'

type Lead = components['schemas']['Lead']

export const leads = defineRecord<Lead>()({
  object: 'lead',
  plural: 'leads',
  path: operations.listLeads.path,
  table: t,
  title: t.name,
  fields: {
    firstName: column(t.firstName),
    lastName: column(t.lastName),
    companyName: column(t.companyName),
    name: column(t.name),
    title: column(t.title),
    email: caseInsensitive(t.email, t.emailKey),
    phone: column(t.phone),
    mobilePhone: column(t.mobilePhone),
    website: column(t.website),
    status: column(t.status),
    unqualifiedReason: column(t.unqualifiedReason),
    rating: column(t.rating),
    score: column(t.score),
    source: column(t.source),
    sourceDetail: column(t.sourceDetail),
    utm: column(t.utm),
    industry: column(t.industry),
    numberOfEmployees: column(t.numberOfEmployees),
    annualRevenue: money(t.annualRevenueMinor, t.annualRevenueCurrency),
    address: column(t.address),
    description: column(t.description),
    doNotCall: column(t.doNotCall),
    emailOptOut: column(t.emailOptOut),
    convertedAt: instantField(t.convertedAt),
    convertedAccountId: column(t.convertedAccountId),
    convertedContactId: column(t.convertedContactId),
    convertedOpportunityId: column(t.convertedOpportunityId),
  },
  defaults: { status: 'open', doNotCall: false, emailOptOut: false },
  sorts: { name: sortBy(t.name), score: sortByOptional(t.score, leadScoreKey, -1) },
  unique: {},
  duplicates: { email: ['email'], phone: ['phone', 'mobilePhone'] },
  follows: {
    name: null,
    convertedAt: 'status',
    convertedAccountId: 'status',
    convertedContactId: 'status',
    convertedOpportunityId: 'status',
  },
  relations: {
    owner: { by: t.ownerId, to: () => users },
    convertedAccount: { by: t.convertedAccountId, to: () => accounts },
    convertedContact: { by: t.convertedContactId, to: () => contacts },
    convertedOpportunity: { by: t.convertedOpportunityId, to: () => opportunities },
  },
  compute: (lead) => ({ name: displayName(lead) }),
})

/** @throws InvalidRequest when nothing tells who the lead is */
function displayName({ firstName, lastName, companyName, email }: Lead): string {
  const name = [firstName, lastName].filter(isLegible).join(' ')
  const identity = [lastName, companyName, email].find(isLegible)
  if (identity === undefined) {
    throw new InvalidRequest({
      pointer: '',
      code: 'lead_identity',
      message: 'needs a lastName, a companyName or an email',
    })
  }
  return name || identity
}

/** Texts may be empty or blank, names may not. */
export const isLegible = (text: string | null | undefined): text is string => (text ?? '').trim() !== ''
