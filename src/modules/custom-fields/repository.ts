import { isDeepStrictEqual } from 'node:util'
import { and, eq, sql } from 'drizzle-orm'
import postgres from 'postgres'
import { v7 as uuidv7 } from 'uuid'
import { operations } from '../../../generated/operations.js'
import type { components } from '../../../generated/types.js'
import type { Scope } from '../../context.js'
import type { Executor } from '../../db/database.js'
import { parameter, statement } from '../../db/statement.js'
import { type Conflict, problem } from '../../problem.js'
import { etagOf, ifMatchHolds } from '../../records/conditional.js'
import { backfillSome, type Standing, standingOf } from '../../records/custom-fields/backfill.js'
import { type CustomField, customFields } from '../../records/custom-fields/definitions.js'
import { crmCustomFieldRevisions as revisions, crmCustomFields as t } from '../../records/custom-fields/table.js'
import { compileEnforcement, enforcementOf, forgetUnique } from '../../records/custom-fields/unique.js'
import type { Row } from '../../records/fields.js'
import { mergePatch } from '../../records/merge-patch.js'
import { columnsOf, recordTypeOf } from '../../records/record-type.js'
import { levelOf, requireLevel, sameOrganization, scopeParameters, within } from '../../records/scope.js'
import { KEY_SLOTS } from '../../records/table.js'
import { checkRecords } from './check.js'
import { assertSound, SEARCHABLE } from './rules.js'

const MAX_LIVE = 200
/** How many parts of the records a request goes through; with the others a job goes on. */
const PARTS_AT_ONCE = 4

// Waits for the writes that go by the present definitions, and holds up those that come: see app.custom_fields_revision.
export const holdObject = statement(
  'custom_fields.lock_object',
  sql`select pg_advisory_xact_lock(hashtextextended('custom-fields:' || ${parameter('scopeOrganizationId')} || ':' || ${parameter('object')}, 0))`,
)

// Before the field itself, as everywhere: whoever did it the other way round would wait for somebody who waits for them.
const holdObjectOf = statement(
  'custom_fields.lock_object_of',
  sql`select pg_advisory_xact_lock(hashtextextended('custom-fields:' || ${t.organizationId} || ':' || ${t.object}, 0))
    from ${t} where ${sameOrganization(t)} and ${t.id} = ${parameter('id')}`,
)

const found = sql<Row>`select ${t.slot}, ${t.indexedTo}, ${columnsOf(customFields)} from ${t} where ${sameOrganization(t)} and ${t.id} = ${parameter('id')}`
const find = statement<Row>('custom_fields.find', found)
const hold = statement<Row>('custom_fields.lock', sql<Row>`${found} for no key update`)

type Survey = { live: number; taken: string | null; slots: { slot: number; isFree: boolean }[] }

const survey = statement<Survey>(
  'custom_fields.survey',
  sql`select (count(*) filter (where not ${t.archived}))::int as live, min(${t.id}::text) filter (where ${t.key} = ${parameter('key')}) as taken,
      coalesce(json_agg(json_build_object('slot', ${t.slot}, 'isFree', ${t.indexState} = 'clearing')) filter (where ${t.slot} is not null), '[]') as slots
    from ${t} where ${and(sameOrganization(t), eq(t.object, parameter('object')))}`,
)

const changing = [
  ...[
    t.version,
    t.label,
    t.description,
    t.required,
    t.unique,
    t.defaultValue,
    t.options,
    t.pattern,
    t.minimum,
    t.maximum,
  ],
  ...[
    t.minLength,
    t.maxLength,
    t.filterable,
    t.searchable,
    t.personalData,
    t.archived,
    t.updatedAt,
    t.updatedByType,
    t.updatedById,
  ],
  ...[t.indexState, t.searchState, t.slot, t.indexedTo],
].map(({ name }) => sql.identifier(name))

const store = statement(
  'custom_fields.save',
  sql`with revised as (
    insert into ${revisions} (organization_id, object, revision)
    values (${parameter('scopeOrganizationId')}::uuid, ${parameter('object')}, ${parameter('revision')}::uuid)
    on conflict (organization_id, object) do update set revision = excluded.revision)
  insert into ${t} select * from jsonb_populate_record(null::${t}, ${parameter('row')}::jsonb)
  on conflict (organization_id, id) do update set ${sql.join(
    changing.map((name) => sql`${name} = excluded.${name}`),
    sql`, `,
  )}`,
)

async function save(scope: Scope, tx: Executor, { field, ...index }: Standing): Promise<void> {
  const row: Row = index
  for (const [name, { write }] of Object.entries(customFields.fields)) {
    write(field[name as keyof CustomField], row, `/${name}`)
  }
  const columns = Object.entries(row).map(([name, value]) => [postgres.fromCamel(name), value])
  const { organizationId } = scope.principal
  await tx.run(
    store({
      ...scopeParameters(scope),
      object: field.object,
      revision: uuidv7(),
      row: JSON.stringify({ ...Object.fromEntries(columns), organization_id: organizationId }),
    }),
  )
}

