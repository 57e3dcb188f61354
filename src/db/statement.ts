import { fillPlaceholders, SQL, type SQLWrapper, sql } from 'drizzle-orm'
import { PgDialect } from 'drizzle-orm/pg-core'
import { drizzle } from 'drizzle-orm/postgres-js'

/** Builds Drizzle queries without a connection: they are compiled once by `statement` and sent by an `Executor`. */
export const query = drizzle.mock()

const dialect = new PgDialect()

/** A statement with its parameters, ready to travel. */
export type Bound<Row> = {
  /** The metric label; one per query shape family, so its number stays small. */
  readonly name: string
  readonly text: string
  readonly values: unknown[]
  /** Where rows come as arrays: the names of their columns, in order. */
  readonly columns: readonly string[] | undefined
  /** Carries the row type only. */
  readonly row?: Row
}

export type Statement<Row> = (values?: Record<string, unknown>) => Bound<Row>

type RowOf<Query> = Query extends PromiseLike<readonly (infer Row)[]> ? Row : never

/**
 * Compiles a Drizzle query to SQL text once; afterwards only parameters travel, and PostgreSQL reuses its plan.
 * Columns must be of driver-native types (text, integer, timestamps as strings), because rows are not decoded again.
 *
 * @param name the metric label of the statement
 * @param build a Drizzle query with `sql.placeholder`s for its parameters
 */
export function statement<Query extends SQLWrapper & PromiseLike<readonly unknown[]>>(
  name: string,
  build: Query,
): Statement<RowOf<Query>>
export function statement<Row>(name: string, build: SQL<Row>): Statement<Row>
export function statement(name: string, build: SQLWrapper): Statement<unknown> {
  const { sql: text, params } = dialect.sqlToQuery(build.getSQL())
  const columns = selectedColumns(build)
  return (values = {}) => ({ name, text, values: fillPlaceholders(params, values), columns })
}

/** The keys of a builder query in column order: two joined tables may have columns of the same name. */
function selectedColumns(build: SQLWrapper): readonly string[] | undefined {
  if (build instanceof SQL) return undefined
  const fields = (build as { _?: { selectedFields?: object } })._?.selectedFields
  return fields && Object.keys(fields)
}

export const parameter = sql.placeholder
