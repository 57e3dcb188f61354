import { isPublic, permissionOf } from './complete.js'
import { type Document, operationsOf } from './document.js'

/**
 * Says the security of each operation in the words that readers of a published document expect: anonymous access as an
 * empty requirement, and the scope outside `security`, where only a flow of OAuth 2 can define one.
 */
export function publish(source: Document): Document {
  const document = structuredClone(source)
  for (const { operation } of operationsOf(document)) {
    const permission = permissionOf(operation)
    if (isPublic(operation)) operation.security = [{}]
    if (permission === null) continue
    operation.security = [{ bearerAuth: [] }]
    operation['x-permission'] = permission
  }
  return document
}
