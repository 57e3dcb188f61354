import { type SQL, sql } from 'drizzle-orm'
import type { AnyPgColumn } from 'drizzle-orm/pg-core'
import type { Scope } from '../context.js'
import { parameter } from '../db/statement.js'
import { type Fault, InvalidRequest } from '../problem.js'
import type { Row, Target } from './fields.js'
import type { Readable } from './record-type.js'
import { levelOf, sameOrganization, within } from './scope.js'

/** Which columns of a row point where, and whether the caller may see what is there. */
export type References = {
  /** Names everything that the SQL depends on. */
  shape: string
  names: readonly string[]
  /** Writes `exists (...)` for each name, when a statement is compiled; a null id passes. */
  checks(): readonly SQL[]
  /** Writes `array(...)` for each name: of many ids, those that pass. */
  found(): readonly SQL[]
}

const parameterOf = (name: string): string => `reference_${name}`

/** The checks for some of the properties that are references. */
export function references(
  scope: Scope,
  type: Pick<Readable<unknown>, 'fields'>,
  names: readonly string[] = Object.keys(type.fields),
): References {
  const targets = names.flatMap((name) => {
    const target = type.fields[name]?.target
    return target ? [{ name, target, level: target.permission && levelOf(scope, target.permission) }] : []
  })
  return {
    shape: targets.map(({ name, level }) => `${name}:${level}`).join(),
    names: targets.map(({ name }) => name),
    checks: () => targets.map(({ name, target, level }) => check(name, target, level)),
    found: () => targets.map(({ name, target, level }) => foundOf(name, target, level)),
  }
}

function check(name: string, target: Target, level: ReturnType<typeof levelOf>): SQL {
  const id = sql`${parameter(parameterOf(name))}::uuid`
  return sql`(${id} is null or ${reachable(target, level, id)})`
}

function foundOf(name: string, target: Target, level: ReturnType<typeof levelOf>): SQL {
  const id = target.id() as AnyPgColumn
  const matches = sql`${id} = any(${parameter(parameterOf(name))}::uuid[])`
  return sql`array(select ${id} from ${target.table()} where ${visible(target, level)} and ${matches})`
}

/** The rows of a target that a caller with this level of its permission may refer to. */
function visible(target: Target, level: ReturnType<typeof levelOf>): SQL {
  const table = target.table() as unknown as Parameters<typeof within>[0]
  const seen = target.permission ? (level ? within(table, level) : sql`false`) : sameOrganization(table)
  return target.condition ? sql`${seen} and ${target.condition()}` : seen
}

/** Whether there is something with this id that a caller with this level of the target's permission may see. */
export const reachable = (target: Target, level: ReturnType<typeof levelOf>, id: SQL): SQL =>
  sql`exists (select from ${target.table()} where ${visible(target, level)} and ${target.id() as AnyPgColumn} = ${id})`

/** The fault of a reference to nothing, or to what the caller may not see. */
export const missingReference = (pointer: string): Fault => ({
  pointer,
  code: 'missing_reference',
  message: 'must be the id of an existing resource',
})

/** The parameters of the checks: the id behind each name, or null for what need not be checked. */
export function referenceParameters({ names }: References, ids: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(names.map((name) => [parameterOf(name), ids[name] ?? null]))
}

/** The parameters of `found`: the ids behind each name in some rows. */
export function manyReferenceParameters({ names }: References, rows: readonly Row[]): Record<string, unknown> {
  return Object.fromEntries(
    names.map((name) => {
      const ids = new Set(rows.map((row) => row[name] ?? null))
      ids.delete(null)
      return [parameterOf(name), `{${[...ids].join(',')}}`]
    }),
  )
}

/**
 * Complains about references to nothing, or to what the caller may not see: the two look the same.
 * @throws InvalidRequest
 */
export function assertReferences({ names }: References, found: Record<string, unknown>): void {
  const faults = names.filter((name) => found[name] === false).map((name) => missingReference(`/${name}`))
  if (faults.length > 0) throw new InvalidRequest(...faults)
}
