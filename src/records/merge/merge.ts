import { sql } from 'drizzle-orm'
import { v7 as uuidv7 } from 'uuid'
import type { Scope } from '../../context.js'
import type { Executor } from '../../db/database.js'
import { parameter, statement } from '../../db/statement.js'
import { type Fault, Forbidden, InvalidRequest, problem } from '../../problem.js'
import { ifMatchHolds } from '../conditional.js'
import { byAllDefinitions, type DefinitionsOf, holdDefinitions, OUTDATED } from '../custom-fields/definitions.js'
import { tentatively } from '../dry-run.js'
import type { Row } from '../fields.js'
import { among, holdQuery } from '../hold.js'
import type { Only } from '../only.js'
import { columnsOf, type RecordMeta, type RecordType, recordTypes } from '../record-type.js'
import { missingReference } from '../references.js'
import { reaches, requireLevel, sameOrganization, scopeParameters } from '../scope.js'
import { saveHeld } from '../write.js'
import {
  type CustomReference,
  type CustomReferrer,
  customFinder,
  customReferrersTo,
  moveCustomToWinner,
  propertyOf,
  referencesIn,
} from './custom-references.js'
import type { Merge } from './merges.js'
import { moveToWinner, referrersFrom, referring } from './references.js'
import { joinAsLosers } from './segments-and-followers.js'
import { crmMergeLosers as l, crmMerges as m } from './table.js'
import { type Choices, mergedValues, pointerTo } from './values.js'

/** As many references as one merge may move. */
const MAX_REFERENCES = 10_000

/** A choice for each property of the record, as the contract has it. */
type Fields<Resource> = { [Name in keyof Resource]?: string | Record<string, string> }

type Body<Fields> = {
  winnerId: string
  loserIds: string[]
  fields?: Fields
  ifMatch?: Record<string, string>
}

/**
 * Makes one record of several: the winner gets the values that it lacks, the losers go to the recycle bin, and what refers to them
 * refers to the winner.
 *
 * @param dryRun do it all, answer with the result, and undo it
 * @param ifMatch is about the winner
 * @throws InvalidRequest, Forbidden
 */
export async function merge<Resource extends RecordMeta, Chosen extends Fields<Resource>>(
  scope: Scope,
  type: RecordType<Resource>,
  body: Body<Only<Chosen, Resource>>,
  dryRun: boolean,
  ifMatch?: string,
) {
  const levels = {
    winner: requireLevel(scope, type.permission('update')),
    loser: requireLevel(scope, type.permission('delete')),
  }
  const wanted = readRequest(body as Body<Choices>, ifMatch)
  return tentatively(scope.db, dryRun, (tx) =>
    byAllDefinitions(scope, tx, async (definitionsOf) => {
      const held = await hold(scope, tx, type, wanted, definitionsOf)
      if (held === OUTDATED) return OUTDATED
      const { winner, losers } = held
      const isReached =
        reaches(scope, levels.winner, winner) && losers.every((loser) => reaches(scope, levels.loser, loser))
      if (!isReached) throw new Forbidden('the permissions do not reach these records')
      if (
        ![winner, ...losers].every(({ id, version }) =>
          (wanted.versions[id] ?? []).every((tag) => ifMatchHolds(tag, version)),
        )
      )
        return problem(412, 'version_mismatch')
      assertFew(held)
      return { status: 200 as const, body: { dryRun, ...(await unite(scope, tx, type, wanted, held)) } }
    }),
  )
}

/** A request whose ids are in lower case, as the database gives them. */
type Wanted = {
  winnerId: string
  loserIds: readonly string[]
  choices: Choices
  /** For each record, the conditions of its version. */
  versions: Readonly<Record<string, string[]>>
}

