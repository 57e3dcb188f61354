import { sql } from 'drizzle-orm'
import {
  boolean,
  check,
  doublePrecision,
  foreignKey,
  index,
  integer,
  pgTable,
  primaryKey,
  text,
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core'
import type { components } from '../../../generated/types.js'
import { instant, json, maintenancePolicy, organizationId, tenantPolicy } from '../../db/columns.js'
import { crmOrganizations } from '../../db/table.js'

type CustomField = components['schemas']['CustomField']

/** Of fields that a job has to go on with. */
export const pending = sql`(index_state in ('building', 'clearing') or search_state in ('building', 'clearing'))`

/** The fields that organizations add to their records. Never deleted, so that no key gets a second meaning. */
export const crmCustomFields = pgTable(
  'crm_custom_fields',
  {
    organizationId: organizationId().references(() => crmOrganizations.id),
    id: uuid('id').notNull(),
    version: integer('version').notNull(),
    object: text('object').$type<CustomField['object']>().notNull(),
    key: text('key').notNull(),
    type: text('type').$type<CustomField['type']>().notNull(),
    referenceObject: text('reference_object').$type<NonNullable<CustomField['referenceObject']>>(),
    label: text('label').notNull(),
    description: text('description'),
    required: boolean('required').notNull(),
    unique: boolean('is_unique').notNull(),
    defaultValue: json<NonNullable<CustomField['defaultValue']>>('default_value'),
    options: json<CustomField['options']>('options').notNull(),
    pattern: text('pattern'),
    minimum: doublePrecision('minimum'),
    maximum: doublePrecision('maximum'),
    minLength: integer('min_length'),
    maxLength: integer('max_length'),
    filterable: boolean('filterable').notNull().default(false),
    searchable: boolean('searchable').notNull().default(true),
    personalData: boolean('personal_data').notNull(),
    archived: boolean('archived').notNull(),
    createdAt: instant('created_at').notNull(),
    createdByType: text('created_by_type', { enum: ['user', 'system'] }).notNull(),
    createdById: uuid('created_by_id'),
    updatedAt: instant('updated_at').notNull(),
    updatedByType: text('updated_by_type', { enum: ['user', 'system'] }).notNull(),
    updatedById: uuid('updated_by_id'),
    indexState: text('index_state').$type<CustomField['indexState']>().notNull().default('none'),
    searchState: text('search_state').$type<CustomField['searchState']>().notNull().default('ready'),
    /** Which of the key columns of the records holds the keys of the values. */
    slot: integer('slot'),
    /** Up to which record keys and words are what they should be, while that is still being brought about. */
    indexedTo: uuid('indexed_to'),
  },
  (t) => [
    primaryKey({ columns: [t.organizationId, t.id] }),
    uniqueIndex('crm_custom_fields_key').on(t.organizationId, t.object, t.key),
    uniqueIndex('crm_custom_fields_slot').on(t.organizationId, t.object, t.slot),
    index('crm_custom_fields_pending_idx').on(t.updatedAt, t.organizationId, t.id).where(pending),
    index('crm_custom_fields_created_idx').on(t.organizationId, t.createdAt, t.id),
    index('crm_custom_fields_key_idx').on(t.organizationId, t.key, t.id),
    check('crm_custom_fields_object_check', sql`object in ('account', 'contact', 'lead', 'opportunity')`),
    tenantPolicy('crm_custom_fields'),
    maintenancePolicy('crm_custom_fields', pending),
  ],
)

/** Names the present definitions of one kind of record; every change of one of them gives another name. */
export const crmCustomFieldRevisions = pgTable(
  'crm_custom_field_revisions',
  {
    organizationId: organizationId().references(() => crmOrganizations.id),
    object: text('object').notNull(),
    revision: uuid('revision').notNull(),
  },
  (t) => [primaryKey({ columns: [t.organizationId, t.object] }), tenantPolicy('crm_custom_field_revisions')],
)

/** Who has which value of a unique custom field; deleted records have none. The key is what makes values unique. */
export const crmCustomFieldValues = pgTable(
  'crm_custom_field_values',
  {
    organizationId: organizationId(),
    fieldId: uuid('field_id').notNull(),
    valueHash: text('value_hash').notNull(),
    recordId: uuid('record_id').notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.organizationId, t.fieldId, t.valueHash] }),
    index('crm_custom_field_values_record_idx').on(t.organizationId, t.recordId),
    foreignKey({
      name: 'crm_custom_field_values_field_fk',
      columns: [t.organizationId, t.fieldId],
      foreignColumns: [crmCustomFields.organizationId, crmCustomFields.id],
    }),
    tenantPolicy('crm_custom_field_values'),
  ],
)
