import { createHash } from 'node:crypto'

type Tagged = { version: number; expanded?: unknown }

/**
 * The strong entity tag of a version, per RFC 9110, section 8.8.3; with what was expanded, also of that.
 * @param fields the properties that the reply holds, where not all of them, in whatever order
 */
export function etagOf({ version, expanded }: Tagged, fields?: readonly string[]): string {
  if (expanded === undefined && !fields) return `"${version}"`
  const held = fields ? [fields.toSorted(), expanded] : expanded
  const hash = createHash('sha256').update(JSON.stringify(held)).digest('base64url').slice(0, 22)
  return `"${version}-${hash}"`
}

/**
 * Whether `If-Match` lets a change of this version through (RFC 9110, 13.1.1: strong comparison). A change concerns the record alone,
 * so a tag that stands for expanded records as well, or for a part of the record, counts by its version.
 */
export function ifMatchHolds(header: string | undefined, version: number): boolean {
  if (header === undefined || header.trim() === '*') return true
  return tags(header.replaceAll(/(?<=^|[\s,])"(\d+)-[\w-]{22}"/g, '"$1"')).includes(etagOf({ version }))
}

/** Whether `If-None-Match` says that the client has what this tag stands for already (RFC 9110, 13.1.2: weak comparison). */
export function ifNoneMatchHits(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false
  return header.trim() === '*' || tags(header.replaceAll('W/', '')).includes(etag)
}

const tags = (header: string): string[] => header.split(',').map((tag) => tag.trim())
