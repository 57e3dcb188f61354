import { sql } from 'drizzle-orm'
import type { components } from '../../../generated/types.js'
import type { Scope } from '../../context.js'
import { parameter, statement } from '../../db/statement.js'
import { column, type Field, instantField, type Row, reference } from '../fields.js'
import { get, list } from '../read.js'
import {
  type AnyRecord,
  actor,
  defineReadable,
  type Readable,
  type RecordMeta,
  type RecordType,
  sortBy,
} from '../record-type.js'
import { requireLevel, sameOrganization, scopeParameters, within } from '../scope.js'
import { crmMergeLosers as l, crmMerges as m } from './table.js'

export type Merge = components['schemas']['Merge']

const undoer = actor(m.undoneByType, m.undoneById)

const undoneBy: Field<Merge['undoneBy']> = {
  columns: undoer.columns,
  read: (row: Row) => (row.undoneByType === null ? null : undoer.read(row)),
  write: () => undefined,
}

const readables = new Map<string, Readable<Merge, 'mergedAt'>>()

/** The merges of one kind of record, as far as the caller may see their winners: live ones, and deleted ones. */
export function mergesOf(type: Pick<AnyRecord, 'object' | 'plural' | 'table' | 'permission'>) {
  const known = readables.get(type.object)
  if (known) return known
  const { object, plural, table } = type
  const winner = { table: () => table, id: () => table.id, permission: type.permission('read') }
  const readable = defineReadable<Merge>()({
    plural,
    from: sql`${m} join ${table} on ${table.organizationId} = ${m.organizationId} and ${table.id} = ${m.winnerId}`,
    id: m.id,
    visible: (level) => sql`${sameOrganization(m)} and ${m.object} = ${object} and ${within(table, level)}`,
    sorts: { mergedAt: sortBy(m.mergedAt) },
    fields: {
      id: column(m.id),
      version: column(m.version),
      object: column(m.object),
      winnerId: reference(m.winnerId, winner),
      loserIds: column(m.loserIds),
      mergedAt: instantField(m.mergedAt),
      mergedBy: actor(m.mergedByType, m.mergedById),
      undoneAt: instantField(m.undoneAt),
      undoneBy,
    },
  })
  readables.set(object, readable)
  return readable
}

/** A page of the merges of one kind of record, the newest first. */
export const listMerges = <Resource extends RecordMeta>(
  scope: Scope,
  type: RecordType<Resource>,
  query: { limit: number; cursor?: string; winnerId?: string },
) => list(scope, mergesOf(type), { ...query, sort: ['-mergedAt'] })

/** One merge, or 304. */
export const getMerge = <Resource extends RecordMeta>(
  scope: Scope,
  type: RecordType<Resource>,
  id: string,
  ifNoneMatch?: string,
) => get(scope, mergesOf(type), id, ifNoneMatch)

/** The reply for a record, or in place of its 404 the way to the record that it was merged into, if the caller may see that one. */
export async function orWinner<Resource extends RecordMeta, Reply extends { status: number }>(
  scope: Scope,
  type: RecordType<Resource>,
  id: string,
  answer: Promise<Reply>,
) {
  const reply = await answer
  if (reply.status !== 404) return reply
  const level = requireLevel(scope, type.permission('read'))
  const find = type.prepared(`winner ${level}`, () => {
    const { table } = type
    const merged = sql`select ${m.winnerId} from ${l}
      join ${m} on ${m.organizationId} = ${l.organizationId} and ${m.id} = ${l.mergeId} and ${m.undoneAt} is null and ${m.object} = ${type.object}
      join ${table} on ${table.organizationId} = ${l.organizationId} and ${table.id} = ${l.loserId} and ${table.deletedAt} = ${m.mergedAt}`
    return statement<{ id: string }>(
      `${type.plural}.winner`,
      sql`with recursive winners (id) as (
        ${merged} where ${sameOrganization(l)} and ${l.loserId} = ${parameter('id')}::uuid
        union ${merged} join winners on winners.id = ${l.loserId} where ${sameOrganization(l)})
      select ${table.id} from winners join ${table} on ${table.id} = winners.id where ${type.visible(level)}`,
    )
  })
  const [winner] = await scope.db.run(find({ ...scopeParameters(scope), id }))
  return winner ? { status: 308 as const, headers: { Location: `${type.path}/${winner.id}` } } : reply
}
