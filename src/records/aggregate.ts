import { is, mapColumnsInSQLToAlias, type SQL, sql } from 'drizzle-orm'
import { type AnyPgColumn, PgColumn } from 'drizzle-orm/pg-core'
import type { Level } from '../../generated/operations.js'
import type { components } from '../../generated/types.js'
import type { Scope } from '../context.js'
import { invalidParameter } from '../db/errors.js'
import { type Bound, parameter, statement } from '../db/statement.js'
import { type Fault, InvalidRequest } from '../problem.js'
import { byAllDefinitions, DefinitionsInUse, OUTDATED } from './custom-fields/definitions.js'
import { assertTimeZone, type Row, toRfc3339 } from './fields.js'
import { type Compiled, compileFilter, type Filter, operandOf } from './filter.js'
import { fromMinorUnits } from './money.js'
import type { Only } from './only.js'
import type { MembershipName, Readable } from './record-type.js'
import { levelOf, requireLevel, scopeParameters } from './scope.js'

type Schemas = components['schemas']
type GroupValue = Schemas['GroupValue']
type MeasureValue = Schemas['MeasureValue']

type AnyGroup = Schemas[Extract<keyof Schemas, `${string}Group`>]
type AnyMeasure = Schemas[Extract<keyof Schemas, `${string}Measure`>]
type Interval = Extract<AnyGroup, { interval: unknown }>['interval']
type FunctionName = AnyMeasure['function']

type Group<Name extends string> = { field: Name; interval?: Interval; timeZone?: string }
type Measure<Name extends string> = { function: FunctionName; field?: Name; as: string }

/** The body of an aggregation: what it is about, the compiler compares with the record. */
type Aggregation<Name extends string> = {
  filter?: Filter<Name | MembershipName>
  groupBy?: readonly Group<Name>[]
  measures: readonly Measure<Name>[]
  sort?: readonly string[]
  limit: number
}

type NameIn<Resource> = (keyof Resource & string) | `${string}.${string}`

/**
 * Groups what the caller may read and what matches a filter, and works out measures of each group, in one statement.
 *
 * @throws InvalidRequest for a name that is given twice or to nothing, and for what is no time zone
 */
export async function aggregate<Resource, Body extends Aggregation<NameIn<Resource>>>(
  scope: Scope,
  type: Readable<Resource>,
  body: Only<Body, Aggregation<NameIn<Resource>>>,
) {
  const { filter: tree, groupBy = [], measures } = body
  assertNames(groupBy, measures)
  return byAllDefinitions(scope, scope.db, async (definitionsOf) => {
    const definitions = new DefinitionsInUse(scope, definitionsOf)
    const filter = compileFilter(scope, type, tree, '/filter', definitions)
    return answer(scope, type, body, filter, definitions)
  })
}

/** @returns OUTDATED when the filter went by other definitions of custom fields than are current */
async function answer(
  scope: Scope,
  type: Readable<unknown>,
  { groupBy = [], measures, sort = [], limit }: Aggregation<string>,
  filter: Compiled,
  definitions: DefinitionsInUse,
) {
  const level = type.level?.(scope) ?? requireLevel(scope, `${type.plural}:read`)
  const columns = columnsOf(scope, type, groupBy, measures)
  const order = sort.flatMap((term, index) => toOrder(columns, term, `/sort/${index}`))

  const shape = [...columns.groups, ...columns.measures].map((column) => column.shape).join()
  const find = type.prepared(`aggregate ${level} ${filter.shape} ${shape} ${order}`, () =>
    statement<Row>(`${type.plural}.aggregate`, aggregateQuery(type, level, filter, columns, order), {
      plans: 'always',
      columns: columns.keys,
    }),
  )
  const bound = find({ ...scopeParameters(scope), ...filter.parameters, ...columns.parameters, limit: limit + 1 })
  const verification = definitions.check()
  const beside: Bound<Row>[] = [filter.check, verification].filter((each) => each !== undefined)
  const [rows = [], ...answers] = await scope.db.all(bound, ...beside).catch((error: unknown) => {
    throw unknownTimeZone(error, groupBy) ?? error
  })
  const verified = verification ? answers.pop() : []
  if (!definitions.areCurrent((verified ?? []) as { object: string; revision: string }[])) return OUTDATED
  if (filter.check) filter.assertFound(answers[0]?.[0])

  return {
    status: 200 as const,
    body: { data: rows.slice(0, limit).map((row) => toResult(columns, row)), hasMore: rows.length > limit },
  }
}

/** The names of groups and measures are what the order speaks of, so each is given once. */
function assertNames(groups: readonly Group<string>[], measures: readonly Measure<string>[]): void {
  const taken = new Set<string>()
  const claim = (name: string, pointer: string): Fault[] => {
    const isTaken = taken.has(name)
    taken.add(name)
    return isTaken ? [{ pointer, code: 'repeated', message: 'must differ from the other fields and measures' }] : []
  }
  const faults = [
    ...groups.flatMap(({ field }, index) => claim(field, `/groupBy/${index}/field`)),
    ...measures.flatMap(({ as }, index) => claim(as, `/measures/${index}/as`)),
  ]
  if (faults.length > 0) throw new InvalidRequest(...faults)
}

