import { sql } from 'drizzle-orm'
import type { Scope } from '../../context.js'
import type { Executor } from '../../db/database.js'
import { violatedReference } from '../../db/errors.js'
import { parameter, statement } from '../../db/statement.js'
import { type Conflict, Forbidden, InvalidRequest, problem } from '../../problem.js'
import { ifMatchHolds } from '../conditional.js'
import { byAllDefinitions, type DefinitionsOf, holdDefinitions, OUTDATED } from '../custom-fields/definitions.js'
import { tentatively } from '../dry-run.js'
import type { Row } from '../fields.js'
import { among, holdQuery } from '../hold.js'
import { columnsOf, type RecordMeta, type RecordType, recordTypes } from '../record-type.js'
import { narrower, reaches, requireLevel, sameOrganization, scopeParameters } from '../scope.js'
import { crmEvents as e } from '../table.js'
import { type Changes, DuplicateValue, describeDuplicate, saveHeld } from '../write.js'
import { type CustomReferrer, customReferrersTo, moveCustomBack } from './custom-references.js'
import { arrayOf, serialize } from './merge.js'
import { type Merge, mergesOf } from './merges.js'
import { moveBack } from './references.js'
import { leaveAsLosers } from './segments-and-followers.js'
import { crmMergeLosers as l, crmMerges as m, crmMergeReferences as r } from './table.js'
import { givenBack } from './values.js'

/**
 * Takes a merge back: the losers come back from the recycle bin as they were, the winner gets back what the merge changed and nobody
 * has changed since, and so do the records that referred to a loser.
 *
 * @param dryRun do it all, answer with the result, and undo it
 * @param ifMatch is about the merge
 * @throws Forbidden
 */
export async function unmerge<Resource extends RecordMeta>(
  scope: Scope,
  type: RecordType<Resource>,
  id: string,
  dryRun: boolean,
  ifMatch?: string,
) {
  const update = requireLevel(scope, type.permission('update'))
  const restore = narrower(requireLevel(scope, type.permission('read')), requireLevel(scope, type.permission('delete')))
  try {
    return await tentatively(scope.db, dryRun, (tx) =>
      byAllDefinitions(scope, tx, async (definitionsOf) => {
        const found = await hold(scope, tx, type, id, definitionsOf)
        if (found === OUTDATED) return OUTDATED
        if (!found) return problem(404, 'not_found')
        const { merge } = found
        const records = await recordsOf(scope, tx, type, merge)
        const winner = records.get(merge.winnerId)
        if (!winner) return problem(404, 'not_found')
        const losers = merge.loserIds.flatMap((loserId) => records.get(loserId) ?? [])
        if (!reaches(scope, update, winner) || !losers.every((loser) => reaches(scope, restore, loser)))
          throw new Forbidden('the permissions do not reach these records')
        if (!ifMatchHolds(ifMatch, merge.version)) return problem(412, 'version_mismatch')
        if (merge.undoneAt !== null) return problem(409, 'already_undone')
        const conflicts = conflictsOf(type.object, merge, records)
        if (conflicts.length > 0) return problem(409, 'merge_outdated', { conflicts })
        const body = { dryRun, ...(await separate(scope, tx, type, found, winner, losers)) }
        return { status: 200 as const, body }
      }),
    )
  } catch (error) {
    if (error instanceof DuplicateValue) {
      const { conflicts } = (await describeDuplicate(scope, error)).body
      return problem(409, 'merge_outdated', conflicts ? { conflicts } : {})
    }
    // What is left of the winner would not be a record, or would refer to one that was purged.
    if (error instanceof InvalidRequest || violatedReference(error)) return problem(409, 'merge_outdated')
    throw error
  }
}

/** A merge, with what it changed about the winner, and the custom fields that may refer to it. */
type Found = { merge: Merge; changes: Changes; customReferrers: readonly CustomReferrer[] }

