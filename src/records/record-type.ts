import { is, isNotNull, isNull, type SQL, sql } from 'drizzle-orm'
import { type AnyPgColumn, type PgColumn, PgJsonb, type PgTable } from 'drizzle-orm/pg-core'
import { LRUCache } from 'lru-cache'
import type { Level, Permission, Tag } from '../../generated/operations.js'
import type { components } from '../../generated/types.js'
import type { Scope } from '../context.js'
import type { Executor } from '../db/database.js'
import type { Statement } from '../db/statement.js'
import { crmMemberships, crmTeams } from '../db/table.js'
import { column, type Field, instantField, keyOf, optionalList, type Row, reference, type Target } from './fields.js'
import { narrower, type Part, partsOfTeam, requireLevel, within } from './scope.js'
import { crmSegmentMembers, crmSegments } from './segments/table.js'
import { crmFollowers, type KeyColumn, keySlotsOf } from './table.js'
import { crmTagUses } from './tags/table.js'

/** The properties that every record has. */
export type RecordMeta = Pick<
  components['schemas']['Account'],
  | 'id'
  | 'version'
  | 'ownerId'
  | 'teamId'
  | 'tags'
  | 'customFields'
  | 'externalIds'
  | 'createdAt'
  | 'createdBy'
  | 'updatedAt'
  | 'updatedBy'
  | 'deletedAt'
>

type Holds<Data> = AnyPgColumn<{ data: Data; notNull: true }>
type MayHold<Data> = AnyPgColumn<{ data: Data; notNull: false }>

/** A table with `recordColumns`. */
type RecordTable = PgTable & {
  organizationId: Holds<string>
  id: Holds<string>
  version: Holds<number>
  ownerId: Holds<string>
  teamId: MayHold<string>
  tags: Holds<string[]>
  customFields: Holds<Record<string, unknown>>
  externalIds: Holds<components['schemas']['ExternalId'][]>
  createdAt: Holds<string>
  createdByType: Holds<'user' | 'system'>
  createdById: MayHold<string>
  updatedAt: Holds<string>
  updatedByType: Holds<'user' | 'system'>
  updatedById: MayHold<string>
  deletedAt: MayHold<string>
} & Record<KeyColumn, MayHold<string>>

/** How a list sorts by a property: the indexed expression, its SQL type, and its value in a row. */
export type SortKey = { expression: SQL | AnyPgColumn; sqlType: string; value: (row: Row) => unknown }

/** A column that lists sort by. */
export const sortBy = (of: PgColumn): SortKey => ({
  expression: of,
  sqlType: of.getSQLType(),
  value: (row) => row[keyOf(of)],
})

/** A nullable column that lists sort by; records without a value count as `missing`, the smallest. */
export const sortByOptional = (of: PgColumn, expression: SQL, missing: string | number): SortKey => ({
  expression,
  sqlType: of.getSQLType(),
  value: (row) => row[keyOf(of)] ?? missing,
})

type Action = 'read' | 'create' | 'update' | 'delete' | 'purge'

/** The plural name of what a permission lets read. */
type ReadableName = Permission extends infer Name ? (Name extends `${infer Plural}:read` ? Plural : never) : never

/** The plural names of the records: the tags of the contract that have a permission for each action. */
type RecordName = { [Name in Tag]: `${Name}:${Action}` extends Permission ? Name : never }[Tag]

/** The properties of `Resource` that are the record's own, beside those that every record has and what a reply may expand. */
type Own<Resource extends RecordMeta> = Omit<Resource, keyof RecordMeta | 'expanded'>

/** What the references of a record lead to, by the names that the contract lets `expand` use. */
export type Expanded<Resource> = Resource extends { expanded?: infer Related } ? NonNullable<Related> : unknown

/** How every property is kept, also one that the contract makes optional. */
type Fields<Resource> = { [Name in keyof Resource]-?: Field<Resource[Name]> }

