import { type SQL, sql } from 'drizzle-orm'
import {
  type AnyPgColumn,
  bigint,
  foreignKey,
  index,
  integer,
  pgTable,
  primaryKey,
  text,
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core'
import type { components } from '../../generated/types.js'
import { instant, json, key, organizationId, tenantPolicy } from '../db/columns.js'
import { crmMemberships, crmOrganizations, crmTeams } from '../db/table.js'

type ExternalId = components['schemas']['ExternalId']

/** How many custom fields of a kind of record an organization can filter and sort by: each has a column for the keys of its values. */
export const KEY_SLOTS = 10

const SLOTS = Array.from({ length: KEY_SLOTS }, (_, index) => index + 1)

export type KeyColumn = `customKey${1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10}`

const keyColumns = () =>
  Object.fromEntries(SLOTS.map((slot) => [`customKey${slot}`, key(`custom_key_${slot}`)])) as Record<
    KeyColumn,
    ReturnType<typeof key>
  >

/** The columns of the key slots of a table with `recordColumns`, the first slot first. */
export const keySlotsOf = <Column>(t: Record<KeyColumn, Column>): Column[] =>
  SLOTS.map((slot) => t[`customKey${slot}` as KeyColumn])

/** The columns that every record table has. */
export const recordColumns = () => ({
  organizationId: organizationId(),
  id: uuid('id').notNull(),
  version: integer('version').notNull(),
  ownerId: uuid('owner_id').notNull(),
  teamId: uuid('team_id'),
  tags: json<string[]>('tags').notNull(),
  customFields: json<Record<string, unknown>>('custom_fields').notNull(),
  externalIds: json<ExternalId[]>('external_ids').notNull().default([]),
  createdAt: instant('created_at').notNull(),
  createdByType: text('created_by_type', { enum: ['user', 'system'] }).notNull(),
  createdById: uuid('created_by_id'),
  updatedAt: instant('updated_at').notNull(),
  updatedByType: text('updated_by_type', { enum: ['user', 'system'] }).notNull(),
  updatedById: uuid('updated_by_id'),
  deletedAt: instant('deleted_at'),
  ...keyColumns(),
})

type RecordTable = Record<keyof ReturnType<typeof recordColumns>, AnyPgColumn>

const live = sql`deleted_at is null`
const deleted = sql`deleted_at is not null`

/**
 * The keys, indexes and the row policy that every record table has.
 *
 * @param name the table
 * @param t its columns
 * @param sorts further columns to sort by; ascending indexes serve both directions
 * @param filters columns that lists filter by; each is followed by the default order
 */
export const recordConstraints = (
  name: string,
  t: RecordTable,
  { sorts = {}, filters = {} }: { sorts?: Record<string, AnyPgColumn | SQL>; filters?: Record<string, AnyPgColumn> },
) => [
  primaryKey({ columns: [t.organizationId, t.id] }),
  foreignKey({
    name: `${name}_owner_fk`,
    columns: [t.organizationId, t.ownerId],
    foreignColumns: [crmMemberships.organizationId, crmMemberships.userId],
  }),
  foreignKey({
    name: `${name}_team_fk`,
    columns: [t.organizationId, t.teamId],
    foreignColumns: [crmTeams.organizationId, crmTeams.id],
  }),
  ...Object.entries({ created_at: t.createdAt, updated_at: t.updatedAt, ...sorts }).map(([key, column]) =>
    index(`${name}_${key}_idx`).on(t.organizationId, column, t.id).where(live),
  ),
  ...Object.entries({ owner_id: t.ownerId, team_id: t.teamId, ...filters }).map(([key, column]) =>
    index(`${name}_${key}_idx`).on(t.organizationId, column, t.createdAt, t.id).where(live),
  ),
  // Only where the slot is in use. One index serves an equality in the default order, ranges, and the order by the field itself.
  ...keySlotsOf(t).map((column, at) =>
    index(`${name}_custom_key_${at + 1}_idx`)
      .on(t.organizationId, column, t.createdAt, t.id)
      .where(sql`${live} and ${sql.raw(`custom_key_${at + 1}`)} is not null`),
  ),
  // The recycle bin, and that of one owner.
  index(`${name}_deleted_idx`).on(t.organizationId, t.deletedAt, t.id).where(deleted),
  index(`${name}_deleted_owner_idx`).on(t.organizationId, t.ownerId, t.deletedAt, t.id).where(deleted),
  tenantPolicy(name),
]

/**
 * A column to sort by, with a value in place of null. Not by `coalesce`, which PostgreSQL takes for leaky: under row-level security a
 * cursor would not bound the scan of the index.
 */
export const orMissing = (column: string, missing: string): SQL =>
  sql.raw(`(case when ${column} is null then ${missing} else ${column} end)`)

/** A unique value among the live records of a tenant; a deleted record frees it. */
export const uniqueWhileLive = (name: string, t: { organizationId: AnyPgColumn }, column: AnyPgColumn) =>
  uniqueIndex(name).on(t.organizationId, column).where(live)

/** The live records that have a value in a column, the youngest last; most records have none. */
export const lookUpIndex = (name: string, t: RecordTable, column: AnyPgColumn) =>
  index(name)
    .on(t.organizationId, column, t.createdAt, t.id)
    .where(sql`${live} and ${sql.raw(column.name)} is not null`)

/** A reference within the tenant, and the index by which a purge finds whatever still refers to a record, deleted or not. */
export const referenceWithin = (
  name: string,
  from: [AnyPgColumn, AnyPgColumn],
  to: { organizationId: AnyPgColumn; id: AnyPgColumn },
) => [
  foreignKey({ name, columns: from, foreignColumns: [to.organizationId, to.id] }),
  index(name.replace(/_fk$/, '_reference_idx'))
    .on(...from)
    .where(sql.raw(`${from[1].name} is not null`)),
]

/** The columns that every table of assets has: of what users keep beside records, such as saved views. */
export const assetColumns = () => ({
  organizationId: organizationId(),
  id: uuid('id').notNull(),
  version: integer('version').notNull(),
  ownerId: uuid('owner_id').notNull(),
  name: text('name').notNull(),
  createdAt: instant('created_at').notNull(),
  createdByType: text('created_by_type', { enum: ['user', 'system'] }).notNull(),
  createdById: uuid('created_by_id'),
  updatedAt: instant('updated_at').notNull(),
  updatedByType: text('updated_by_type', { enum: ['user', 'system'] }).notNull(),
  updatedById: uuid('updated_by_id'),
})

/** The keys, the indexes and the row policy that every table of assets has. */
export const assetConstraints = (name: string, t: Record<keyof ReturnType<typeof assetColumns>, AnyPgColumn>) => [
  primaryKey({ columns: [t.organizationId, t.id] }),
  foreignKey({
    name: `${name}_owner_fk`,
    columns: [t.organizationId, t.ownerId],
    foreignColumns: [crmMemberships.organizationId, crmMemberships.userId],
  }),
  ...Object.entries({ created_at: t.createdAt, updated_at: t.updatedAt, name: t.name }).map(([key, column]) =>
    index(`${name}_${key}_idx`).on(t.organizationId, column, t.id),
  ),
  index(`${name}_owner_id_idx`).on(t.organizationId, t.ownerId, t.name, t.id),
  tenantPolicy(name),
]

/** Which live record has which id in another system; deleted records have none. The key is what makes ids unique. */
export const crmExternalIds = pgTable(
  'crm_external_ids',
  {
    organizationId: organizationId().references(() => crmOrganizations.id),
    object: text('object').notNull(),
    system: text('system').notNull(),
    externalId: text('external_id').notNull(),
    recordId: uuid('record_id').notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.organizationId, t.object, t.system, t.externalId] }),
    index('crm_external_ids_record_idx').on(t.organizationId, t.recordId),
    tenantPolicy('crm_external_ids'),
  ],
)

