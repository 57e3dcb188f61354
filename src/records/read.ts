import { isNotNull, type SQL, sql } from 'drizzle-orm'
import type { PgColumn } from 'drizzle-orm/pg-core'
import type { Level } from '../../generated/operations.js'
import type { Scope } from '../context.js'
import { type Bound, parameter, statement } from '../db/statement.js'
import { problem } from '../problem.js'
import { etagOf, ifNoneMatchHits } from './conditional.js'
import { decodeCursor, encodeCursor } from './cursor.js'
import { byAllDefinitions, DefinitionsInUse, OUTDATED } from './custom-fields/definitions.js'
import { readyField } from './custom-fields/filter.js'
import { keyOfValue } from './custom-fields/key.js'
import { type ExpandPath, expand } from './expand.js'
import { keyOf, type Row } from './fields.js'
import { type Compiled, type Condition, CUSTOM, compileConditions, compileFilter, type Filter } from './filter.js'
import type { Only } from './only.js'
import { many, one } from './pick.js'
import { columnsOf, keysOf, type MembershipName, type Readable, type SortKey } from './record-type.js'
import { requireLevel, scopeParameters } from './scope.js'
import { withSearch } from './search.js'

/** How much of each resource a reply is to hold, and what beside it. */
type Shape<Resource> = { expand?: readonly ExpandPath<Resource>[]; fields?: readonly (keyof Resource & string)[] }

/** One resource that the caller may read, as much of it as is asked for, or 304 when the caller has exactly that already. */
export const get = <Resource extends { version: number }, Asked extends Shape<Resource> = Record<never, never>>(
  scope: Scope,
  type: Readable<Resource>,
  id: string,
  ifNoneMatch?: string,
  shape?: Asked,
) =>
  getBy(
    scope,
    type,
    { name: 'get', condition: sql`${type.id} = ${parameter('id')}`, values: { id } },
    ifNoneMatch,
    shape,
  )

/** What one resource is looked up by; `name` stands for the condition, and `values` are its parameters. */
type LookUp = { name: string; condition: SQL; values: Record<string, unknown> }

/** One resource that the caller may read. */
export async function find<Resource>(
  scope: Scope,
  type: Readable<Resource>,
  { name, condition, values }: LookUp,
): Promise<Resource | undefined> {
  const level = requireLevel(scope, `${type.plural}:read`)
  const read = type.prepared(`${name} ${level}`, () =>
    statement<Row>(
      `${type.plural}.${name}`,
      sql`select ${columnsOf(type)} from ${type.from} where ${type.visible(level)} and ${condition}`,
      { columns: keysOf(type) },
    ),
  )
  const [row] = await scope.db.run(read({ ...scopeParameters(scope), ...values }))
  return row && type.toResource(row)
}

/** Like `get`, by whatever is unique. */
export async function getBy<Resource extends { version: number }, Asked extends Shape<Resource> = Record<never, never>>(
  scope: Scope,
  type: Readable<Resource>,
  lookUp: LookUp,
  ifNoneMatch?: string,
  shape: Asked = {} as Asked,
) {
  const record = await find(scope, type, lookUp)
  if (!record) return problem(404, 'not_found')
  await expand(scope, type, [record], shape.expand ?? [])
  const headers = { ETag: etagOf(record, shape.fields) }
  return ifNoneMatchHits(ifNoneMatch, headers.ETag)
    ? { status: 304 as const, headers }
    : one<Asked, Resource>(record, headers, shape.fields)
}

/** The name of a custom field in an order. */
type CustomSort = `${'' | '-'}customFields.${string}`

type Scalar = string | number | boolean
type Filterable<Resource> = {
  [Name in keyof Resource]: NonNullable<Resource[Name]> extends Scalar ? Name : never
}[keyof Resource] &
  string

