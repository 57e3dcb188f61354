import { isDeepStrictEqual } from 'node:util'
import { type SQL, sql } from 'drizzle-orm'
import type { PgColumn } from 'drizzle-orm/pg-core'
import { v7 as uuidv7 } from 'uuid'
import type { Level, Permission } from '../../generated/operations.js'
import type { Scope } from '../context.js'
import type { Executor } from '../db/database.js'
import { violatedUnique } from '../db/errors.js'
import { parameter, statement } from '../db/statement.js'
import { type Conflict, Forbidden, problem } from '../problem.js'
import { type Claims, claimsOf, isIdle, settle, type Taken } from './claims.js'
import { etagOf, ifMatchHolds } from './conditional.js'
import { assertChangedValues, assertVisible, newValues } from './custom-fields/apply.js'
import { byDefinitions, type Definitions, OUTDATED } from './custom-fields/definitions.js'
import { putKeys } from './custom-fields/key.js'
import { compileHolders } from './custom-fields/unique.js'
import { assertCustomFields } from './custom-fields.js'
import { compileIdHolders, type ExternalId, isSame, pointerAmong } from './external-ids.js'
import { keyOf, type Row } from './fields.js'
import { holdQuery } from './hold.js'
import { mergePatch } from './merge-patch.js'
import type { Only } from './only.js'
import { columnsOf, keysOf, type Readable, type RecordMeta, type RecordType } from './record-type.js'
import { assertReferences, type References, referenceParameters, references } from './references.js'
import { reaches, requireLevel, sameOrganization, scopeParameters, within } from './scope.js'
import { crmEvents } from './table.js'

/** A record as a caller may send it: the writable properties only. */
export type Input<Resource> = { [Name in keyof Resource]?: Resource[Name] | undefined }

const duplicate = (pointers: readonly string[], conflicts: Conflict[]) =>
  problem(409, 'duplicate_value', {
    errors: pointers.map((pointer) => ({ pointer, code: 'duplicate_value', message: 'must be unique' })),
    ...(conflicts.length > 0 && { conflicts }),
  })

const NOTHING: Taken = { customFields: [], externalIds: [] }

/** Thrown inside a change whose record would take a value that another live record has. */
export class DuplicateValue extends Error {
  override name = 'DuplicateValue'
  readonly type: RecordType<RecordMeta>
  readonly row: Row
  /** What is in the way beside columns. */
  readonly taken: Taken

  constructor(type: RecordType<RecordMeta>, row: Row, taken: Taken = NOTHING) {
    super(`duplicate value in ${type.plural}`)
    this.type = type
    this.row = row
    this.taken = taken
  }
}

/** Creates a record, with its event, in one statement. */
export async function create<Resource extends RecordMeta, Body extends Input<Resource>>(
  scope: Scope,
  type: RecordType<Resource>,
  input: Only<Body, Resource>,
) {
  return orDuplicate(scope, async () => {
    const record = type.resolve
      ? await scope.db.transaction((tx) => insert(scope, tx, type, input))
      : await insert(scope, scope.db, type, input)
    return created(type, record)
  })
}

/** Answers with a 409 where a change would take what another live record has. */
async function orDuplicate<Reply>(scope: Scope, act: () => Promise<Reply>) {
  try {
    return await act()
  } catch (error) {
    if (error instanceof DuplicateValue) return await describeDuplicate(scope, error)
    throw error
  }
}

/** The reply for a record that was created. */
export const created = <Resource extends RecordMeta>(
  { path }: Pick<RecordType<Resource>, 'path'>,
  record: Resource,
) => ({
  status: 201 as const,
  headers: { ETag: etagOf(record), Location: `${path}/${record.id}` },
  body: record,
})

/**
 * The part of `create` that works inside a transaction of the caller.
 * @throws DuplicateValue, InvalidRequest
 */
