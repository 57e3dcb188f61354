import { type SQL, sql } from 'drizzle-orm'
import { v7 as uuidv7 } from 'uuid'
import type { components } from '../../generated/types.js'
import type { Scope } from '../context.js'
import type { Executor } from '../db/database.js'
import { parameter, type Statement, statement } from '../db/statement.js'
import { type Conflict, completeProblem, type Fault, Forbidden, InvalidRequest, problem } from '../problem.js'
import { isIdle, settle } from './claims.js'
import { etagOf, ifMatchHolds } from './conditional.js'
import { byDefinitions, type Definitions, loadDefinitions, OUTDATED } from './custom-fields/definitions.js'
import { keyOf, type Row } from './fields.js'
import { holdQuery } from './hold.js'
import { mergePatch } from './merge-patch.js'
import type { Only } from './only.js'
import { columnsOf, type RecordMeta, type RecordType } from './record-type.js'
import { assertReferences, manyReferenceParameters, type References, references } from './references.js'
import { levelOf, reaches, requireLevel, scopeParameters, within } from './scope.js'
import { keyFor, locate, NotUnique, patched, pointersFrom, put } from './upsert.js'
import {
  addEvents,
  DuplicateValue,
  definitionsAreCurrent,
  describeDuplicate,
  type Input,
  insert,
  type NewRecord,
  prepareInsert,
  save,
} from './write.js'

/** As many faults as the schema `Problem` has room for. */
const MAX_FAULTS = 100

type Deletion = { op: 'delete'; id: string; ifMatch?: string }
type Upsert<Body> = { op: 'upsert'; matchOn: string; body: Body }

/** An item as the contract has it; the compiler names a property that the record does not have. */
type Item<Resource, Body, Patch> =
  | { op: 'create'; body: Only<Body, Resource> }
  | { op: 'update'; id: string; body: Only<Patch, Resource>; ifMatch?: string }
  | Upsert<Only<Body, Resource>>
  | Deletion

type Create<Resource> = { op: 'create'; body: Input<Resource> }
type Change<Resource> = {
  op: 'update' | 'delete'
  id: string
  ifMatch: string | undefined
  edit(before: Resource): Resource
}
type Step<Resource> = Create<Resource> | Change<Resource> | Upsert<Input<Resource>>

/** What became of an item: the reply that the operation for one record would have given. */
type Outcome<Resource> = { status: 200 | 201; etag: string; body: Resource } | { status: 204 } | Refusal

type Refusal = {
  status: 400 | 403 | 404 | 409 | 412
  code: string
  /** The property of the item that is at fault, for a problem of the item as a whole. */
  at: '' | '/id' | '/ifMatch'
  /** With pointers that begin at the item. */
  errors?: Fault[]
  conflicts?: Conflict[]
}

/** Carries what became of the items out of a transaction that must leave no trace. */
class Rejected extends Error {
  readonly refusals: readonly (Refusal | undefined)[]
  /** Records that the transaction would have made. */
  readonly made: ReadonlySet<string>

  constructor(refusals: readonly (Refusal | undefined)[], made: ReadonlySet<string>) {
    super('rejected')
    this.refusals = refusals
    this.made = made
  }
}

/** Thrown inside a transaction where items got into each other's way: each has to be done alone, in their order. */
class Entangled extends Error {
  override name = 'Entangled'
}

/**
 * Creates, changes, upserts and deletes many records in one transaction, in the order of the items.
 *
 * @param atomic all or nothing; otherwise each item succeeds or fails for itself
 * @throws InvalidRequest when all was to be done and an item is not valid or names a record that does not exist
 */
