import type { AccountsHandlers } from '../../../generated/handlers.js'
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
import { accounts } from './repository.js'

export const handlers: AccountsHandlers = {
  listAccounts: ({ query }, { scope }) => list(scope, accounts, query),
  queryAccounts: ({ body }, { scope }) => query(scope, accounts, body),
  aggregateAccounts: ({ body }, { scope }) => aggregate(scope, accounts, body),
  findAccountDuplicates: ({ body, query }, { scope }) => findDuplicates(scope, accounts, body, query.limit),
  createAccount: ({ body }, { scope }) => create(scope, accounts, body),
  batchAccounts: ({ body }, { scope }) => batch(scope, accounts, body),
  upsertAccount: ({ body }, { scope }) => upsert(scope, accounts, body),
  getAccountByExternalId: ({ params, headers }, { scope }) =>
    getByExternalId(scope, accounts, params, headers['if-none-match']),
  putAccountByExternalId: ({ params, headers, body }, { scope }) =>
    putByExternalId(scope, accounts, params, body, headers['if-match']),
  getAccount: ({ params, query, headers }, { scope }) =>
    orWinner(
      scope,
      accounts,
      params.accountId,
      get(scope, accounts, params.accountId, headers['if-none-match'], query),
    ),
  updateAccount: ({ params, headers, body }, { scope }) =>
    update(scope, accounts, params.accountId, body, headers['if-match']),
  deleteAccount: ({ params, headers }, { scope }) => remove(scope, accounts, params.accountId, headers['if-match']),
  restoreAccount: ({ params, headers }, { scope }) => restore(scope, accounts, params.accountId, headers['if-match']),
  listAccountHistory: ({ params, query }, { scope }) => history(scope, accounts, params.accountId, query),
  listAccountTimeline: ({ params, query }, { scope }) => timeline(scope, accounts, params.accountId, query),
  listAccountDuplicates: ({ params, query }, { scope }) =>
    listDuplicates(scope, accounts, params.accountId, query.limit),
  listDeletedAccounts: ({ query }, { scope }) => list(scope, accounts.bin, { ...query, sort: ['-deletedAt'] }),
  purgeAccount: ({ params, query, headers }, { scope }) =>
    purge(scope, accounts, params.accountId, query.dryRun, headers['if-match']),
  listViewAccounts: ({ params, query }, { scope }) => recordsOfView(scope, accounts, params.viewId, query),
  mergeAccounts: ({ body, query, headers }, { scope }) =>
    merge(scope, accounts, body, query.dryRun, headers['if-match']),
  listAccountMerges: ({ query }, { scope }) => listMerges(scope, accounts, query),
  getAccountMerge: ({ params, headers }, { scope }) =>
    getMerge(scope, accounts, params.mergeId, headers['if-none-match']),
  undoAccountMerge: ({ params, query, headers }, { scope }) =>
    unmerge(scope, accounts, params.mergeId, query.dryRun, headers['if-match']),
  listSegmentAccounts: ({ params, query }, { scope }) => recordsOfSegment(scope, accounts, params.segmentId, query),
  listAccountFollowers: ({ params }, { scope }) => listFollowers(scope, accounts, params.accountId),
  followAccount: ({ params }, { scope }) => follow(scope, accounts, params.accountId),
  unfollowAccount: ({ params }, { scope }) => unfollow(scope, accounts, params.accountId),
  changeAccountTags: ({ params, headers, body }, { scope }) =>
    changeTags(scope, accounts, params.accountId, body, headers['if-match']),
}