export async function insert<Resource extends RecordMeta>(
  scope: Scope,
  db: Executor,
  type: RecordType<Resource>,
  input: Input<Resource>,
): Promise<Resource> {
  return byDefinitions(scope, db, type.object, async (definitions) => {
    const record = await prepareInsert(scope, db, type, definitions, input)
    if (isIdle(record.claims)) return store(scope, db, type, definitions, record)
    return db.transaction(async (tx) => {
      const stored = await store(scope, tx, type, definitions, record)
      if (stored !== OUTDATED) await settleOne(scope, tx, type, stored, record.claims)
      return stored
    })
  })
}

async function store<Resource extends RecordMeta>(
  scope: Scope,
  db: Executor,
  type: RecordType<Resource>,
  definitions: Definitions,
  { stored, row, changes }: NewRecord<Resource>,
): Promise<Resource | typeof OUTDATED> {
  const pointed = references(scope, type)
  const write = type.prepared(`insert ${pointed.shape}`, () =>
    statement<Written>(`${type.plural}.create`, insertQuery(type, pointed)),
  )
  const [written] = await db.run(
    write(
      Object.assign(
        rowParameters(type, row),
        scopeParameters(scope),
        referenceParameters(pointed, row),
        eventParameters(scope, type, 'created', stored, changes),
        { definitions: definitions.revision },
      ),
    ),
  )
  if (written?.current === false) return OUTDATED
  assertReferences(pointed, written ?? {})
  if (!written?.written) throw new DuplicateValue(type as unknown as RecordType<RecordMeta>, row)
  return stored
}

/** A new record that was not stored yet: as the contract shows it, its row, and what its event tells. */
export type NewRecord<Resource> = {
  stored: Resource
  row: Row
  changes: Changes
  claims: Claims
}

/**
 * The part of `insert` that comes before the write.
 * @throws Forbidden, InvalidRequest
 */
export async function prepareInsert<Resource extends RecordMeta>(
  scope: Scope,
  db: Executor,
  type: RecordType<Resource>,
  definitions: Definitions,
  input: Input<Resource>,
): Promise<NewRecord<Resource>> {
  requireLevel(scope, type.permission('create'))
  return draft(scope, db, type, definitions, input)
}

/**
 * The part of `prepareInsert` that does not ask whether the caller may create a record.
 * @throws InvalidRequest
 */
export async function draft<Resource extends RecordMeta>(
  scope: Scope,
  db: Executor,
  type: RecordType<Resource>,
  definitions: Definitions,
  input: Input<Resource>,
): Promise<NewRecord<Resource>> {
  const now = scope.clock().toISOString()
  const actor = { type: 'user' as const, id: scope.principal.userId }
  const given = Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined))
  const initial = { ownerId: scope.principal.userId, tags: [], customFields: {} }
  const meta = { id: uuidv7(), version: 1, createdAt: now, createdBy: actor, updatedAt: now, updatedBy: actor }
  // Not by spreading, here and below: with so many properties that takes twenty times as long.
  const record = Object.assign({}, type.blank, initial, type.defaults, given, meta) as unknown as Resource
  await derive(scope, db, type, record, undefined)
  record.customFields = newValues(definitions, record.customFields)
  await assertVisible(scope, db, definitions, {}, record.customFields)
  assertCustomFields(record.customFields)
  const row = type.toRow(record)
  putKeys(row, type.custom.slots, definitions, record.customFields)
  const stored = type.toResource(row)
  const claims = claimsOf(definitions, undefined, stored)
  return { stored, row, changes: changesBetween(type, undefined, stored), claims }
}

/** Applies a merge patch (RFC 7396). A patch that changes nothing leaves the version and the events alone. */
export const update = <Resource extends RecordMeta, Patch extends Input<Resource>>(
  scope: Scope,
  type: RecordType<Resource>,
  id: string,
  patch: Only<Patch, Resource>,
  ifMatch?: string,
) => orDuplicate(scope, () => edit(scope, type, id, ifMatch, (before) => mergePatch(before, patch)))

/**
 * Changes a record as `next` says, which sees it as it is while it is held.
 * @throws DuplicateValue, InvalidRequest
 */
