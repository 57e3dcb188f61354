import { type SQL, sql } from 'drizzle-orm'
import type { Level } from '../../generated/operations.js'
import type { Scope } from '../context.js'
import { parameter, statement } from '../db/statement.js'
import { problem } from '../problem.js'
import { etagOf, ifNoneMatchHits } from './conditional.js'
import { decodeCursor, encodeCursor } from './cursor.js'
import { keyOf, type Row } from './fields.js'
import type { Only } from './only.js'
import type { Readable, SortKey } from './record-type.js'
import { assertReferences, compileChecks, referenceParameters, references } from './references.js'
import { requireLevel, scopeParameters } from './scope.js'

/** One resource that the caller may read, or 304 when the caller has its version already. */
export async function get<Resource extends { version: number }>(
  scope: Scope,
  type: Readable<Resource>,
  id: string,
  ifNoneMatch?: string,
) {
  const level = requireLevel(scope, `${type.plural}:read`)
  const find = type.prepared(`get ${level}`, () =>
    statement<Row>(
      `${type.plural}.get`,
      sql`select ${columnsOf(type)} from ${type.from} where ${type.visible(level)} and ${type.id} = ${parameter('id')}`,
      { columns: keysOf(type) },
    ),
  )
  const [row] = await scope.db.run(find({ ...scopeParameters(scope), id }))
  if (!row) return problem(404, 'not_found')
  const record = type.toResource(row)
  const headers = { ETag: etagOf(record) }
  return ifNoneMatchHits(ifNoneMatch, record.version)
    ? { status: 304 as const, headers }
    : { status: 200 as const, headers, body: record }
}

type Scalar = string | number | boolean
type Filterable<Resource> = {
  [Name in keyof Resource]: NonNullable<Resource[Name]> extends Scalar ? Name : never
}[keyof Resource] &
  string

/** The query parameters of a list: what is not listed here, the compiler refuses in the contract. */
type ListQuery<Resource, Sort extends string> = {
  limit: number
  cursor?: string
  sort: readonly (Sort | `-${Sort}`)[]
} & {
  [Name in Filterable<Resource> as Name | `${Name}[gte]` | `${Name}[lt]`]?: NonNullable<Resource[Name]>
}

/** A page of what the caller may read. Every other query parameter is a filter: `field` or `field[operator]`. */
export async function list<Resource, Sort extends string, Query extends ListQuery<Resource, Sort>>(
  scope: Scope,
  type: Readable<Resource, Sort>,
  query: Only<Query, ListQuery<Resource, Sort>>,
) {
  const { limit, cursor, sort, ...filterQuery } = query
  const level = requireLevel(scope, `${type.plural}:read`)
  const filters = Object.entries(filterQuery)
    .filter(([, value]) => value !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([parameterName, value], index) => toFilter(type, parameterName, value, index))
  const order = sort.map((term) => toOrder(type, term))
  const binding = [type.plural, scope.principal.organizationId, sort, filterQuery]
  const after = cursor === undefined ? undefined : decodeCursor(scope, binding, cursor)

  const page = type.prepared(
    `list ${level} ${filters.map((filter) => filter.shape)} ${sort} ${after !== undefined}`,
    () =>
      statement<Row>(`${type.plural}.list`, listQuery(type, level, filters, order, after !== undefined), {
        plans: filters.length > 0 ? 'always' : 'once',
        columns: keysOf(type),
      }),
  )
  const values = {
    ...scopeParameters(scope),
    limit: limit + 1,
    ...Object.fromEntries(filters.map((filter) => [filter.parameter, filter.value])),
    ...Object.fromEntries((after ?? []).map((value, index) => [`after${index}`, value])),
  }

  // A filter by a record that the caller cannot see is answered like one by a record that does not exist.
  const pointed = references(
    scope,
    type,
    filters.map((filter) => filter.name),
  )
  const ids = Object.fromEntries(filters.map((filter) => [filter.name, filter.value]))
  let rows: Row[]
  if (pointed.names.length > 0) {
    const checks = type.prepared(`list references ${pointed.shape}`, () =>
      compileChecks(`${type.plural}.references`, pointed),
    )
    const [pageRows, [found = {}]] = await scope.db.all(
      page(values),
      checks({ ...scopeParameters(scope), ...referenceParameters(pointed, ids) }),
    )
    assertReferences(pointed, found, '/query')
    rows = pageRows
  } else {
    rows = await scope.db.run(page(values))
  }

  const hasMore = rows.length > limit
  const shown = hasMore ? rows.slice(0, limit) : rows
  const last = hasMore ? shown.at(-1) : undefined
  const nextCursor = last
    ? encodeCursor(scope, binding, [...order.map(({ key }) => key.value(last)), last[keyOf(type.id)]])
    : null
  return {
    status: 200 as const,
    body: { data: shown.map((row) => type.toResource(row)), page: { nextCursor, hasMore } },
  }
}