const tooMany = () =>
  problem(409, 'too_many_custom_fields', {
    detail: `a kind of record has at most ${MAX_LIVE} custom fields that are not archived`,
  })

const keyTaken = (id: string) =>
  problem(409, 'key_taken', {
    errors: [
      { pointer: '/key', code: 'key_taken', message: 'must be a key that no custom field of the object has or had' },
    ],
    conflicts: [{ object: 'custom_field', id, matchedOn: ['key'] }],
  })

const tooManyFilterable = () =>
  problem(409, 'too_many_filterable_fields', {
    detail: `a kind of record has at most ${KEY_SLOTS} filterable custom fields that are not archived`,
  })

const giveUpSlot = statement(
  'custom_fields.give_up_slot',
  sql`update ${t} set slot = null, indexed_to = null, index_state = 'none', version = version + 1
    where ${and(sameOrganization(t), eq(t.object, parameter('object')), eq(t.slot, parameter('slot')))}`,
)

/** Whether what values are found by is there, or being brought about. */
const isKept = (state: CustomField['indexState']): boolean => state === 'building' || state === 'ready'

const stateFor = (state: CustomField['indexState'], isWanted: boolean): CustomField['indexState'] =>
  isKept(state) === isWanted ? state : isWanted ? 'building' : 'clearing'

/** A slot for the keys of a field. One that is being cleared will do as well as a free one: every key in it is written anew. */
function slotFor(slot: number | null, slots: Survey['slots']): number | undefined {
  const used = new Set(slots.map((each) => each.slot))
  return slot ?? ALL_SLOTS.find((each) => !used.has(each)) ?? slots.find(({ isFree }) => isFree)?.slot
}

const ALL_SLOTS = Array.from({ length: KEY_SLOTS }, (_, index) => index + 1)

/**
 * Where a field stands when its definition has changed: from the first record on where they are to be found by it in another way.
 * @returns undefined when no slot is free
 */
function begin(standing: Standing, slots: Survey['slots']): Standing | undefined {
  const { field } = standing
  const indexState = stateFor(field.indexState, field.filterable && !field.archived)
  const searchState = stateFor(field.searchState, field.searchable)
  if (indexState === field.indexState && searchState === field.searchState) return standing
  const slot = indexState === field.indexState ? standing.slot : slotFor(standing.slot, slots)
  return slot === undefined ? undefined : { field: { ...field, indexState, searchState }, slot, indexedTo: null }
}

/**
 * Saves a definition, and has existing records found by it as it says, or lets a job do it. No record changes meanwhile, because the
 * object is held.
 *
 * @returns the field as it is saved; undefined when no slot is free
 */
async function establish(
  scope: Scope,
  tx: Executor,
  standing: Standing,
  slots: Survey['slots'],
): Promise<CustomField | undefined> {
  const begun = begin(standing, slots)
  if (!begun) return undefined
  const { field, slot } = begun
  if (standing.slot === null && slot !== null && slots.some((each) => each.slot === slot)) {
    await tx.run(giveUpSlot({ ...scopeParameters(scope), object: field.object, slot }))
  }
  // The documents of the records go by what is saved.
  await save(scope, tx, begun)
  if (begun === standing) return field
  const reached = await backfillSome(scope.principal.organizationId, tx, begun, PARTS_AT_ONCE)
  if (reached !== begun) await save(scope, tx, reached)
  return reached.field
}

/** Carries the records that share a value out of the transaction that would make a field unique. */
class SharedValues extends Error {
  readonly conflicts: Conflict[]

  constructor(conflicts: Conflict[]) {
    super('records share a value')
    this.conflicts = conflicts
  }
}

const enforcements = new Map<string, ReturnType<typeof compileEnforcement>>()

/**
 * Takes down who has which value; no record changes meanwhile, because the object is held.
 * @throws SharedValues
 */
async function enforceUnique(scope: Scope, tx: Executor, field: CustomField): Promise<void> {
  const { object, key } = field
  const target = recordTypeOf(object)
  const level = target && levelOf(scope, target.permission('read'))
  const enforce =
    enforcements.get(`${object} ${level}`) ??
    (target &&
      compileEnforcement('custom_fields.enforce', target.table, level ? within(target.table, level) : sql`false`))
  if (!enforce) throw new Error(`nothing is called ${object}`)
  enforcements.set(`${object} ${level}`, enforce)
  const sharing = await tx.run(enforce({ ...scopeParameters(scope), ...enforcementOf(field) }))
  if (sharing.length === 0) return
  const visible = sharing.filter((each) => each.visible).slice(0, 10)
  throw new SharedValues(visible.map(({ id }) => ({ object, id, matchedOn: [`customFields.${key}`] })))
}

async function undoneWhenShared<Result>(scope: Scope, work: (tx: Executor) => Promise<Result>) {
  try {
    return await scope.db.transaction(work)
  } catch (error) {
    if (!(error instanceof SharedValues)) throw error
    const { conflicts } = error
    const message = 'must be false while live records share a value'
    return problem(409, 'duplicate_value', {
      errors: [{ pointer: '/unique', code: 'duplicate_value', message }],
      ...(conflicts.length > 0 && { conflicts }),
    })
  }
}