export const edit = <Resource extends RecordMeta>(
  scope: Scope,
  type: RecordType<Resource>,
  id: string,
  ifMatch: string | undefined,
  next: (before: Resource) => Resource,
) => change(scope, type, { id, ifMatch, permission: type.permission('update'), event: 'updated' }, next)

/** Moves a record to the recycle bin. */
export async function remove<Resource extends RecordMeta>(
  scope: Scope,
  type: RecordType<Resource>,
  id: string,
  ifMatch?: string,
) {
  const reply = await change(
    scope,
    type,
    { id, ifMatch, permission: type.permission('delete'), event: 'deleted' },
    (before) => ({
      ...before,
      deletedAt: scope.clock().toISOString(),
    }),
  )
  return reply.status === 200 ? { status: 204 as const } : reply
}

/** Brings a record back from the recycle bin; a live one stays as it is. */
export const restore = <Resource extends RecordMeta>(
  scope: Scope,
  type: RecordType<Resource>,
  id: string,
  ifMatch?: string,
) =>
  orDuplicate(scope, () =>
    change(
      scope,
      type,
      { id, ifMatch, permission: type.permission('delete'), event: 'restored', deleted: true },
      (before) => ({
        ...before,
        deletedAt: null,
      }),
    ),
  )

type Change = {
  id: string
  ifMatch?: string | undefined
  permission: Permission
  /** The verb of the event type. */
  event: string
  /** Also reaches records in the recycle bin. */
  deleted?: boolean
}

/** Reads a record, edits it and writes it back with its event, in one transaction that holds the row. */
async function change<Resource extends RecordMeta>(
  scope: Scope,
  type: RecordType<Resource>,
  wanted: Change,
  edit: (before: Resource) => Resource,
) {
  return scope.db.transaction(async (tx) => {
    const before = await lock(scope, tx, type, wanted)
    if (!before) return problem(404, 'not_found')
    if (!ifMatchHolds(wanted.ifMatch, before.version)) return problem(412, 'version_mismatch')
    const after = await save(scope, tx, type, wanted.event, before, edit(before))
    return { status: 200 as const, headers: { ETag: etagOf(after) }, body: after }
  })
}

/**
 * The record as it is now, held against other writers until the transaction ends; undefined when the caller cannot see it.
 * @throws Forbidden when the caller sees it, but the permission does not reach it
 */
export async function lock<Resource extends RecordMeta>(
  scope: Scope,
  tx: Executor,
  type: RecordType<Resource>,
  { id, permission, deleted = false }: Pick<Change, 'id' | 'permission' | 'deleted'>,
): Promise<Resource | undefined> {
  const allowed: Level = requireLevel(scope, permission)
  const visible = requireLevel(scope, type.permission('read'))
  const find = type.prepared(`lock ${visible} ${deleted}`, () => {
    const live = deleted ? sql`true` : sql`deleted_at is null`
    return statement<Row>(
      `${type.plural}.lock`,
      holdQuery(type, columnsOf(type), sql`${within(type.table, visible)} and id = ${parameter('id')} and ${live}`),
      { columns: keysOf(type) },
    )
  })
  const [row] = await tx.run(find({ ...scopeParameters(scope), id }))
  if (!row) return undefined
  const record = type.toResource(row)
  if (!reaches(scope, allowed, record)) throw new Forbidden(`${permission} does not reach this record`)
  return record
}

/**
 * Writes an edited record and its event in one statement; answers with what is stored then.
 * @throws DuplicateValue, InvalidRequest
 */
export async function save<Resource extends RecordMeta>(
  scope: Scope,
  tx: Executor,
  type: RecordType<Resource>,
  event: string,
  before: Resource,
  edited: Resource,
): Promise<Resource> {
  const next = { ...edited }
  await derive(scope, tx, type, next, before)
  return byDefinitions(scope, tx, type.object, async (definitions) => {
    assertChangedValues(definitions, before.customFields, next.customFields)
    await assertVisible(scope, tx, definitions, before.customFields, next.customFields)
    const stored = await saveBy(scope, tx, type, event, definitions, before, next)
    if (stored === OUTDATED) return stored
    await settleOne(scope, tx, type, stored, claimsOf(definitions, before, stored))
    return stored
  })
}

