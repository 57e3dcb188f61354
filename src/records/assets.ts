import { type SQL, sql } from 'drizzle-orm'
import type { AnyPgColumn, PgTable } from 'drizzle-orm/pg-core'
import postgres from 'postgres'
import { v7 as uuidv7 } from 'uuid'
import type { Level, Permission } from '../../generated/operations.js'
import type { components } from '../../generated/types.js'
import type { Scope } from '../context.js'
import type { Executor } from '../db/database.js'
import { parameter, statement } from '../db/statement.js'
import { Forbidden, problem } from '../problem.js'
import { etagOf, ifMatchHolds } from './conditional.js'
import { column, type Field, instantField, type Row, reference } from './fields.js'

import { actor, columnsOf, defineReadable, keysOf, member, type Readable, sortBy } from './record-type.js'
import { assertReferences, type References, referenceParameters, references } from './references.js'
import { requireLevel, sameOrganization, scopeParameters } from './scope.js'
import type { assetColumns } from './table.js'
import { changesBetween, eventParameters, type Written, withEvent } from './write.js'

/** The properties that every asset has. */
type AssetMeta = Pick<
  components['schemas']['AccountView'],
  'id' | 'version' | 'ownerId' | 'name' | 'createdAt' | 'createdBy' | 'updatedAt' | 'updatedBy'
>

type AssetTable = PgTable & Record<keyof ReturnType<typeof assetColumns>, AnyPgColumn>

type AssetDefinition<Resource> = {
  /** The singular name, as in event types. */
  object: string
  plural: Readable<Resource>['plural']
  /** The path of the collection. */
  path: string
  manage: Permission
  table: AssetTable
  fields: { [Name in Exclude<keyof Resource, keyof AssetMeta>]: Field<Resource[Name]> }
  /** How many of them a user may own. */
  most: number
  visible(level: Level): SQL
  /** Whether a permission of this level lets the caller change what somebody else owns. */
  mayManage(scope: Scope, level: Level, asset: Resource): boolean
}

/**
 * What users keep beside records, such as saved views: it has an owner and a version, every change leaves an event, and what is
 * deleted is gone.
 */
export type Asset<Resource> = Readable<Resource, 'name' | 'createdAt' | 'updatedAt'> &
  Pick<AssetDefinition<Resource>, 'object' | 'path' | 'manage' | 'table' | 'most' | 'mayManage'>

/** Declares a kind of asset. */
export const defineAsset =
  <Resource extends AssetMeta>() =>
  (definition: AssetDefinition<Resource>): Asset<Resource> => {
    const { table: t, fields, plural, visible } = definition
    const [name, createdAt, updatedAt] = [t.name, t.createdAt, t.updatedAt]
    const meta = {
      id: column(t.id),
      version: column(t.version),
      ownerId: reference(t.ownerId, member),
      createdAt: instantField(createdAt),
      createdBy: actor(t.createdByType, t.createdById),
      updatedAt: instantField(updatedAt),
      updatedBy: actor(t.updatedByType, t.updatedById),
      name: column(name),
    }
    const readable = defineReadable<Resource>()({
      plural,
      from: sql`${t}`,
      id: t.id,
      visible,
      sorts: { name: sortBy(name), createdAt: sortBy(createdAt), updatedAt: sortBy(updatedAt) },
      fields: { ...meta, ...fields } as unknown as Parameters<ReturnType<typeof defineReadable<Resource>>>[0]['fields'],
    })
    return { ...readable, ...definition, fields: readable.fields }
  }

/** Adds an asset of the caller, with its event; undefined when they own as many as they may. */
export async function createAsset<Resource extends AssetMeta>(
  scope: Scope,
  asset: Asset<Resource>,
  given: Omit<Resource, Exclude<keyof AssetMeta, 'name'>>,
) {
  const at = scope.clock().toISOString()
  const by = { type: 'user' as const, id: scope.principal.userId }
  const meta = { id: uuidv7(), version: 1, ownerId: by.id, createdAt: at, createdBy: by, updatedAt: at, updatedBy: by }
  const created = { ...given, ...meta } as unknown as Resource
  const pointed = references(scope, asset)
  const insert = asset.prepared(`create ${pointed.shape}`, () =>
    statement<Written>(`${asset.plural}.create`, insertQuery(asset, pointed)),
  )
  const row = rowOf(asset, created)
  const [written] = await scope.db.run(
    insert({
      ...scopeParameters(scope),
      ...referenceParameters(pointed, row),
      ...eventParameters(scope, asset, 'created', created, changesBetween(asset, undefined, created)),
      row: jsonOf(scope, row),
      most: asset.most,
    }),
  )
  assertReferences(pointed, written ?? {})
  if (!written?.written) return undefined
  const headers = { ETag: etagOf(created), Location: `${asset.path}/${created.id}` }
  return { status: 201 as const, headers, body: created }
}

/**
 * Changes an asset, with its event, in one transaction that holds the row; what stays the same leaves version and events alone.
 * @throws Forbidden when the caller sees it, but may not change it
 */
export async function changeAsset<Resource extends AssetMeta>(
  scope: Scope,
  asset: Asset<Resource>,
  id: string,
  ifMatch: string | undefined,
  edit: (tx: Executor, before: Resource, level: Level) => Promise<Resource>,
) {
  return withAsset(scope, asset, id, async (tx, before, level) => {
    if (!ifMatchHolds(ifMatch, before.version)) return problem(412, 'version_mismatch')
    const after = await edit(tx, before, level)
    const changes = changesBetween(asset, before, after)
    if (Object.keys(changes).length > 0) {
      after.version = before.version + 1
      after.updatedAt = scope.clock().toISOString()
      after.updatedBy = { type: 'user', id: scope.principal.userId }
      await saveAsset(scope, tx, asset, after, changes)
    }
    return { status: 200 as const, headers: { ETag: etagOf(after) }, body: after }
  })
}