/** @throws InvalidRequest when the records are not different ones, or something is said about another one */
function readRequest(body: Body<Choices>, ifMatch: string | undefined): Wanted {
  const winnerId = body.winnerId.toLowerCase()
  const loserIds = body.loserIds.map((id) => id.toLowerCase())
  const group = new Set([winnerId, ...loserIds])
  const faults: Fault[] = loserIds.flatMap((id, index) =>
    [winnerId, ...loserIds.slice(0, index)].includes(id)
      ? [{ pointer: `/loserIds/${index}`, code: 'repeated', message: 'must be another record than those before' }]
      : [],
  )
  const lowered = (id: string, pointer: string): string => {
    if (!group.has(id.toLowerCase())) faults.push(missingReference(pointer))
    return id.toLowerCase()
  }
  const choices = Object.entries(body.fields ?? {}).flatMap(([name, choice]): [string, Choices[string]][] => {
    if (choice === undefined) return []
    if (typeof choice === 'string') return [[name, lowered(choice, `/fields/${name}`)]]
    const byKey = Object.entries(choice).map(([key, id]) => [key, lowered(id, pointerTo(key))])
    return [[name, Object.fromEntries(byKey) as Record<string, string>]]
  })
  const versions: Record<string, string[]> = { [winnerId]: ifMatch === undefined ? [] : [ifMatch] }
  for (const [id, tag] of Object.entries(body.ifMatch ?? {})) {
    const key = lowered(id, `/ifMatch/${id.replaceAll('~', '~0').replaceAll('/', '~1')}`.slice(0, 512))
    versions[key] = [...(versions[key] ?? []), tag]
  }
  if (faults.length > 0) throw new InvalidRequest(...faults.slice(0, 100))
  return { winnerId, loserIds, choices: Object.fromEntries(choices), versions }
}

export const arrayOf = (ids: readonly string[]): string => `{${ids.join(',')}}`

/**
 * Of the merges of an organization one runs at a time: so two that overlap do not wait for each other, and the second one sees what
 * the first one did. Its statements are planned anew, because what moves is a handful of records here and thousands there.
 */
export const serialize = statement(
  'merges.serialize',
  sql`select set_config('plan_cache_mode', 'force_custom_plan', true),
    pg_advisory_xact_lock(hashtextextended('merges:' || ${parameter('scopeOrganizationId')}::text, 0))`,
)

/** The records of a merge, and what else it is about, held. */
type Held<Resource> = {
  winner: Resource
  losers: Resource[]
  /** How many other records refer to the losers; none further than what is too many. */
  referring: number
  customReferrers: readonly CustomReferrer[]
  /** The references in custom fields. */
  found: readonly CustomReference[]
}

const UP_TO_TOO_MANY = sql.raw(String(MAX_REFERENCES + 1))

/**
 * Holds, of one kind, the records that refer to the losers, and of the kind that is merged also the records of the merge; tells what
 * custom fields refer to.
 */
function holding(type: RecordType<RecordMeta>, referrer: CustomReferrer, loserIds: readonly string[]) {
  const { type: kind } = referrer
  const finder = customFinder(referrer, loserIds, UP_TO_TOO_MANY)
  const hold = kind.prepared(`hold for merge ${type.object} ${finder.shape}`, () => {
    const { table } = kind
    const byColumns = referrersFrom(kind, type).map(
      (each) => sql`select ${table.id} from ${table} where ${referring(each)} limit ${UP_TO_TOO_MANY}`,
    )
    const selects = [
      ...(kind.table === type.table ? [sql`select unnest(${parameter('group')}::uuid[])`] : []),
      ...[...byColumns, ...finder.ids()].map((select) => sql`(${select})`),
    ]
    const ids = selects.length > 0 ? sql.join(selects, sql` union all `) : sql`select null::uuid`
    return statement<{ count: number; found: CustomReference[] }>(
      `${kind.plural}.hold`,
      sql`with held as materialized (${holdQuery(kind, sql`${table.id}, ${table.customFields}, ${table.deletedAt}`, among(kind, ids))})
        select (select count(*) from held where held.id <> all(${parameter('group')}::uuid[]))::integer as count, ${referencesIn(kind.object)} as found`,
    )
  })
  return (parameters: Record<string, unknown>) => hold({ ...parameters, ...finder.parameters })
}