/**
 * Like `save`, for values that this record or another one has, or had, already: neither a rule that came later nor a reference that
 * the caller cannot see stands in the way, and nothing but `compute` follows from them.
 * @throws DuplicateValue, InvalidRequest
 */
export async function saveHeld<Resource extends RecordMeta>(
  scope: Scope,
  tx: Executor,
  type: RecordType<Resource>,
  event: string,
  before: Resource,
  edited: Resource,
): Promise<Resource> {
  const next = type.compute ? { ...edited, ...type.compute(edited) } : { ...edited }
  return byDefinitions(scope, tx, type.object, async (definitions) => {
    const stored = await saveBy(scope, tx, type, event, definitions, before, next, 'held')
    if (stored === OUTDATED) return stored
    await settleOne(scope, tx, type, stored, claimsOf(definitions, before, stored))
    return stored
  })
}

/** @throws DuplicateValue when another live record has something of it; nothing of the change may then stay */
async function settleOne<Resource extends RecordMeta>(
  scope: Scope,
  tx: Executor,
  type: RecordType<Resource>,
  record: Resource,
  claims: Claims,
): Promise<void> {
  const taken = (await settle(scope, tx, type.object, new Map([[record.id, claims]]))).get(record.id)
  if (taken) throw new DuplicateValue(type as unknown as RecordType<RecordMeta>, type.toRow(record), taken)
}

async function saveBy<Resource extends RecordMeta>(
  scope: Scope,
  tx: Executor,
  type: RecordType<Resource>,
  event: string,
  definitions: Definitions,
  before: Resource,
  next: Resource,
  values: 'new' | 'held' = 'new',
): Promise<Resource | typeof OUTDATED> {
  const changes = changesBetween(type, before, type.toResource(type.toRow(next)))
  if (changes.customFields) assertCustomFields(next.customFields)
  if (Object.keys(changes).length === 0 && next.deletedAt === before.deletedAt) return before
  next.version = before.version + 1
  next.updatedAt = scope.clock().toISOString()
  next.updatedBy = { type: 'user', id: scope.principal.userId }
  const row = type.toRow(next)
  putKeys(row, type.custom.slots, definitions, next.customFields)
  const stored = type.toResource(row)

  const pointed = references(scope, type)
  // A reference that stays is not checked again: its target may have been deleted since.
  const moved = Object.fromEntries(
    pointed.names.map((name) => [name, values === 'new' && name in changes ? row[name] : null]),
  )
  const write = type.prepared(`update ${pointed.shape}`, () =>
    statement<Written>(`${type.plural}.update`, updateQuery(type, pointed)),
  )
  const bound = write(
    Object.assign(
      rowParameters(type, row),
      scopeParameters(scope),
      referenceParameters(pointed, moved),
      eventParameters(scope, type, event, stored, changes),
      { definitions: definitions.revision },
    ),
  )
  try {
    const [written] = await tx.run(bound)
    if (written?.current === false) return OUTDATED
    assertReferences(pointed, written ?? {})
    if (!written?.written) throw new Error(`${type.object} ${stored.id} was not written`)
    return stored
  } catch (error) {
    if (violatedUnique(error)) throw new DuplicateValue(type as unknown as RecordType<RecordMeta>, row)
    throw error
  }
}

async function derive<Resource extends RecordMeta>(
  scope: Scope,
  db: Executor,
  type: RecordType<Resource>,
  next: Resource,
  before: Resource | undefined,
): Promise<void> {
  if (type.resolve) Object.assign(next, await type.resolve(db, scope, next, before))
  if (type.compute) Object.assign(next, type.compute(next))
}

export type Changes = Record<string, { from: unknown; to: unknown }>

