import type { OpportunitiesHandlers } from '../../../generated/handlers.js'
import { get, list, query } from '../../records/read.js'
import { create, remove, restore, update } from '../../records/write.js'
import { opportunities } from './repository.js'

export const handlers: OpportunitiesHandlers = {
  listOpportunities: ({ query }, { scope }) => list(scope, opportunities, query),
  queryOpportunities: ({ body }, { scope }) => query(scope, opportunities, body),
  createOpportunity: ({ body }, { scope }) => create(scope, opportunities, body),
  getOpportunity: ({ params, headers }, { scope }) =>
    get(scope, opportunities, params.opportunityId, headers['if-none-match']),
  updateOpportunity: ({ params, headers, body }, { scope }) =>
    update(scope, opportunities, params.opportunityId, body, headers['if-match']),
  deleteOpportunity: ({ params, headers }, { scope }) =>
    remove(scope, opportunities, params.opportunityId, headers['if-match']),
  restoreOpportunity: ({ params, headers }, { scope }) =>
    restore(scope, opportunities, params.opportunityId, headers['if-match']),
}