export async function batch<Resource extends RecordMeta, Body extends Input<Resource>, Patch extends Input<Resource>>(
  scope: Scope,
  type: RecordType<Resource>,
  { atomic, items }: { atomic: boolean; items: readonly Item<Resource, Body, Patch>[] },
) {
  const steps = items.map((item): Step<Resource> => {
    if (item.op === 'create' || item.op === 'upsert') return item
    const [id, ifMatch] = [item.id.toLowerCase(), item.ifMatch]
    if (item.op === 'delete') return { op: 'delete', id, ifMatch, edit: (before) => deleted(scope, before) }
    return { op: 'update', id, ifMatch, edit: (before) => mergePatch(before, item.body) }
  })
  try {
    return await scope.db.transaction(async (tx) => {
      const outcomes = await apply({ ...scope, db: tx }, tx, type, steps)
      const refusals = outcomes.map((outcome) => ('code' in outcome ? outcome : undefined))
      const isPartial = refusals.some((refusal) => refusal !== undefined)
      if (atomic && isPartial) throw new Rejected(refusals, createdIn(outcomes))
      const results = outcomes.map((outcome, index) => toResult(scope, outcome, index))
      return {
        status: 200 as const,
        body: { outcome: isPartial ? ('partial' as const) : ('completed' as const), results },
      }
    })
  } catch (error) {
    if (error instanceof Rejected) return rejection(error)
    throw error
  }
}

const deleted = <Resource extends RecordMeta>(scope: Scope, before: Resource): Resource => ({
  ...before,
  deletedAt: scope.clock().toISOString(),
})

/** One problem for all that was refused: what only the caller can put right comes first. */
function rejection({ refusals, made }: Rejected) {
  const errors = refusals.flatMap((refusal, index) => (refusal ? faultsOf(refusal, index) : [])).slice(0, MAX_FAULTS)
  const statuses = new Set(refusals.map((refusal) => refusal?.status))
  if (statuses.has(403)) return problem(403, 'forbidden', { errors })
  if (statuses.has(400) || statuses.has(404)) throw new InvalidRequest(...errors)
  const conflicts = refusals.flatMap((refusal) => refusal?.conflicts ?? []).filter(({ id }) => !made.has(id))
  return problem(409, 'batch_rejected', {
    errors,
    ...(conflicts.length > 0 && { conflicts: conflicts.slice(0, MAX_FAULTS) }),
  })
}

const MESSAGES: Record<string, string> = {
  missing_reference: 'must be the id of an existing resource',
  version_mismatch: 'must match the version of the record',
  duplicate_value: 'must be unique',
  forbidden: 'must be a change that the caller may make',
}

function faultsOf(refusal: Refusal, index: number): Fault[] {
  const own = errorsOf(refusal, index)
  if (own.length > 0) return own
  const code = refusal.status === 404 ? 'missing_reference' : refusal.code
  return [{ pointer: `/items/${index}${refusal.at}`, code, message: MESSAGES[code] ?? 'is not possible' }]
}

/** The faults in an item, with pointers that begin at the body of the batch. */
const errorsOf = ({ errors }: Refusal, index: number): Fault[] => pointersFrom(`/items/${index}`, errors)

const createdIn = (outcomes: readonly Outcome<RecordMeta>[]): Set<string> =>
  new Set(outcomes.flatMap((outcome) => (outcome.status === 201 ? [outcome.body.id] : [])))

type Result<Resource> = {
  index: number
  status: number
  etag?: string
  body?: Resource
  problem?: components['schemas']['Problem']
}

function toResult<Resource>(scope: Scope, outcome: Outcome<Resource>, index: number): Result<Resource> {
  if (!('code' in outcome)) return { index, ...outcome }
  const { status, code, conflicts } = outcome
  const errors = errorsOf(outcome, index)
  const body = { status, code, ...(errors.length > 0 && { errors }), ...(conflicts && { conflicts }) }
  return { index, status, problem: completeProblem(body, scope.requestId) }
}

