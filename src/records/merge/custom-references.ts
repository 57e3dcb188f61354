import { type SQL, sql } from 'drizzle-orm'
import type { PgColumn } from 'drizzle-orm/pg-core'
import type { Scope } from '../../context.js'
import type { Executor } from '../../db/database.js'
import { parameter, statement } from '../../db/statement.js'
import type { Definition, DefinitionsOf } from '../custom-fields/definitions.js'
import { keyOfId, keyToCompare } from '../custom-fields/key.js'
import { crmCustomFieldValues as v } from '../custom-fields/table.js'
import { hashOf } from '../custom-fields/unique.js'
import { type AnyRecord, recordTypes } from '../record-type.js'
import { levelOf, sameOrganization, scopeParameters, within } from '../scope.js'
import { addEvents } from '../write.js'
import { crmMergeReferences as r } from './table.js'

/** A kind of record, and its custom fields that refer to records of the kind that is merged; archived ones keep their values. */
export type CustomReferrer = { readonly type: AnyRecord; readonly fields: readonly Definition[] }

export const customReferrersTo = (object: string, definitionsOf: DefinitionsOf): CustomReferrer[] =>
  recordTypes.map((type) => ({
    type,
    fields: [...definitionsOf(type.object).byKey.values()].filter((field) => field.referenceObject === object),
  }))

/** A custom field of a live record that has the id of a loser. */
export type CustomReference = { object: string; property: string; recordId: string; loserId: string; value: string }

const PREFIX = 'customFields.'

/** The name of a custom field among the properties. */
export const propertyOf = ({ key }: Definition): string => PREFIX + key

const slotColumn = ({ custom }: AnyRecord, slot: number): PgColumn => {
  const column = custom.slots[slot - 1]
  if (!column) throw new Error(`there is no key slot ${slot}`)
  return column
}

/** Fields whose values all have keys, which records are found by. */
const isIndexed = (field: Definition): field is Definition & { slot: number } =>
  field.slot !== null && field.indexState === 'ready'

const arrayOf = (values: readonly string[]): string => `{${values.join(',')}}`

/**
 * How the live records are found that refer to a loser: by keys, by unique values, and where a field has neither, by looking at each
 * record of the organization.
 */
export function customFinder({ type, fields }: CustomReferrer, loserIds: readonly string[], most: SQL) {
  const { table } = type
  const indexed = fields.filter(isIndexed)
  const unique = fields.filter((field) => !isIndexed(field) && field.unique)
  const others = fields.filter((field) => !isIndexed(field) && !field.unique)
  const live = sql`${sameOrganization(table)} and ${table.deletedAt} is null`
  const slots = indexed.map(({ slot }) => slot)
  return {
    /** Names everything that the SQL depends on. */
    shape: `${slots.join()} ${unique.length > 0} ${others.length > 0}`,
    parameters: {
      fieldKeys: arrayOf(fields.map(({ key }) => key)),
      loserKeys: arrayOf(indexed.flatMap((field) => loserIds.map((id) => keyToCompare(field, id)))),
      uniqueFields: arrayOf(unique.map(({ id }) => id)),
      otherKeys: arrayOf(others.map(({ key }) => key)),
    },
    /** Selects of ids. */
    ids: (): SQL[] => [
      ...slots.map((slot) => {
        const column = slotColumn(type, slot)
        return sql`select ${table.id} from ${table} where ${live} and ${column} is not null and ${column} = any(${parameter('loserKeys')}::text[]) limit ${most}`
      }),
      ...(unique.length > 0
        ? [
            sql`select ${v.recordId} from ${v} where ${sameOrganization(v)} and ${v.fieldId} = any(${parameter('uniqueFields')}::uuid[])
              and ${v.valueHash} = any(array(select ${hashOf(sql`id`)} from unnest(${parameter('losers')}::text[]) id))`,
          ]
        : []),
      ...(others.length > 0
        ? [
            sql`select ${table.id} from ${table} where ${live} and exists (select from unnest(${parameter('otherKeys')}::text[]) key
              where lower(${table.customFields} ->> key) = any(${parameter('losers')}::text[])) limit ${most}`,
          ]
        : []),
    ],
  }
}

