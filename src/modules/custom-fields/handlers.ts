import type { CustomFieldsHandlers } from '../../../generated/handlers.js'
import { customFields } from '../../records/custom-fields/definitions.js'
import { get, list } from '../../records/read.js'
import { createCustomField, updateCustomField } from './repository.js'

export const handlers: CustomFieldsHandlers = {
  listCustomFields: ({ query }, { scope }) => list(scope, customFields, query),
  createCustomField: ({ query, body }, { scope }) => createCustomField(scope, body, query.dryRun),
  getCustomField: ({ params, headers }, { scope }) =>
    get(scope, customFields, params.customFieldId, headers['if-none-match']),
  updateCustomField: ({ params, query, headers, body }, { scope }) =>
    updateCustomField(scope, params.customFieldId, body, query.dryRun, headers['if-match']),
}