type Filter = { name: string; shape: string; parameter: string; condition: SQL; value: unknown }

const OPERATORS: Record<string, SQL> = { eq: sql`=`, gte: sql`>=`, lt: sql`<` }

/** Turns a query parameter that the contract declares into a condition. */
function toFilter(type: Readable<unknown>, parameterName: string, value: unknown, index: number): Filter {
  const [, name = parameterName, operator = 'eq'] = /^(\w+)\[(\w+)\]$/.exec(parameterName) ?? []
  const match = type.fields[name]?.match
  const symbol = OPERATORS[operator]
  // Not the caller's fault: the contract declares a filter that the record type does not know.
  if (!match || !symbol) throw new Error(`${type.plural} cannot be filtered by ${parameterName}`)
  const placeholder = `filter${index}`
  return {
    name,
    shape: parameterName,
    parameter: placeholder,
    condition: sql`${match.column} ${symbol} ${parameter(placeholder)}::${sql.raw(match.column.getSQLType())}`,
    value: match.encode(value),
  }
}

type Order = { key: SortKey; descending: boolean }

function toOrder(type: Readable<unknown>, term: string): Order {
  const descending = term.startsWith('-')
  const key = type.sorts[descending ? term.slice(1) : term]
  if (!key) throw new Error(`${type.plural} cannot be sorted by ${term}`)
  return { key, descending }
}

function listQuery(
  type: Readable<unknown>,
  level: Level,
  filters: readonly Filter[],
  order: readonly Order[],
  continued: boolean,
): SQL<Row> {
  const conditions = [type.visible(level), ...filters.map((filter) => filter.condition)]
  if (continued) conditions.push(afterPosition(type, order))
  const last = order.at(-1)
  const terms = [
    ...order.map(({ key, descending }) => direction(key.expression, descending)),
    direction(type.id, last?.descending ?? true),
  ]
  return sql`select ${columnsOf(type)} from ${type.from} where ${sql.join(conditions, sql` and `)} order by ${sql.join(terms, sql`, `)} limit ${parameter('limit')}`
}

const direction = (expression: SortKey['expression'], descending: boolean): SQL =>
  descending ? sql`${expression} desc` : sql`${expression} asc`

/**
 * Everything behind the last record of the page before. Where all terms run in one direction a row comparison says it, which
 * PostgreSQL walks along the index; otherwise the first term bounds the scan and the rest is spelled out.
 */
function afterPosition(type: Readable<unknown>, order: readonly Order[]): SQL {
  const idTerm: Order = {
    key: { expression: type.id, sqlType: 'uuid', value: (row) => row[keyOf(type.id)] },
    descending: order.at(-1)?.descending ?? true,
  }
  const terms = [...order, idTerm].map(({ key, descending }, index) => ({
    expression: key.expression,
    value: sql`${parameter(`after${index}`)}::${sql.raw(key.sqlType)}`,
    beyond: descending ? sql`<` : sql`>`,
    descending,
  }))
  const [first] = terms
  if (!first || terms.every(({ descending }) => descending === first.descending)) {
    const left = sql.join(
      terms.map(({ expression }) => sql`${expression}`),
      sql`, `,
    )
    const right = sql.join(
      terms.map(({ value }) => value),
      sql`, `,
    )
    return sql`(${left}) ${terms[0]?.beyond} (${right})`
  }
  const alternatives = terms.map(({ expression, value, beyond }, index) => {
    const equal = terms.slice(0, index).map((term) => sql`${term.expression} = ${term.value}`)
    return sql`(${sql.join([...equal, sql`${expression} ${beyond} ${value}`], sql` and `)})`
  })
  return sql`${first.expression} ${first.beyond}= ${first.value} and (${sql.join(alternatives, sql` or `)})`
}

export function columnsOf(type: Readable<unknown>): SQL {
  return sql.join(
    type.columns.map((column) => sql`${column}`),
    sql`, `,
  )
}

export const keysOf = (type: Readable<unknown>): string[] => type.columns.map(keyOf)