/** Does the items, as many as possible in one flight: runs of new records, of changes of different records, or of upserts. */
async function apply<Resource extends RecordMeta>(
  scope: Scope,
  tx: Executor,
  type: RecordType<Resource>,
  steps: readonly Step<Resource>[],
): Promise<Outcome<Resource>[]> {
  const ids = steps.flatMap((step) => ('id' in step ? [step.id] : []))
  const known = await lockAll(scope, tx, type, ids)
  const outcomes: Outcome<Resource>[] = []
  while (outcomes.length < steps.length) {
    const start = outcomes.length
    const creates = takeWhile(steps, start, (step) => (step.op === 'create' ? step : undefined))
    const seen = new Set<string>()
    const changes = takeWhile(steps, start, (step) => {
      if (!('id' in step) || seen.has(step.id)) return undefined
      seen.add(step.id)
      return step
    })
    const first = steps[start]
    const upserts = takeWhile(steps, start, (step) =>
      step.op === 'upsert' && first?.op === 'upsert' && step.matchOn === first.matchOn ? step : undefined,
    )
    if (creates.length > 0) outcomes.push(...(await createAll(scope, tx, type, creates)))
    else if (changes.length > 0) outcomes.push(...(await changeAll(scope, tx, type, known, changes)))
    else outcomes.push(...(await upsertAll(scope, tx, type, known, upserts)))
  }
  return outcomes
}

function takeWhile<Given, Taken>(given: readonly Given[], start: number, take: (each: Given) => Taken | undefined) {
  const taken: Taken[] = []
  for (let index = start; index < given.length; index++) {
    const one = take(given[index] as Given)
    if (one === undefined) break
    taken.push(one)
  }
  return taken
}

/** The live records among these that the caller sees, held until the transaction ends. */
async function lockAll<Resource extends RecordMeta>(
  scope: Scope,
  tx: Executor,
  type: RecordType<Resource>,
  ids: readonly string[],
): Promise<Map<string, Resource>> {
  const level = levelOf(scope, type.permission('read'))
  if (!level || ids.length === 0) return new Map()
  const find = type.prepared(`lock many ${level}`, () =>
    statement<Row>(
      `${type.plural}.lock_many`,
      holdQuery(
        type,
        columnsOf(type),
        sql`${within(type.table, level)} and id = any(${parameter('ids')}::uuid[]) and deleted_at is null`,
      ),
    ),
  )
  const rows = await tx.run(find({ ...scopeParameters(scope), ids: `{${ids.join(',')}}` }))
  return new Map(rows.map((row) => [String(row.id), type.toResource(row)]))
}

/** Changes and deletes different records that are held; `known` is what they are before and after. */
async function changeAll<Resource extends RecordMeta>(
  scope: Scope,
  tx: Executor,
  type: RecordType<Resource>,
  known: Map<string, Resource>,
  steps: readonly Change<Resource>[],
): Promise<Outcome<Resource>[]> {
  const attempt = async (on: Executor, step: Change<Resource>): Promise<Attempt<Resource>> => {
    const found = requireChangeable(scope, type, known, step)
    if ('status' in found) return { outcome: found }
    const after = await save(scope, on, type, `${step.op}d`, found.before, step.edit(found.before))
    return step.op === 'delete'
      ? { outcome: { status: 204 }, after }
      : { outcome: { status: 200, etag: etagOf(after), body: after }, after }
  }

  let attempts: Attempt<Resource>[]
  try {
    // All leave in one flight.
    attempts = await tx.transaction((savepoint) =>
      settled(steps.map((step) => attempt(savepoint, step).catch(refused(scope, savepoint, false)))),
    )
  } catch (error) {
    if (!(error instanceof DuplicateValue)) throw error
    // One of them took a value that is taken, which has undone them all: again, each for itself.
    attempts = []
    for (const step of steps) {
      attempts.push(await tx.transaction((savepoint) => attempt(savepoint, step)).catch(refused(scope, tx, true)))
    }
  }
  for (const { after } of attempts) {
    if (after?.deletedAt) known.delete(after.id)
    else if (after) known.set(after.id, after)
  }
  return attempts.map(({ outcome }) => outcome)
}