/**
 * Holds all that the merge is about: first the records, then the definitions of custom fields.
 * @throws InvalidRequest when the caller cannot see one of the records
 */
async function hold<Resource extends RecordMeta>(
  scope: Scope,
  tx: Executor,
  type: RecordType<Resource>,
  { winnerId, loserIds }: Wanted,
  definitionsOf: DefinitionsOf,
): Promise<Held<Resource> | typeof OUTDATED> {
  const level = requireLevel(scope, type.permission('read'))
  const { table } = type
  const customReferrers = customReferrersTo(type.object, definitionsOf)
  const holdings = customReferrers.map((referrer) =>
    holding(type as unknown as RecordType<RecordMeta>, referrer, loserIds),
  )
  const definitions = holdDefinitions(
    scope,
    recordTypes.map(({ object }) => object),
    definitionsOf,
  )
  const find = type.prepared(`merge ${level}`, () =>
    statement<Row>(
      `${type.plural}.merge_group`,
      sql`select ${columnsOf(type)} from ${table} where ${type.visible(level)} and ${table.id} = any(${parameter('group')}::uuid[])`,
    ),
  )
  const parameters = {
    ...scopeParameters(scope),
    ...{ group: arrayOf([winnerId, ...loserIds]), losers: arrayOf(loserIds) },
  }
  // All leave in one flight.
  const [, held, revisions, rows] = await Promise.all([
    tx.run(serialize(parameters)),
    tx.all(...holdings.map((each) => each(parameters))),
    tx.run(definitions.bound),
    tx.run(find(parameters)),
  ])
  if (!definitions.areCurrent(revisions)) return OUTDATED
  const found = new Map(rows.map((row) => [String(row.id), type.toResource(row)]))
  const faults: Fault[] = []
  const take = (id: string, pointer: string): Resource[] => {
    const record = found.get(id)
    if (!record) faults.push(missingReference(pointer))
    return record ? [record] : []
  }
  const [winner] = take(winnerId, '/winnerId')
  const losers = loserIds.flatMap((id, index) => take(id, `/loserIds/${index}`))
  if (!winner || faults.length > 0) throw new InvalidRequest(...faults)
  const answers = held.flat()
  return {
    ...{ winner, losers, customReferrers },
    referring: answers.reduce((sum, { count }) => sum + count, 0),
    found: answers.flatMap(({ found: each }) => each),
  }
}

/** @throws InvalidRequest when more records refer to the losers than one merge may change */
function assertFew({ referring: total }: Pick<Held<unknown>, 'referring'>): void {
  if (total <= MAX_REFERENCES) return
  const message = `must be records that at most ${MAX_REFERENCES} others refer to`
  throw new InvalidRequest({ pointer: '/loserIds', code: 'too_many_references', message })
}

