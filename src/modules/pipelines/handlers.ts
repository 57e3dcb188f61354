import type { PipelinesHandlers } from '../../../generated/handlers.js'
import { listPipelines } from './repository.js'

export const handlers: PipelinesHandlers = {
  listPipelines: async (_request, { scope }) => ({ status: 200, body: { data: await listPipelines(scope) } }),
}
