/** The strong entity tag of a version, per RFC 9110, section 8.8.3. */
export const etagOf = ({ version }: { version: number }): string => `"${version}"`

/** Whether `If-Match` lets a change of this version through (RFC 9110, 13.1.1: strong comparison). */
export function ifMatchHolds(header: string | undefined, version: number): boolean {
  return header === undefined || header.trim() === '*' || tags(header).includes(etagOf({ version }))
}

/** Whether `If-None-Match` says that the client has this version already (RFC 9110, 13.1.2: weak comparison). */
export function ifNoneMatchHits(header: string | undefined, version: number): boolean {
  if (header === undefined) return false
  return header.trim() === '*' || tags(header.replaceAll('W/', '')).includes(etagOf({ version }))
}

const tags = (header: string): string[] => header.split(',').map((tag) => tag.trim())