async function saveAsset<Resource extends AssetMeta>(
  scope: Scope,
  tx: Executor,
  asset: Asset<Resource>,
  after: Resource,
  changes: ReturnType<typeof changesBetween>,
): Promise<void> {
  const pointed = references(scope, asset)
  const row = rowOf(asset, after)
  const moved = Object.fromEntries(pointed.names.map((name) => [name, name in changes ? row[name] : null]))
  const update = asset.prepared(`update ${pointed.shape}`, () =>
    statement<Written>(`${asset.plural}.update`, updateQuery(asset, pointed)),
  )
  const [written] = await tx.run(
    update({
      ...scopeParameters(scope),
      ...referenceParameters(pointed, moved),
      ...eventParameters(scope, asset, 'updated', after, changes),
      id: after.id,
      row: jsonOf(scope, row),
    }),
  )
  assertReferences(pointed, written ?? {})
  if (!written?.written) throw new Error(`${asset.object} ${after.id} was not written`)
}

/**
 * Deletes an asset for good; its event stays.
 * @throws Forbidden when the caller sees it, but may not change it
 */
export async function removeAsset<Resource extends AssetMeta>(
  scope: Scope,
  asset: Asset<Resource>,
  id: string,
  ifMatch: string | undefined,
) {
  return withAsset(scope, asset, id, async (tx, before) => {
    if (!ifMatchHolds(ifMatch, before.version)) return problem(412, 'version_mismatch')
    const remove = asset.prepared('delete', () =>
      statement<Written>(
        `${asset.plural}.delete`,
        withEvent(
          { names: [], checks: () => [] },
          sql`delete from ${asset.table} where ${isIt(asset)} returning organization_id, id, version + 1 as version`,
        ),
      ),
    )
    const gone = { ...before, updatedAt: scope.clock().toISOString() }
    await tx.run(remove({ ...scopeParameters(scope), ...eventParameters(scope, asset, 'deleted', gone, {}), id }))
    return { status: 204 as const }
  })
}

/**
 * Does something to an asset that the caller may change, in a transaction that holds its row.
 * @throws Forbidden when the caller sees it, but may not change it
 */
export async function withAsset<Resource extends AssetMeta, Result>(
  scope: Scope,
  asset: Asset<Resource>,
  id: string,
  work: (tx: Executor, before: Resource, level: Level) => Promise<Result>,
) {
  const level = requireLevel(scope, asset.manage)
  const visible = requireLevel(scope, `${asset.plural}:read`)
  const find = asset.prepared(`lock ${visible}`, () =>
    statement<Row>(
      `${asset.plural}.lock`,
      sql`select ${columnsOf(asset)} from ${asset.table} where ${asset.visible(visible)} and ${isIt(asset)} for no key update`,
      { columns: keysOf(asset) },
    ),
  )
  return scope.db.transaction(async (tx) => {
    const [row] = await tx.run(find({ ...scopeParameters(scope), id }))
    if (!row) return problem(404, 'not_found')
    const before = asset.toResource(row)
    const isOwn = before.ownerId === scope.principal.userId
    if (!isOwn && !asset.mayManage(scope, level, before)) throw new Forbidden(`${asset.manage} does not reach this one`)
    return work(tx, before, level)
  })
}

const isIt = ({ table }: Pick<Asset<unknown>, 'table'>): SQL =>
  sql`${sameOrganization(table)} and ${table.id} = ${parameter('id')}`

function rowOf<Resource extends AssetMeta>(asset: Asset<Resource>, resource: Resource): Row {
  const row: Row = {}
  for (const [name, { write }] of Object.entries(asset.fields)) write(resource[name as keyof Resource], row, `/${name}`)
  return row
}

/** The row as PostgreSQL reads one from JSON. */
function jsonOf({ principal }: Scope, row: Row): string {
  const columns = Object.entries(row).map(([name, value]) => [postgres.fromCamel(name), value])
  return JSON.stringify({ ...Object.fromEntries(columns), organization_id: principal.organizationId })
}

const given = (table: PgTable): SQL => sql`jsonb_populate_record(null::${table}, ${parameter('row')}::jsonb)`

const hold = ({ names }: Pick<References, 'names'>): SQL =>
  sql.join([sql`true`, ...names.map((name) => sql`pointed.${sql.identifier(name)}`)], sql` and `)

function insertQuery<Resource>({ table }: Asset<Resource>, pointed: References): SQL<Written> {
  const own = sql`select from ${table} where ${sameOrganization(table)} and ${table.ownerId} = ${parameter('scopeUserId')}`
  return withEvent(
    pointed,
    sql`insert into ${table} select given.* from pointed, ${given(table)} given
      where ${hold(pointed)} and (select count(*) from (${own}) own) < ${parameter('most')}::integer
      returning organization_id, id, version`,
  )
}

function updateQuery<Resource>(asset: Asset<Resource>, pointed: References): SQL<Written> {
  const { table } = asset
  const assignments = asset.columns
    .filter(({ name }) => name !== 'id')
    .map(({ name }) => sql`${sql.identifier(name)} = given.${sql.identifier(name)}`)
  return withEvent(
    pointed,
    sql`update ${table} set ${sql.join(assignments, sql`, `)} from pointed, ${given(table)} given
      where ${isIt(asset)} and ${hold(pointed)} returning ${table.organizationId}, ${table.id}, ${table.version}`,
  )
}