/** The query parameters of a list: what is not listed here, the compiler refuses in the contract. */
type ListQuery<Resource, Sort extends string> = {
  limit: number
  cursor?: string
  sort: readonly (Sort | `-${Sort}` | CustomSort)[]
  count?: 'exact' | 'estimate'
  q?: string
} & Shape<Resource> & {
    [Name in Filterable<Resource> as Name | `${Name}[gte]` | `${Name}[lt]`]?: NonNullable<Resource[Name]>
  }

/**
 * A page of what the caller may read; the number of all matches where asked for. Every other query parameter is a filter: `field`
 * or `field[operator]`.
 */
export async function list<Resource, Sort extends string, Query extends ListQuery<Resource, Sort>>(
  scope: Scope,
  type: Readable<Resource, Sort>,
  query: Only<Query, ListQuery<Resource, Sort>>,
) {
  const { limit, cursor, sort, count, expand, fields, q, ...filterQuery } = query
  const conditions = Object.entries(filterQuery)
    .filter(([, value]) => value !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => ({ condition: toCondition(name, value), pointer: `/query/${name}` }))
  return byAllDefinitions(scope, scope.db, async (definitionsOf) => {
    const definitions = new DefinitionsInUse(scope, definitionsOf)
    const filter = withSearch(scope, type, compileConditions(scope, type, conditions, definitions), q, '/query/q')
    const listed = { name: 'list', filter, definitions, sort, ...POINTERS.list }
    return page<Resource, Query>(scope, type, listed, { limit, cursor, count, expand, fields })
  })
}

/** `createdAt[gte]` is the field and the operator. */
function toCondition(parameterName: string, value: unknown): Condition {
  const [, field = parameterName, operator = 'eq'] = /^(\w+)\[(\w+)\]$/.exec(parameterName) ?? []
  // The type of the query has no other operators.
  return { field, op: operator as 'eq' | 'gte' | 'lt', value }
}

/** The body of a query: what its filter is about, the compiler compares with the record. */
type QueryBody<Resource, Sort extends string> = {
  q?: string
  filter?: Filter<(keyof Resource & string) | MembershipName | `${string}.${string}`>
  limit: number
  cursor?: string
  sort: readonly (Sort | `-${Sort}` | CustomSort)[]
  count?: 'exact' | 'estimate'
} & Shape<Resource>

/** A page of what the caller may read and that matches a filter tree; the number of all matches where asked for. */
export async function query<Resource, Sort extends string, Body extends QueryBody<Resource, Sort>>(
  scope: Scope,
  type: Readable<Resource, Sort>,
  body: Only<Body, QueryBody<Resource, Sort>>,
) {
  const { limit, cursor, sort, count, expand, fields, q } = body
  return byAllDefinitions(scope, scope.db, async (definitionsOf) => {
    const definitions = new DefinitionsInUse(scope, definitionsOf)
    const filter = withSearch(scope, type, compileFilter(scope, type, body.filter, '/filter', definitions), q, '/q')
    const listed = { name: 'query', filter, definitions, sort, ...POINTERS.query }
    return page<Resource, Body>(scope, type, listed, { limit, cursor, count, expand, fields })
  })
}

/** Where cursor and order stand in the request. */
const POINTERS = {
  list: { cursorPointer: '/query/cursor', sortPointer: '/query/sort' },
  query: { cursorPointer: '/cursor', sortPointer: '/sort' },
}

/** What an estimate counts at most. */
const COUNTED_AT_MOST = 10_000

type Listed = {
  /** What the statements are called in metrics. */
  name: string
  filter: Compiled
  /** Those that the filter goes by; the order adds its own. */
  definitions: DefinitionsInUse
  sort: readonly string[]
  cursorPointer: string
  sortPointer: string
}

/** How a page is asked for. */
export type PageQuery = {
  limit: number
  cursor?: string | undefined
  count?: 'exact' | 'estimate' | undefined
  expand?: readonly string[] | undefined
  fields?: readonly string[] | undefined
}

