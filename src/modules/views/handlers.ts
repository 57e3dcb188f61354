import type { ViewsHandlers } from '../../../generated/handlers.js'
import { removeAsset } from '../../records/assets.js'
import { get, list } from '../../records/read.js'
import { views } from '../../records/views/views.js'
import { createView, updateView } from './repository.js'

export const handlers: ViewsHandlers = {
  listViews: ({ query }, { scope }) => list(scope, views, query),
  createView: ({ body }, { scope }) => createView(scope, body),
  getView: ({ params, headers }, { scope }) => get(scope, views, params.viewId, headers['if-none-match']),
  updateView: ({ params, headers, body }, { scope }) => updateView(scope, params.viewId, body, headers['if-match']),
  deleteView: ({ params, headers }, { scope }) => removeAsset(scope, views, params.viewId, headers['if-match']),
}
