import type { OpportunitiesHandlers } from '../../../generated/handlers.js'
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
import { opportunities } from './repository.js'

export const handlers: OpportunitiesHandlers = {
  listOpportunities: ({ query }, { scope }) => list(scope, opportunities, query),
  queryOpportunities: ({ body }, { scope }) => query(scope, opportunities, body),
  aggregateOpportunities: ({ body }, { scope }) => aggregate(scope, opportunities, body),
  findOpportunityDuplicates: ({ body, query }, { scope }) => findDuplicates(scope, opportunities, body, query.limit),
  createOpportunity: ({ body }, { scope }) => create(scope, opportunities, body),
  batchOpportunities: ({ body }, { scope }) => batch(scope, opportunities, body),
  upsertOpportunity: ({ body }, { scope }) => upsert(scope, opportunities, body),
  getOpportunityByExternalId: ({ params, headers }, { scope }) =>
    getByExternalId(scope, opportunities, params, headers['if-none-match']),
  putOpportunityByExternalId: ({ params, headers, body }, { scope }) =>
    putByExternalId(scope, opportunities, params, body, headers['if-match']),
  getOpportunity: ({ params, query, headers }, { scope }) =>
    orWinner(
      scope,
      opportunities,
      params.opportunityId,
      get(scope, opportunities, params.opportunityId, headers['if-none-match'], query),
    ),
  updateOpportunity: ({ params, headers, body }, { scope }) =>
    update(scope, opportunities, params.opportunityId, body, headers['if-match']),
  deleteOpportunity: ({ params, headers }, { scope }) =>
    remove(scope, opportunities, params.opportunityId, headers['if-match']),
  restoreOpportunity: ({ params, headers }, { scope }) =>
    restore(scope, opportunities, params.opportunityId, headers['if-match']),
  listOpportunityHistory: ({ params, query }, { scope }) => history(scope, opportunities, params.opportunityId, query),
  listOpportunityTimeline: ({ params, query }, { scope }) =>
    timeline(scope, opportunities, params.opportunityId, query),
  listOpportunityDuplicates: ({ params, query }, { scope }) =>
    listDuplicates(scope, opportunities, params.opportunityId, query.limit),
  listDeletedOpportunities: ({ query }, { scope }) =>
    list(scope, opportunities.bin, { ...query, sort: ['-deletedAt'] }),
  purgeOpportunity: ({ params, query, headers }, { scope }) =>
    purge(scope, opportunities, params.opportunityId, query.dryRun, headers['if-match']),
  listViewOpportunities: ({ params, query }, { scope }) => recordsOfView(scope, opportunities, params.viewId, query),
  mergeOpportunities: ({ body, query, headers }, { scope }) =>
    merge(scope, opportunities, body, query.dryRun, headers['if-match']),
  listOpportunityMerges: ({ query }, { scope }) => listMerges(scope, opportunities, query),
  getOpportunityMerge: ({ params, headers }, { scope }) =>
    getMerge(scope, opportunities, params.mergeId, headers['if-none-match']),
  undoOpportunityMerge: ({ params, query, headers }, { scope }) =>
    unmerge(scope, opportunities, params.mergeId, query.dryRun, headers['if-match']),
  listSegmentOpportunities: ({ params, query }, { scope }) =>
    recordsOfSegment(scope, opportunities, params.segmentId, query),
  listOpportunityFollowers: ({ params }, { scope }) => listFollowers(scope, opportunities, params.opportunityId),
  followOpportunity: ({ params }, { scope }) => follow(scope, opportunities, params.opportunityId),
  unfollowOpportunity: ({ params }, { scope }) => unfollow(scope, opportunities, params.opportunityId),
  changeOpportunityTags: ({ params, headers, body }, { scope }) =>
    changeTags(scope, opportunities, params.opportunityId, body, headers['if-match']),
}
