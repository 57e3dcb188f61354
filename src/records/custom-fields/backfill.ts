import { getTableName, sql } from 'drizzle-orm'
import type { PgColumn } from 'drizzle-orm/pg-core'
import type { Executor } from '../../db/database.js'
import { parameter, type Statement, statement } from '../../db/statement.js'
import type { Row } from '../fields.js'
import { recordTypeOf } from '../record-type.js'
import { sameOrganization } from '../scope.js'
import { type CustomField, customFields } from './definitions.js'

import { keyOfValue } from './key.js'

// What existing records are found by is derived from their values: keys in a slot, for filters and orders, and the words of their
// documents, for searches. When a definition changes what it takes of them, they are gone through in the order of their ids.

/** How many records are gone through at a time, and held meanwhile. */
const CHUNK = 500

/** Where a field stands: its definition, the slot of its keys, and up to which record its backfill has come. */
export type Standing = { field: CustomField; slot: number | null; indexedTo: string | null }

export const standingOf = (row: Row): Standing => ({
  field: customFields.toResource(row),
  slot: row.slot as number | null,
  indexedTo: row.indexedTo as string | null,
})

/** A part of the records: where it ends, and whether it was the last one. */
type Part = { last: string | null; isLast: boolean }

type Held = { id: string; value: unknown; key: string | null }

type Walk = {
  /** How many records the next part has, without holding them. */
  size: Statement<{ records: number }>
  hold: Statement<Held>
  /** Leaves out what others hold. */
  holdFree: Statement<Held>
  /** Where the field has a slot. */
  writeKeys: Statement<unknown> | undefined
  writeDocuments: Statement<unknown>
}

const walks = new Map<string, Walk>()

function walkOf({ field: { object }, slot }: Standing): Walk {
  const name = `${object} ${slot}`
  const known = walks.get(name)
  if (known) return known
  const type = recordTypeOf(object)
  const column: PgColumn | undefined = slot === null ? undefined : type?.custom.slots[slot - 1]
  if (!type || (slot !== null && !column)) throw new Error(`${object} has no key slot ${slot}`)
  const { table, plural } = type
  const key = column ? sql`${column}` : sql`null::text`
  // Deleted records too: they may be restored.
  const part = sql`from ${table} where ${sameOrganization(table)} and ${table.id} > ${parameter('after')}::uuid order by ${table.id} limit ${sql.raw(String(CHUNK))}`
  const held = sql<Held>`select ${table.id}, ${table.customFields} -> ${parameter('key')}::text as value, ${key} as key ${part} for no key update`
  const compiled: Walk = {
    size: statement(
      `${plural}.backfill`,
      sql<{ records: number }>`select count(*)::integer as records from (select ${table.id} ${part}) part`,
    ),
    hold: statement(`${plural}.backfill`, held),
    holdFree: statement(`${plural}.backfill`, sql<Held>`${held} skip locked`),
    writeKeys:
      column &&
      statement(
        `${plural}.backfill_keys`,
        sql`update ${table} set ${sql.identifier(column.name)} = given.key
        from jsonb_to_recordset(${parameter('keys')}::jsonb) as given(id uuid, key text)
        where ${sameOrganization(table)} and ${table.id} = given.id`,
      ),
    writeDocuments: statement(
      `${plural}.backfill_documents`,
      sql`select app.${sql.identifier(`search_again_${getTableName(table)}`)}(${table}) from ${table}
        where ${sameOrganization(table)} and ${table.id} = any(${parameter('ids')}::uuid[])`,
    ),
  }
  walks.set(name, compiled)
  return compiled
}

const isChanging = (state: CustomField['indexState']): boolean => state === 'building' || state === 'clearing'

const SETTLED = { none: 'none', building: 'ready', ready: 'ready', clearing: 'none' } as const

/** A field for which all existing records have been gone through. */
export function settled({ field, slot }: Standing): Standing {
  const indexState = SETTLED[field.indexState]
  return {
    field: { ...field, indexState, searchState: SETTLED[field.searchState] },
    slot: indexState === 'none' ? null : slot,
    indexedTo: null,
  }
}

const BEFORE_ALL = '00000000-0000-0000-0000-000000000000'

const parametersOf = (organizationId: string, { field, indexedTo }: Standing) => ({
  scopeOrganizationId: organizationId,
  key: field.key,
  after: indexedTo ?? BEFORE_ALL,
})

/** Holds the next part of the records; the caller takes care that the field stays as it is from then on. */
export const holdPart = (organizationId: string, tx: Executor, standing: Standing): Promise<Held[]> =>
  tx.run(walkOf(standing).hold(parametersOf(organizationId, standing)))

/** Gives the records of a part, which are held, the keys and words that they should have. That is no change of theirs. */
export async function writePart(
  organizationId: string,
  tx: Executor,
  standing: Standing,
  part: readonly Held[],
): Promise<Part> {
  const { field } = standing
  const { writeKeys, writeDocuments } = walkOf(standing)
  if (writeKeys && isChanging(field.indexState)) {
    const keys = part.flatMap(({ id, value, key }) => {
      const wanted = field.indexState === 'building' ? keyOfValue(field, value) : null
      return key === wanted ? [] : [{ id, key: wanted }]
    })
    if (keys.length > 0) await tx.run(writeKeys({ scopeOrganizationId: organizationId, keys: JSON.stringify(keys) }))
  }
  if (isChanging(field.searchState)) {
    const ids = part.flatMap(({ id, value }) => (typeof value === 'string' || Array.isArray(value) ? [id] : []))
    if (ids.length > 0) await tx.run(writeDocuments({ scopeOrganizationId: organizationId, ids: `{${ids.join()}}` }))
  }
  return { last: part.at(-1)?.id ?? null, isLast: part.length < CHUNK }
}

/**
 * Goes through as many records as a request has time for, while it holds the definitions. Records that others hold wait for the
 * definitions, so that to wait for them would never end.
 *
 * @returns where the field stands then
 */
export async function backfillSome(
  organizationId: string,
  tx: Executor,
  begun: Standing,
  parts: number,
): Promise<Standing> {
  let standing = begun
  for (let done = 0; done < parts; done++) {
    const { size, holdFree } = walkOf(standing)
    const parameters = parametersOf(organizationId, standing)
    const [[there], free] = await tx.all(size(parameters), holdFree(parameters))
    if (free.length < (there?.records ?? 0)) return standing
    const { last, isLast } = await writePart(organizationId, tx, standing, free)
    if (isLast) return settled(standing)
    standing = { ...standing, indexedTo: last }
  }
  return standing
}
