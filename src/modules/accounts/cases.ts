import { operations } from '../../../generated/operations.js'
import type { Cases } from '../../http/contract.js'
import { batchCases } from '../../testing/batch-cases.js'
import { likenessCases } from '../../testing/likeness-cases.js'
import { mergeCases } from '../../testing/merge-cases.js'
import { duplicateCases, recordCases } from '../../testing/record-cases.js'
import { recoveryCases, referredCase } from '../../testing/recovery-cases.js'
import { upsertCases } from '../../testing/upsert-cases.js'

const account = {
  object: 'account',
  table: 'crm_accounts',
  path: operations.listAccounts.path,
  body: {
    name: 'Northwind Traders',
    type: 'customer',
    numberOfEmployees: 240,
    annualRevenue: { amount: '12500000.00', currency: 'EUR' },
    billingAddress: { city: 'Hamburg', countryCode: 'DE' },
    tags: ['key account'],
    customFields: { tier: 'gold' },
  },
  patch: { industry: 'Logistics', numberOfEmployees: null },
}

const verbs = {
  ...recordCases(account),
  ...recoveryCases(account),
  ...upsertCases(account),
  ...mergeCases(account),
  ...likenessCases(account),
}
const duplicate = duplicateCases(account, 'domain', 'northwind.example', 'NorthWind.example')
const employee = {
  object: 'contact',
  table: 'crm_contacts',
  path: operations.listContacts.path,
  body: { lastName: 'Lovelace' },
  patch: {},
}

export const cases = {
  listAccounts: verbs.list,
  queryAccounts: verbs.query,
  listViewAccounts: verbs.view,
  aggregateAccounts: verbs.aggregate,
  listSegmentAccounts: verbs.segment,
  findAccountDuplicates: verbs.findDuplicates,
  createAccount: { ...verbs.create, 409: duplicate.create },
  batchAccounts: batchCases(account),
  upsertAccount: verbs.upsert,
  getAccountByExternalId: verbs.getByExternalId,
  putAccountByExternalId: verbs.putByExternalId,
  getAccount: { ...verbs.get, ...verbs.moved },
  updateAccount: { ...verbs.update, 409: duplicate.update },
  deleteAccount: verbs.remove,
  restoreAccount: { ...verbs.restore, 409: duplicate.restore },
  listAccountFollowers: verbs.followers,
  followAccount: verbs.follow,
  unfollowAccount: verbs.unfollow,
  changeAccountTags: verbs.changeTags,
  listAccountHistory: verbs.history,
  listAccountTimeline: verbs.timeline,
  listAccountDuplicates: verbs.listDuplicates,
  listDeletedAccounts: verbs.bin,
  purgeAccount: { ...verbs.purge, 409: referredCase(account, employee, 'accountId') },
  mergeAccounts: verbs.merge,
  listAccountMerges: verbs.listMerges,
  getAccountMerge: verbs.getMerge,
  undoAccountMerge: verbs.undoMerge,
} satisfies Cases<'accounts'>