/**
 * The one place where records are listed: the rows of the page, the count and the check of references in one flight, and behind them
 * that of the definitions of custom fields.
 * @returns OUTDATED when other definitions are current than those that it went by
 */
export async function page<Resource, Asked>(
  scope: Scope,
  type: Readable<Resource>,
  { name, filter, definitions, sort, cursorPointer, sortPointer }: Listed,
  { limit, cursor, count, expand: paths = [], fields }: PageQuery,
) {
  const level = type.level?.(scope) ?? requireLevel(scope, `${type.plural}:read`)
  const order = toOrders(type, sort, definitions, sortPointer)
  const binding = [type.plural, scope.principal.organizationId, sort, filter.shape, filter.parameters]
  const after = cursor === undefined ? undefined : decodeCursor(scope, binding, cursor, cursorPointer)

  const find = type.prepared(
    `${name} ${level} ${filter.shape} ${order.map(({ shape }) => shape)} ${after !== undefined}`,
    () =>
      statement<Row>(`${type.plural}.${name}`, listQuery(type, level, filter, order, after !== undefined), {
        plans: filter.shape ? 'always' : 'once',
        columns: keysOf(type),
      }),
  )
  const values = { ...scopeParameters(scope), ...filter.parameters }
  const bound = find({
    ...values,
    limit: limit + 1,
    ...Object.fromEntries((after ?? []).map((value, index) => [`after${index}`, value])),
  })
  const counting = count && countMatches(type, level, filter, count)({ ...values, most: COUNTED_AT_MOST + 1 })

  const verification = definitions.check()
  const beside: Bound<Row>[] = [filter.check, counting, verification].filter((each) => each !== undefined)
  const [rows = [], ...answers] = await scope.db.all(bound, ...beside)
  const verified = verification && answers.pop()
  if (!definitions.areCurrent((verified ?? []) as { object: string; revision: string }[])) return OUTDATED
  // A filter by a record that the caller cannot see is answered like one by a record that does not exist.
  if (filter.check) filter.assertFound(answers[0]?.[0])
  const counted = counting && answers.at(-1)?.[0]

  const hasMore = rows.length > limit
  const shown = hasMore ? rows.slice(0, limit) : rows
  const last = hasMore ? shown.at(-1) : undefined
  const nextCursor = last
    ? encodeCursor(scope, binding, [...order.map(({ key }) => key.value(last)), last[keyOf(type.id)]])
    : null
  const data = shown.map((row) => type.toResource(row))
  await expand(scope, type, data, paths)
  return many<Asked, Resource>(data, { nextCursor, hasMore, ...(counted && totalOf(counted, count)) }, fields)
}

function countMatches(type: Readable<unknown>, level: Level, filter: Compiled, count: 'exact' | 'estimate') {
  return type.prepared(`count ${count} ${level} ${filter.shape}`, () => {
    const matches = sql`from ${type.from} where ${matching(type.visible(level), filter)}`
    // Of the search, which may not consider all that match.
    const isWhole = filter.isWhole?.() ?? sql`true`
    // The planner's own estimate would tell how frequent a value is among all tenants.
    const text =
      count === 'exact'
        ? sql<Counted>`select count(*) as total, ${isWhole} as "isWhole" ${matches}`
        : sql<Counted>`select count(*) as total, ${isWhole} as "isWhole" from (select ${matches} limit ${parameter('most')}) counted`
    return statement<Counted>(`${type.plural}.count`, text, { plans: 'always' })
  })
}

type Counted = { total: string; isWhole: boolean }

const totalOf = ({ total, isWhole }: Partial<Counted>, count: 'exact' | 'estimate' | undefined) =>
  count === 'estimate' && Number(total) > COUNTED_AT_MOST
    ? { total: COUNTED_AT_MOST, totalIsExact: false }
    : { total: Number(total), totalIsExact: isWhole === true }

type Order = {
  key: SortKey
  descending: boolean
  /** Names what the SQL depends on. */
  shape: string
  /** Of a custom field: where its keys are. Every record has one, and that the order says so lets PostgreSQL take the index. */
  slot?: PgColumn
}