/** Of the records in `held`, all references to a loser in custom fields. */
export const referencesIn = (object: string): SQL =>
  sql`(select coalesce(json_agg(json_build_object('object', ${object}::text, 'property', ${PREFIX}::text || key, 'recordId', held.id,
      'loserId', lower(held.custom_fields ->> key), 'value', held.custom_fields ->> key)), '[]')
    from held, unnest(${parameter('fieldKeys')}::text[]) key
    where held.deleted_at is null and held.id <> all(${parameter('group')}::uuid[]) and lower(held.custom_fields ->> key) = any(${parameter('losers')}::text[]))`

const note = statement(
  'merges.note_custom',
  sql`insert into ${r} (organization_id, merge_id, object, property, record_id, loser_id, value)
    select ${parameter('scopeOrganizationId')}::uuid, ${parameter('mergeId')}::uuid, object, property, "recordId", "loserId", value
    from jsonb_to_recordset(${parameter('found')}::jsonb) as found (object text, property text, "recordId" uuid, "loserId" uuid, value text)`,
)

const LOSER = sql`${r.loserId}::text`
const WINNER = sql`${parameter('winnerId')}::text`

/** Which way references go, as text: where they lead before and after, and how somebody has written the latter. */
type Way = { name: 'merge' | 'unmerge'; previous: SQL; next: SQL; written: SQL }

const toWinner: Way = { name: 'merge', previous: LOSER, next: WINNER, written: WINNER }
const back: Way = { name: 'unmerge', previous: WINNER, next: LOSER, written: sql`${r.value}` }

const ofMerge = sql`${sameOrganization(r)} and ${r.mergeId} = ${parameter('mergeId')}::uuid`

/**
 * Moves the claims on values of unique fields. A reference stays where it is when another record refers to where it would lead: there
 * is one for each value.
 */
const moveClaims = ({ name, previous, next }: Way) =>
  statement(
    `merges.${name}_claims`,
    sql`with wanted as materialized (
        select field."fieldId" as field_id, ${r.object}, ${r.property}, ${r.recordId}, ${v.valueHash} as previous_hash, ${hashOf(next)} as next_hash
        from ${r} join jsonb_to_recordset(${parameter('uniqueFields')}::jsonb) as field (object text, property text, "fieldId" uuid)
          on field.object = ${r.object} and field.property = ${r.property}
        join ${v} on ${sameOrganization(v)} and ${v.fieldId} = field."fieldId" and ${v.valueHash} = ${hashOf(previous)} and ${v.recordId} = ${r.recordId}
        where ${ofMerge}),
      taken as (
        insert into ${v} (organization_id, field_id, value_hash, record_id)
        select ${parameter('scopeOrganizationId')}::uuid, field_id, next_hash, record_id from wanted order by 2, 3, 4
        on conflict do nothing returning field_id, record_id),
      released as (
        delete from ${v} using wanted join taken using (field_id, record_id)
        where ${sameOrganization(v)} and ${v.fieldId} = wanted.field_id and ${v.valueHash} = wanted.previous_hash)
      delete from ${r} using wanted where ${ofMerge} and ${r.object} = wanted.object and ${r.property} = wanted.property and ${r.recordId} = wanted.record_id
        and not exists (select from taken where taken.field_id = wanted.field_id and taken.record_id = wanted.record_id)`,
  )

const claimMoves = { merge: moveClaims(toWinner), unmerge: moveClaims(back) }

/** Leads the references that were found to the winner, each record with its event. */
export const moveCustomToWinner = (
  scope: Scope,
  tx: Executor,
  object: string,
  referrers: readonly CustomReferrer[],
  found: readonly CustomReference[],
  parameters: { mergeId: string; winnerId: string },
): Promise<MovedCustom[]> => {
  if (found.length === 0) return Promise.resolve([])
  const busy = referrers.filter(({ type }) => found.some((each) => each.object === type.object))
  const noting = note({ ...scopeParameters(scope), ...parameters, found: JSON.stringify(found) })
  return move(scope, tx, object, busy, toWinner, parameters, [noting])
}

/** Leads back what a merge has moved and nobody has moved since. */
export const moveCustomBack = (
  scope: Scope,
  tx: Executor,
  object: string,
  referrers: readonly CustomReferrer[],
  parameters: { mergeId: string; winnerId: string },
): Promise<MovedCustom[]> =>
  move(
    scope,
    tx,
    object,
    referrers.filter(({ fields }) => fields.length > 0),
    back,
    parameters,
    [],
  )