/**
 * Adds a custom field. Every write that begins after the reply goes by it, in every process.
 * @throws InvalidRequest when the definition makes no sense
 */
export async function createCustomField(
  scope: Scope,
  input: components['schemas']['CustomFieldCreate'],
  dryRun: boolean,
) {
  requireLevel(scope, 'customFields:manage')
  const at = scope.clock().toISOString()
  const by = { type: 'user' as const, id: scope.principal.userId }
  const field: CustomField = {
    ...{
      referenceObject: null,
      description: null,
      required: false,
      unique: false,
      defaultValue: null,
      options: [],
      pattern: null,
    },
    ...{ minimum: null, maximum: null, minLength: null, maxLength: null, filterable: false, personalData: false },
    searchable: SEARCHABLE.has(input.type),
    ...input,
    ...{ id: uuidv7(), version: 1, createdAt: at, createdBy: by, updatedAt: at, updatedBy: by, archived: false },
    indexState: 'none',
    // Before it is defined, whatever is text is searched.
    searchState: 'ready',
  }
  assertSound(field)
  const { object, key } = field
  const standing: Standing = { field, slot: null, indexedTo: null }
  if (dryRun) {
    const [found] = await scope.db.run(survey({ ...scopeParameters(scope), object, key }))
    if (found?.taken) return keyTaken(found.taken)
    if ((found?.live ?? 0) >= MAX_LIVE) return tooMany()
    if (!begin(standing, found?.slots ?? [])) return tooManyFilterable()
    return { status: 200 as const, body: { ...field, check: await checkRecords(scope, field) } }
  }
  return undoneWhenShared(scope, async (tx) => {
    await tx.run(holdObject({ ...scopeParameters(scope), object }))
    const [found] = await tx.run(survey({ ...scopeParameters(scope), object, key }))
    if (found?.taken) return keyTaken(found.taken)
    if ((found?.live ?? 0) >= MAX_LIVE) return tooMany()
    const created = await establish(scope, tx, standing, found?.slots ?? [])
    if (!created) return tooManyFilterable()
    if (field.unique) await enforceUnique(scope, tx, field)
    const Location = `${operations.listCustomFields.path}/${field.id}`
    return { status: 201 as const, headers: { ETag: etagOf(field), Location }, body: created }
  })
}

/**
 * Applies a merge patch to a custom field; one that changes nothing leaves the version alone.
 * @throws InvalidRequest when the definition would make no sense
 */
export async function updateCustomField(
  scope: Scope,
  id: string,
  patch: components['schemas']['CustomFieldUpdate'],
  dryRun: boolean,
  ifMatch?: string,
) {
  requireLevel(scope, 'customFields:manage')
  if (dryRun) return previewUpdate(scope, id, patch, ifMatch)
  return undoneWhenShared(scope, async (tx) => {
    const parameters = { ...scopeParameters(scope), id }
    const [, [row]] = await tx.all(holdObjectOf(parameters), hold(parameters))
    if (!row) return problem(404, 'not_found')
    const standing = standingOf(row)
    const before = standing.field
    if (!ifMatchHolds(ifMatch, before.version)) return problem(412, 'version_mismatch')
    let after = mergePatch(before, patch)
    assertSound(after, before)
    if (!isDeepStrictEqual(after, before)) {
      const { object, key } = after
      const [found] = await tx.run(survey({ ...parameters, object, key }))
      if (before.archived && !after.archived && (found?.live ?? 0) >= MAX_LIVE) return tooMany()
      after.version = before.version + 1
      after.updatedAt = scope.clock().toISOString()
      after.updatedBy = { type: 'user', id: scope.principal.userId }
      const changed = await establish(scope, tx, { ...standing, field: after }, found?.slots ?? [])
      if (!changed) return tooManyFilterable()
      after = changed
      if (after.unique && !before.unique) await enforceUnique(scope, tx, after)
      if (before.unique && !after.unique) await forgetUnique(scope, tx, after.id)
    }
    return { status: 200 as const, headers: { ETag: etagOf(after) }, body: after }
  })
}

/** Answers what an update would do, without doing it or holding up anybody. */
async function previewUpdate(
  scope: Scope,
  id: string,
  patch: components['schemas']['CustomFieldUpdate'],
  ifMatch?: string,
) {
  const [row] = await scope.db.run(find({ ...scopeParameters(scope), id }))
  if (!row) return problem(404, 'not_found')
  const standing = standingOf(row)
  const before = standing.field
  if (!ifMatchHolds(ifMatch, before.version)) return problem(412, 'version_mismatch')
  const after = mergePatch(before, patch)
  assertSound(after, before)
  const { object, key } = after
  const [surveyed] = await scope.db.run(survey({ ...scopeParameters(scope), object, key }))
  if (before.archived && !after.archived && (surveyed?.live ?? 0) >= MAX_LIVE) return tooMany()
  if (!begin({ ...standing, field: after }, surveyed?.slots ?? [])) return tooManyFilterable()
  const body = { ...after, check: await checkRecords(scope, after) }
  return { status: 200 as const, headers: { ETag: etagOf(before) }, body }
}
