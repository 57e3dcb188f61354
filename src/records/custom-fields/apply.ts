import { isDeepStrictEqual } from 'node:util'
import { sql } from 'drizzle-orm'
import type { Scope } from '../../context.js'
import type { Executor } from '../../db/database.js'
import { parameter, type Statement, statement } from '../../db/statement.js'
import type { Fault } from '../../problem.js'
import { targetOf } from '../record-type.js'
import { levelOf, sameOrganization, scopeParameters, within } from '../scope.js'
import { type CustomField, type Definitions, InvalidCustomFields } from './definitions.js'
import { faultOf } from './value.js'

type Values = Record<string, unknown>

const own = (values: Values, key: string): unknown => (Object.hasOwn(values, key) ? values[key] : undefined)

const pointerTo = (key: string): string =>
  `/customFields/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`.slice(0, 512)

/**
 * The custom fields of a new record: what is given, and the defaults. Null stands for no value, also instead of the default.
 * @throws InvalidCustomFields
 */
export function newValues({ revision, byKey }: Definitions, given: Values): Values {
  if (revision === null) return given
  const values: Values = {}
  const faults: Fault[] = []
  for (const [key, value] of Object.entries(given)) {
    const fault = faultOfNew(byKey.get(key), key, value, undefined)
    if (fault) faults.push(fault)
    else if (value !== null) values[key] = value
  }
  for (const field of byKey.values()) {
    if (field.archived) continue
    const { key, defaultValue, required } = field
    if (defaultValue !== null && !Object.hasOwn(given, key)) values[key] = structuredClone(defaultValue)
    if (required && !Object.hasOwn(values, key) && own(given, key) == null) faults.push(missing(key))
  }
  if (faults.length > 0) throw new InvalidCustomFields(...faults.slice(0, 100))
  return values
}

/**
 * Holds the custom fields that a change sets, changes or clears against their definitions; the others may be older than those.
 * @throws InvalidCustomFields
 */
export function assertChangedValues({ revision, byKey }: Definitions, before: Values, after: Values): void {
  if (revision === null || before === after) return
  const faults: Fault[] = []
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const [from, to] = [own(before, key), own(after, key)]
    if (isDeepStrictEqual(from, to)) continue
    const field = byKey.get(key)
    if (to === undefined) {
      if (field?.required && !field.archived) faults.push(missing(key))
      continue
    }
    const fault = faultOfNew(field, key, to, from)
    if (fault) faults.push(fault)
  }
  if (faults.length > 0) throw new InvalidCustomFields(...faults.slice(0, 100))
}

const missing = (key: string): Fault => ({ pointer: pointerTo(key), code: 'required', message: 'must have a value' })

function faultOfNew(field: CustomField | undefined, key: string, value: unknown, before: unknown): Fault | undefined {
  const pointer = pointerTo(key)
  if (!field) return { pointer, code: 'unknown_custom_field', message: 'must be a custom field of this kind of record' }
  if (value === null) return undefined
  if (field.archived) return { pointer, code: 'archived_custom_field', message: 'must be a field that is not archived' }
  return faultOf(field, value, before, pointer)
}

/**
 * Makes sure that the caller can see whatever the custom fields newly refer to.
 * @throws InvalidCustomFields
 */
export async function assertVisible(
  scope: Scope,
  db: Executor,
  { byKey }: Definitions,
  before: Values,
  after: Values,
): Promise<void> {
  const pointers = [...byKey.values()].flatMap((field) => {
    const object = field.type === 'user' ? 'user' : field.referenceObject
    const id = own(after, field.key)
    return object && typeof id === 'string' && id !== own(before, field.key) ? [{ key: field.key, object, id }] : []
  })
  if (pointers.length === 0) return
  const objects = [...new Set(pointers.map(({ object }) => object))]
  const found = await db.all(
    ...objects.map((object) => {
      const ids = pointers.filter((pointer) => pointer.object === object).map(({ id }) => id)
      return visibleOf(scope, object)({ ...scopeParameters(scope), ids: `{${ids.join(',')}}` })
    }),
  )
  const visible = new Set(objects.flatMap((object, index) => found[index]?.map(({ id }) => `${object} ${id}`) ?? []))
  const faults = pointers
    .filter(({ object, id }) => !visible.has(`${object} ${id.toLowerCase()}`))
    .map(({ key }): Fault => {
      return { pointer: pointerTo(key), code: 'missing_reference', message: 'must be the id of an existing resource' }
    })
  if (faults.length > 0) throw new InvalidCustomFields(...faults.slice(0, 100))
}

const statements = new Map<string, Statement<{ id: string }>>()

/** Which of some ids the caller sees; there is one statement per kind of target and level. */
function visibleOf(scope: Scope, object: string): Statement<{ id: string }> {
  const target = targetOf(object)
  if (!target) throw new Error(`nothing is called ${object}`)
  const level = target.permission && levelOf(scope, target.permission)
  const shape = `${object} ${level}`
  const known = statements.get(shape)
  if (known) return known
  const table = target.table() as unknown as Parameters<typeof within>[0]
  const reachable = target.permission ? (level ? within(table, level) : sql`false`) : sameOrganization(table)
  const condition = target.condition ? sql` and ${target.condition()}` : sql``
  const compiled = statement<{ id: string }>(
    'custom_fields.references',
    sql`select ${target.id()} as id from ${target.table()} where ${reachable} and ${target.id()} = any(${parameter('ids')}::uuid[])${condition}`,
  )
  statements.set(shape, compiled)
  return compiled
}