/** The properties that no event tells as a change. */
export const BOOKKEEPING: ReadonlySet<string> = new Set([
  'id',
  'version',
  'createdAt',
  'createdBy',
  'updatedAt',
  'updatedBy',
  'deletedAt',
])

/** What differs, property by property; of a new record, what it has. */
export function changesBetween<Resource extends object>(
  type: Pick<Readable<Resource>, 'fields'>,
  before: Resource | undefined,
  after: Resource,
): Changes {
  const changes: Changes = {}
  for (const name of Object.keys(type.fields)) {
    if (BOOKKEEPING.has(name)) continue
    const from = before?.[name as keyof Resource] ?? null
    const to = after[name as keyof Resource] ?? null
    if (from === to) continue
    if (from === null || to === null || !isDeepStrictEqual(from, to)) changes[name] = { from, to }
  }
  return changes
}

export type Written = { written: boolean } & Record<string, boolean>

const typed = (column: PgColumn): SQL => sql`${parameter(keyOf(column))}::${sql.raw(column.getSQLType())}`

/** The values of a row as the driver wants them; JSON null is kept apart from SQL null. */
function rowParameters({ parameters }: RecordType<RecordMeta>, row: Row): Record<string, unknown> {
  const values: Record<string, unknown> = {}
  for (const { key, isJson } of parameters) {
    const value = row[key] ?? null
    values[key] = isJson && value !== null ? JSON.stringify(value) : value
  }
  return values
}

function insertQuery(type: RecordType<RecordMeta>, references: References): SQL<Written> {
  const pointed = withDefinitions(references)
  const names = sql.join([sql`organization_id`, ...type.written.map((column) => sql.identifier(column.name))], sql`, `)
  const values = sql.join([sql`${parameter('scopeOrganizationId')}::uuid`, ...type.written.map(typed)], sql`, `)
  return withEvent(
    pointed,
    sql`insert into ${type.table} (${names}) select ${values} from pointed where ${allOf(pointed)} on conflict do nothing returning organization_id, id, version`,
  )
}

function updateQuery(type: RecordType<RecordMeta>, references: References): SQL<Written> {
  const pointed = withDefinitions(references)
  const assignments = type.written
    .filter((column) => !['id', 'created_at', 'created_by_type', 'created_by_id'].includes(column.name))
    .map((column) => sql`${sql.identifier(column.name)} = ${typed(column)}`)
  return withEvent(
    pointed,
    sql`update ${type.table} set ${sql.join(assignments, sql`, `)} from pointed where ${sameOrganization(type.table)} and ${type.table.id} = ${parameter('id')} and ${allOf(pointed)} returning ${type.table.organizationId}, ${type.table.id}, ${type.table.version}`,
  )
}

const allOf = ({ names }: Checks): SQL =>
  sql.join(
    names.map((name) => sql`pointed.${sql.identifier(name)}`),
    sql` and `,
  )

type Checks = Pick<References, 'names' | 'checks'>

/** Whether the custom fields are still defined as the values were checked; no definition changes until the write is done. */
export const definitionsAreCurrent = () =>
  sql`app.custom_fields_revision(${parameter('scopeOrganizationId')}::uuid, ${parameter('eventObject')}::text) is not distinct from ${parameter('definitions')}::uuid`

const withDefinitions = ({ names, checks }: References): Checks => ({
  names: ['current', ...names],
  checks: () => [definitionsAreCurrent(), ...checks()],
})

/** A write and its event as one statement, so that neither is ever there without the other; `write` returns tenant, id and version. */
export function withEvent({ names, checks }: Checks, write: SQL): SQL<Written> {
  const found =
    names.length === 0
      ? sql`true as "none"`
      : sql.join(
          checks().map((each, index) => sql`${each} as ${sql.identifier(names[index] as string)}`),
          sql`, `,
        )
  const event = addEvents({
    id: sql`${parameter('eventId')}::uuid`,
    changes: sql`${parameter('eventChanges')}::jsonb`,
    at: sql`${parameter('eventAt')}::timestamptz`,
    from: sql`written`,
  })
  return sql`with pointed as materialized (select ${found}), written as (${write}), event as (${event})
  select exists (select from written) as written, pointed.* from pointed`
}

