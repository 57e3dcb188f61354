import { type SQL, sql } from 'drizzle-orm'
import type { components } from '../../../generated/types.js'
import type { Scope } from '../../context.js'
import { parameter, statement } from '../../db/statement.js'
import { Forbidden, problem } from '../../problem.js'
import { tentatively } from '../dry-run.js'
import { among, holdQuery } from '../hold.js'
import { type AnyRecord, recordTypes } from '../record-type.js'
import { levelOf, sameOrganization, scopeParameters } from '../scope.js'
import { addEvents } from '../write.js'
import { crmTagUses as t } from './table.js'

/** As many records as one request changes. */
const MOST = 2_000

const ofTag = sql`${sameOrganization(t)} and ${t.tag} = ${parameter('tag')}::text`

const count = statement<{ count: number }>(
  'tags.count',
  sql`select count(*)::integer as count from (select from ${t} where ${ofTag} limit ${sql.raw(String(MOST + 1))}) counted`,
)

/** Of two changes that cross, as from one tag to another and back, the second one sees what the first one did. */
const serialize = statement(
  'tags.serialize',
  sql`select pg_advisory_xact_lock(hashtextextended('tag-changes:' || ${parameter('scopeOrganizationId')}::text, 0))`,
)

/** Whoever puts the tag on a record later does so after the change, as it were. */
const awaitTagging = statement(
  'tags.await_tagging',
  sql`select app.await_tagging(${parameter('scopeOrganizationId')}::uuid)`,
)

/**
 * Gives a tag another name in every record that has it, or takes it off them; each gets a version and an event.
 *
 * @param name the other name; null to take the tag off
 * @throws Forbidden when the caller may not change all records
 */
export async function changeTag(scope: Scope, tag: string, name: string | null, dryRun: boolean) {
  if (recordTypes.some((type) => levelOf(scope, type.permission('update')) !== 'all')) {
    throw new Forbidden('takes the right to change all records')
  }
  return tentatively(scope.db, dryRun, async (tx) => {
    const parameters = { ...scopeParameters(scope), tag, name, at: scope.clock().toISOString() }
    const [, , [found]] = await tx.all(serialize(parameters), awaitTagging(parameters), count(parameters))
    if (!found?.count) return problem(404, 'not_found')
    if (found.count > MOST) {
      return problem(409, 'too_many_records', { detail: `a tag of at most ${MOST} records can be changed at once` })
    }
    const changed: components['schemas']['ChangedRecords'][] = []
    for (const type of tag === name ? [] : recordTypes) {
      const object = type.object as components['schemas']['RecordObject']
      const values = { ...parameters, eventType: `${object}.updated`, eventObject: object }
      const { hold, write } = statementsOf(type)
      await tx.run(hold(values))
      const [written] = await tx.run(write({ ...values, eventCause: scope.cause, eventRequestId: scope.requestId }))
      if (written?.count) changed.push({ object, count: written.count })
    }
    return { status: 200 as const, body: { dryRun, name, changed } }
  })
}

const statementsOf = (type: AnyRecord) => {
  const { plural, table } = type
  const held = holdQuery(type, sql`${table.id}`, tagged(type))
  return {
    hold: type.prepared('hold tagged', () =>
      statement(`${plural}.hold_tagged`, sql`select count(*) from (${held}) held`),
    ),
    write: type.prepared('change tag', () => statement<{ count: number }>(`${plural}.change_tag`, changeQuery(type))),
  }
}

/** The live records that have the tag. */
const tagged = ({ table, object }: AnyRecord): SQL =>
  sql`${among({ table }, sql`select ${t.recordId} from ${t} where ${ofTag} and ${t.object} = ${sql.raw(`'${object}'`)}`)} and ${table.deletedAt} is null`

/** No tag twice, and each where it stood first. */
const CHANGED = sql`(select coalesce(jsonb_agg(each.tag order by each.place), '[]') from (
    select case when given.tag = ${parameter('tag')}::text then ${parameter('name')}::text else given.tag end as tag, min(given.place) as place
    from jsonb_array_elements_text(found.tags) with ordinality given(tag, place) group by 1) each where each.tag is not null)`

function changeQuery(type: AnyRecord): SQL<{ count: number }> {
  const { table } = type
  const at = sql`${parameter('at')}::timestamptz`
  const event = addEvents({
    id: sql`app.uuid_v7()`,
    changes: sql`jsonb_build_object('tags', jsonb_build_object('from', written.previous, 'to', written.tags))`,
    at,
    from: sql`written`,
  })
  return sql`with found as materialized (select ${table.id} as id, ${table.tags} as tags from ${table} where ${tagged(type)}),
    written as (
      update ${table} set tags = ${CHANGED}, version = ${table.version} + 1, updated_at = ${at}, updated_by_type = 'user',
        updated_by_id = ${parameter('scopeUserId')}::uuid
      from found where ${sameOrganization(table)} and ${table.id} = found.id and found.tags ? ${parameter('tag')}::text
      returning ${table.organizationId}, ${table.id}, ${table.version}, found.tags as previous, ${table.tags} as tags
    ), event as (${event})
    select count(*)::integer as count from written`
}