/** Holds the records of a merge and those that it has moved, then the definitions. Undefined when the caller cannot see the merge. */
async function hold<Resource extends RecordMeta>(
  scope: Scope,
  tx: Executor,
  type: RecordType<Resource>,
  id: string,
  definitionsOf: DefinitionsOf,
): Promise<Found | undefined | typeof OUTDATED> {
  const merges = mergesOf(type)
  const level = requireLevel(scope, type.permission('read'))
  const holdings = recordTypes.map((kind) =>
    kind.prepared(`hold for unmerge ${type.object}`, () => {
      const moved = sql`select ${r.recordId} from ${r} where ${sameOrganization(r)} and ${r.mergeId} = ${parameter('id')}::uuid and ${r.object} = ${kind.object}`
      const group = sql`select ${m.winnerId} from ${m} where ${sameOrganization(m)} and ${m.id} = ${parameter('id')}::uuid
        union all select ${l.loserId} from ${l} where ${sameOrganization(l)} and ${l.mergeId} = ${parameter('id')}::uuid union all `
      const ids = sql`${kind.table === type.table ? group : sql``}${moved}`
      const records = holdQuery(kind, sql`${kind.table.id}`, among(kind, ids))
      return statement<unknown>(`${kind.plural}.hold`, sql`select count(*) from (${records}) held`)
    }),
  )
  const definitions = holdDefinitions(
    scope,
    recordTypes.map(({ object }) => object),
    definitionsOf,
  )
  const find = merges.prepared(`unmerge ${level}`, () =>
    statement<Row & { changes: Changes | null }>(
      'merges.find',
      sql`select ${columnsOf(merges)}, ${e.changes} from ${merges.from}
        left join ${e} on ${e.organizationId} = ${m.organizationId} and ${e.recordId} = ${m.winnerId} and ${e.version} = ${m.winnerVersion}
        where ${merges.visible(level)} and ${m.id} = ${parameter('id')}`,
    ),
  )
  const parameters = { ...scopeParameters(scope), id }
  // All leave in one flight.
  const [, , revisions, [row]] = await Promise.all([
    tx.run(serialize(parameters)),
    tx.all(...holdings.map((each) => each(parameters))),
    tx.run(definitions.bound),
    tx.run(find(parameters)),
  ])
  if (!definitions.areCurrent(revisions)) return OUTDATED
  const customReferrers = customReferrersTo(type.object, definitionsOf)
  return row && { merge: merges.toResource(row), changes: row.changes ?? {}, customReferrers }
}

/** The records of a merge, wherever they are. */
async function recordsOf<Resource extends RecordMeta>(
  scope: Scope,
  tx: Executor,
  type: RecordType<Resource>,
  { winnerId, loserIds }: Merge,
): Promise<Map<string, Resource>> {
  const find = type.prepared('unmerge group', () =>
    statement<Row>(
      `${type.plural}.unmerge_group`,
      sql`select ${columnsOf(type)} from ${type.table} where ${sameOrganization(type.table)} and ${type.table.id} = any(${parameter('group')}::uuid[])`,
    ),
  )
  const rows = await tx.run(find({ ...scopeParameters(scope), group: arrayOf([winnerId, ...loserIds]) }))
  return new Map(rows.map((row) => [String(row.id), type.toResource(row)]))
}

/** The records that are not where the merge put them. */
function conflictsOf(
  object: string,
  { winnerId, loserIds, mergedAt }: Merge,
  records: ReadonlyMap<string, RecordMeta>,
): Conflict[] {
  const changed = (id: string, property: string): Conflict => ({ object, id, matchedOn: [property] })
  return [
    ...(records.get(winnerId)?.deletedAt === null ? [] : [changed(winnerId, 'deletedAt')]),
    ...loserIds.flatMap((id) => {
      const loser = records.get(id)
      if (!loser) return [changed(id, 'id')]
      return loser.deletedAt === mergedAt ? [] : [changed(id, 'deletedAt')]
    }),
  ]
}

async function separate<Resource extends RecordMeta>(
  requested: Scope,
  tx: Executor,
  type: RecordType<Resource>,
  { merge, changes, customReferrers }: Found,
  before: Resource,
  deleted: readonly Resource[],
) {
  const now = requested.clock()
  const scope: Scope = { ...requested, db: tx, cause: 'unmerge', clock: () => now }
  const undoneAt = now.toISOString()
  const parameters = { mergeId: merge.id, winnerId: merge.winnerId }
  // First what refers to the winner, then the winner, then the losers: each may take back a value that must be unique.
  const references = [
    ...(await moveBack(scope, type, parameters)),
    ...(await moveCustomBack(scope, tx, type.object, customReferrers, parameters)),
    ...(await leaveAsLosers(scope, tx, { ...parameters, mergedAt: merge.mergedAt })),
  ]
  const { record, kept } = givenBack(type, before, changes)
  const winner = await saveHeld(scope, tx, type, 'updated', before, record)
  const losers: Resource[] = []
  for (const loser of deleted)
    losers.push(await saveHeld(scope, tx, type, 'restored', loser, { ...loser, deletedAt: null }))
  const told = { ...scopeParameters(scope), ...parameters, undoneAt }
  await tx.all(finish(told), forget(told))
  const undone: Merge = {
    ...merge,
    ...{ version: merge.version + 1, undoneAt, undoneBy: { type: 'user', id: scope.principal.userId } },
  }
  return { merge: undone, winner, losers, kept, references }
}

const finish = statement(
  'merges.undo',
  sql`update ${m} set version = ${m.version} + 1, undone_at = ${parameter('undoneAt')}::timestamptz, undone_by_type = 'user', undone_by_id = ${parameter('scopeUserId')}::uuid
    where ${sameOrganization(m)} and ${m.id} = ${parameter('mergeId')}::uuid`,
)

const forget = statement(
  'merges.forget',
  sql`delete from ${r} where ${sameOrganization(r)} and ${r.mergeId} = ${parameter('mergeId')}::uuid`,
)
