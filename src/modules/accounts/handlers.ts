import type { AccountsHandlers } from '../../../generated/handlers.js'
import { get, list, query } from '../../records/read.js'
import { create, remove, restore, update } from '../../records/write.js'
import { accounts } from './repository.js'

export const handlers: AccountsHandlers = {
  listAccounts: ({ query }, { scope }) => list(scope, accounts, query),
  queryAccounts: ({ body }, { scope }) => query(scope, accounts, body),
  createAccount: ({ body }, { scope }) => create(scope, accounts, body),
  getAccount: ({ params, headers }, { scope }) => get(scope, accounts, params.accountId, headers['if-none-match']),
  updateAccount: ({ params, headers, body }, { scope }) =>
    update(scope, accounts, params.accountId, body, headers['if-match']),
  deleteAccount: ({ params, headers }, { scope }) => remove(scope, accounts, params.accountId, headers['if-match']),
  restoreAccount: ({ params, headers }, { scope }) => restore(scope, accounts, params.accountId, headers['if-match']),
}
