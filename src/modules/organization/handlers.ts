import type { OrganizationHandlers } from '../../../generated/handlers.js'
import { getOrganization, updateOrganization } from './repository.js'

export const handlers: OrganizationHandlers = {
  getOrganization: ({ headers }, { scope }) => getOrganization(scope, headers['if-none-match']),
  updateOrganization: ({ headers, body }, { scope }) => updateOrganization(scope, body, headers['if-match']),
}