// ---- columns

/** A column of the result; keys are made up, because names are the caller's. */
type Column<Value> = {
  name: string
  key: string
  /** Names everything that the SQL depends on. */
  shape: string
  sql: SQL
  read(row: Row): Value
  /** Of money: the group that is its currency. */
  currencyKey?: string | undefined
}

type Columns = {
  groups: readonly Column<GroupValue>[]
  measures: readonly Column<MeasureValue>[]
  /** The keys of all, in the order of the select list. */
  keys: readonly string[]
  joins: readonly Join[]
  parameters: Record<string, unknown>
}

/** A related record, as far as the caller may see it. */
type Join = { alias: string; sql: SQL }

const CURRENCY = '.currency'

function columnsOf(
  scope: Scope,
  type: Readable<unknown>,
  groupBy: readonly Group<string>[],
  measures: readonly Measure<string>[],
): Columns {
  const joins = new Map<string, Join>()
  const parameters: Record<string, unknown> = {}
  const names = new Set(groupBy.map(({ field }) => field))
  const currencies = measures.flatMap(({ function: name, field }) =>
    field !== undefined && isAmount(type, name, field) ? [field + CURRENCY] : [],
  )
  const implied = [...new Set(currencies)].filter((name) => !names.has(name))
  const groups = [...groupBy, ...implied.map((field): Group<string> => ({ field }))].map((group, index) => {
    const { join, ...source } = sourceOf(scope, type, group.field)
    if (join) joins.set(join.alias, join)
    const key = `g${index}`
    if (group.interval) parameters[`zone${index}`] = zoneOf(group, index)
    return groupColumn(key, group, source, sql`${parameter(`zone${index}`)}::text`)
  })
  const keyOfGroup = (name: string) => groups.find((group) => group.name === name)?.key
  const measured = measures.map((measure, index) =>
    measureColumn(type, `m${index}`, measure, measure.field ? keyOfGroup(measure.field + CURRENCY) : undefined),
  )
  const keys = [...groups, ...measured].map(({ key }) => key)
  return { groups, measures: measured, keys, joins: [...joins.values()], parameters }
}

function zoneOf({ timeZone = 'UTC' }: Group<string>, index: number): string {
  assertTimeZone(timeZone, `/groupBy/${index}/timeZone`)
  return timeZone
}

/** Where the value of a field is, and its SQL type. */
type Source = { shape: string; expression: SQL | AnyPgColumn; sqlType: string; join?: Join }

function sourceOf(scope: Scope, type: Readable<unknown>, name: string): Source {
  const [first = '', ...rest] = name.split('.')
  const relation = type.relations?.[first]
  if (!relation) return { shape: name, ...valueIn(type, name) }
  const related = relation.to()
  const value = valueIn(related, rest.join('.'))
  const level = levelOf(scope, `${related.plural}:read`)
  const shape = `${level} ${name}`
  if (!level) return { shape, expression: sql`null::${sql.raw(value.sqlType)}`, sqlType: value.sqlType }
  const renamed = (part: SQL) => mapColumnsInSQLToAlias(part, first)
  const condition = sql`${renamed(related.visible(level))} and ${renamed(sql`${related.id}`)} = ${relation.by}`
  const join = { alias: first, sql: sql` left join ${related.from} ${sql.identifier(first)} on ${condition}` }
  return { shape, expression: renamed(sql`${value.expression}`), sqlType: value.sqlType, join }
}

function valueIn(type: Readable<unknown>, name: string): Pick<Source, 'expression' | 'sqlType'> {
  const currency = name.endsWith(CURRENCY) && type.fields[name.slice(0, -CURRENCY.length)]?.money?.currency
  const expression = currency || operandOf(type, name)?.expression
  // Not the caller's fault: the contract declares a field that the record type does not know.
  if (!expression) throw new Error(`${type.plural} cannot be grouped by ${name}`)
  // What is taken out of a JSON object is text.
  return { expression, sqlType: is(expression, PgColumn) ? expression.getSQLType() : 'text' }
}

const isInstant = (sqlType: string): boolean => sqlType.startsWith('timestamp')

function groupColumn(
  key: string,
  { field, interval }: Group<string>,
  { shape, expression, sqlType }: Source,
  zone: SQL,
): Column<GroupValue> {
  const value = (row: Row) => row[key] as GroupValue
  if (!interval) {
    const read = isInstant(sqlType) ? (row: Row) => instantOf(row[key]) : value
    return { name: field, key, shape, sql: sql`${expression}`, read }
  }
  const local = isInstant(sqlType) ? sql`(${expression} at time zone ${zone})` : sql`${expression}::timestamp`
  const period = sql`date_trunc(${sql.raw(`'${interval}'`)}, ${local})::date`
  return { name: field, key, shape: `${shape} ${interval}`, sql: period, read: value }
}

