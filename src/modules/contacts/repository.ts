import { operations } from '../../../generated/operations.js'
import type { components } from '../../../generated/types.js'
import { caseInsensitive, column, reference, timeZone } from '../../records/fields.js'
import { defineRecord, type Readable, recordTarget, sortBy } from '../../records/record-type.js'
import { accounts, accountTarget } from '../accounts/repository.js'
import { users } from '../users/repository.js'
import { crmContacts as t } from './table.js'

type Contact = components['schemas']['Contact']

/** A live contact, as other records refer to it. */
export const contactTarget = recordTarget(() => t, 'contacts:read')

export const contacts = defineRecord<Contact>()({
  object: 'contact',
  plural: 'contacts',
  path: operations.listContacts.path,
  table: t,
  title: t.name,
  fields: {
    firstName: column(t.firstName),
    lastName: column(t.lastName),
    name: column(t.name),
    salutation: column(t.salutation),
    title: column(t.title),
    department: column(t.department),
    email: caseInsensitive(t.email, t.emailKey),
    additionalEmails: column(t.additionalEmails),
    phone: column(t.phone),
    mobilePhone: column(t.mobilePhone),
    accountId: reference(t.accountId, accountTarget),
    reportsToId: reference(t.reportsToId, contactTarget),
    mailingAddress: column(t.mailingAddress),
    birthdate: column(t.birthdate),
    language: column(t.language),
    timeZone: timeZone(t.timeZone),
    linkedinUrl: column(t.linkedinUrl),
    source: column(t.source),
    doNotCall: column(t.doNotCall),
    emailOptOut: column(t.emailOptOut),
    lifecycleStage: column(t.lifecycleStage),
    description: column(t.description),
  },
  defaults: { additionalEmails: [], doNotCall: false, emailOptOut: false },
  sorts: { name: sortBy(t.name) },
  unique: { email: t.emailKey },
  duplicates: { email: ['email'], phone: ['phone', 'mobilePhone'] },
  follows: { name: null },
  relations: {
    owner: { by: t.ownerId, to: () => users },
    account: { by: t.accountId, to: () => accounts },
    reportsTo: { by: t.reportsToId, to: (): Readable<Contact> => contacts },
  },
  compute: ({ firstName, lastName }) => ({ name: [firstName, lastName].filter(Boolean).join(' ') }),
})
