import { isDeepStrictEqual } from 'node:util'
import { type SQL, sql } from 'drizzle-orm'
import type { Scope } from '../context.js'
import type { Executor } from '../db/database.js'
import { DatabaseUnavailable } from '../db/errors.js'
import { parameter, type Statement, statement } from '../db/statement.js'
import { type Fault, InvalidRequest, problem } from '../problem.js'
import { etagOf, ifMatchHolds } from './conditional.js'
import {
  byDefinitions,
  type CustomField,
  type Definitions,
  InvalidCustomFields,
  OUTDATED,
} from './custom-fields/definitions.js'
import { crmCustomFieldValues } from './custom-fields/table.js'
import { type UniqueValue, uniqueHash, uniqueValue } from './custom-fields/unique.js'
import { type ExternalId, holderOf, isSame, pointerAmong, withExternalIds } from './external-ids.js'
import { mergePatch } from './merge-patch.js'
import type { Only } from './only.js'
import type { RecordMeta, RecordType } from './record-type.js'
import { requireLevel, sameOrganization, scopeParameters } from './scope.js'
import {
  created,
  DuplicateValue,
  definitionsAreCurrent,
  describeDuplicate,
  type Input,
  insert,
  lock,
  save,
} from './write.js'

/** As often as a record may come or go between two looks. */
const MAX_ATTEMPTS = 10

/**
 * Creates a record, or applies a merge patch to the live one that has the same value in the property `matchOn`.
 * @throws Forbidden unless the caller may create, and may change the record that there is
 * @throws InvalidRequest
 */
export async function upsert<Resource extends RecordMeta, Body extends Input<Resource>>(
  scope: Scope,
  type: RecordType<Resource>,
  { matchOn, record }: { matchOn: string; record: Only<Body, Resource> },
) {
  try {
    const reply = await put(scope, type, matchOn, record)
    if (reply.status !== 409) return reply
    return { ...reply, body: { ...reply.body, errors: pointersFrom('/record', reply.body.errors) } }
  } catch (error) {
    if (!(error instanceof InvalidRequest) || error instanceof NotUnique) throw error
    throw new InvalidRequest(...pointersFrom('/record', error.errors))
  }
}

/**
 * Creates a record with an external id, or applies a merge patch to the live one that has it.
 * @throws Forbidden unless the caller may create, and may change the record that there is
 * @throws InvalidRequest
 */
export async function putByExternalId<Resource extends RecordMeta, Body extends Input<Resource>>(
  scope: Scope,
  type: RecordType<Resource>,
  { system, externalId }: ExternalId,
  body: Only<Body, Resource>,
  ifMatch?: string,
) {
  const ofPath = { system, externalId }
  const { externalIds } = body as Pick<RecordMeta, 'externalIds'>
  const record = { ...body, externalIds: withExternalIds(externalIds, [ofPath]) }
  const pointerTo = (id: ExternalId) => (isSame(ofPath)(id) ? '/path/externalId' : pointerAmong(externalIds)(id))
  try {
    return await put(scope, type, `externalIds.${system}`, record, { wanted: externalId, ifMatch, pointerTo })
  } catch (error) {
    if (error instanceof VersionMismatch) return problem(412, 'version_mismatch')
    throw error
  }
}

/** Faults of a part of a body, with pointers that begin at the body. */
export const pointersFrom = (part: string, faults: readonly Fault[] = []): Fault[] =>
  faults.map((fault) => ({ ...fault, pointer: part + fault.pointer }))

/** The property to match on is not unique, as far as the definitions at hand go. */
export class NotUnique extends InvalidCustomFields {
  override name = 'NotUnique'

  constructor() {
    super({ pointer: '/matchOn', code: 'not_unique', message: 'must be a unique custom field of this kind of record' })
  }
}

/** Thrown where `ifMatch` does not let the change through; nothing else is meant to be changed or created then. */
class VersionMismatch extends Error {
  override name = 'VersionMismatch'
}

/** Thrown inside a transaction where the record that was found has changed before it was held. */
class Moved extends Error {
  override name = 'Moved'
}

type Options = { wanted?: unknown; ifMatch?: string | undefined; pointerTo?: (id: ExternalId) => string }

/**
 * The upsert of one record, with pointers into the record: whoever comes second to a value finds the record of whoever came first.
 * @param options `wanted`: the value to look for, instead of the one of the record; `pointerTo`: where an external id stands, unless in
 *   the record
 */
