import { type SQL, sql } from 'drizzle-orm'
import type { components } from '../../generated/types.js'
import type { Scope } from '../context.js'
import { parameter, statement } from '../db/statement.js'
import { problem } from '../problem.js'
import { decodeCursor, encodeCursor, type Position } from './cursor.js'
import { toRfc3339 } from './fields.js'
import type { RecordMeta, RecordType } from './record-type.js'
import { requireLevel, sameOrganization, scopeParameters, within } from './scope.js'
import { crmEvents as e } from './table.js'

type RecordEvent = components['schemas']['RecordEvent']

/** An event as the driver gives it; all null where a record has none. */
export type EventRow = Omit<RecordEvent, 'id' | 'actor'> & {
  id: string | null
  actorType: RecordEvent['actor']['type']
  actorId: string | null
}

type HistoryQuery<Resource> = { limit: number; cursor?: string; field?: keyof Resource & string }

/**
 * A page of the changes of a record, the newest first, also of one in the recycle bin; only those of one property if `field` says so.
 * Whoever may see the record may see what it was.
 *
 * @throws InvalidRequest for a cursor of another history
 */
export async function history<Resource extends RecordMeta>(
  scope: Scope,
  type: RecordType<Resource>,
  id: string,
  { limit, cursor, field }: HistoryQuery<Resource>,
) {
  const level = requireLevel(scope, type.permission('read'))
  const binding = [type.plural, 'history', scope.principal.organizationId, id, field]
  const [version, eventId] = cursor === undefined ? [] : decodeCursor(scope, binding, cursor)
  const continued = cursor !== undefined

  const find = type.prepared(`history ${level} ${continued} ${field !== undefined}`, () => {
    const conditions = [sameOrganization(e), sql`${e.recordId} = r.id`]
    if (continued) {
      conditions.push(
        sql`(${e.version}, ${e.id}) < (${parameter('afterVersion')}::integer, ${parameter('afterId')}::uuid)`,
      )
    }
    if (field !== undefined) conditions.push(sql`${e.changes} ? ${parameter('field')}::text`)
    return statement<EventRow>(`${type.plural}.history`, historyQuery(visibleRecord(type, level), conditions))
  })
  const rows = await scope.db.run(
    find({ ...scopeParameters(scope), id, limit: limit + 1, afterVersion: version, afterId: eventId, field }),
  )
  if (rows.length === 0) return problem(404, 'not_found')
  const body = toPage(scope, binding, rows.flatMap(toEvent), limit, (event) => [event.version, event.id])
  return { status: 200 as const, body }
}

/** A page of items that were read one further than asked for. */
export function toPage<Item>(
  scope: Scope,
  binding: unknown,
  items: readonly Item[],
  limit: number,
  position: (item: Item) => Position,
) {
  const hasMore = items.length > limit
  const data = items.slice(0, limit)
  const last = hasMore ? data.at(-1) : undefined
  return { data, page: { nextCursor: last ? encodeCursor(scope, binding, position(last)) : null, hasMore } }
}

const visibleRecord = ({ table }: RecordType<RecordMeta>, level: Parameters<typeof within>[1]): SQL =>
  sql`select ${table.id} from ${table} where ${within(table, level)} and ${table.id} = ${parameter('id')}`

/** The columns of an event, for `toEvent`. */
export const eventColumns: SQL = sql`${e.id}, ${e.type}, ${e.object}, ${e.recordId}, ${e.version}, ${e.occurredAt}, ${e.actorType}, ${e.actorId}, ${e.cause}, ${e.requestId}, ${e.changes}`

// One look at the record and its events: no row says that there is no such record, one without an event that nothing is left to show.
const historyQuery = (record: SQL, conditions: SQL[]): SQL<EventRow> =>
  sql`select event.* from (${record}) r left join lateral (
    select ${eventColumns}
    from ${e} where ${sql.join(conditions, sql` and `)} order by ${e.version} desc, ${e.id} desc limit ${parameter('limit')}
  ) event on true order by event.version desc, event.id desc`

export function toEvent({ id, actorType, actorId, occurredAt, ...rest }: EventRow): RecordEvent[] {
  return id === null
    ? []
    : [{ ...rest, id, occurredAt: toRfc3339(occurredAt), actor: { type: actorType, id: actorId } }]
}
