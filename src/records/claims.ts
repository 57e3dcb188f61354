import type { Scope } from '../context.js'
import type { Executor } from '../db/database.js'
import type { Definitions } from './custom-fields/definitions.js'
import { moveUnique, type UniqueValue, uniqueChanges } from './custom-fields/unique.js'
import { type ExternalId, externalIdChanges, moveExternalIds } from './external-ids.js'
import type { RecordMeta } from './record-type.js'

/** What a change gives up and takes of what is unique among live records by tables of its own. */
export type Claims = {
  customFields: ReturnType<typeof uniqueChanges>
  externalIds: ReturnType<typeof externalIdChanges>
}

/** What of it other records have. */
export type Taken = { customFields: readonly UniqueValue[]; externalIds: readonly ExternalId[] }

/** The claims of a change; undefined stands for no record, before it or after. A deleted record has none. */
export function claimsOf(
  definitions: Definitions,
  before: RecordMeta | undefined,
  after: RecordMeta | undefined,
): Claims {
  const [from, to] = [before, after].map((record) => (record?.deletedAt === null ? record : undefined))
  return {
    customFields: uniqueChanges(definitions, from?.customFields, to?.customFields),
    externalIds: externalIdChanges(from?.externalIds, to?.externalIds),
  }
}

/** Whether there is nothing to give up or to take. */
export const isIdle = ({ customFields, externalIds }: Claims): boolean =>
  [customFields.released, customFields.wanted, externalIds.released, externalIds.wanted].every(
    ({ length }) => length === 0,
  )

/**
 * Gives up and takes, in one flight within the transaction that changes the records.
 *
 * @param claims by the id of the record
 * @returns by the id of the record what others have: nothing of such a change may stay
 */
export async function settle(
  scope: Scope,
  tx: Executor,
  object: string,
  claims: ReadonlyMap<string, Claims>,
): Promise<Map<string, Taken>> {
  const busy = [...claims].filter(([, each]) => !isIdle(each))
  if (busy.length === 0) return new Map()
  const [customFields, externalIds] = await Promise.all([
    moveUnique(scope, tx, new Map(busy.map(([id, each]) => [id, each.customFields]))),
    moveExternalIds(scope, tx, object, new Map(busy.map(([id, each]) => [id, each.externalIds]))),
  ])
  const losers = new Set([...customFields, ...externalIds].map(({ recordId }) => recordId))
  return new Map(
    [...losers].map((id) => [
      id,
      {
        customFields: customFields.filter(({ recordId }) => recordId === id),
        externalIds: externalIds.filter(({ recordId }) => recordId === id),
      },
    ]),
  )
}
