import type { OrganizationHandlers } from '../../../generated/handlers.js'
import { getOpenapi, getSchema } from './documents.js'
import { getOrganization, updateOrganization } from './repository.js'

export const handlers: OrganizationHandlers = {
  getOrganization: ({ headers }, { scope }) => getOrganization(scope, headers['if-none-match']),
  getOrganizationSchema: ({ params, headers }, { scope }) => getSchema(scope, params.object, headers['if-none-match']),
  getOrganizationOpenapi: ({ headers }, { scope }) => getOpenapi(scope, headers['if-none-match']),
  updateOrganization: ({ headers, body }, { scope }) => updateOrganization(scope, body, headers['if-match']),
}
