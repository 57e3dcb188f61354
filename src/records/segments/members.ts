import { type SQL, sql } from 'drizzle-orm'
import type { components } from '../../../generated/types.js'
import type { Scope } from '../../context.js'
import type { Executor } from '../../db/database.js'
import { parameter, statement } from '../../db/statement.js'
import { InvalidRequest, problem } from '../../problem.js'
import { withAsset } from '../assets.js'
import { type AnyRecord, recordTypeOf } from '../record-type.js'
import { missingReference } from '../references.js'
import { requireLevel, sameOrganization, scopeParameters, within } from '../scope.js'
import { addEvents, eventParameters } from '../write.js'
import { type Segment, segments } from './segments.js'
import { crmSegmentMembers as t } from './table.js'

const MOST = 10_000

/** Carries the reply out of the transaction that must not be committed. */
class TooManyMembers extends Error {
  override name = 'TooManyMembers'
}

/**
 * Puts records into a static segment and takes others out, all or nothing, with one event.
 * @throws InvalidRequest when the caller may not see one of the records, or there is no such thing
 * @throws Forbidden when the caller sees the segment, but may not change it
 */
export async function changeMembers(
  scope: Scope,
  segmentId: string,
  { add = [], remove = [] }: components['schemas']['SegmentMembersChange'],
) {
  try {
    return await withAsset(scope, segments, segmentId, async (tx, segment) => {
      if (segment.kind === 'dynamic') return problem(409, 'not_static')
      const change = { add: add.map(lowerCase), remove: remove.map(lowerCase) }
      assertDisjoint(change)
      await assertRecords(scope, tx, segment, change)
      return { status: 200 as const, body: await store(scope, tx, segment, change) }
    })
  } catch (error) {
    if (!(error instanceof TooManyMembers)) throw error
    return problem(409, 'too_many_members', { detail: `a static segment has at most ${MOST} members` })
  }
}

type Change = { add: string[]; remove: string[] }

const lowerCase = (id: string): string => id.toLowerCase()

function assertDisjoint({ add, remove }: Change): void {
  const added = new Set(add)
  const index = remove.findIndex((id) => added.has(id))
  if (index < 0) return
  const message = 'must not be put into the segment, too'
  throw new InvalidRequest({ pointer: `/remove/${index}`, code: 'repeated', message })
}

/** Live records may come in, deleted ones may go as well; none is purged before the transaction ends. */
async function assertRecords(scope: Scope, tx: Executor, { object }: Segment, { add, remove }: Change): Promise<void> {
  const type = recordTypeOf(object)
  if (!type) throw new Error(`nothing is called ${object}`)
  const level = requireLevel(scope, type.permission('read'))
  const find = type.prepared(`members ${level}`, () =>
    statement<{ id: string; live: boolean }>(`${type.plural}.members`, findQuery(type, within(type.table, level))),
  )
  const rows = await tx.run(find({ ...scopeParameters(scope), ids: `{${[...add, ...remove].join(',')}}` }))
  const found = new Map(rows.map(({ id, live }) => [id, live]))
  const faults = [
    ...add.flatMap((id, index) => (found.get(id) ? [] : [missingReference(`/add/${index}`)])),
    ...remove.flatMap((id, index) => (found.has(id) ? [] : [missingReference(`/remove/${index}`)])),
  ]
  if (faults.length > 0) throw new InvalidRequest(...faults.slice(0, 100))
}

const findQuery = ({ table }: AnyRecord, visible: SQL): SQL<{ id: string; live: boolean }> =>
  sql`select ${table.id}, ${table.deletedAt} is null as live from ${table} where ${visible} and ${table.id} = any(${parameter('ids')}::uuid[]) for key share`

const segmentId = sql`${parameter('segmentId')}::uuid`
const ofSegment = sql`${sameOrganization(t)} and ${t.segmentId} = ${segmentId}`
const idsOf = (rows: string): SQL => sql`(select coalesce(jsonb_agg(record_id), '[]') from ${sql.raw(rows)})`

const write = statement<{ before: number; added: number; removed: number }>(
  'segments.change_members',
  sql`with added as (
      insert into ${t} (organization_id, segment_id, record_id, added_at, added_by_id)
      select ${parameter('scopeOrganizationId')}::uuid, ${segmentId}, id, ${parameter('eventAt')}::timestamptz, ${parameter('scopeUserId')}::uuid
      from unnest(${parameter('add')}::uuid[]) id on conflict do nothing returning record_id),
    removed as (
      delete from ${t} where ${ofSegment} and ${t.recordId} = any(${parameter('remove')}::uuid[]) returning record_id),
    written as (
      select ${parameter('scopeOrganizationId')}::uuid as organization_id, ${segmentId} as id, ${parameter('version')}::integer as version
      where exists (select from added) or exists (select from removed)),
    event as (${addEvents({
      id: sql`${parameter('eventId')}::uuid`,
      changes: sql`jsonb_build_object('members', jsonb_build_object('from', ${idsOf('removed')}, 'to', ${idsOf('added')}))`,
      at: sql`${parameter('eventAt')}::timestamptz`,
      from: sql`written`,
    })})
    select (select count(*) from ${t} where ${ofSegment})::integer as before,
      (select count(*) from added)::integer as added, (select count(*) from removed)::integer as removed`,
)

/** @throws TooManyMembers */
async function store(scope: Scope, tx: Executor, segment: Segment, { add, remove }: Change) {
  const at = { updatedAt: scope.clock().toISOString() }
  const [counts = { before: 0, added: 0, removed: 0 }] = await tx.run(
    write({
      ...scopeParameters(scope),
      ...eventParameters(scope, segments, 'members_changed', at, {}),
      ...{
        segmentId: segment.id,
        version: segment.version,
        add: `{${add.join(',')}}`,
        remove: `{${remove.join(',')}}`,
      },
    }),
  )
  const { before, added, removed } = counts
  if (added > 0 && before + added - removed > MOST) throw new TooManyMembers()
  return { added, removed }
}
