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
import { type CustomField, customFields } from '../../records/custom-fields/definitions.js'
import { crmCustomFieldRevisions as revisions, crmCustomFields as t } from '../../records/custom-fields/table.js'
import { compileEnforcement, enforcementOf, forgetUnique } from '../../records/custom-fields/unique.js'
import type { Row } from '../../records/fields.js'
import { mergePatch } from '../../records/merge-patch.js'
import { columnsOf, recordTypeOf } from '../../records/record-type.js'
import { levelOf, requireLevel, sameOrganization, scopeParameters, within } from '../../records/scope.js'
import { assertSound } from './rules.js'

const MAX_LIVE = 200

// Waits for the writes that go by the present definitions, and holds up those that come: see app.custom_fields_revision.
const holdObject = statement(
  'custom_fields.lock_object',
  sql`select pg_advisory_xact_lock(hashtextextended('custom-fields:' || ${parameter('scopeOrganizationId')} || ':' || ${parameter('object')}, 0))`,
)

const hold = statement<Row>(
  'custom_fields.lock',
  sql`select ${columnsOf(customFields)} from ${t} where ${sameOrganization(t)} and ${t.id} = ${parameter('id')} for no key update`,
)

const survey = statement<{ live: number; taken: string | null }>(
  'custom_fields.survey',
  sql`select (count(*) filter (where not ${t.archived}))::int as live, min(${t.id}::text) filter (where ${t.key} = ${parameter('key')}) as taken
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
  ...[t.minLength, t.maxLength, t.personalData, t.archived, t.updatedAt, t.updatedByType, t.updatedById],
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

async function save(scope: Scope, tx: Executor, field: CustomField): Promise<void> {
  const row: Row = {}
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
export async function createCustomField(scope: Scope, input: components['schemas']['CustomFieldCreate']) {
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
    ...{ minimum: null, maximum: null, minLength: null, maxLength: null, personalData: false },
    ...input,
    ...{ id: uuidv7(), version: 1, createdAt: at, createdBy: by, updatedAt: at, updatedBy: by, archived: false },
  }
  assertSound(field)
  const { object, key } = field
  return undoneWhenShared(scope, async (tx) => {
    await tx.run(holdObject({ ...scopeParameters(scope), object }))
    const [found] = await tx.run(survey({ ...scopeParameters(scope), object, key }))
    if (found?.taken) {
      const message = 'must be a key that no custom field of the object has or had'
      return problem(409, 'key_taken', {
        errors: [{ pointer: '/key', code: 'key_taken', message }],
        conflicts: [{ object: 'custom_field', id: found.taken, matchedOn: ['key'] }],
      })
    }
    if ((found?.live ?? 0) >= MAX_LIVE) return tooMany()
    await save(scope, tx, field)
    if (field.unique) await enforceUnique(scope, tx, field)
    const Location = `${operations.listCustomFields.path}/${field.id}`
    return { status: 201 as const, headers: { ETag: etagOf(field), Location }, body: field }
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
  ifMatch?: string,
) {
  requireLevel(scope, 'customFields:manage')
  return undoneWhenShared(scope, async (tx) => {
    const [row] = await tx.run(hold({ ...scopeParameters(scope), id }))
    if (!row) return problem(404, 'not_found')
    const before = customFields.toResource(row)
    if (!ifMatchHolds(ifMatch, before.version)) return problem(412, 'version_mismatch')
    const after = mergePatch(before, patch)
    assertSound(after, before)
    if (!isDeepStrictEqual(after, before)) {
      const { object, key } = after
      await tx.run(holdObject({ ...scopeParameters(scope), object }))
      const [found] = await tx.run(survey({ ...scopeParameters(scope), object, key }))
      if (before.archived && !after.archived && (found?.live ?? 0) >= MAX_LIVE) return tooMany()
      after.version = before.version + 1
      after.updatedAt = scope.clock().toISOString()
      after.updatedBy = { type: 'user', id: scope.principal.userId }
      await save(scope, tx, after)
      if (after.unique && !before.unique) await enforceUnique(scope, tx, after)
      if (before.unique && !after.unique) await forgetUnique(scope, tx, after.id)
    }
    return { status: 200 as const, headers: { ETag: etagOf(after) }, body: after }
  })
}