/** The part of a statement that adds an event for each row of its `written`; `from` joins whatever the other values come from. */
export const addEvents = ({ id, changes, at, from }: Record<'id' | 'changes' | 'at' | 'from', SQL>): SQL =>
  sql`insert into ${crmEvents} (organization_id, id, type, object, record_id, version, actor_type, actor_id, cause, request_id, changes, occurred_at)
    select written.organization_id, ${id}, ${parameter('eventType')}::text, ${parameter('eventObject')}::text, written.id, written.version,
      'user', ${parameter('scopeUserId')}::uuid, ${parameter('eventCause')}::text, ${parameter('eventRequestId')}::text, ${changes}, ${at}
    from ${from}`

export function eventParameters(
  scope: Scope,
  type: { object: string },
  verb: string,
  record: { updatedAt: string },
  changes: Changes,
): Record<string, unknown> {
  return {
    eventId: uuidv7(),
    eventType: `${type.object}.${verb}`,
    eventObject: type.object,
    eventCause: scope.cause,
    eventRequestId: scope.requestId,
    eventChanges: JSON.stringify(changes),
    eventAt: record.updatedAt,
  }
}

/**
 * Names the live records that already have the values; those that the caller cannot see stay unnamed.
 *
 * @param pointerTo where the caller has given an external id, unless that is where the record has it
 */
export async function describeDuplicate(
  scope: Scope,
  { type, row, taken: { customFields, externalIds } }: DuplicateValue,
  pointerTo = pointerAmong(row.externalIds as ExternalId[] | undefined),
) {
  const level = requireLevel(scope, type.permission('read'))
  const pointers: string[] = []
  const conflicts: Conflict[] = []
  for (const [name, uniqueColumn] of Object.entries(type.unique)) {
    const field = type.fields[name]
    const value = row[name] ?? null
    if (!field?.match || value === null) continue
    const find = type.prepared(`duplicate ${level} ${name}`, () =>
      statement<{ id: string; visible: boolean }>(
        `${type.plural}.duplicates`,
        sql`select id, (${within(type.table, level)}) as visible from ${type.table} where ${sameOrganization(type.table)} and ${uniqueColumn} = ${parameter('value')} and deleted_at is null and id <> ${parameter('id')}`,
      ),
    )
    const holders = await scope.db.run(
      find({ ...scopeParameters(scope), value: field.match.encode(value), id: row.id }),
    )
    for (const { id, visible } of holders) {
      pointers.push(`/${name}`)
      if (visible) conflicts.push({ object: type.object, id, matchedOn: [name] })
    }
  }
  if (customFields.length > 0) {
    const find = type.prepared(`duplicate ${level} custom fields`, () =>
      compileHolders(`${type.plural}.duplicates`, type.table, within(type.table, level)),
    )
    const holders = await scope.db.run(find({ ...scopeParameters(scope), wanted: JSON.stringify(customFields) }))
    for (const { fieldId, key } of customFields) {
      pointers.push(`/customFields/${key}`)
      const holder = holders.find((each) => each.fieldId === fieldId && each.visible)
      if (holder) conflicts.push({ object: type.object, id: holder.id, matchedOn: [`customFields.${key}`] })
    }
  }
  if (externalIds.length > 0) {
    const find = type.prepared(`duplicate ${level} external ids`, () =>
      compileIdHolders(`${type.plural}.duplicates`, type.table, within(type.table, level)),
    )
    const wanted = JSON.stringify(externalIds)
    const holders = await scope.db.run(find({ ...scopeParameters(scope), object: type.object, wanted }))
    for (const id of externalIds) {
      pointers.push(pointerTo(id))
      const holder = holders.find((each) => isSame(id)(each) && each.visible)
      if (holder) conflicts.push({ object: type.object, id: holder.id, matchedOn: [`externalIds.${id.system}`] })
    }
  }
  return duplicate(pointers, conflicts)
}