export type RecordDefinition<Resource extends RecordMeta, Sort extends string> = {
  /** The singular name, as in event types and conflicts. */
  object: string
  /** The plural name, as in permissions. */
  plural: RecordName
  /** The path of the collection. */
  path: string
  table: RecordTable
  /** What people call such a record by. */
  title: PgColumn
  fields: Fields<Own<Resource>>
  /** The values of properties that are absent at creation; null unless given. */
  defaults: Partial<Resource>
  /** The properties that lists sort by, beside the instants of creation and of the last change. */
  sorts: Record<Sort, SortKey>
  /**
   * Properties that are unique among live records, with the column that the unique index is on. Custom fields and external ids are
   * unique by tables of their own.
   */
  unique: { readonly [Name in keyof Own<Resource> & string]?: PgColumn }
  /**
   * The properties that only the server writes, each with the one of the callers' that it goes with when values move from record to
   * record; null where it stays, or `compute` sets it.
   */
  follows?: { readonly [Name in keyof Own<Resource> & string]?: (keyof Own<Resource> & string) | null }
  /** What makes it likely that two records are the same, beside a similar name. */
  duplicates?: DuplicateRules<keyof Own<Resource> & string>
  /** What references lead to: where `expand` follows them, and filters that the contract declares. */
  relations: { [Name in keyof Expanded<Resource>]-?: Relation<NonNullable<Expanded<Resource>[Name]>> }
  /** Sets the properties that follow from others. */
  compute?(next: Resource): Partial<Resource>
  /** Like `compute`, when that takes a look at other rows; the change then runs in a transaction. */
  resolve?(tx: Executor, scope: Scope, next: Resource, before: Resource | undefined): Promise<Partial<Resource>>
}

/** For each rule the properties that have the same value in two records, each served by an index on its column. */
type DuplicateRules<Name extends string> = {
  readonly [Rule in 'email' | 'domain' | 'phone']?: readonly Name[]
} & {
  /** A property that has to be the same, or null in both. */
  readonly within?: Name
}

/** What a column refers to. A function, because two kinds of records may refer to each other. */
export type Relation<Resource = unknown> = { by: PgColumn; to(): Readable<Resource> }

/** Rows of another table that tell something of a record, which filters see as a list of ids. */
export type Membership = {
  rows: PgTable
  /** The ids in the list. */
  value: PgColumn
  /** What they lead to. */
  target: Target
}

/** Every kind of record has them, and the contract declares them for filters. */
const memberships = (object: string) => ({
  followers: { rows: crmFollowers, value: crmFollowers.userId, target: member },
  segments: { rows: crmSegmentMembers, value: crmSegmentMembers.segmentId, target: staticSegment(object) },
})

/** Rows of another table that say the same as a list of texts in a live record, and lead to the records that have one in it. */
export type Listing = {
  rows: PgTable & Record<'organizationId' | 'object' | 'recordId' | 'ownerId' | 'teamId', PgColumn>
  value: PgColumn
}

const listings = { tags: { rows: crmTagUses, value: crmTagUses.tag } }

/** The names that only filters know. */
export type MembershipName = keyof ReturnType<typeof memberships>

/** The kind of record that custom fields are defined for, and the columns with the keys of their values, slot by slot. */
export type CustomKeys = { readonly object: string; readonly slots: readonly PgColumn[] }

/** What can be read, and listed in the order of the properties in `Sort`. */
export type Readable<Resource, Sort extends string = string> = {
  /** The plural name, as in permissions and metrics. */
  plural: ReadableName
  /** The singular name of a kind of record, which is searched by it. */
  object?: string
  /** The table, or the join. */
  from: SQL
  id: PgColumn
  columns: readonly PgColumn[]
  fields: Record<string, Field<unknown>>
  sorts: Record<Sort, SortKey>
  /** What references lead to, as filters and `expand` see it: `account` where the property is `accountId`. */
  relations?: Readonly<Record<string, Relation>>
  /** What filters see beside the fields. */
  memberships?: Readonly<Record<string, Membership>>
  /** What leads to the records that have something in a list. */
  listings?: Readonly<Record<string, Listing>>
  /** Where the keys of custom fields are, of a kind of record that can have some. */
  custom?: CustomKeys
  /** The rows that a caller with this level of the read permission sees. */
  visible(level: Level): SQL
  /** The same in parts, where each of them can be walked in the order of creation and the whole cannot. */
  parts?(level: Level): readonly Part[] | undefined
  /** The level of the caller, where it is not simply that of the read permission. */
  level?(scope: Scope): Level
  toResource(row: Row): Resource
  /** Compiles a statement on first use and keeps it; `shape` names everything that its text depends on. */
  prepared<Result>(shape: string, compile: () => Statement<Result>): Statement<Result>
}

