import type { ContactsHandlers } from '../../../generated/handlers.js'
import { aggregate } from '../../records/aggregate.js'
import { batch } from '../../records/batch.js'
import { findDuplicates, listDuplicates } from '../../records/duplicates.js'
import { getByExternalId } from '../../records/external-ids.js'
import { follow, listFollowers, unfollow } from '../../records/followers.js'
import { history } from '../../records/history.js'
import { merge } from '../../records/merge/merge.js'
import { getMerge, listMerges, orWinner } from '../../records/merge/merges.js'
import { unmerge } from '../../records/merge/unmerge.js'
import { purge } from '../../records/purge.js'
import { get, list, query } from '../../records/read.js'
import { recordsOfSegment } from '../../records/segments/segments.js'
import { changeTags } from '../../records/tags/record-tags.js'
import { timeline } from '../../records/timeline.js'
import { putByExternalId, upsert } from '../../records/upsert.js'
import { recordsOfView } from '../../records/views/views.js'
import { create, remove, restore, update } from '../../records/write.js'
import { contacts } from './repository.js'

export const handlers: ContactsHandlers = {
  listContacts: ({ query }, { scope }) => list(scope, contacts, query),
  queryContacts: ({ body }, { scope }) => query(scope, contacts, body),
  aggregateContacts: ({ body }, { scope }) => aggregate(scope, contacts, body),
  findContactDuplicates: ({ body, query }, { scope }) => findDuplicates(scope, contacts, body, query.limit),
  createContact: ({ body }, { scope }) => create(scope, contacts, body),
  batchContacts: ({ body }, { scope }) => batch(scope, contacts, body),
  upsertContact: ({ body }, { scope }) => upsert(scope, contacts, body),
  getContactByExternalId: ({ params, headers }, { scope }) =>
    getByExternalId(scope, contacts, params, headers['if-none-match']),
  putContactByExternalId: ({ params, headers, body }, { scope }) =>
    putByExternalId(scope, contacts, params, body, headers['if-match']),
  getContact: ({ params, query, headers }, { scope }) =>
    orWinner(
      scope,
      contacts,
      params.contactId,
      get(scope, contacts, params.contactId, headers['if-none-match'], query),
    ),
  updateContact: ({ params, headers, body }, { scope }) =>
    update(scope, contacts, params.contactId, body, headers['if-match']),
  deleteContact: ({ params, headers }, { scope }) => remove(scope, contacts, params.contactId, headers['if-match']),
  restoreContact: ({ params, headers }, { scope }) => restore(scope, contacts, params.contactId, headers['if-match']),
  listContactHistory: ({ params, query }, { scope }) => history(scope, contacts, params.contactId, query),
  listContactTimeline: ({ params, query }, { scope }) => timeline(scope, contacts, params.contactId, query),
  listContactDuplicates: ({ params, query }, { scope }) =>
    listDuplicates(scope, contacts, params.contactId, query.limit),
  listDeletedContacts: ({ query }, { scope }) => list(scope, contacts.bin, { ...query, sort: ['-deletedAt'] }),
  purgeContact: ({ params, query, headers }, { scope }) =>
    purge(scope, contacts, params.contactId, query.dryRun, headers['if-match']),
  listViewContacts: ({ params, query }, { scope }) => recordsOfView(scope, contacts, params.viewId, query),
  mergeContacts: ({ body, query, headers }, { scope }) =>
    merge(scope, contacts, body, query.dryRun, headers['if-match']),
  listContactMerges: ({ query }, { scope }) => listMerges(scope, contacts, query),
  getContactMerge: ({ params, headers }, { scope }) =>
    getMerge(scope, contacts, params.mergeId, headers['if-none-match']),
  undoContactMerge: ({ params, query, headers }, { scope }) =>
    unmerge(scope, contacts, params.mergeId, query.dryRun, headers['if-match']),
  listSegmentContacts: ({ params, query }, { scope }) => recordsOfSegment(scope, contacts, params.segmentId, query),
  listContactFollowers: ({ params }, { scope }) => listFollowers(scope, contacts, params.contactId),
  followContact: ({ params }, { scope }) => follow(scope, contacts, params.contactId),
  unfollowContact: ({ params }, { scope }) => unfollow(scope, contacts, params.contactId),
  changeContactTags: ({ params, headers, body }, { scope }) =>
    changeTags(scope, contacts, params.contactId, body, headers['if-match']),
}