type Attempt<Resource> = { outcome: Outcome<Resource>; after?: Resource }

/** What `lock` and `change` ask before they change one record. */
function requireChangeable<Resource extends RecordMeta>(
  scope: Scope,
  type: RecordType<Resource>,
  known: ReadonlyMap<string, Resource>,
  { op, id, ifMatch }: Change<Resource>,
): { before: Resource } | Refusal {
  const permission = type.permission(op)
  const allowed = requireLevel(scope, permission)
  const visible = requireLevel(scope, type.permission('read'))
  const before = known.get(id)
  // An item before this one may have given the record to somebody else.
  if (!before || !reaches(scope, visible, before)) return { status: 404, code: 'not_found', at: '/id' }
  if (!reaches(scope, allowed, before)) throw new Forbidden(`${permission} does not reach this record`)
  if (!ifMatchHolds(ifMatch, before.version)) return { status: 412, code: 'version_mismatch', at: '/ifMatch' }
  return { before }
}

/** Like `Promise.all`, but nothing is still under way when it fails; a duplicate, which fails the others, comes first. */
async function settled<Value>(promises: readonly Promise<Value>[]): Promise<Value[]> {
  const results = await Promise.allSettled(promises)
  const reasons: unknown[] = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []))
  if (reasons.length > 0) throw reasons.find((reason) => reason instanceof DuplicateValue) ?? reasons[0]
  return results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
}

/** Turns what the caller did wrong into a refusal; a duplicate only where the transaction can go on after it. */
const refused = (scope: Scope, db: Executor, canGoOn: boolean) => async (error: unknown) => {
  if (error instanceof DuplicateValue && !canGoOn) throw error
  return { outcome: await refusalOf({ ...scope, db }, error) }
}

async function refusalOf(scope: Scope, error: unknown): Promise<Refusal> {
  if (error instanceof InvalidRequest) {
    const errors = error instanceof NotUnique ? error.errors : pointersFrom('/body', error.errors)
    return { status: 400, code: 'invalid_request', at: '', errors }
  }
  if (error instanceof Forbidden) return { status: 403, code: 'forbidden', at: '' }
  if (error instanceof DuplicateValue) return refusalBy(await describeDuplicate(scope, error))
  throw error
}

const refusalBy = ({ body }: { body: Omit<Refusal, 'at'> }): Refusal => ({
  ...body,
  at: '',
  errors: pointersFrom('/body', body.errors),
})

/** Creates records with their events in one statement. */
async function createAll<Resource extends RecordMeta>(
  scope: Scope,
  tx: Executor,
  type: RecordType<Resource>,
  steps: readonly Create<Resource>[],
): Promise<Outcome<Resource>[]> {
  // What an item is refused for is judged by the definitions of now, not by remembered ones.
  await loadDefinitions(scope, tx, type.object)
  return byDefinitions(scope, tx, type.object, async (definitions) => {
    const looking = remembering(tx)
    const prepared = await Promise.allSettled(
      steps.map(({ body }) => prepareInsert(scope, looking, type, definitions, body)),
    )
    const ready = prepared.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
    try {
      const stored = ready.length > 0 ? await storeSettled(scope, tx, type, definitions, ready) : undefined
      if (stored === OUTDATED) return OUTDATED
      return await settled(
        prepared.map(async (each): Promise<Outcome<Resource>> => {
          try {
            if (each.status === 'rejected') throw each.reason
            stored?.assert(each.value)
            return created(each.value.stored)
          } catch (error) {
            return refusalOf(scope, error)
          }
        }),
      )
    } catch (error) {
      if (!(error instanceof Entangled)) throw error
      return createEach(scope, tx, type, steps)
    }
  })
}