/** All that the engine knows of one kind of record. */
export type RecordType<Resource extends RecordMeta, Sort extends string = string> = Readable<Resource, Sort> &
  Pick<
    RecordDefinition<Resource, never>,
    'object' | 'plural' | 'path' | 'table' | 'title' | 'defaults' | 'compute' | 'resolve'
  > & {
    /** The properties that only the server writes, and what they go with. */
    follows: Readonly<Record<string, string | null | undefined>>
    /** What makes it likely that two records are the same, beside a similar name. */
    duplicates: DuplicateRules<string>
    /** Properties that are unique among live records. */
    unique: Readonly<Record<string, PgColumn>>
    /** The deleted records that the caller may restore. */
    bin: Readable<Resource, 'deletedAt'>
    custom: CustomKeys
    toRow(resource: Resource): Row
    /** The columns that are written: those that are read, and the key slots. */
    written: readonly PgColumn[]
    /** A record without any value. */
    blank: Readonly<Record<string, null>>
    /** The columns as parameters of a write. */
    parameters: readonly { key: string; isJson: boolean }[]
    permission(action: Action): Permission
  }

/** A kind of record when it does not matter which. */
export type AnyRecord = RecordType<RecordMeta>

const known: AnyRecord[] = []

/** Every kind of record that was defined. */
export const recordTypes: readonly AnyRecord[] = known

/** Somebody who belongs to the organization. */
export const member: Target = {
  table: () => crmMemberships,
  id: () => crmMemberships.userId,
  condition: () => sql`${crmMemberships.status} = 'active'`,
}

/** A static segment of a kind of record. */
const staticSegment = (object: string): Target => ({
  table: () => crmSegments,
  id: () => crmSegments.id,
  condition: () => sql`${crmSegments.kind} = 'static' and ${crmSegments.object} = ${sql.raw(`'${object}'`)}`,
})

/** A kind of record by its singular name. */
export const recordTypeOf = (object: string): AnyRecord | undefined => known.find((type) => type.object === object)

/** What a custom field can refer to, by the name of the kind. */
export function targetOf(object: string): Target | undefined {
  if (object === 'user') return member
  const type = recordTypeOf(object)
  return type && recordTarget(() => type.table, type.permission('read'))
}

/** A team of the organization. */
export const team: Target = { table: () => crmTeams, id: () => crmTeams.id }

/** The properties that every record has, and their columns. */
function metaFields(t: RecordTable): Fields<RecordMeta> {
  return {
    id: column(t.id),
    version: column(t.version),
    createdAt: instantField(t.createdAt),
    createdBy: actor(t.createdByType, t.createdById),
    updatedAt: instantField(t.updatedAt),
    updatedBy: actor(t.updatedByType, t.updatedById),
    deletedAt: instantField(t.deletedAt),
    ownerId: reference(t.ownerId, member),
    teamId: reference(t.teamId, team),
    tags: column(t.tags),
    customFields: column(t.customFields),
    externalIds: optionalList(t.externalIds),
  }
}

/** Who did something, in two columns. */
export function actor(type: AnyPgColumn, id: AnyPgColumn): Field<components['schemas']['Actor']> {
  const [typeKey, idKey] = [keyOf(type), keyOf(id)]
  return {
    columns: [type, id],
    read: (row) => ({ type: row[typeKey] as 'user', id: row[idKey] as string | null }),
    write: (value, row) => {
      row[typeKey] = value.type
      row[idKey] = value.id
    },
    parts: { type, id },
  }
}

