import type { SearchHandlers } from '../../../generated/handlers.js'
import { search } from './repository.js'

export const handlers: SearchHandlers = {
  searchRecords: async ({ query }, { scope }) => ({ status: 200, body: { data: await search(scope, query) } }),
}
