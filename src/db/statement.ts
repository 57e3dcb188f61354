import { fillPlaceholders, SQL, type SQLWrapper, sql } from 'drizzle-orm'
import { PgDialect } from 'drizzle-orm/pg-core'
import { drizzle } from 'drizzle-orm/postgres-js'

/** Builds Drizzle queries without a connection: they are compiled once by `statement` and sent by an `Executor`. */
export const query = drizzle.mock()

const dialect = new PgDialect()

/**
 * How often PostgreSQL plans a statement: `once` for all values, or `always` for the values at hand. Planning costs about as much
 * as reading a record; a plan for average values may cost a hundred times more where values differ much, as in filters.
 */
export type Plans = 'once' | 'always'

/** A statement with its parameters, ready to travel. */
export type Bound<Row> = {
  /** The metric label; one per query shape family, so its number stays small. */
  readonly name: string
  readonly text: string
  readonly values: unknown[]
  readonly plans: Plans
  /** Where the columns are known beforehand: makes a row of their values. */
  readonly toRow: ((values: readonly unknown[]) => Record<string, unknown>) | undefined
  /** Carries the row type only. */
  readonly row?: Row
}

export type Statement<Row> = (values?: Record<string, unknown>) => Bound<Row>

type StatementOptions = { plans?: Plans; columns?: readonly string[] | undefined }

type RowOf<Query> = Query extends PromiseLike<readonly (infer Row)[]> ? Row : never

/**
 * Compiles a Drizzle query to SQL text once; afterwards only parameters travel, and PostgreSQL reuses its plan.
 * Columns must be of driver-native types (text, integer, timestamps as strings), because rows are not decoded again.
 *
 * @param name the metric label of the statement
 * @param build a Drizzle query with `sql.placeholder`s for its parameters
 * @param options `plans` holds outside of transactions, and then for all statements of the flight; `columns` are the keys of the
 *   rows in the order of the select list, which makes reading them cheaper and is known of builder queries anyway
 */
export function statement<Query extends SQLWrapper & PromiseLike<readonly unknown[]>>(
  name: string,
  build: Query,
  options?: StatementOptions,
): Statement<RowOf<Query>>
export function statement<Row>(name: string, build: SQL<Row>, options?: StatementOptions): Statement<Row>
export function statement(
  name: string,
  build: SQLWrapper,
  { plans = 'once', columns = selectedColumns(build) }: StatementOptions = {},
): Statement<unknown> {
  const { sql: text, params } = dialect.sqlToQuery(build.getSQL())
  const toRow = columns && rowMaker(columns)
  return (values = {}) => ({ name, text, values: fillPlaceholders(params, values), plans, toRow })
}

/** Compiled, because to add so many keys one after the other takes several times as long. The keys come from this code base. */
const rowMaker = (keys: readonly string[]) =>
  new Function(
    'values',
    `return {${keys.map((key, index) => `${JSON.stringify(key)}: values[${index}]`)}}`,
  ) as NonNullable<Bound<unknown>['toRow']>

/** The keys of a builder query in column order: two joined tables may have columns of the same name. */
function selectedColumns(build: SQLWrapper): readonly string[] | undefined {
  if (build instanceof SQL) return undefined
  const fields = (build as { _?: { selectedFields?: object } })._?.selectedFields
  return fields && Object.keys(fields)
}

export const parameter = sql.placeholder