/** Who follows which record. A purge takes its followers with it. */
export const crmFollowers = pgTable(
  'crm_followers',
  {
    organizationId: organizationId(),
    recordId: uuid('record_id').notNull(),
    userId: uuid('user_id').notNull(),
    object: text('object').notNull(),
    followedAt: instant('followed_at').notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.organizationId, t.recordId, t.userId] }),
    index('crm_followers_user_idx').on(t.organizationId, t.userId, t.object, t.followedAt, t.recordId),
    foreignKey({
      name: 'crm_followers_user_fk',
      columns: [t.organizationId, t.userId],
      foreignColumns: [crmMemberships.organizationId, crmMemberships.userId],
    }),
    tenantPolicy('crm_followers'),
  ],
)

/**
 * Every change of a record: audit log, field history, change feed and outbox in one. Only ever appended to, but that the values in
 * the events of a purged record are taken out (`app.guard_events`).
 */
export const crmEvents = pgTable(
  'crm_events',
  {
    organizationId: organizationId(),
    id: uuid('id').notNull(),
    /** Orders the feed, which publishes a row once no older transaction can still commit. */
    transactionId: bigint('transaction_id', { mode: 'bigint' })
      .notNull()
      .default(sql`(pg_current_xact_id()::text)::bigint`),
    type: text('type').notNull(),
    object: text('object').notNull(),
    recordId: uuid('record_id').notNull(),
    version: integer('version').notNull(),
    actorType: text('actor_type').notNull(),
    actorId: uuid('actor_id'),
    cause: text('cause').notNull(),
    requestId: text('request_id').notNull(),
    /** `{ field: { from, to } }`, in the form of the contract. */
    changes: json<Record<string, { from: unknown; to: unknown }>>('changes').notNull(),
    occurredAt: instant('occurred_at').notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.organizationId, t.id] }),
    index('crm_events_record_idx').on(t.organizationId, t.recordId, t.version, t.id),
    // The timeline reads the latest events of a record and of those that refer to it.
    index('crm_events_time_idx').on(t.organizationId, t.recordId, t.occurredAt, t.id),
    index('crm_events_feed_idx').on(t.organizationId, t.transactionId, t.id),
    tenantPolicy('crm_events'),
  ],
)