/**
 * Stores records that are ready, and takes what is unique for them.
 * @throws Entangled when some of that is taken; nothing is stored then
 */
async function storeSettled<Resource extends RecordMeta>(
  scope: Scope,
  tx: Executor,
  type: RecordType<Resource>,
  definitions: Definitions,
  records: readonly NewRecord<Resource>[],
): Promise<StoredRecords<Resource> | typeof OUTDATED> {
  if (records.every(({ claims }) => isIdle(claims))) return storeAll(scope, tx, type, definitions, records)
  return tx.transaction(async (savepoint) => {
    const stored = await storeAll(scope, savepoint, type, definitions, records)
    if (stored === OUTDATED) return OUTDATED
    const claims = records.filter((each) => stored.has(each)).map((each) => [each.stored.id, each.claims] as const)
    const taken = await settle(scope, savepoint, type.object, new Map(claims))
    if (taken.size > 0) throw new Entangled()
    return stored
  })
}

/**
 * Upserts by one property, as many as possible together: those that come before a value does for the second time.
 * @param known what some records are before, and after
 */
async function upsertAll<Resource extends RecordMeta>(
  scope: Scope,
  tx: Executor,
  type: RecordType<Resource>,
  known: Map<string, Resource>,
  steps: readonly Upsert<Input<Resource>>[],
): Promise<Outcome<Resource>[]> {
  // Somebody else may just have created what was missing: the second time it is there, and held in an order without deadlocks.
  const together = (await upsertAtOnce(scope, tx, type, steps)) ?? (await upsertAtOnce(scope, tx, type, steps))
  const outcomes = together ?? []
  if (!together) for (const step of steps) outcomes.push(await upsertOne(scope, type, step))
  for (const outcome of outcomes) {
    if ('body' in outcome && known.has(outcome.body.id)) known.set(outcome.body.id, outcome.body)
  }
  return outcomes
}

/** Undefined, without a trace, when some items stand in each other's way or cannot be done at all. */
async function upsertAtOnce<Resource extends RecordMeta>(
  scope: Scope,
  tx: Executor,
  type: RecordType<Resource>,
  steps: readonly Upsert<Input<Resource>>[],
): Promise<Outcome<Resource>[] | undefined> {
  try {
    requireLevel(scope, type.permission('create'))
    requireLevel(scope, type.permission('update'))
    return await tx.transaction((savepoint) => upsertTogether(scope, savepoint, type, steps))
  } catch (error) {
    if ([Entangled, Forbidden, InvalidRequest].some((kind) => error instanceof kind)) return undefined
    throw error
  }
}

async function upsertOne<Resource extends RecordMeta>(
  scope: Scope,
  type: RecordType<Resource>,
  { matchOn, body }: Upsert<Input<Resource>>,
): Promise<Outcome<Resource>> {
  try {
    const reply = await put(scope, type, matchOn, body)
    if ('headers' in reply) return { status: reply.status, etag: reply.headers.ETag, body: reply.body }
    return refusalBy(reply)
  } catch (error) {
    return refusalOf(scope, error)
  }
}

/**
 * Looks all records up, creates those that are missing and then changes the others. When no value turns out to be taken, that is what
 * the items would have done one after the other: the new records have met every value that a change before them could have freed.
 *
 * @returns the outcomes of the items before the first one whose value another one has
 * @throws Entangled when it cannot be done so
 */