export async function put<Resource extends RecordMeta>(
  scope: Scope,
  type: RecordType<Resource>,
  matchOn: string,
  record: Input<Resource>,
  options: Options = {},
) {
  requireLevel(scope, type.permission('create'))
  requireLevel(scope, type.permission('update'))
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    try {
      return await scope.db.transaction((tx) => putOnce(scope, tx, type, matchOn, record, options))
    } catch (error) {
      if (error instanceof Moved) continue
      if (!(error instanceof DuplicateValue)) throw error
      const pointerTo = options.pointerTo ?? pointerAmong((record as Partial<RecordMeta>).externalIds)
      const reply = await describeDuplicate(scope, error, pointerTo)
      const { errors = [], conflicts = [] } = reply.body
      const isMatch = conflicts.some(({ matchedOn }) => matchedOn.includes(matchOn)) && !isAnotherId(error, options)
      // Nobody has the value any more, or a record that the caller sees: then that one is to be changed.
      if (errors.length > 0 && !isMatch) return reply
    }
  }
  throw new DatabaseUnavailable(`what ${type.plural} have in ${matchOn} does not stand still`)
}

/** Of several ids in one system, another than the one to look for is taken. */
const isAnotherId = ({ taken: { externalIds } }: DuplicateValue, { wanted }: Options): boolean =>
  wanted !== undefined && externalIds.length > 0 && !externalIds.some(({ externalId }) => externalId === wanted)

const putOnce = <Resource extends RecordMeta>(
  scope: Scope,
  tx: Executor,
  type: RecordType<Resource>,
  matchOn: string,
  record: Input<Resource>,
  { wanted: given, ifMatch }: Options,
) =>
  byDefinitions(scope, tx, type.object, async (definitions) => {
    const key = keyFor(type, definitions, matchOn)
    const wanted = given ?? key.valueOf(record)
    const found = await locate(scope, tx, type, definitions, key, [wanted])
    if (found === OUTDATED) return OUTDATED
    const [id] = found
    if (!id) {
      if (ifMatch !== undefined) throw new VersionMismatch()
      return created(type, await insert(scope, tx, type, record))
    }
    const before = await lock(scope, tx, type, { id, permission: type.permission('update') })
    if (!before) throw key.taken(record, wanted)
    if (!key.isIn(before, wanted)) throw new Moved()
    if (!ifMatchHolds(ifMatch, before.version)) throw new VersionMismatch()
    const after = await save(scope, tx, type, 'updated', before, patched(before, record))
    return { status: 200 as const, headers: { ETag: etagOf(after) }, body: after }
  })

/**
 * The record after an upsert. External ids are added: another system must not lose its own because it was not named.
 * @throws InvalidRequest
 */
export function patched<Resource extends RecordMeta>(before: Resource, record: Input<Resource>): Resource {
  const { externalIds, ...patch } = record as Partial<RecordMeta>
  const next = mergePatch<RecordMeta, typeof patch>(before, patch) as Resource
  return { ...next, externalIds: withExternalIds(before.externalIds, externalIds) }
}

/** The id of the record that has a value, for each of some values. */
export async function locate(
  scope: Scope,
  tx: Executor,
  type: RecordType<RecordMeta>,
  definitions: Definitions,
  key: Key,
  wanted: readonly unknown[],
): Promise<(string | null)[] | typeof OUTDATED> {
  const rows = await tx.run(
    key.find({
      ...{ ...scopeParameters(scope), ...key.parameters, object: type.object, values: JSON.stringify(wanted) },
      ...{ eventObject: type.object, definitions: definitions.revision },
    }),
  )
  if (rows.some(({ current }) => !current)) return OUTDATED
  const ids = new Map(rows.map(({ ordinal, id }) => [ordinal, id]))
  return wanted.map((_, index) => ids.get(index + 1) ?? null)
}

type Found = { ordinal: number; id: string | null; current: boolean }

/** A unique property that tells which record is meant. */
type Key = {
  /** Finds the live records of the organization, seen by the caller or not, that have some values. */
  find: Statement<Found>
  parameters: Record<string, unknown>
  /**
   * The value of a record, in the form in which values are compared.
   * @throws InvalidRequest when it has none, or several
   */
  valueOf(record: object): unknown
  isIn(record: object, value: unknown): boolean
  /** The refusal when the caller cannot see who has the value. */
  taken(record: object, value: unknown): DuplicateValue
}

