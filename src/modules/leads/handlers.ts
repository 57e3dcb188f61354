import type { LeadsHandlers } from '../../../generated/handlers.js'
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
import { convertLead } from './convert.js'
import { leads } from './repository.js'

export const handlers: LeadsHandlers = {
  listLeads: ({ query }, { scope }) => list(scope, leads, query),
  queryLeads: ({ body }, { scope }) => query(scope, leads, body),
  aggregateLeads: ({ body }, { scope }) => aggregate(scope, leads, body),
  findLeadDuplicates: ({ body, query }, { scope }) => findDuplicates(scope, leads, body, query.limit),
  createLead: ({ body }, { scope }) => create(scope, leads, body),
  batchLeads: ({ body }, { scope }) => batch(scope, leads, body),
  upsertLead: ({ body }, { scope }) => upsert(scope, leads, body),
  getLeadByExternalId: ({ params, headers }, { scope }) =>
    getByExternalId(scope, leads, params, headers['if-none-match']),
  putLeadByExternalId: ({ params, headers, body }, { scope }) =>
    putByExternalId(scope, leads, params, body, headers['if-match']),
  getLead: ({ params, query, headers }, { scope }) =>
    orWinner(scope, leads, params.leadId, get(scope, leads, params.leadId, headers['if-none-match'], query)),
  updateLead: ({ params, headers, body }, { scope }) => update(scope, leads, params.leadId, body, headers['if-match']),
  deleteLead: ({ params, headers }, { scope }) => remove(scope, leads, params.leadId, headers['if-match']),
  convertLead: ({ params, query, headers, body }, { scope }) =>
    convertLead(scope, params.leadId, body, query.dryRun, headers['if-match']),
  restoreLead: ({ params, headers }, { scope }) => restore(scope, leads, params.leadId, headers['if-match']),
  listLeadHistory: ({ params, query }, { scope }) => history(scope, leads, params.leadId, query),
  listLeadTimeline: ({ params, query }, { scope }) => timeline(scope, leads, params.leadId, query),
  listLeadDuplicates: ({ params, query }, { scope }) => listDuplicates(scope, leads, params.leadId, query.limit),
  listDeletedLeads: ({ query }, { scope }) => list(scope, leads.bin, { ...query, sort: ['-deletedAt'] }),
  purgeLead: ({ params, query, headers }, { scope }) =>
    purge(scope, leads, params.leadId, query.dryRun, headers['if-match']),
  listViewLeads: ({ params, query }, { scope }) => recordsOfView(scope, leads, params.viewId, query),
  mergeLeads: ({ body, query, headers }, { scope }) => merge(scope, leads, body, query.dryRun, headers['if-match']),
  listLeadMerges: ({ query }, { scope }) => listMerges(scope, leads, query),
  getLeadMerge: ({ params, headers }, { scope }) => getMerge(scope, leads, params.mergeId, headers['if-none-match']),
  undoLeadMerge: ({ params, query, headers }, { scope }) =>
    unmerge(scope, leads, params.mergeId, query.dryRun, headers['if-match']),
  listSegmentLeads: ({ params, query }, { scope }) => recordsOfSegment(scope, leads, params.segmentId, query),
  listLeadFollowers: ({ params }, { scope }) => listFollowers(scope, leads, params.leadId),
  followLead: ({ params }, { scope }) => follow(scope, leads, params.leadId),
  unfollowLead: ({ params }, { scope }) => unfollow(scope, leads, params.leadId),
  changeLeadTags: ({ params, headers, body }, { scope }) =>
    changeTags(scope, leads, params.leadId, body, headers['if-match']),
}
