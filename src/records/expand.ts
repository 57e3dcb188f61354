import { sql } from 'drizzle-orm'
import type { Level } from '../../generated/operations.js'
import type { Scope } from '../context.js'
import { type Bound, parameter, statement } from '../db/statement.js'
import { keyOf, type Row } from './fields.js'
import { columnsOf, type Expanded, keysOf, type Readable } from './record-type.js'
import { levelOf, scopeParameters } from './scope.js'

/** What may be named in `expand`: a relation, or a relation of what that leads to. */
export type ExpandPath<Resource> = {
  [Name in keyof Expanded<Resource> & string]:
    | Name
    | `${Name}.${keyof Expanded<NonNullable<Expanded<Resource>[Name]>> & string}`
}[keyof Expanded<Resource> & string]

type Holder = Record<string, unknown> & { expanded?: Record<string, unknown> }

/**
 * Puts what the references of some records lead to into their `expanded`: one look-up for each relation and one flight for each hop,
 * however many records there are. What the caller may not read, under the same predicate as everywhere, is null like what is not there.
 *
 * @param paths `account`, or `account.owner` for a second hop
 */
export async function expand(
  scope: Scope,
  type: Readable<unknown>,
  records: readonly unknown[],
  paths: readonly string[],
): Promise<void> {
  let hop = stepsFrom(scope, type, records as readonly Holder[], paths)
  while (hop.length > 0) {
    const lookups = hop.flatMap(({ lookup }) => lookup ?? [])
    const answers = lookups.length > 0 ? await scope.db.all(...lookups) : []
    const rowsOf = new Map(lookups.map((lookup, index) => [lookup, answers[index] ?? []]))
    hop = hop.flatMap(({ lookup, attach }) => attach((lookup && rowsOf.get(lookup)) ?? []))
  }
}

/** The way along one relation, for all records that are there. */
type Step = {
  /** Undefined when there is nothing to look for, or nothing that the caller may see. */
  lookup: Bound<Row> | undefined
  /** Puts what was found where it belongs; answers with the steps from there. */
  attach(rows: readonly Row[]): Step[]
}

function stepsFrom(
  scope: Scope,
  type: Readable<unknown>,
  records: readonly Holder[],
  paths: readonly string[],
): Step[] {
  const further = new Map<string, string[]>()
  for (const path of paths) {
    const [name = '', ...rest] = path.split('.')
    further.set(name, [...(further.get(name) ?? []), ...(rest.length > 0 ? [rest.join('.')] : [])])
  }
  return [...further].map(([name, rest]) => stepAlong(scope, type, records, name, rest))
}

function stepAlong(
  scope: Scope,
  type: Readable<unknown>,
  records: readonly Holder[],
  name: string,
  further: readonly string[],
): Step {
  const related = type.relations?.[name]?.to()
  // Not the caller's fault: the contract declares a relation that the record type does not know.
  if (!related) throw new Error(`${type.plural} cannot be expanded by ${name}`)
  const reference = `${name}Id`
  const ids = new Set(records.map((record) => record[reference]))
  ids.delete(null)
  const level = levelOf(scope, `${related.plural}:read`)
  return {
    lookup:
      level && ids.size > 0
        ? findMany(related, level)({ ...scopeParameters(scope), ids: `{${[...ids].join(',')}}` })
        : undefined,
    attach(rows) {
      const found = new Map(rows.map((row) => [row[keyOf(related.id)], related.toResource(row)]))
      for (const record of records) {
        record.expanded = { ...record.expanded, [name]: found.get(record[reference]) ?? null }
      }
      return stepsFrom(scope, related, [...found.values()] as Holder[], further)
    },
  }
}

const findMany = (type: Readable<unknown>, level: Level) =>
  type.prepared(`expand ${level}`, () =>
    statement<Row>(
      `${type.plural}.expand`,
      sql`select ${columnsOf(type)} from ${type.from} where ${type.visible(level)} and ${type.id} = any(${parameter('ids')}::uuid[])`,
      { columns: keysOf(type) },
    ),
  )
