import { asc, sql } from 'drizzle-orm'
import { v7 as uuidv7 } from 'uuid'
import type { SharedServices } from '../../context.js'
import type { Executor } from '../../db/database.js'
import { parameter, query, statement } from '../../db/statement.js'
import { defineJob } from '../../jobs/job.js'
import { holdPart, type Standing, settled, standingOf, writePart } from '../../records/custom-fields/backfill.js'
import { customFields } from '../../records/custom-fields/definitions.js'
import {
  pending,
  crmCustomFieldRevisions as revisions,
  crmCustomFields as t,
} from '../../records/custom-fields/table.js'
import type { Row } from '../../records/fields.js'
import { columnsOf } from '../../records/record-type.js'
import { sameOrganization } from '../../records/scope.js'
import { holdObject } from './repository.js'

/** A run ends after so long, so that others get their turn; the relay starts the next one. */
const RUN_MS = 5_000

const findPending = statement(
  'custom_fields.pending',
  query
    .select({ organizationId: t.organizationId, id: t.id })
    .from(t)
    .where(pending)
    .orderBy(asc(t.updatedAt), asc(t.organizationId), asc(t.id))
    .limit(200),
)

const ofOne = sql`${sameOrganization(t)} and ${t.id} = ${parameter('id')}::uuid`

const find = statement<Row>(
  'custom_fields.to_go_on_with',
  sql`select ${t.slot}, ${t.indexedTo}, ${columnsOf(customFields)} from ${t} where ${ofOne} and ${pending}`,
)

// As a write of a record does: the field stays as it is until the transaction ends.
const share = statement(
  'custom_fields.share_object',
  sql`select app.custom_fields_revision(${parameter('scopeOrganizationId')}::uuid, ${parameter('object')})`,
)

const goOn = statement(
  'custom_fields.go_on',
  sql`update ${t} set indexed_to = ${parameter('indexedTo')}::uuid where ${ofOne}`,
)

const finish = statement(
  'custom_fields.finish',
  sql`with finished as (
      update ${t} set version = version + 1, indexed_to = null, index_state = ${parameter('indexState')},
        search_state = ${parameter('searchState')}, slot = ${parameter('slot')}::integer
      where ${ofOne} returning object)
    update ${revisions} set revision = ${parameter('revision')}::uuid from finished
    where ${sameOrganization(revisions)} and ${revisions.object} = finished.object`,
)

async function read(tx: Executor, organizationId: string, id: string): Promise<Standing | undefined> {
  const [row] = await tx.run(find({ scopeOrganizationId: organizationId, id }))
  return row && standingOf(row)
}

/** Whether nobody has changed the field, or gone through records for it, since it was looked at. */
const isSame = (before: Standing, now: Standing | undefined): boolean =>
  now?.field.version === before.field.version && now.indexedTo === before.indexedTo

/**
 * Goes through the next records, in a transaction of its own: first they are held, then the definitions, like when they are written.
 * @returns whether these were the last ones
 */
async function doPart(tx: Executor, organizationId: string, standing: Standing): Promise<boolean> {
  const { id, object } = standing.field
  const part = await holdPart(organizationId, tx, standing)
  await tx.run(share({ scopeOrganizationId: organizationId, object }))
  if (!isSame(standing, await read(tx, organizationId, id))) return false
  const { last, isLast } = await writePart(organizationId, tx, standing, part)
  if (!isLast) await tx.run(goOn({ scopeOrganizationId: organizationId, id, indexedTo: last }))
  return isLast
}

/** Says that all records have been gone through, unless the field has changed meanwhile. What clients remember of it is outdated then. */
async function conclude(tx: Executor, organizationId: string, standing: Standing): Promise<void> {
  const { id, object } = standing.field
  await tx.run(holdObject({ scopeOrganizationId: organizationId, object }))
  if (!isSame(standing, await read(tx, organizationId, id))) return
  const {
    field: { indexState, searchState },
    slot,
  } = settled(standing)
  await tx.run(finish({ scopeOrganizationId: organizationId, id, indexState, searchState, slot, revision: uuidv7() }))
}

/**
 * Has existing records found by a field as its definition says by now, part by part. It goes on where it was stopped: what is done
 * stands in the field.
 */
export const customFieldBackfill = defineJob<SharedServices>({
  name: 'custom-field-backfill',
  due: async ({ database }) => {
    const rows = await database.as({ kind: 'maintenance' }).run(findPending())
    return rows.map(({ organizationId, id }) => `${organizationId}_${id}`)
  },
  run: async (reference, { database }) => {
    const [organizationId = '', id = ''] = reference.split('_')
    const db = database.as({ kind: 'tenant', organizationId })
    const end = performance.now() + RUN_MS
    while (performance.now() < end) {
      const standing = await read(db, organizationId, id)
      if (!standing) return
      const isLast = await db.transaction((tx) => doPart(tx, organizationId, standing))
      if (isLast) await db.transaction((tx) => conclude(tx, organizationId, standing))
    }
  },
})