/** Declares what can be read and listed, without being a record. */
export function defineReadable<Resource>() {
  return <Sort extends keyof Resource & string>(
    definition: Pick<
      Readable<Resource, Sort>,
      'plural' | 'from' | 'id' | 'visible' | 'parts' | 'level' | 'sorts' | 'custom'
    > & {
      fields: Fields<Resource>
    },
  ): Readable<Resource, Sort> => {
    const fields = definition.fields as Record<string, Field<unknown>>
    const entries = Object.entries(fields)
    // Bound, because callers choose filters and orders.
    const statements = new LRUCache<string, Statement<unknown>>({ max: 500 })
    return {
      ...definition,
      fields,
      columns: entries.flatMap(([, field]) => field.columns),
      toResource(row) {
        const resource: Record<string, unknown> = {}
        for (const [name, field] of entries) resource[name] = field.read(row)
        return resource as Resource
      },
      prepared<Result>(shape: string, compile: () => Statement<Result>) {
        const known = statements.get(shape) ?? compile()
        statements.set(shape, known)
        return known as Statement<Result>
      },
    }
  }
}

/** Declares a kind of record; list, get, create, update, delete and restore follow from it. */
export function defineRecord<Resource extends RecordMeta>() {
  return <Sort extends keyof Own<Resource> & string = never>(
    definition: RecordDefinition<Resource, Sort>,
  ): RecordType<Resource, Sort | 'createdAt' | 'updatedAt'> => {
    const { table, plural } = definition
    const custom = { object: definition.object, slots: keySlotsOf<PgColumn>(table) }
    const kept = {
      plural,
      from: sql`${table}`,
      id: table.id,
      fields: { ...metaFields(table), ...definition.fields } as Fields<Resource>,
    }
    const readable = defineReadable<Resource>()({
      ...kept,
      custom,
      visible: (level) => sql`${within(table, level)} and ${isNull(table.deletedAt)}`,
      parts: (level) =>
        level === 'team'
          ? partsOfTeam(table).map((part) => ({
              ...part,
              condition: sql`${part.condition} and ${isNull(table.deletedAt)}`,
            }))
          : undefined,
      sorts: { createdAt: sortBy(table.createdAt), updatedAt: sortBy(table.updatedAt), ...definition.sorts },
    })
    const bin = defineReadable<Resource>()({
      ...kept,
      level: (scope) => narrower(requireLevel(scope, `${plural}:read`), requireLevel(scope, `${plural}:delete`)),
      visible: (level) => sql`${within(table, level)} and ${isNotNull(table.deletedAt)}`,
      sorts: { deletedAt: sortBy(table.deletedAt) },
    })
    const written = [...readable.columns, ...custom.slots]
    const type: RecordType<Resource, Sort | 'createdAt' | 'updatedAt'> = {
      ...readable,
      ...definition,
      memberships: memberships(definition.object),
      listings,
      follows: (definition.follows ?? {}) as Record<string, string | null | undefined>,
      duplicates: definition.duplicates ?? {},
      unique: definition.unique as Record<string, PgColumn>,
      fields: readable.fields,
      sorts: readable.sorts,
      bin,
      toRow(resource) {
        const row: Row = {}
        for (const [name, field] of Object.entries(readable.fields)) {
          field.write(resource[name as keyof Resource], row, `/${name}`)
        }
        return row
      },
      blank: Object.fromEntries(Object.keys(readable.fields).map((name) => [name, null])),
      custom,
      written,
      parameters: written.map((each) => ({ key: keyOf(each), isJson: is(each, PgJsonb) })),
      permission: (action) => `${plural}:${action}`,
    }
    known.push(type)
    return type
  }
}

/** A reference to a live record that the caller may read. */
export const recordTarget = (table: () => RecordTable, permission: Permission): Target => ({
  table,
  id: () => table().id,
  permission,
  condition: () => isNull(table().deletedAt),
})

/** The select list of a type, in the order of `keysOf`. */
export function columnsOf(type: Readable<unknown>): SQL {
  return sql.join(
    type.columns.map((column) => sql`${column}`),
    sql`, `,
  )
}

export const keysOf = (type: Readable<unknown>): string[] => type.columns.map(keyOf)
