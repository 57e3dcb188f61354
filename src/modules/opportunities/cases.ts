import { operations } from '../../../generated/operations.js'
import type { Cases } from '../../http/contract.js'
import { batchCases } from '../../testing/batch-cases.js'
import { likenessCases } from '../../testing/likeness-cases.js'
import { mergeCases } from '../../testing/merge-cases.js'
import { recordCases } from '../../testing/record-cases.js'
import { recoveryCases } from '../../testing/recovery-cases.js'
import { externalIdCases, upsertCases } from '../../testing/upsert-cases.js'

const opportunity = {
  object: 'opportunity',
  table: 'crm_opportunities',
  path: operations.listOpportunities.path,
  body: {
    name: 'Northwind renewal 2027',
    amount: { amount: '48000.00', currency: 'EUR' },
    probability: 40,
    expectedCloseDate: '2027-03-31',
    type: 'renewal',
  },
  patch: { probability: 60, nextStep: 'Negotiate the price' },
}

const verbs = {
  ...recordCases(opportunity),
  ...recoveryCases(opportunity),
  ...upsertCases(opportunity),
  ...mergeCases(opportunity),
  ...likenessCases(opportunity),
}
const duplicate = externalIdCases(opportunity)

export const cases = {
  listOpportunities: verbs.list,
  queryOpportunities: verbs.query,
  listViewOpportunities: verbs.view,
  aggregateOpportunities: verbs.aggregate,
  listSegmentOpportunities: verbs.segment,
  findOpportunityDuplicates: verbs.findDuplicates,
  createOpportunity: { ...verbs.create, 409: duplicate.create },
  batchOpportunities: batchCases(opportunity),
  upsertOpportunity: verbs.upsert,
  getOpportunityByExternalId: verbs.getByExternalId,
  putOpportunityByExternalId: verbs.putByExternalId,
  getOpportunity: { ...verbs.get, ...verbs.moved },
  updateOpportunity: { ...verbs.update, 409: duplicate.update },
  deleteOpportunity: verbs.remove,
  restoreOpportunity: { ...verbs.restore, 409: duplicate.restore },
  listOpportunityFollowers: verbs.followers,
  followOpportunity: verbs.follow,
  unfollowOpportunity: verbs.unfollow,
  changeOpportunityTags: verbs.changeTags,
  listOpportunityHistory: verbs.history,
  listOpportunityTimeline: verbs.timeline,
  listOpportunityDuplicates: verbs.listDuplicates,
  listDeletedOpportunities: verbs.bin,
  purgeOpportunity: verbs.purge,
  mergeOpportunities: verbs.merge,
  listOpportunityMerges: verbs.listMerges,
  getOpportunityMerge: verbs.getMerge,
  undoOpportunityMerge: verbs.undoMerge,
} satisfies Cases<'opportunities'>