const instantOf = (text: unknown) => (typeof text === 'string' ? toRfc3339(text) : null)
const numberOf = (value: unknown) => (value === null ? null : Number(value))

/** Whether the measure is an amount of money. */
const isAmount = (type: Readable<unknown>, name: FunctionName, field: string): boolean =>
  name !== 'count' && type.fields[field]?.money !== undefined

function measureColumn(
  type: Readable<unknown>,
  key: string,
  { function: name, field, as }: Measure<string>,
  currencyKey: string | undefined,
): Column<MeasureValue> {
  const column = { name: as, key, shape: `${name} ${field}` }
  if (field === undefined) return { ...column, sql: sql`count(*)`, read: (row) => Number(row[key]) }
  const money = isAmount(type, name, field) && currencyKey
  const { expression, sqlType } = valueIn(type, field)
  const measured = MEASURES[name](expression)
  if (money) {
    const rounded = name === 'avg' ? sql`round(${measured})` : measured
    return { ...column, currencyKey, sql: rounded, read: (row) => amountOf(row[key], row[currencyKey]) }
  }
  const isValue = name === 'min' || name === 'max'
  if (isValue && isInstant(sqlType)) return { ...column, sql: measured, read: (row) => instantOf(row[key]) }
  const read = isValue ? (row: Row) => row[key] as MeasureValue : (row: Row) => numberOf(row[key])
  return { ...column, sql: measured, read }
}

const amountOf = (units: unknown, currency: unknown) =>
  typeof units === 'string' && typeof currency === 'string' ? fromMinorUnits(units, currency) : null

const MEASURES: Record<FunctionName, (value: SQL | AnyPgColumn) => SQL> = {
  count: (value) => sql`count(${value})`,
  countDistinct: (value) => sql`count(distinct ${value})`,
  sum: (value) => sql`sum(${value})`,
  avg: (value) => sql`avg(${value})`,
  min: (value) => sql`min(${value})`,
  max: (value) => sql`max(${value})`,
}

// ---- the statement

/** A column of the result by its place, as `group by` and `order by` take it: its parameters would make it another expression. */
const placeOf = ({ keys }: Columns, key: string): number => keys.indexOf(key) + 1

/** Nothing is the smallest, as in lists. */
const ascending = (place: number): string => `${place} asc nulls first`

function toOrder(columns: Columns, term: string, pointer: string): string[] {
  const descending = term.startsWith('-')
  const name = descending ? term.slice(1) : term
  const column = [...columns.groups, ...columns.measures].find((each) => each.name === name)
  if (!column) {
    throw new InvalidRequest({ pointer, code: 'unknown_name', message: 'must name a field of a group or a measure' })
  }
  const place = placeOf(columns, column.key)
  const currency = column.currencyKey ? [ascending(placeOf(columns, column.currencyKey))] : []
  return [...currency, descending ? `${place} desc nulls last` : ascending(place)]
}

function aggregateQuery(
  type: Readable<unknown>,
  level: Level,
  filter: Compiled,
  columns: Columns,
  order: readonly string[],
): SQL<Row> {
  const selected = sql.join(
    [...columns.groups, ...columns.measures].map((column) => column.sql),
    sql`, `,
  )
  const joins = sql.join(columns.joins.map((join) => join.sql))
  const condition = filter.condition()
  // Beside the filter, whatever that says.
  const matching = condition ? sql`${type.visible(level)} and (${condition})` : type.visible(level)
  const places = columns.groups.map(({ key }) => placeOf(columns, key))
  const grouping = places.length > 0 ? sql.raw(` group by ${places.join()}`) : sql``
  const terms = [...order, ...places.map(ascending)]
  const ordering = terms.length > 0 ? sql.raw(` order by ${terms.join()}`) : sql``
  return sql`select ${selected} from ${type.from}${joins} where ${matching}${grouping}${ordering} limit ${parameter('limit')}`
}

const toResult = ({ groups, measures }: Columns, row: Row) => ({
  groups: Object.fromEntries(groups.map((column) => [column.name, column.read(row)])),
  values: Object.fromEntries(measures.map((column) => [column.name, column.read(row)])),
})

/** PostgreSQL may know fewer time zones than the runtime. */
function unknownTimeZone(error: unknown, groups: readonly Group<string>[]): InvalidRequest | undefined {
  if (!invalidParameter(error)) return undefined
  const faults = groups.flatMap(({ timeZone }, index): Fault[] =>
    timeZone !== undefined && error.message.includes(`"${timeZone}"`)
      ? [{ pointer: `/groupBy/${index}/timeZone`, code: 'time_zone', message: 'must be a time zone of the database' }]
      : [],
  )
  return faults.length > 0 ? new InvalidRequest(...faults) : undefined
}