/** @throws NotUnique */
export function keyFor<Resource extends RecordMeta>(
  type: RecordType<Resource>,
  { byKey }: Definitions,
  matchOn: string,
): Key {
  const [of = '', ...rest] = matchOn.split('.')
  const name = rest.join('.')
  const kind = type as unknown as RecordType<RecordMeta>
  if (of === 'externalIds') return externalIdKey(kind, name)
  if (of !== 'customFields') return propertyKey(kind, of)
  const field = byKey.get(name)
  if (!field?.unique || field.archived) throw new NotUnique()
  return customFieldKey(kind, field)
}

const wanted = sql`wanted.value`
const wantedText = sql`${wanted} #>> '{}'`

function propertyKey(type: RecordType<RecordMeta>, name: string): Key {
  const { match } = type.fields[name] ?? {}
  const column = type.unique[name]
  if (!match || !column) throw new Error(`${name} is not unique among ${type.plural}`)
  const value = (record: object) => (record as Record<string, unknown>)[name] ?? undefined
  const { table } = type
  return {
    find: compileFind(type, name, () => {
      const same = sql`${column} = (${wantedText})::${sql.raw(column.getSQLType())}`
      return sql`(select ${table.id} from ${table} where ${sameOrganization(table)} and ${same} and ${table.deletedAt} is null)`
    }),
    parameters: {},
    valueOf: (record) => match.encode(one([value(record)], `/${name}`)),
    isIn: (record, wanted) => match.encode(value(record)) === wanted,
    taken: (_, wanted) => new DuplicateValue(type, { id: NOBODY, [name]: wanted }),
  }
}

function customFieldKey(type: RecordType<RecordMeta>, field: CustomField): Key {
  const { fieldId, folded } = uniqueValue(field, null)
  const t = crmCustomFieldValues
  const value = (record: object) => {
    const { customFields = {} } = record as Partial<RecordMeta>
    const own = Object.hasOwn(customFields, field.key) ? (customFields[field.key] ?? undefined) : undefined
    return folded && typeof own === 'string' ? own.toLowerCase() : own
  }
  return {
    find: compileFind(
      type,
      'customFields',
      () =>
        sql`(select ${t.recordId} from ${t} where ${sameOrganization(t)} and ${t.fieldId} = ${parameter('fieldId')}::uuid
          and ${t.valueHash} = ${uniqueHash(wanted, sql`${parameter('folded')}::boolean`)})`,
      definitionsAreCurrent(),
    ),
    parameters: { fieldId, folded },
    valueOf: (record) => one([value(record)], `/customFields/${field.key}`),
    isIn: (record, wanted) => isDeepStrictEqual(value(record), wanted),
    taken: (_, wanted) => {
      const customFields: UniqueValue[] = [uniqueValue(field, wanted)]
      return new DuplicateValue(type, { id: NOBODY }, { customFields, externalIds: [] })
    },
  }
}

function externalIdKey(type: RecordType<RecordMeta>, system: string): Key {
  const idsOf = ({ externalIds = [] }: Partial<RecordMeta>) =>
    externalIds.filter((id) => id.system === system).map(({ externalId }) => externalId)
  return {
    find: compileFind(type, 'externalIds', () => holderOf(sql`${parameter('system')}::text`, wantedText)),
    parameters: { system },
    valueOf: (record) => one(idsOf(record), '/externalIds'),
    isIn: (record, wanted) => idsOf(record).some((id) => id === wanted),
    taken: (record, wanted) => {
      const { externalIds } = record as Partial<RecordMeta>
      const taken = { customFields: [], externalIds: [{ system, externalId: String(wanted) }] }
      return new DuplicateValue(type, { id: NOBODY, externalIds }, taken)
    },
  }
}

/** The id of no record. */
const NOBODY = '00000000-0000-0000-0000-000000000000'

/** @throws InvalidRequest unless there is exactly one value */
function one(values: readonly unknown[], pointer: string): unknown {
  const given = values.filter((value) => value !== undefined)
  if (given.length === 1) return given[0]
  const code = given.length === 0 ? 'missing_value' : 'ambiguous'
  throw new InvalidRequest({ pointer, code, message: 'must have one value to match on' })
}

/** `holder` is the id of the record that has `wanted.value`. Looked up one by one, so that each is one step into an index. */
const compileFind = (type: RecordType<RecordMeta>, name: string, holder: () => SQL, current = sql`true`): Key['find'] =>
  type.prepared(`upsert by ${name}`, () =>
    statement<Found>(
      `${type.plural}.find_to_upsert`,
      sql`with checked as materialized (select ${current} as current)
        select wanted.ordinal::integer as ordinal, ${holder()} as id, checked.current
        from checked, jsonb_array_elements(${parameter('values')}::jsonb) with ordinality as wanted (value, ordinal)`,
    ),
  )
