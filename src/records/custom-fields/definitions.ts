import { and, eq, sql } from 'drizzle-orm'
import { LRUCache } from 'lru-cache'
import type { components } from '../../../generated/types.js'
import type { Scope } from '../../context.js'
import type { Executor } from '../../db/database.js'
import { type Bound, parameter, statement } from '../../db/statement.js'
import { InvalidRequest } from '../../problem.js'
import { column, instantField, type Row } from '../fields.js'
import { actor, columnsOf, defineReadable, sortBy } from '../record-type.js'
import { sameOrganization, scopeParameters } from '../scope.js'
import { crmCustomFieldRevisions as revisions, crmCustomFields as t } from './table.js'

/** As it is kept; only the answer to a dry run says more. */
export type CustomField = Omit<components['schemas']['CustomField'], 'check'>

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
    filterable: column(t.filterable),
    searchable: column(t.searchable),
    personalData: column(t.personalData),
    archived: column(t.archived),
    indexState: column(t.indexState),
    searchState: column(t.searchState),
  },
})

/** A custom field, and the key slot of the records that its values have their keys in. */
export type Definition = CustomField & { readonly slot: number | null }

/** The custom fields of one kind of record, by key, and the name of this state of them; null where none was ever defined. */
export type Definitions = {
  readonly revision: string | null
  readonly byKey: ReadonlyMap<string, Definition>
  /** Those whose values have keys. */
  readonly keyed: readonly { readonly field: Definition; readonly slot: number }[]
}

const NONE: Definitions = { revision: null, byKey: new Map(), keyed: [] }

// By organization and kind of record. Whatever is in here may be outdated: the statement of every write verifies the revision.
const remembered = new LRUCache<string, Definitions>({ max: 5_000 })

const find = statement<Row>(
  'custom_fields.definitions',
  sql`select ${revisions.revision}, ${t.slot}, ${columnsOf(customFields)} from ${revisions} join ${t} on ${and(
    eq(t.organizationId, revisions.organizationId),
    eq(t.object, revisions.object),
  )} where ${sameOrganization(revisions)} and ${revisions.object} = any(${parameter('objects')}::text[]) order by ${t.createdAt}, ${t.id}`,
)

/** Whether the values of a field have keys; those of a field that gave up its slot are on their way out. */
const hasKeys = (field: Definition): field is Definition & { slot: number } =>
  field.slot !== null && field.indexState !== 'clearing'

/** The definitions of some kinds of records as they are now; revisions and fields come from one look at the database. */
export async function loadDefinitions<Objects extends readonly string[]>(
  scope: Scope,
  db: Executor,
  ...objects: Objects
): Promise<{ [Index in keyof Objects]: Definitions }> {
  const rows = await db.run(find({ ...scopeParameters(scope), objects: `{${objects.join(',')}}` }))
  return objects.map((object) => {
    const own = rows.filter((row) => row.object === object)
    const fields = own.map((row): Definition => ({ ...customFields.toResource(row), slot: row.slot as number | null }))
    const definitions: Definitions = own[0]
      ? {
          revision: String(own[0].revision),
          byKey: new Map(fields.map((field) => [field.key, field])),
          keyed: fields.flatMap((field) => (hasKeys(field) ? [{ field, slot: field.slot }] : [])),
        }
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
export const byDefinitions = <Result>(
  scope: Scope,
  db: Executor,
  object: string,
  write: (definitions: Definitions) => Promise<Result | typeof OUTDATED>,
): Promise<Result> => byAllDefinitions(scope, db, (definitionsOf) => write(definitionsOf(object)))

/** What the definitions of a kind of record are, as far as they are remembered. */
export type DefinitionsOf = (object: string) => Definitions

/**
 * Like `byDefinitions`, for work that finds out on its way of which kinds of records it needs the definitions.
 * @throws InvalidCustomFields
 */
export async function byAllDefinitions<Result>(
  scope: Scope,
  db: Executor,
  work: (definitionsOf: DefinitionsOf) => Promise<Result | typeof OUTDATED>,
): Promise<Result> {
  const used = new Map<string, Definitions>()
  const definitionsOf = (object: string): Definitions => {
    // Most organizations define nothing, and whoever goes by the definitions verifies that too.
    const known = used.get(object) ?? remembered.get(`${scope.principal.organizationId}:${object}`) ?? NONE
    used.set(object, known)
    return known
  }
  for (let attempt = 0; attempt < 10; attempt++) {
    try {
      const result = await work(definitionsOf)
      if (result !== OUTDATED) return result
    } catch (error) {
      if (!(error instanceof InvalidCustomFields) || attempt > 0) throw error
    }
    const objects = [...used.keys()]
    const loaded = await loadDefinitions(scope, db, ...objects)
    for (const [index, definitions] of loaded.entries()) used.set(objects[index] as string, definitions)
  }
  throw new Error(`the custom fields of ${[...used.keys()].join()} do not stand still`)
}

const findRevisions = statement<{ object: string; revision: string }>(
  'custom_fields.revisions',
  sql`select ${revisions.object}, ${revisions.revision} from ${revisions} where ${sameOrganization(revisions)} and ${revisions.object} = any(${parameter('objects')}::text[])`,
)

const hold = statement<{ object: string; revision: string | null }>(
  'custom_fields.hold',
  sql`select given.object, app.custom_fields_revision(${parameter('scopeOrganizationId')}::uuid, given.object) as revision
    from unnest(${parameter('objects')}::text[]) as given (object)`,
)

/**
 * Keeps the definitions of some kinds of records as they are until the transaction ends, for work that goes by them in several steps.
 * It takes the place of the check that the statement of a write makes, and has to come behind the records that the work holds.
 */
export function holdDefinitions(scope: Scope, objects: readonly string[], definitionsOf: DefinitionsOf) {
  return {
    bound: hold({ ...scopeParameters(scope), objects: `{${objects.join(',')}}` }),
    areCurrent: (rows: readonly { object: string; revision: string | null }[]): boolean =>
      rows.every(({ object, revision }) => definitionsOf(object).revision === revision),
  }
}

/**
 * Verifies the definitions that a read goes by, in the flight of the read and behind it: no revision comes back, so the one that is
 * current then was current when the rows were read.
 */
export class DefinitionsInUse {
  readonly #scope: Scope
  readonly #definitionsOf: DefinitionsOf
  readonly #used = new Map<string, string | null>()

  constructor(scope: Scope, definitionsOf: DefinitionsOf) {
    this.#scope = scope
    this.#definitionsOf = definitionsOf
  }

  /** The definitions of a kind of record, which the read goes by from now on. */
  of(object: string): Definitions {
    const definitions = this.#definitionsOf(object)
    this.#used.set(object, definitions.revision)
    return definitions
  }

  /** What has to leave behind the statements of the read; undefined where no definition matters. */
  check(): Bound<{ object: string; revision: string }> | undefined {
    if (this.#used.size === 0) return undefined
    return findRevisions({ ...scopeParameters(this.#scope), objects: `{${[...this.#used.keys()].join(',')}}` })
  }

  /** Whether the answer to the check says that what was read is right. */
  areCurrent(found: readonly { object: string; revision: string }[]): boolean {
    const current = new Map(found.map(({ object, revision }) => [object, revision]))
    return [...this.#used].every(([object, revision]) => (current.get(object) ?? null) === revision)
  }
}
