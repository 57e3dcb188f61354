import { type SQL, sql } from 'drizzle-orm'
import type { Scope } from '../context.js'
import type { Executor } from '../db/database.js'
import { violatedReference } from '../db/errors.js'
import { parameter, statement } from '../db/statement.js'
import { type Conflict, problem } from '../problem.js'
import { ifMatchHolds } from './conditional.js'
import type { Row } from './fields.js'
import { loseFollowers } from './followers.js'
import { holdQuery } from './hold.js'
import { type AnyRecord, columnsOf, type RecordMeta, type RecordType } from './record-type.js'
import type { References } from './references.js'
import { referrersTo } from './referrers.js'
import { levelOf, reaches, sameOrganization, scopeParameters, within } from './scope.js'
import { leaveSegments } from './segments/segments.js'
import { crmEvents } from './table.js'
import { eventParameters, lock, save, type Written, withEvent } from './write.js'

/** As many conflicts as a problem may name. */
const MAX_CONFLICTS = 100

/**
 * Deletes a record for good that is in the recycle bin: its row goes, its events lose their values, and one more event stays as the
 * tombstone. Replies that were kept for retries go with their keys, within 24 hours. Records that were made from it forget that.
 *
 * @param dryRun only tell what would go
 * @throws Forbidden when the caller sees the record, but the permission does not reach it
 */
export async function purge<Resource extends RecordMeta>(
  scope: Scope,
  type: RecordType<Resource>,
  id: string,
  dryRun: boolean,
  ifMatch?: string,
) {
  try {
    return await scope.db.transaction(async (tx) => {
      const record = await lock(scope, tx, type, { id, permission: type.permission('purge'), deleted: true })
      if (!record) return problem(404, 'not_found')
      if (!ifMatchHolds(ifMatch, record.version)) return problem(412, 'version_mismatch')
      if (record.deletedAt === null) return problem(409, 'not_deleted')
      const referrers = await referrersOf(scope, tx, type, id)
      if (referrers) return referrers
      const offspring = await offspringOf(scope, tx, type, id)
      const events = dryRun ? await countEvents(scope, tx, id) : await erase(scope, tx, type, record, offspring)
      const cleared = offspring.filter((each) => isVisible(scope, each)).slice(0, MAX_CONFLICTS)
      return {
        status: 200 as const,
        body: { dryRun, object: type.object, id, events, cleared: cleared.map(toConflict) },
      }
    })
  } catch (error) {
    // Something came to refer to the record while it went.
    if (!violatedReference(error)) throw error
    return (await referrersOf(scope, scope.db, type, id)) ?? stillReferenced([])
  }
}

const stillReferenced = (conflicts: Conflict[]) =>
  problem(409, 'still_referenced', conflicts.length > 0 ? { conflicts: conflicts.slice(0, MAX_CONFLICTS) } : {})

const ofRecord: SQL = sql`${sameOrganization(crmEvents)} and ${crmEvents.recordId} = ${parameter('id')}`

const eventCount = statement<{ events: number }>(
  'events.count',
  sql`select count(*)::integer as events from ${crmEvents} where ${ofRecord}`,
)

async function countEvents(scope: Scope, tx: Executor, id: string): Promise<number> {
  const [counted] = await tx.run(eventCount({ ...scopeParameters(scope), id }))
  return counted?.events ?? 0
}

const redaction = statement<{ events: number }>(
  'events.redact',
  sql`with redacted as (
    update ${crmEvents} set changes = '{}' where ${ofRecord} and ${crmEvents.version} <= ${parameter('version')}::integer returning 1)
  select count(*)::integer as events from redacted`,
)

const NO_REFERENCES: Pick<References, 'names' | 'checks'> = { names: [], checks: () => [] }

