import { type SQL, sql } from 'drizzle-orm'
import type { Level } from '../../generated/operations.js'
import type { Scope } from '../context.js'
import { parameter, statement } from '../db/statement.js'
import { InvalidRequest, problem } from '../problem.js'
import { decodeCursor } from './cursor.js'
import { type EventRow, eventColumns, toEvent, toPage } from './history.js'
import type { RecordMeta, RecordType } from './record-type.js'
import { type Referrer, referrersTo } from './referrers.js'
import { levelOf, requireLevel, sameOrganization, scopeParameters, within } from './scope.js'
import { crmEvents as e } from './table.js'

/** A timeline has the events of as many records that refer to its own by the same property: those that were created last. */
const MAX_RELATED = 100

type TimelineQuery = { limit: number; cursor?: string; objects?: readonly string[] }

/** Records that refer to the one at hand, and how many of them the caller sees. */
type Source = Referrer & { level: Level }

type TimelineRow = EventRow & { title: string | null }

/**
 * A page of what happened to a record and to the live records that refer to it, the newest first, each event with the title that its
 * record has now. It has the events of records that the caller may read, and of the record itself also while it is in the recycle bin.
 *
 * @throws InvalidRequest for a cursor of another timeline, and for a kind of record that cannot be in this one
 */
export async function timeline<Resource extends RecordMeta>(
  scope: Scope,
  type: RecordType<Resource>,
  id: string,
  { limit, cursor, objects }: TimelineQuery,
) {
  const level = requireLevel(scope, type.permission('read'))
  const referrers = referrersTo(type.table)
  assertKnown([type.object, ...referrers.map((referrer) => referrer.type.object)], objects)
  const isWanted = (object: string) => objects?.includes(object) ?? true
  const sources = referrers.flatMap((referrer): Source[] => {
    const seen = levelOf(scope, referrer.type.permission('read'))
    return seen && isWanted(referrer.type.object) ? [{ ...referrer, level: seen }] : []
  })
  const binding = [type.plural, 'timeline', scope.principal.organizationId, id, objects]
  const [afterAt, afterId] = cursor === undefined ? [] : decodeCursor(scope, binding, cursor)
  const form = { level, hasOwn: isWanted(type.object), sources, continued: cursor !== undefined }

  const shape = sources.map((source) => `${source.type.object}.${source.property}:${source.level}`)
  const find = type.prepared(`timeline ${level} ${form.hasOwn} ${shape} ${form.continued}`, () =>
    // Planned for the record at hand: some are referred to by thousands of others, most by a few.
    statement<TimelineRow>(`${type.plural}.timeline`, timelineQuery(type, form), { plans: 'always' }),
  )
  const rows = await scope.db.run(find({ ...scopeParameters(scope), id, limit: limit + 1, afterAt, afterId }))
  if (rows.length === 0) return problem(404, 'not_found')
  const entries = rows.flatMap(({ title, ...row }) => toEvent(row).map((event) => ({ event, title })))
  const body = toPage(scope, binding, entries, limit, ({ event }) => [event.occurredAt, event.id])
  return { status: 200 as const, body }
}

/** @throws InvalidRequest */
function assertKnown(known: readonly string[], objects: readonly string[] = []): void {
  const message = `must be one of ${[...new Set(known)].join(', ')}`
  const faults = objects.flatMap((object, index) =>
    known.includes(object) ? [] : [{ pointer: `/query/objects/${index}`, code: 'enum', message }],
  )
  if (faults.length > 0) throw new InvalidRequest(...faults)
}

type Form = { level: Level; hasOwn: boolean; sources: readonly Source[]; continued: boolean }

// No row says that there is no such record, one without an event that nothing is left to show. Of each record only the first events
// after the position are looked at, and first their place in the index alone, so that a page costs what its records are, not their past.
function timelineQuery<Resource extends RecordMeta>(
  { table, title }: RecordType<Resource>,
  { level, hasOwn, sources, continued }: Form,
): SQL<TimelineRow> {
  const records = [sql`select record.id, record.title where ${sql.raw(String(hasOwn))}`, ...sources.map(recordsOf)]
  const conditions = [sameOrganization(e), sql`${e.recordId} = source.id`]
  if (continued) {
    conditions.push(
      sql`(${e.occurredAt}, ${e.id}) < (${parameter('afterAt')}::timestamptz, ${parameter('afterId')}::uuid)`,
    )
  }
  const latest = sql`select ${e.id}, ${e.occurredAt} from ${e} where ${sql.join(conditions, sql` and `)}
    order by ${e.occurredAt} desc, ${e.id} desc limit ${parameter('limit')}`
  return sql`select event.* from (
      select ${table.id}, ${title} as title from ${table} where ${within(table, level)} and ${table.id} = ${parameter('id')}
    ) record left join lateral (
      select ${eventColumns}, place.title from (
        select latest.id, source.title from (${sql.join(records, sql` union `)}) source
          cross join lateral (${latest}) latest order by latest.occurred_at desc, latest.id desc limit ${parameter('limit')}
      ) place join ${e} on ${sameOrganization(e)} and ${e.id} = place.id
    ) event on true order by event.occurred_at desc, event.id desc`
}

const recordsOf = ({ type: { table, title, visible }, column, level }: Source): SQL =>
  sql`(select ${table.id}, ${title} from ${table} where ${visible(level)} and ${column} = ${parameter('id')}
    order by ${table.createdAt} desc, ${table.id} desc limit ${sql.raw(String(MAX_RELATED))})`
