import { isDeepStrictEqual } from 'node:util'
import { type SQL, sql } from 'drizzle-orm'
import type { AnyPgColumn, PgTable } from 'drizzle-orm/pg-core'
import type { Scope } from '../../context.js'
import type { Executor } from '../../db/database.js'
import { parameter, statement } from '../../db/statement.js'
import { sameOrganization, scopeParameters } from '../scope.js'
import type { CustomField, Definitions } from './definitions.js'
import { crmCustomFieldValues as t } from './table.js'

/** A value of a unique custom field that a record wants for itself. */
export type UniqueValue = { fieldId: string; key: string; folded: boolean; value: unknown }

type Values = Record<string, unknown>

/** E-mail addresses and ids mean the same in either case. */
const isFolded = ({ type }: CustomField): boolean => type === 'email' || type === 'user' || type === 'reference'

/** A value of a field as a record would take it. */
export const uniqueValue = (field: CustomField, value: unknown): UniqueValue => ({
  ...{ fieldId: field.id, key: field.key, folded: isFolded(field) },
  value,
})

const own = (values: Values | undefined, key: string): unknown =>
  values && Object.hasOwn(values, key) ? values[key] : undefined

/** What a change takes and gives up; undefined stands for a record that does not live, before or after it. */
export function uniqueChanges(
  { byKey }: Definitions,
  before: Values | undefined,
  after: Values | undefined,
): { released: string[]; wanted: UniqueValue[] } {
  const changed = [...byKey.values()].filter(
    (field) => field.unique && !isDeepStrictEqual(own(before, field.key), own(after, field.key)),
  )
  return {
    released: changed.filter(({ key }) => own(before, key) !== undefined).map(({ id }) => id),
    wanted: changed.flatMap((field) => {
      const value = own(after, field.key)
      return value === undefined ? [] : [uniqueValue(field, value)]
    }),
  }
}

/** The hash of a text; of a value that is folded, of its lower case. */
export const hashOf = (value: SQL): SQL => sql`encode(sha256(convert_to(${value}, 'UTF8')), 'hex')`

/** The hash of a JSON value; of one that is folded, the same for either case. */
export const uniqueHash = (value: SQL, folded: SQL): SQL =>
  hashOf(sql`case when ${folded} then lower(${value} #>> '{}') else ${value} #>> '{}' end`)

/** The wanted values as rows with their hashes. */
const given = sql`(select w."recordId" as record_id, w."fieldId" as field_id, ${uniqueHash(sql`w.value`, sql`w.folded`)} as value_hash
  from jsonb_to_recordset(${parameter('wanted')}::jsonb) as w ("recordId" uuid, "fieldId" uuid, folded boolean, value jsonb)) wanted`

const release = statement<{ fieldId: string; recordId: string }>(
  'custom_fields.release',
  sql`delete from ${t} where ${sameOrganization(t)} and ${t.recordId} = ${parameter('id')}::uuid and ${t.fieldId} = any(${parameter('released')}::uuid[])`,
)

// In the same order everywhere, so that two writers do not wait for each other.
const take = statement<{ fieldId: string; recordId: string }>(
  'custom_fields.take',
  sql`insert into ${t} (organization_id, field_id, value_hash, record_id)
    select ${parameter('scopeOrganizationId')}::uuid, wanted.field_id, wanted.value_hash, wanted.record_id from ${given} order by 2, 3
    on conflict do nothing returning field_id, record_id`,
)

/** What some records give up and take. */
type Moves = ReadonlyMap<string, ReturnType<typeof uniqueChanges>>

/** Moves unique values, within the transaction that changes the records; answers with those that others have. */
export async function moveUnique(
  scope: Scope,
  tx: Executor,
  moves: Moves,
): Promise<(UniqueValue & { recordId: string })[]> {
  const parameters = scopeParameters(scope)
  const releases = [...moves].filter(([, { released }]) => released.length > 0)
  const wanted = [...moves].flatMap(([recordId, move]) => move.wanted.map((value) => ({ recordId, ...value })))
  const answers = await tx.all(
    ...releases.map(([id, { released }]) => release({ ...parameters, id, released: `{${released.join(',')}}` })),
    ...(wanted.length > 0 ? [take({ ...parameters, wanted: JSON.stringify(wanted) })] : []),
  )
  const got = new Set((answers.at(-1) ?? []).map((row) => `${row.recordId} ${row.fieldId}`))
  return wanted.filter(({ recordId, fieldId }) => !got.has(`${recordId} ${fieldId}`))
}

type RecordColumns = { organizationId: AnyPgColumn; id: AnyPgColumn }

/** Compiles the look-up of the records that have some values, and of whether the caller sees them. */
export const compileHolders = (name: string, table: PgTable & RecordColumns, visible: SQL) =>
  statement<{ fieldId: string; id: string; visible: boolean }>(
    name,
    sql`select ${t.fieldId}, ${table.id}, (${visible}) as visible from ${given}
      join ${t} on ${t.fieldId} = wanted.field_id and ${t.valueHash} = wanted.value_hash
      join ${table} on ${table.organizationId} = ${t.organizationId} and ${table.id} = ${t.recordId}
      where ${sameOrganization(t)} and ${sameOrganization(table)}`,
  )

/**
 * Compiles what makes a field unique: it takes down who has which value, and answers with the records whose value another one has.
 * The field's own id, key and folding are parameters.
 */
export function compileEnforcement(
  name: string,
  table: PgTable & RecordColumns & { deletedAt: AnyPgColumn; customFields: AnyPgColumn },
  visible: SQL,
) {
  const value = sql`${table.customFields} -> ${parameter('key')}::text`
  const text = sql`(${value}) #>> '{}'`
  const hash = hashOf(sql`case when ${parameter('folded')}::boolean then lower(${text}) else ${text} end`)
  return statement<{ id: string; visible: boolean }>(
    name,
    sql`with had as materialized (
        select ${table.id} as record_id, ${hash} as value_hash, (${visible}) as visible from ${table}
        where ${sameOrganization(table)} and ${table.deletedAt} is null and ${value} is not null),
      taken as (
        insert into ${t} (organization_id, field_id, value_hash, record_id)
        select ${parameter('scopeOrganizationId')}::uuid, ${parameter('fieldId')}::uuid, value_hash, record_id from had
        on conflict do nothing returning record_id)
      select record_id as id, visible from had where record_id not in (select record_id from taken) order by record_id limit 100`,
  )
}

/** What `compileEnforcement` has to know of a field. */
export const enforcementOf = (field: CustomField) => ({ fieldId: field.id, key: field.key, folded: isFolded(field) })

const forget = statement(
  'custom_fields.forget',
  sql`delete from ${t} where ${sameOrganization(t)} and ${t.fieldId} = ${parameter('fieldId')}::uuid`,
)

/** Lets records share the values of a field again. */
export const forgetUnique = (scope: Scope, tx: Executor, fieldId: string) =>
  tx.run(forget({ ...scopeParameters(scope), fieldId }))
