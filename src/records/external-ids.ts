import { type SQL, sql } from 'drizzle-orm'
import type { AnyPgColumn, PgTable } from 'drizzle-orm/pg-core'
import { mostItems } from '../../generated/limits.js'
import type { components } from '../../generated/types.js'
import type { Scope } from '../context.js'
import type { Executor } from '../db/database.js'
import { parameter, statement } from '../db/statement.js'
import { InvalidRequest } from '../problem.js'
import { getBy } from './read.js'
import type { RecordMeta, RecordType } from './record-type.js'
import { sameOrganization, scopeParameters } from './scope.js'
import { crmExternalIds as t } from './table.js'

export type ExternalId = components['schemas']['ExternalId']

/** Whether an id is this one. */
export const isSame = (a: ExternalId) => (b: ExternalId) => a.system === b.system && a.externalId === b.externalId

/** Tells where an id stands in a record that names these. */
export const pointerAmong =
  (given: readonly ExternalId[] = []) =>
  (id: ExternalId): string =>
    `/externalIds/${given.findIndex(isSame(id))}`

/**
 * The ids of a record and others.
 * @throws InvalidRequest when they are too many
 */
export function withExternalIds(own: readonly ExternalId[] = [], more: readonly ExternalId[] = []): ExternalId[] {
  const all = [...own, ...more.filter((id) => !own.some(isSame(id)))]
  if (all.length > mostItems.ExternalIds) {
    const message = `must be at most ${mostItems.ExternalIds}`
    throw new InvalidRequest({ pointer: '/externalIds', code: 'max_items', message })
  }
  return all
}

/** What a change of a record's ids gives up and takes; undefined stands for a record that does not live, before or after it. */
export function externalIdChanges(
  before: readonly ExternalId[] = [],
  after: readonly ExternalId[] = [],
): { released: ExternalId[]; wanted: ExternalId[] } {
  return {
    released: before.filter((id) => !after.some(isSame(id))),
    wanted: after.filter((id) => !before.some(isSame(id))),
  }
}

/** Ids that travel as one JSON text; of those that a record takes, with the record. */
const given = (name: string): SQL =>
  sql`jsonb_to_recordset(${parameter(name)}::jsonb) as given ("recordId" uuid, system text, "externalId" text)`

const ofObject = sql`${sameOrganization(t)} and ${t.object} = ${parameter('object')}::text`

const release = statement<ExternalId & { recordId: string }>(
  'external_ids.release',
  sql`delete from ${t} where ${ofObject} and ${t.recordId} = ${parameter('id')}::uuid
    and (${t.system}, ${t.externalId}) in (select given.system, given."externalId" from ${given('released')})`,
)

// In the same order everywhere, so that two writers do not wait for each other.
const take = statement<ExternalId & { recordId: string }>(
  'external_ids.take',
  sql`insert into ${t} (organization_id, object, system, external_id, record_id)
    select ${parameter('scopeOrganizationId')}::uuid, ${parameter('object')}::text, given.system, given."externalId", given."recordId"
    from ${given('wanted')} order by 3, 4 on conflict do nothing returning system, external_id, record_id`,
)

/** What some records give up and take. */
type Moves = ReadonlyMap<string, ReturnType<typeof externalIdChanges>>

/** Moves ids, within the transaction that changes the records; answers with those that others of the kind have. */
export async function moveExternalIds(
  scope: Scope,
  tx: Executor,
  object: string,
  moves: Moves,
): Promise<(ExternalId & { recordId: string })[]> {
  const parameters = { ...scopeParameters(scope), object }
  const releases = [...moves].filter(([, { released }]) => released.length > 0)
  const wanted = [...moves].flatMap(([recordId, move]) => move.wanted.map((id) => ({ recordId, ...id })))
  const answers = await tx.all(
    ...releases.map(([id, { released }]) => release({ ...parameters, id, released: JSON.stringify(released) })),
    ...(wanted.length > 0 ? [take({ ...parameters, wanted: JSON.stringify(wanted) })] : []),
  )
  const got = answers.at(-1) ?? []
  return wanted.filter((id) => !got.some((row) => row.recordId === id.recordId && isSame(id)(row)))
}

/** The id of the record that has an external id, as a part of a statement with `object`, `system` and `externalId`. */
export const holderOf = (system: SQL, externalId: SQL): SQL =>
  sql`(select ${t.recordId} from ${t} where ${ofObject} and ${t.system} = ${system} and ${t.externalId} = ${externalId})`

type RecordColumns = { organizationId: AnyPgColumn; id: AnyPgColumn }

/** Compiles the look-up of the records that have some ids, and of whether the caller sees them. */
export const compileIdHolders = (name: string, table: PgTable & RecordColumns, visible: SQL) =>
  statement<ExternalId & { id: string; visible: boolean }>(
    name,
    sql`select ${t.system}, ${t.externalId}, ${table.id}, (${visible}) as visible from ${given('wanted')}
      join ${t} on ${t.system} = given.system and ${t.externalId} = given."externalId"
      join ${table} on ${table.organizationId} = ${t.organizationId} and ${table.id} = ${t.recordId}
      where ${ofObject} and ${sameOrganization(table)}`,
  )

/** The live record that has an external id, or 304 when the caller has its version already. */
export const getByExternalId = <Resource extends RecordMeta>(
  scope: Scope,
  type: RecordType<Resource>,
  { system, externalId }: ExternalId,
  ifNoneMatch?: string,
) =>
  getBy(
    scope,
    type,
    {
      name: 'get_by_external_id',
      condition: sql`${type.id} = ${holderOf(sql`${parameter('system')}::text`, sql`${parameter('externalId')}::text`)}`,
      values: { object: type.object, system, externalId },
    },
    ifNoneMatch,
  )
