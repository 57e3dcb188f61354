import { and, eq, sql } from 'drizzle-orm'
import { LRUCache } from 'lru-cache'
import type { components } from '../../../generated/types.js'
import type { Scope } from '../../context.js'
import type { Executor } from '../../db/database.js'
import { parameter, statement } from '../../db/statement.js'
import { InvalidRequest } from '../../problem.js'
import { column, instantField, type Row } from '../fields.js'
import { actor, columnsOf, defineReadable, sortBy } from '../record-type.js'
import { sameOrganization, scopeParameters } from '../scope.js'
import { crmCustomFieldRevisions as revisions, crmCustomFields as t } from './table.js'

export type CustomField = components['schemas']['CustomField']

/** The custom fields of the organization. */
export const customFields = defineReadable<CustomField>()({
  plural: 'customFields',
  from: sql`${t}`,
  id: t.id,
  visible: () => sameOrganization(t),
  sorts: { createdAt: sortBy(t.createdAt), key: sortBy(t.key) },
  fields: {
    id: column(t.id),
    version: column(t.version),
    createdAt: instantField(t.createdAt),
    createdBy: actor(t.createdByType, t.createdById),
    updatedAt: instantField(t.updatedAt),
    updatedBy: actor(t.updatedByType, t.updatedById),
    object: column(t.object),
    key: column(t.key),
    type: column(t.type),
    referenceObject: column(t.referenceObject),
    label: column(t.label),
    description: column(t.description),
    required: column(t.required),
    unique: column(t.unique),
    defaultValue: column(t.defaultValue),
    options: column(t.options),
    pattern: column(t.pattern),
    minimum: column(t.minimum),
    maximum: column(t.maximum),
    minLength: column(t.minLength),
    maxLength: column(t.maxLength),
    personalData: column(t.personalData),
    archived: column(t.archived),
  },
})

/** The custom fields of one kind of record, by key, and the name of this state of them; null where none was ever defined. */
export type Definitions = { readonly revision: string | null; readonly byKey: ReadonlyMap<string, CustomField> }

const NONE: Definitions = { revision: null, byKey: new Map() }

// By organization and kind of record. Whatever is in here may be outdated: the statement of every write verifies the revision.
const remembered = new LRUCache<string, Definitions>({ max: 5_000 })

const find = statement<Row>(
  'custom_fields.definitions',
  sql`select ${revisions.revision}, ${columnsOf(customFields)} from ${revisions} join ${t} on ${and(
    eq(t.organizationId, revisions.organizationId),
    eq(t.object, revisions.object),
  )} where ${sameOrganization(revisions)} and ${revisions.object} = any(${parameter('objects')}::text[]) order by ${t.createdAt}, ${t.id}`,
)

/** The definitions of some kinds of records as they are now; revisions and fields come from one look at the database. */
export async function loadDefinitions<Objects extends readonly string[]>(
  scope: Scope,
  db: Executor,
  ...objects: Objects
): Promise<{ [Index in keyof Objects]: Definitions }> {
  const rows = await db.run(find({ ...scopeParameters(scope), objects: `{${objects.join(',')}}` }))
  return objects.map((object) => {
    const own = rows.filter((row) => row.object === object)
    const fields = own.map((row) => customFields.toResource(row))
    const definitions: Definitions = own[0]
      ? { revision: String(own[0].revision), byKey: new Map(fields.map((field) => [field.key, field])) }
      : NONE
    remembered.set(`${scope.principal.organizationId}:${object}`, definitions)
    return definitions
  }) as { [Index in keyof Objects]: Definitions }
}

/** A record's custom fields break a rule, as far as the definitions at hand go. */
export class InvalidCustomFields extends InvalidRequest {
  override name = 'InvalidCustomFields'
}

/** What a write answers when the definitions that it went by are no longer those of the database; it has changed nothing. */
export const OUTDATED = Symbol('outdated')

/**
 * Runs a write by the definitions that are remembered; again with those of the database when it finds them outdated, and before
 * it is refused because of them. So a write needs no further round trip as long as the definitions stand still.
 *
 * @throws InvalidCustomFields
 */
export async function byDefinitions<Result>(
  scope: Scope,
  db: Executor,
  object: string,
  write: (definitions: Definitions) => Promise<Result | typeof OUTDATED>,
): Promise<Result> {
  // Most organizations define nothing, and the write verifies that too.
  let definitions = remembered.get(`${scope.principal.organizationId}:${object}`) ?? NONE
  for (let attempt = 0; attempt < 10; attempt++) {
    try {
      const result = await write(definitions)
      if (result !== OUTDATED) return result
    } catch (error) {
      if (!(error instanceof InvalidCustomFields) || attempt > 0) throw error
    }
    ;[definitions] = await loadDefinitions(scope, db, object)
  }
  throw new Error(`the custom fields of ${object} do not stand still`)
}