async function unite<Resource extends RecordMeta>(
  requested: Scope,
  tx: Executor,
  type: RecordType<Resource>,
  wanted: Wanted,
  { winner: before, losers, customReferrers, found }: Held<Resource>,
) {
  const now = requested.clock()
  const scope: Scope = { ...requested, db: tx, cause: 'merge', clock: () => now }
  const mergedAt = now.toISOString()
  const cyclic = await cyclicReferences(scope, tx, type, [before, ...losers])
  const group = new Set([before, ...losers].map(({ id }) => id))
  const isInGroup = (value: unknown) => typeof value === 'string' && group.has(value.toLowerCase())
  const ownReferences = new Set(customReferrers.find((each) => each.type.table === type.table)?.fields.map(propertyOf))
  const merged = mergedValues(
    type,
    before,
    losers,
    wanted.choices,
    (property, value) => !cyclic.has(`${property} ${value}`) && !(ownReferences.has(property) && isInGroup(value)),
  )
  // First the losers: the winner may take a value that must be unique.
  const deleted: Resource[] = []
  for (const loser of losers)
    deleted.push(await saveHeld(scope, tx, type, 'merged', loser, { ...loser, deletedAt: mergedAt }))
  const winner = await saveHeld(scope, tx, type, 'updated', before, merged).catch(pointToFields)
  const record: Merge = {
    ...{ id: uuidv7(), version: 1, object: type.object, winnerId: winner.id, loserIds: [...wanted.loserIds] },
    ...{ mergedAt, mergedBy: { type: 'user', id: scope.principal.userId }, undoneAt: null, undoneBy: null },
  }
  await tx.run(
    insertMerge({
      ...scopeParameters(scope),
      ...{ id: record.id, object: type.object, winnerId: winner.id, mergedAt },
      ...{ loserIds: JSON.stringify(record.loserIds) },
      winnerVersion: winner.version === before.version ? null : winner.version,
    }),
  )
  const parameters = { mergeId: record.id, winnerId: winner.id, losers: arrayOf(wanted.loserIds) }
  const references = [
    ...(await moveToWinner(scope, type, { ...parameters, group: arrayOf([...group]) })),
    ...(await moveCustomToWinner(scope, tx, type.object, customReferrers, found, parameters)),
    ...(await joinAsLosers(scope, tx, { ...parameters, object: type.object })),
  ]
  return { merge: record, winner, losers: deleted, references }
}

/** What is wrong with the values of the winner is wrong with the choices. */
function pointToFields(error: unknown): never {
  if (!(error instanceof InvalidRequest)) throw error
  throw new InvalidRequest(...error.errors.map((fault) => ({ ...fault, pointer: `/fields${fault.pointer}` })))
}

const insertMerge = statement(
  'merges.create',
  sql`with merge as (
    insert into ${m} (organization_id, id, version, object, winner_id, winner_version, loser_ids, merged_at, merged_by_type, merged_by_id)
    values (${parameter('scopeOrganizationId')}::uuid, ${parameter('id')}::uuid, 1, ${parameter('object')}::text, ${parameter('winnerId')}::uuid,
      ${parameter('winnerVersion')}::integer, ${parameter('loserIds')}::jsonb, ${parameter('mergedAt')}::timestamptz, 'user', ${parameter('scopeUserId')}::uuid)
    returning organization_id, id, loser_ids)
  insert into ${l} (organization_id, merge_id, loser_id)
  select merge.organization_id, merge.id, loser.id::uuid from merge, jsonb_array_elements_text(merge.loser_ids) as loser (id)`,
)

/** The values, as `property value`, of references that would lead from the winner back to the winner. */
async function cyclicReferences<Resource extends RecordMeta>(
  scope: Scope,
  tx: Executor,
  type: RecordType<Resource>,
  records: readonly (Resource & Record<string, unknown>)[],
): Promise<Set<string>> {
  const group = arrayOf(records.map(({ id }) => id))
  const referrers = referrersFrom(type, type)
  const found = await tx.all(
    ...referrers.map(({ property, column }) => {
      const { table } = type
      const find = type.prepared(`cycles ${property}`, () =>
        statement<{ start: string }>(
          `${type.plural}.cycles`,
          sql`with recursive path (start, id) as (
            select start, start from unnest(${parameter('values')}::uuid[]) as given (start)
            union select path.start, ${column} from path join ${table} on ${table.id} = path.id
            where ${sameOrganization(table)} and ${column} is not null and path.id <> all(${parameter('group')}::uuid[]))
          select distinct start from path where id = any(${parameter('group')}::uuid[])`,
        ),
      )
      const values = new Set(records.map((record) => record[property]).filter((value) => typeof value === 'string'))
      return find({ ...scopeParameters(scope), group, values: arrayOf([...values]) })
    }),
  )
  return new Set(
    referrers.flatMap(({ property }, index) => (found[index] ?? []).map(({ start }) => `${property} ${start}`)),
  )
}
