import { sql } from 'drizzle-orm'
import type { PgColumn } from 'drizzle-orm/pg-core'
import type { Executor } from '../../db/database.js'
import { parameter, type Statement, statement } from '../../db/statement.js'
import { recordTypeOf } from '../record-type.js'
import { sameOrganization } from '../scope.js'
import type { CustomField } from './definitions.js'
import { keyOfValue } from './key.js'

/** How many records are keyed at a time, and held meanwhile. */
const CHUNK = 500

/** The keys that records of a kind are to have in a slot: those of a field, or none. */
type Keying = { field: CustomField; slot: number }

/** A part of the records, in the order of their ids: where it ends, and how many there were. */
type Part = { last: string | null; records: number; isLast: boolean }

type Kept = { id: string; value: unknown; key: string | null }

type Slot = {
  /** How many records the next part has, without holding them. */
  size: Statement<{ records: number }>
  hold: Statement<Kept>
  /** Leaves out what others hold. */
  holdFree: Statement<Kept>
  write: Statement<unknown>
}

const slots = new Map<string, Slot>()

function slotOf(object: string, slot: number): Slot {
  const name = `${object} ${slot}`
  const known = slots.get(name)
  if (known) return known
  const type = recordTypeOf(object)
  const column: PgColumn | undefined = type?.custom.slots[slot - 1]
  if (!type || !column) throw new Error(`${object} has no key slot ${slot}`)
  const { table } = type
  // Deleted records too: they may be restored.
  const part = sql`from ${table} where ${sameOrganization(table)} and ${table.id} > ${parameter('after')}::uuid order by ${table.id} limit ${sql.raw(String(CHUNK))}`
  const held = sql<Kept>`select ${table.id}, ${table.customFields} -> ${parameter('key')}::text as value, ${column} as key ${part} for no key update`
  const compiled: Slot = {
    size: statement(
      `${type.plural}.keys`,
      sql<{ records: number }>`select count(*)::integer as records from (select ${table.id} ${part}) part`,
    ),
    hold: statement(`${type.plural}.keys`, held),
    holdFree: statement(`${type.plural}.keys`, sql<Kept>`${held} skip locked`),
    write: statement(
      `${type.plural}.rekey`,
      sql`update ${table} set ${sql.identifier(column.name)} = given.key
        from jsonb_to_recordset(${parameter('keys')}::jsonb) as given(id uuid, key text)
        where ${sameOrganization(table)} and ${table.id} = given.id`,
    ),
  }
  slots.set(name, compiled)
  return compiled
}

const BEFORE_ALL = '00000000-0000-0000-0000-000000000000'

const parametersOf = (organizationId: string, { field }: Keying, after: string | null) => ({
  scopeOrganizationId: organizationId,
  key: field.key,
  after: after ?? BEFORE_ALL,
})

/** Holds the next part of the records; the caller takes care that the field stays as it is from then on. */
export const holdPart = (organizationId: string, tx: Executor, keying: Keying, after: string | null): Promise<Kept[]> =>
  tx.run(slotOf(keying.field.object, keying.slot).hold(parametersOf(organizationId, keying, after)))

/** Gives the records of a part, which are held, the keys that they should have. That is no change of theirs. */
export async function writePart(
  organizationId: string,
  tx: Executor,
  { field, slot }: Keying,
  part: readonly Kept[],
): Promise<Part> {
  const isWanted = field.indexState !== 'clearing'
  const keys = part.flatMap(({ id, value, key }) => {
    const wanted = isWanted ? keyOfValue(field, value) : null
    return key === wanted ? [] : [{ id, key: wanted }]
  })
  const { write } = slotOf(field.object, slot)
  if (keys.length > 0) await tx.run(write({ scopeOrganizationId: organizationId, keys: JSON.stringify(keys) }))
  return { last: part.at(-1)?.id ?? null, records: part.length, isLast: part.length < CHUNK }
}

/**
 * Gives as many records their keys as a request has time for, while it holds the definitions. Records that others hold wait for the
 * definitions, so that to wait for them would never end.
 *
 * @returns how far it came: up to an id, or to the end
 */
export async function rekeySome(
  organizationId: string,
  tx: Executor,
  keying: Keying,
  parts: number,
): Promise<{ isDone: boolean; indexedTo: string | null }> {
  const { size, holdFree } = slotOf(keying.field.object, keying.slot)
  let indexedTo: string | null = null
  for (let done = 0; done < parts; done++) {
    const parameters = parametersOf(organizationId, keying, indexedTo)
    const [[there], free] = await tx.all(size(parameters), holdFree(parameters))
    if (free.length < (there?.records ?? 0)) return { isDone: false, indexedTo }
    const { last, isLast } = await writePart(organizationId, tx, keying, free)
    if (isLast) return { isDone: true, indexedTo: null }
    indexedTo = last
  }
  return { isDone: false, indexedTo }
}