function upsertTogether<Resource extends RecordMeta>(
  scope: Scope,
  tx: Executor,
  type: RecordType<Resource>,
  steps: readonly Upsert<Input<Resource>>[],
): Promise<Outcome<Resource>[]> {
  const [{ matchOn }] = steps as [Upsert<Input<Resource>>]
  return byDefinitions(scope, tx, type.object, async (definitions) => {
    const key = keyFor(type, definitions, matchOn)
    const outcomes: (Outcome<Resource> | undefined)[] = []
    const wanted = new Map<string, { index: number; value: unknown; body: Input<Resource> }>()
    for (const { body } of steps) {
      const index = outcomes.length
      try {
        const value = key.valueOf(body)
        const text = JSON.stringify(value)
        if (wanted.has(text)) break
        wanted.set(text, { index, value, body })
        outcomes.push(undefined)
      } catch (error) {
        outcomes.push(await refusalOf(scope, error))
      }
    }
    const items = [...wanted.values()]
    const found = await locate(
      scope,
      tx,
      type as unknown as RecordType<RecordMeta>,
      definitions,
      key,
      items.map(({ value }) => value),
    )
    if (found === OUTDATED) return OUTDATED
    const ids = found.filter((id) => id !== null)
    const held = await lockAll(scope, tx, type, ids)
    if (held.size < ids.length) throw new Entangled()
    const creates: Create<Resource>[] = []
    const changes: Change<Resource>[] = []
    for (const [at, { value, body }] of items.entries()) {
      const id = found[at]
      const before = id && held.get(id)
      if (!before) creates.push({ op: 'create', body })
      else if (!key.isIn(before, value)) throw new Entangled()
      else changes.push({ op: 'update', id, ifMatch: undefined, edit: (record) => patched(record, body) })
    }
    const made = creates.length > 0 ? await createAll(scope, tx, type, creates) : []
    const changed = changes.length > 0 ? await changeAll(scope, tx, type, held, changes) : []
    if ([...made, ...changed].some(({ status }) => status === 409)) throw new Entangled()
    for (const [at, { index }] of items.entries()) outcomes[index] = (found[at] ? changed : made).shift()
    return outcomes.filter((outcome) => outcome !== undefined)
  })
}

async function createEach<Resource extends RecordMeta>(
  scope: Scope,
  tx: Executor,
  type: RecordType<Resource>,
  steps: readonly Create<Resource>[],
): Promise<Outcome<Resource>[]> {
  const outcomes: Outcome<Resource>[] = []
  for (const { body } of steps) {
    const creating = tx.transaction(async (savepoint) => created(await insert(scope, savepoint, type, body)))
    outcomes.push(await creating.catch((error: unknown) => refusalOf(scope, error)))
  }
  return outcomes
}

const created = <Resource extends RecordMeta>(record: Resource): Outcome<Resource> => ({
  status: 201,
  etag: etagOf(record),
  body: record,
})

/** Answers the same question once: whole runs of deals begin in the same stage. */
function remembering(tx: Executor): Executor {
  const answers = new Map<string, Promise<unknown[]>>()
  return {
    run<Answer>(bound: Parameters<typeof tx.run<Answer>>[0]) {
      const key = JSON.stringify([bound.text, bound.values])
      const answer = (answers.get(key) as Promise<Answer[]> | undefined) ?? tx.run(bound)
      answers.set(key, answer)
      return answer
    },
    all: (...bounds) => tx.all(...bounds),
    transaction: (work) => tx.transaction(work),
  }
}

type Stored = { current: boolean; written: string[]; found: Record<string, string[]> }

/** What became of records that were to be stored. */
type StoredRecords<Resource> = {
  has(record: NewRecord<Resource>): boolean
  /** @throws InvalidRequest or DuplicateValue where it was not stored */
  assert(record: NewRecord<Resource>): void
}