/** Takes the row and the values out, and leaves the tombstone; answers how many events lost their values. */
async function erase<Resource extends RecordMeta>(
  scope: Scope,
  tx: Executor,
  type: RecordType<Resource>,
  record: Resource,
  offspring: readonly Offspring[],
): Promise<number> {
  const { id, version } = record
  // A change of theirs like any other, whoever may see them.
  for (const { type: kind, record: made, property } of offspring) {
    await save(scope, tx, kind, 'updated', made, { ...made, [property]: null })
  }
  const parameters = { ...scopeParameters(scope), id, version }
  const tombstone = { ...record, updatedAt: scope.clock().toISOString() }
  const { table } = type
  const write = type.prepared('purge', () =>
    statement<Written>(
      `${type.plural}.purge`,
      withEvent(
        NO_REFERENCES,
        sql`delete from ${table} where ${sameOrganization(table)} and ${table.id} = ${parameter('id')} returning ${table.organizationId}, ${table.id}, ${table.version} + 1 as version`,
      ),
    ),
  )
  const [[written], [redacted]] = await tx.all(
    write({ ...parameters, ...eventParameters(scope, type, 'purged', tombstone, {}) }),
    redaction(parameters),
    // After the row, which whoever puts it into a segment or comes to follow it holds.
    leaveSegments(parameters),
    loseFollowers(parameters),
  )
  if (!written?.written) throw new Error(`${type.object} ${id} was not purged`)
  return redacted?.events ?? 0
}

/** The 409 that names what refers to a record, as far as the caller may see it; undefined when nothing does. */
async function referrersOf<Resource extends RecordMeta>(
  scope: Scope,
  db: Executor,
  target: RecordType<Resource>,
  id: string,
) {
  const referrers = referrersTo(target.table).filter(({ isProvenance }) => !isProvenance)
  const found = await db.all(
    ...referrers.map(({ type, property, column }) => {
      const level = levelOf(scope, type.permission('read'))
      const find = type.prepared(`referrers ${level} ${property}`, () => {
        const refers = sql`${column} = ${parameter('id')} and ${type.table.id} <> ${parameter('id')}`
        const visible = level ? within(type.table, level) : sql`false`
        return statement<{ referred: boolean; ids: string[] }>(
          `${type.plural}.referrers`,
          sql`select exists (select from ${type.table} where ${sameOrganization(type.table)} and ${refers}) as referred,
            (select coalesce(json_agg(seen.id), '[]') from (select ${type.table.id} from ${type.table} where ${visible} and ${refers} limit ${sql.raw(String(MAX_CONFLICTS))}) seen) as ids`,
        )
      })
      return find({ ...scopeParameters(scope), id })
    }),
  )
  if (!found.some(([row]) => row?.referred)) return undefined
  return stillReferenced(
    referrers.flatMap(({ type, property }, index) =>
      (found[index]?.[0]?.ids ?? []).map((each) => ({ object: type.object, id: each, matchedOn: [property] })),
    ),
  )
}

/** A record that was made from the one at hand, and the property that says so. */
type Offspring = { type: AnyRecord; record: RecordMeta; property: string }

/** The records that were made from a record, held against other writers. */
async function offspringOf<Resource extends RecordMeta>(
  scope: Scope,
  tx: Executor,
  source: RecordType<Resource>,
  id: string,
): Promise<Offspring[]> {
  const offspring: Offspring[] = []
  const referrers = referrersTo(source.table).filter(({ isProvenance }) => isProvenance)
  for (const { type, property, column } of referrers) {
    const find = type.prepared(`made from ${property}`, () =>
      statement<Row>(
        `${type.plural}.provenance`,
        holdQuery(type, columnsOf(type), sql`${sameOrganization(type.table)} and ${column} = ${parameter('id')}`),
      ),
    )
    const rows = await tx.run(find({ ...scopeParameters(scope), id }))
    offspring.push(...rows.map((row) => ({ type, property, record: type.toResource(row) })))
  }
  return offspring
}

function isVisible(scope: Scope, { type, record }: Offspring): boolean {
  const level = levelOf(scope, type.permission('read'))
  return level !== undefined && reaches(scope, level, record)
}

const toConflict = ({ type, record, property }: Offspring): Conflict => ({
  object: type.object,
  id: record.id,
  matchedOn: [property],
})
