import { type SQL, sql } from 'drizzle-orm'
import type { Scope } from '../../context.js'
import { parameter, statement } from '../../db/statement.js'
import { holdQuery } from '../hold.js'
import type { AnyRecord, RecordMeta, RecordType } from '../record-type.js'
import { type Referrer, referrersTo } from '../referrers.js'
import { levelOf, sameOrganization, scopeParameters, within } from '../scope.js'
import { addEvents } from '../write.js'
import { crmMergeReferences as r } from './table.js'

/** The references to records of a type from records of another, or the same, one. */
export const referrersFrom = (from: Pick<AnyRecord, 'table'>, type: RecordType<RecordMeta>): Referrer[] =>
  referrersTo(type.table).filter((referrer) => referrer.type.table === from.table)

/** Live records that refer to one of the losers. */
export const referring = ({ type: { table }, column }: Referrer): SQL =>
  sql`${sameOrganization(table)} and ${column} is not null and ${column} = any(${parameter('losers')}::uuid[]) and ${table.deletedAt} is null`

type Moved = { count: number }

/** A kind of reference that was moved, and how many of them the caller sees. */
export type MovedReferences = { object: string; property: string; count: number }

type Move = {
  /** What the statements are called. */
  name: 'merge' | 'unmerge'
  /** Takes down what is to be moved, where that is not done yet. */
  note?(referrer: Referrer): SQL
  /** Where the references that were taken down lead before and after. */
  previous: SQL
  next: SQL
  parameters: Record<string, unknown>
}

/** The references of one property that the merge has taken down. */
const noted = ({ type: { object }, property }: Referrer): SQL =>
  sql`${sameOrganization(r)} and ${r.mergeId} = ${parameter('mergeId')}::uuid and ${r.object} = ${object} and ${r.property} = ${property}`

const note = (referrer: Referrer): SQL => {
  const { type, property, column } = referrer
  const { table, object } = type
  const others = sql`${referring(referrer)} and ${table.id} <> all(${parameter('group')}::uuid[])`
  return sql`with found as materialized (${holdQuery(type, sql`${table.id} as id, ${column} as loser_id`, others)})
    insert into ${r} (organization_id, merge_id, object, property, record_id, loser_id)
    select ${parameter('scopeOrganizationId')}::uuid, ${parameter('mergeId')}::uuid, ${object}, ${property}, found.id, found.loser_id from found`
}

const WINNER = sql`${parameter('winnerId')}::uuid`

/** Leads whatever refers to a loser to the winner, each with its event. */
export const moveToWinner = (
  scope: Scope,
  type: RecordType<RecordMeta>,
  parameters: { mergeId: string; winnerId: string; losers: string; group: string },
) => move(scope, type, { name: 'merge', note, previous: sql`${r.loserId}`, next: WINNER, parameters })

/** Leads back what a merge has moved and nobody has moved since. */
export const moveBack = (
  scope: Scope,
  type: RecordType<RecordMeta>,
  parameters: { mergeId: string; winnerId: string },
) => move(scope, type, { name: 'unmerge', previous: WINNER, next: sql`${r.loserId}`, parameters })

/** Moves references in one flight; answers with how many the caller sees. */
async function move(
  scope: Scope,
  type: RecordType<RecordMeta>,
  { name, note, previous, next, parameters }: Move,
): Promise<MovedReferences[]> {
  const referrers = referrersTo(type.table)
  const at = scope.clock().toISOString()
  const statements = referrers.map((referrer) => {
    const { type: kind, property } = referrer
    const level = levelOf(scope, kind.permission('read'))
    const moving = kind.prepared(`${name} ${type.object} ${property} ${level}`, () => {
      const visible = level ? within(kind.table, level) : sql`false`
      return statement<Moved>(`${kind.plural}.${name}`, moveQuery(referrer, previous, next, visible))
    })
    const values = {
      ...scopeParameters(scope),
      ...parameters,
      ...{ property, at, eventType: `${kind.object}.updated`, eventObject: kind.object },
      ...{ eventCause: scope.cause, eventRequestId: scope.requestId },
    }
    const noting =
      note &&
      kind.prepared(`note ${type.object} ${property}`, () =>
        statement<unknown>(`${kind.plural}.note_references`, note(referrer)),
      )
    return { noting: noting ? [noting(values)] : [], moving: moving(values) }
  })
  const answers = await scope.db.all(
    ...statements.flatMap(({ noting }) => noting),
    ...statements.map(({ moving }) => moving),
  )
  const moves = answers.slice(-referrers.length)
  return referrers.flatMap(({ type: { object }, property }, index) => {
    const [moved] = (moves[index] ?? []) as Moved[]
    return moved && moved.count > 0 ? [{ object, property, count: moved.count }] : []
  })
}

/**
 * Each record is found by its id: `is not distinct from` keeps PostgreSQL from taking the index of the reference instead, which would
 * give it all records each time.
 */
function moveQuery(referrer: Referrer, previous: SQL, next: SQL, visible: SQL): SQL<Moved> {
  const { type, column } = referrer
  const { table } = type
  const at = sql`${parameter('at')}::timestamptz`
  const event = addEvents({
    id: sql`app.uuid_v7()`,
    changes: sql`jsonb_build_object(${parameter('property')}::text, jsonb_build_object('from', written.previous, 'to', written.next))`,
    at,
    from: sql`written`,
  })
  return sql`with written as (
    update ${table} set ${sql.identifier(column.name)} = ${next}, version = ${table.version} + 1,
      updated_at = ${at}, updated_by_type = 'user', updated_by_id = ${parameter('scopeUserId')}::uuid
    from ${r} where ${noted(referrer)} and ${sameOrganization(table)} and ${table.id} = ${r.recordId} and ${column} is not distinct from ${previous}
    returning ${table.organizationId}, ${table.id}, ${table.version}, ${previous} as previous, ${next} as next, (${visible}) as visible
  ), event as (${event})
  select count(*) filter (where visible)::integer as count from written`
}
