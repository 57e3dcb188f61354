import { operations } from '../../../generated/operations.js'
import type { Cases } from '../../http/contract.js'
import { recordCases } from '../../testing/record-cases.js'

const verbs = recordCases({
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
})

export const cases = {
  listOpportunities: verbs.list,
  queryOpportunities: verbs.query,
  createOpportunity: verbs.create,
  getOpportunity: verbs.get,
  updateOpportunity: verbs.update,
  deleteOpportunity: verbs.remove,
  restoreOpportunity: verbs.restore,
} satisfies Cases<'opportunities'>