/** @param pointer where the terms stand in the request */
function toOrders(
  type: Readable<unknown>,
  sort: readonly string[],
  definitions: DefinitionsInUse,
  pointer: string,
): Order[] {
  const order = sort.map((term, index) => toOrder(type, term, definitions, `${pointer}/${index}`))
  const last = order.at(-1)
  const { createdAt } = type.sorts
  if (!last?.slot || !createdAt || order.some(({ key }) => key === createdAt)) return order
  // As the index of the slot goes on.
  return [...order, { key: createdAt, descending: last.descending, shape: 'createdAt' }]
}

function toOrder(type: Readable<unknown>, term: string, definitions: DefinitionsInUse, pointer: string): Order {
  const descending = term.startsWith('-')
  const name = descending ? term.slice(1) : term
  if (type.custom && name.startsWith(CUSTOM)) {
    const field = readyField(definitions.of(type.custom.object), name.slice(CUSTOM.length), pointer)
    const slot = type.custom.slots[field.slot - 1]
    if (!slot) throw new Error(`${type.plural} have no key slot ${field.slot}`)
    const valueIn = (row: Row) => keyOfValue(field, (row.customFields as Row)[field.key])
    return {
      key: { expression: slot, sqlType: 'text', value: valueIn },
      descending,
      shape: `${descending ? '-' : ''}${slot.name}`,
      slot,
    }
  }
  const key = type.sorts[name]
  if (!key) throw new Error(`${type.plural} cannot be sorted by ${term}`)
  return { key, descending, shape: term }
}

function listQuery(
  type: Readable<unknown>,
  level: Level,
  filter: Compiled,
  order: readonly Order[],
  continued: boolean,
): SQL<Row> {
  const rows = (visible: SQL) =>
    sql.join(
      [
        matching(visible, filter),
        ...order.flatMap(({ slot }) => (slot ? [isNotNull(slot)] : [])),
        ...(continued ? [afterPosition(type, order)] : []),
      ],
      sql` and `,
    )
  const terms = [
    ...order.map(({ key, descending }) => direction(key.expression, descending)),
    direction(type.id, order.at(-1)?.descending ?? true),
  ]
  const ordered = sql`order by ${sql.join(terms, sql`, `)} limit ${parameter('limit')}`
  // With a filter, whatever it says would be looked for in each part; its own index serves it better.
  const parts = order[0]?.key === type.sorts.createdAt && filter.shape === '' ? type.parts?.(level) : undefined
  if (!parts) return sql`select ${columnsOf(type)} from ${type.from} where ${rows(type.visible(level))} ${ordered}`
  // Of each part the first of the page, and of those the page: nothing is passed over that somebody else sees.
  const firsts = parts.map(({ each, condition }) => {
    const first = sql`(select * from ${type.from} where ${rows(condition)} ${ordered})`
    return each ? sql`(select part.* from ${each} cross join lateral ${first} part)` : first
  })
  return sql`select ${columnsOf(type)} from (${sql.join(firsts, sql` union all `)}) as ${type.from} ${ordered}`
}

/** The scope stands beside the filter, whatever that says: no `or` and no `not` gets around it. */
function matching(visible: SQL, filter: Compiled): SQL {
  const condition = filter.condition()
  return condition ? sql`${visible} and (${condition})` : visible
}

const direction = (expression: SortKey['expression'], descending: boolean): SQL =>
  descending ? sql`${expression} desc` : sql`${expression} asc`

/**
 * Everything behind the last record of the page before. Where all terms run in one direction a row comparison says it, which
 * PostgreSQL walks along the index; otherwise the first term bounds the scan and the rest is spelled out.
 */
function afterPosition(type: Readable<unknown>, order: readonly Order[]): SQL {
  const idTerm = {
    key: { expression: type.id, sqlType: 'uuid' },
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
