import { InvalidRequest } from '../problem.js'

const MAX_BYTES = 32 * 1024
const MAX_DEPTH = 8

/** As in the schema `CustomFields`, which holds what is sent against it; a patch may still add to what there is. */
export const MAX_CUSTOM_FIELDS = 200

/** @throws InvalidRequest when the object is larger or deeper than a record may carry */
export function assertCustomFields(value: Record<string, unknown>): void {
  const keys = Object.keys(value).length
  if (keys === 0) return
  const refuse = (code: string, message: string) => new InvalidRequest({ pointer: '/customFields', code, message })
  if (keys > MAX_CUSTOM_FIELDS) throw refuse('max_properties', `must have at most ${MAX_CUSTOM_FIELDS} properties`)
  if (Buffer.byteLength(JSON.stringify(value)) > MAX_BYTES)
    throw refuse('max_bytes', `must be at most ${MAX_BYTES} bytes of JSON`)
  if (depthOf(value) > MAX_DEPTH) throw refuse('max_depth', `must be at most ${MAX_DEPTH} levels deep`)
}

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  return 1 + Math.max(0, ...Object.values(value).map(depthOf))
}