type MovedCustom = { object: string; property: string; count: number }

async function move(
  scope: Scope,
  tx: Executor,
  object: string,
  referrers: readonly CustomReferrer[],
  way: Way,
  parameters: { mergeId: string; winnerId: string },
  before: ReturnType<typeof note>[],
): Promise<MovedCustom[]> {
  const given = { ...scopeParameters(scope), ...parameters, at: scope.clock().toISOString() }
  const uniqueFields = referrers.flatMap(({ type, fields }) =>
    fields
      .filter(({ unique }) => unique)
      .map((field) => ({ object: type.object, property: propertyOf(field), fieldId: field.id })),
  )
  const moves = referrers.map(({ type, fields }) => {
    const keyed = fields.filter(hasKeys)
    const level = levelOf(scope, type.permission('read'))
    const moving = type.prepared(
      `${way.name} custom ${object} ${keyed.map(({ slot }) => slot).join()} ${level}`,
      () => {
        const visible = level ? within(type.table, level) : sql`false`
        return statement<{ property: string; count: number }>(
          `${type.plural}.${way.name}`,
          moveQuery(type, keyed, way, visible),
        )
      },
    )
    return moving({
      ...given,
      ...Object.fromEntries(keyed.map(({ slot, key }) => [`slotKey${slot}`, key])),
      ...{ eventType: `${type.object}.updated`, eventObject: type.object },
      ...{ eventCause: scope.cause, eventRequestId: scope.requestId },
    })
  })
  const claims =
    uniqueFields.length > 0 ? [claimMoves[way.name]({ ...given, uniqueFields: JSON.stringify(uniqueFields) })] : []
  const answers = await tx.all(...before, ...claims, ...moves)
  const moved = answers.slice(before.length + claims.length) as { property: string; count: number }[][]
  return referrers.flatMap(({ type }, index) =>
    (moved[index] ?? []).filter(({ count }) => count > 0).map((each) => ({ object: type.object, ...each })),
  )
}

/** Fields whose values have keys, or are being given some. */
const hasKeys = (field: Definition): field is Definition & { slot: number } =>
  field.slot !== null && field.indexState !== 'clearing'

function moveQuery(
  type: AnyRecord,
  keyed: readonly { slot: number }[],
  { previous, written }: Way,
  visible: SQL,
): SQL<{ property: string; count: number }> {
  const { table } = type
  const key = sql`substr(${r.property}, ${sql.raw(String(PREFIX.length + 1))})`
  const at = sql`${parameter('at')}::timestamptz`
  const keys = keyed.map(({ slot }) => {
    const column = slotColumn(type, slot)
    const value = sql`patches.patch ->> ${parameter(`slotKey${slot}`)}::text`
    return sql`, ${sql.identifier(column.name)} = case when ${value} is null then ${column} else ${keyOfId(sql`lower(${value})`)} end`
  })
  const event = addEvents({
    id: sql`app.uuid_v7()`,
    changes: sql`jsonb_build_object('customFields', jsonb_build_object('from', written.before, 'to', written.after))`,
    at,
    from: sql`written`,
  })
  // The records are held, so that what is there before the change is what it changes.
  return sql`with patches as materialized (
      select before.id, before.custom_fields as before, jsonb_object_agg(${key}, ${written}) as patch
      from ${r} join ${table} before on before.organization_id = ${r.organizationId} and before.id = ${r.recordId}
      where ${ofMerge} and ${r.object} = ${type.object} and ${r.property} like ${`${PREFIX}%`} and lower(before.custom_fields ->> ${key}) = ${previous}
      group by 1, 2),
    written as (
      update ${table} set custom_fields = patches.before || patches.patch, version = ${table.version} + 1,
        updated_at = ${at}, updated_by_type = 'user', updated_by_id = ${parameter('scopeUserId')}::uuid${sql.join(keys)}
      from patches where ${sameOrganization(table)} and ${table.id} = patches.id
      returning ${table.organizationId}, ${table.id}, ${table.version}, patches.before, ${table.customFields} as after, patches.patch, (${visible}) as visible),
    event as (${event})
    select ${PREFIX}::text || key as property, (count(*) filter (where visible))::integer as count from written, jsonb_object_keys(patch) key group by 1 order by 1`
}
