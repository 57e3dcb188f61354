import { setImmediate as breathe } from 'node:timers/promises'
import { isNull, sql } from 'drizzle-orm'
import type { components } from '../../../generated/types.js'
import type { Scope } from '../../context.js'
import { parameter, type Statement, statement } from '../../db/statement.js'
import type { CustomField } from '../../records/custom-fields/definitions.js'
import { enforcementOf } from '../../records/custom-fields/unique.js'
import { faultOf } from '../../records/custom-fields/value.js'
import { recordTypeOf } from '../../records/record-type.js'
import { levelOf, sameOrganization, scopeParameters, within } from '../../records/scope.js'

type Check = components['schemas']['CustomFieldCheck']
type Held = { id: string; value: unknown; visible: boolean }

const MAX_RECORDS = 10_000
const MAX_EXAMPLES = 10
/** Patterns of a tenant run in everybody's process: not for longer than this, and with pauses. */
const MAX_MS = 1_000
const AT_A_TIME = 100

const statements = new Map<string, Statement<Held>>()

/** The values of a field in the newest live records, and which of these the caller sees. */
function valuesOf(scope: Scope, object: string): Statement<Held> {
  const type = recordTypeOf(object)
  if (!type) throw new Error(`nothing is called ${object}`)
  const level = levelOf(scope, type.permission('read'))
  const shape = `${object} ${level}`
  const known = statements.get(shape)
  if (known) return known
  const { table } = type
  const visible = level ? within(table, level) : sql`false`
  const compiled = statement<Held>(
    'custom_fields.values',
    sql`select ${table.id}, ${table.customFields} -> ${parameter('key')}::text as value, (${visible}) as visible from ${table}
      where ${sameOrganization(table)} and ${isNull(table.deletedAt)}
      order by ${table.createdAt} desc, ${table.id} desc limit ${sql.raw(String(MAX_RECORDS + 1))}`,
  )
  statements.set(shape, compiled)
  return compiled
}

/** Holds what the live records have against a definition; it takes a bounded time, however many there are. */
export async function checkRecords(scope: Scope, field: CustomField): Promise<Check> {
  const find = valuesOf(scope, field.object)
  const rows = await scope.db.run(find({ ...scopeParameters(scope), key: field.key }))
  const violations = new Map<string, Held[]>()
  const note = (code: string, held: Held) => {
    const known = violations.get(code)
    if (known) known.push(held)
    else violations.set(code, [held])
  }
  const shared = field.unique ? sharedIn(field, rows.slice(0, MAX_RECORDS)) : new Set<Held>()
  const end = performance.now() + MAX_MS
  let records = 0
  while (records < Math.min(rows.length, MAX_RECORDS) && performance.now() < end) {
    for (const held of rows.slice(records, Math.min(records + AT_A_TIME, MAX_RECORDS))) {
      records++
      const code = codeOf(field, held.value)
      if (code) note(code, held)
      else if (shared.has(held)) note('duplicate_value', held)
    }
    await breathe()
  }
  return {
    records,
    isComplete: records === rows.length,
    violations: [...violations].slice(0, 20).map(([code, all]) => ({
      code,
      records: all.length,
      examples: all
        .filter(({ visible }) => visible)
        .slice(0, MAX_EXAMPLES)
        .map(({ id }) => id),
    })),
  }
}

function codeOf(field: CustomField, value: unknown): string | undefined {
  if (value === null || value === undefined) return field.required ? 'required' : undefined
  // As if it were there already: options that are archived may stay.
  return faultOf(field, value, value, '')?.code
}

/** The records that have the same value as another one. */
function sharedIn(field: CustomField, rows: readonly Held[]): Set<Held> {
  const { folded } = enforcementOf(field)
  const holders = new Map<string, Held[]>()
  for (const held of rows) {
    if (held.value === null || held.value === undefined) continue
    const text = folded ? String(held.value).toLowerCase() : String(held.value)
    const others = holders.get(text)
    if (others) others.push(held)
    else holders.set(text, [held])
  }
  return new Set([...holders.values()].filter(({ length }) => length > 1).flat())
}