/** Stores records that are ready, but for those that refer to nothing or take a value that is taken. */
async function storeAll<Resource extends RecordMeta>(
  scope: Scope,
  tx: Executor,
  type: RecordType<Resource>,
  definitions: Definitions,
  records: readonly NewRecord<Resource>[],
): Promise<StoredRecords<Resource> | typeof OUTDATED> {
  const pointed = references(scope, type)
  const write: Statement<Stored> = type.prepared(`insert many ${pointed.shape}`, () =>
    statement<Stored>(`${type.plural}.create_many`, insertManyQuery(type, pointed)),
  )
  const rows = records.map(({ row, changes }) => {
    // Most properties of most records are empty; leaving them out halves the text.
    const given: Row = { eventId: uuidv7(), eventChanges: changes }
    for (const { key } of type.parameters) if (row[key] != null) given[key] = row[key]
    return given
  })
  const [answer] = await tx.run(
    write(
      Object.assign(
        { rows: JSON.stringify(inOrder(type, rows)), eventType: `${type.object}.created`, eventObject: type.object },
        { eventCause: scope.cause, eventRequestId: scope.requestId, definitions: definitions.revision },
        scopeParameters(scope),
        manyReferenceParameters(
          pointed,
          records.map(({ row }) => row),
        ),
      ),
    ),
  )
  if (answer?.current === false) return OUTDATED
  const written = new Set(answer?.written)
  const found = new Map(pointed.names.map((name) => [name, new Set(answer?.found[name])]))
  const has = ({ stored }: NewRecord<Resource>) => written.has(stored.id)
  return {
    has,
    assert(record) {
      if (has(record)) return
      const { row } = record
      assertReferences(
        pointed,
        Object.fromEntries(
          pointed.names.map((name) => [name, !row[name] || found.get(name)?.has(String(row[name]).toLowerCase())]),
        ),
      )
      throw new DuplicateValue(type as unknown as RecordType<RecordMeta>, row)
    },
  }
}

/** In the order of their unique values: of two batches that take the same ones, one waits for the other, never both. */
function inOrder(type: RecordType<RecordMeta>, rows: readonly Row[]): Row[] {
  const fields = Object.keys(type.unique).map((name) => [name, type.fields[name]?.match] as const)
  const keyOfRow = (row: Row) => fields.map(([name, match]) => String(match?.encode(row[name] ?? ''))).join('\0')
  return rows
    .map((row) => ({ key: keyOfRow(row), row }))
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
    .map(({ row }, ordinal) => Object.assign(row, { ordinal }))
}

/** Rows travel as one JSON text, which costs PostgreSQL and the driver a fraction of as many statements. */
function insertManyQuery(type: RecordType<RecordMeta>, { names, found }: References): SQL<Stored> {
  const comma = sql`, `
  const key = (name: string) => sql`given.${sql.identifier(name)}`
  const shape = type.written.map((column) => sql`${sql.identifier(keyOf(column))} ${sql.raw(column.getSQLType())}`)
  const columns = type.written.map((column) => sql.identifier(column.name))
  const values = type.written.map((column) => key(keyOf(column)))
  const visible = found().map((ids, index) => sql`${ids} as ${sql.identifier(names[index] as string)}`)
  const conditions = names.map(
    (name) => sql`(${key(name)} is null or ${key(name)} = any(pointed.${sql.identifier(name)}))`,
  )
  const event = addEvents({
    id: sql`given."eventId"`,
    changes: sql`given."eventChanges"`,
    at: sql`given."updatedAt"`,
    from: sql`written join given on given.id = written.id`,
  })
  return sql`with given as materialized (
    select * from jsonb_to_recordset(${parameter('rows')}::jsonb) as given(ordinal integer, "eventId" uuid, "eventChanges" jsonb, ${sql.join(shape, comma)})
  ), pointed as materialized (select ${sql.join([sql`${definitionsAreCurrent()} as current`, ...visible], comma)}), written as (
    insert into ${type.table} (organization_id, ${sql.join(columns, comma)})
    select ${parameter('scopeOrganizationId')}::uuid, ${sql.join(values, comma)} from given, pointed
    where ${sql.join([sql`pointed.current`, ...conditions], sql` and `)} order by given.ordinal
    ${Object.keys(type.unique).length > 0 ? sql`on conflict do nothing` : sql``} returning organization_id, id, version
  ), event as (${event})
  select pointed.current, to_json(array(select id from written)) as written, to_json(pointed) as found from pointed`
}
