import { operations } from '../../../generated/operations.js'
import type { Cases } from '../../http/contract.js'
import { batchCases } from '../../testing/batch-cases.js'
import { likenessCases } from '../../testing/likeness-cases.js'
import { mergeCases } from '../../testing/merge-cases.js'
import { duplicateCases, recordCases } from '../../testing/record-cases.js'
import { recoveryCases, referredCase } from '../../testing/recovery-cases.js'
import { upsertCases } from '../../testing/upsert-cases.js'

const contact = {
  object: 'contact',
  table: 'crm_contacts',
  path: operations.listContacts.path,
  body: { firstName: 'Ada', lastName: 'Lovelace', birthdate: '1815-12-10', tags: ['speaker'], doNotCall: true },
  patch: { title: 'Chief Technology Officer', birthdate: null },
}

const verbs = {
  ...recordCases(contact),
  ...recoveryCases(contact),
  ...upsertCases(contact),
  ...mergeCases(contact),
  ...likenessCases(contact),
}
const duplicate = duplicateCases(contact, 'email', 'ada@northwind.example', 'Ada@Northwind.example')

export const cases = {
  listContacts: verbs.list,
  queryContacts: verbs.query,
  listViewContacts: verbs.view,
  aggregateContacts: verbs.aggregate,
  listSegmentContacts: verbs.segment,
  findContactDuplicates: verbs.findDuplicates,
  createContact: { ...verbs.create, 409: duplicate.create },
  batchContacts: batchCases(contact),
  upsertContact: verbs.upsert,
  getContactByExternalId: verbs.getByExternalId,
  putContactByExternalId: verbs.putByExternalId,
  getContact: { ...verbs.get, ...verbs.moved },
  updateContact: { ...verbs.update, 409: duplicate.update },
  deleteContact: verbs.remove,
  restoreContact: { ...verbs.restore, 409: duplicate.restore },
  listContactFollowers: verbs.followers,
  followContact: verbs.follow,
  unfollowContact: verbs.unfollow,
  changeContactTags: verbs.changeTags,
  listContactHistory: verbs.history,
  listContactTimeline: verbs.timeline,
  listContactDuplicates: verbs.listDuplicates,
  listDeletedContacts: verbs.bin,
  purgeContact: { ...verbs.purge, 409: referredCase(contact, contact, 'reportsToId') },
  mergeContacts: verbs.merge,
  listContactMerges: verbs.listMerges,
  getContactMerge: verbs.getMerge,
  undoContactMerge: verbs.undoMerge,
} satisfies Cases<'contacts'>
