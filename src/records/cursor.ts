import { createHash } from 'node:crypto'
import type { Scope } from '../context.js'
import { InvalidRequest } from '../problem.js'

/** The sort values of the last record of a page, and its id. */
export type Position = readonly unknown[]

/** What a cursor is bound to: the list, its tenant, its order and its filters. */
const digest = (binding: unknown): string =>
  createHash('sha256').update(JSON.stringify(binding)).digest('base64url').slice(0, 16)

/** An opaque, signed token for "after this record". It grants nothing: every page is read with the rights of its reader. */
export function encodeCursor({ signer }: Scope, binding: unknown, position: Position): string {
  return signer.sign('cursor', Buffer.from(JSON.stringify([digest(binding), ...position])).toString('base64url'))
}

/**
 * @param pointer where the cursor stands in the request
 * @throws InvalidRequest for a cursor that this API did not issue for this list with these filters and this order
 */
export function decodeCursor({ signer }: Scope, binding: unknown, cursor: string, pointer = '/query/cursor'): Position {
  const payload = signer.verify('cursor', cursor)
  const [bound, ...position] = payload ? (JSON.parse(Buffer.from(payload, 'base64url').toString()) as unknown[]) : []
  if (!payload || bound !== digest(binding)) {
    throw new InvalidRequest({
      pointer,
      code: 'cursor',
      message: 'must be a nextCursor of the same list with the same filters and order',
    })
  }
  return position
}
