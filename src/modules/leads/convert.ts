import type { components } from '../../../generated/types.js'
import type { Scope } from '../../context.js'
import type { Executor } from '../../db/database.js'
import { type Conflict, InvalidRequest, problem } from '../../problem.js'
import { ifMatchHolds } from '../../records/conditional.js'
import { tentatively } from '../../records/dry-run.js'
import { get } from '../../records/read.js'
import type { RecordMeta, RecordType } from '../../records/record-type.js'
import { DuplicateValue, describeDuplicate, insert, lock, save } from '../../records/write.js'
import { accounts } from '../accounts/repository.js'
import { contacts } from '../contacts/repository.js'
import { opportunities } from '../opportunities/repository.js'
import { isLegible, leads } from './repository.js'

type Lead = components['schemas']['Lead']
type Result = Omit<components['schemas']['LeadConversionResult'], 'dryRun'>
type Wanted = components['schemas']['LeadConversion']

/** As the schema `Name` has it. */
const NAME_LENGTH = 255

/**
 * Makes an account, a contact and, if asked, an opportunity out of a lead, or links it to existing ones, in one transaction.
 *
 * @param dryRun do it all, answer with the result, and undo it
 */
export async function convertLead(scope: Scope, leadId: string, wanted: Wanted, dryRun: boolean, ifMatch?: string) {
  try {
    return await tentatively(scope.db, dryRun, async (tx) => {
      const lead = await lock(scope, tx, leads, { id: leadId, permission: 'leads:convert' })
      if (!lead) return problem(404, 'not_found')
      if (!ifMatchHolds(ifMatch, lead.version)) return problem(412, 'version_mismatch')
      if (lead.convertedAt) return problem(409, 'already_converted', { conflicts: conversionsOf(lead) })
      const result = await convert({ ...scope, db: tx }, tx, lead, wanted)
      return { status: 200 as const, body: { ...result, dryRun } }
    })
  } catch (error) {
    if (error instanceof DuplicateValue) return describeDuplicate(scope, error)
    throw error
  }
}

/** A lead may be called by more than fits into one name. */
const toName = (text: string | null, { name }: Lead): string =>
  [...(isLegible(text) ? text : name)].slice(0, NAME_LENGTH).join('')

async function convert(scope: Scope, tx: Executor, lead: Lead, wanted: Wanted): Promise<Result> {
  const { ownerId, teamId } = lead
  for (const part of ['account', 'contact'] as const) {
    if (wanted[part] && wanted[`${part}Id`]) {
      throw new InvalidRequest({ pointer: `/${part}`, code: 'not_new', message: `must be absent beside ${part}Id` })
    }
  }
  const account = wanted.accountId
    ? await existing(scope, accounts, wanted.accountId, '/accountId')
    : await created(scope, tx, accounts, {
        ownerId,
        teamId,
        name: toName(lead.companyName, lead),
        website: lead.website,
        industry: lead.industry,
        numberOfEmployees: lead.numberOfEmployees,
        annualRevenue: lead.annualRevenue,
        billingAddress: lead.address,
        source: lead.source,
        customFields: wanted.account?.customFields,
      }).catch(within('/account'))
  const contact = wanted.contactId
    ? await existing(scope, contacts, wanted.contactId, '/contactId')
    : await created(scope, tx, contacts, {
        ownerId,
        teamId,
        accountId: account.record.id,
        firstName: lead.firstName,
        lastName: toName(lead.lastName, lead),
        title: lead.title,
        email: lead.email,
        phone: lead.phone,
        mobilePhone: lead.mobilePhone,
        mailingAddress: lead.address,
        source: lead.source,
        doNotCall: lead.doNotCall,
        emailOptOut: lead.emailOptOut,
        customFields: wanted.contact?.customFields,
      }).catch(within('/contact'))
  const opportunity = wanted.opportunity
    ? await created(scope, tx, opportunities, {
        ...wanted.opportunity,
        ownerId,
        teamId,
        accountId: account.record.id,
        primaryContactId: contact.record.id,
        source: lead.source,
        originLeadId: lead.id,
      }).catch(within('/opportunity'))
    : null
  const converted = await save(scope, tx, leads, 'converted', lead, {
    ...lead,
    status: 'converted',
    convertedAt: scope.clock().toISOString(),
    convertedAccountId: account.record.id,
    convertedContactId: contact.record.id,
    convertedOpportunityId: opportunity?.record.id ?? null,
  })
  return { lead: converted, account, contact, opportunity }
}

async function created<Resource extends RecordMeta>(
  scope: Scope,
  tx: Executor,
  type: RecordType<Resource>,
  input: Parameters<typeof insert<Resource>>[3],
) {
  return { outcome: 'created' as const, record: await insert(scope, tx, type, input) }
}

/** Points the faults of a part of the request to where that part stands. */
const within = (prefix: string) => (error: unknown) => {
  if (!(error instanceof InvalidRequest)) throw error
  throw new InvalidRequest(...error.errors.map((fault) => ({ ...fault, pointer: `${prefix}${fault.pointer}` })))
}

/** @throws InvalidRequest when the caller cannot see such a record */
async function existing<Resource extends RecordMeta>(
  scope: Scope,
  type: RecordType<Resource>,
  id: string,
  pointer: string,
) {
  const found = await get(scope, type, id)
  if (found.status !== 200) {
    throw new InvalidRequest({ pointer, code: 'missing_reference', message: 'must be the id of an existing resource' })
  }
  return { outcome: 'existing' as const, record: found.body }
}

const conversionsOf = (lead: Lead): Conflict[] =>
  [
    { object: 'account', id: lead.convertedAccountId, matchedOn: ['convertedAccountId'] },
    { object: 'contact', id: lead.convertedContactId, matchedOn: ['convertedContactId'] },
    { object: 'opportunity', id: lead.convertedOpportunityId, matchedOn: ['convertedOpportunityId'] },
  ].filter((conflict): conflict is Conflict => conflict.id !== null)
