import type { TagsHandlers } from '../../../generated/handlers.js'
import { changeTag } from '../../records/tags/change.js'
import { listTags } from '../../records/tags/tags.js'

export const handlers: TagsHandlers = {
  listTags: ({ query }, { scope }) => listTags(scope, query),
  renameTag: ({ params, query, body }, { scope }) => changeTag(scope, params.tag, body.name, query.dryRun),
  deleteTag: ({ params, query }, { scope }) => changeTag(scope, params.tag, null, query.dryRun),
}
