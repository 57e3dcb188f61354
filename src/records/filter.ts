import { is, mapColumnsInSQLToAlias, type SQL, sql } from 'drizzle-orm'
import { type AnyPgColumn, PgJsonb } from 'drizzle-orm/pg-core'
import type { Level } from '../../generated/operations.js'
import type { components } from '../../generated/types.js'
import type { Scope } from '../context.js'
import { type Bound, parameter, statement } from '../db/statement.js'
import { type Fault, InvalidRequest } from '../problem.js'
import type { DefinitionsInUse } from './custom-fields/definitions.js'
import { keyCondition, readyField } from './custom-fields/filter.js'
import type { Field, Target } from './fields.js'
import { type Money, toMinorUnits } from './money.js'
import {
  type CustomKeys,
  type Listing,
  type Membership,
  type Readable,
  type Relation,
  targetOf,
} from './record-type.js'
import { missingReference, reachable } from './references.js'
import { levelOf, requireLevel, scopeParameters, within } from './scope.js'

/** Every filter of the contract. */
type AnyFilter = components['schemas'][Extract<keyof components['schemas'], `${string}Filter`>]

type Operator = Extract<AnyFilter, { op: unknown }>['op']

/** A field, an operator and a value, which the contract has found to fit together. */
export type Condition<Name extends string = string> = { field: Name; op: Operator; value: unknown }

/** What a filter of the contract looks like to the engine: a condition, or several put together. */
export type Filter<Name extends string = string> =
  | { and: readonly Filter<Name>[] }
  | { or: readonly Filter<Name>[] }
  | { not: Filter<Name> }
  | Condition<Name>

const MAX_CONDITIONS = 100
const MAX_DEPTH = 5
/** What the names of custom fields begin with. */
export const CUSTOM = 'customFields.'

/** A filter that is ready to become part of a statement. */
export type Compiled = {
  /** Names everything that the SQL depends on; the values are not among it. */
  readonly shape: string
  readonly parameters: Record<string, unknown>
  /** Complete two-valued logic: never null, so that its negation is what it leaves out. Undefined without any condition. */
  condition(): SQL | undefined
  /** Whether what matches is all that does, where the condition does not consider everything. */
  readonly isWhole?: () => SQL
  /** The statement that looks for the references in the filter; undefined when it has none. */
  readonly check: Bound<Found> | undefined
  /** @throws InvalidRequest when the caller may not see what a reference in the filter leads to, or there is no such thing */
  assertFound(found: Found | undefined): void
}

/** For each field that is a reference: the list of the ids that lead nowhere. */
type Found = Record<string, unknown>

/** The record type does not know a condition: the contract declares it in vain, or did so when the filter was kept. */
export class UnknownCondition extends Error {
  override name = 'UnknownCondition'
}

/**
 * Compiles a filter tree.
 *
 * @param pointer where the tree stands in the request
 * @param definitions what its conditions on custom fields go by, and have to be verified with whatever the filter is used for
 * @throws InvalidRequest for a tree that is too big or too deep, for an amount that its currency does not have, and for a condition
 *   that a custom field does not have
 */
export function compileFilter(
  scope: Scope,
  type: Readable<unknown>,
  filter: Filter | undefined,
  pointer: string,
  definitions: DefinitionsInUse,
): Compiled {
  const compiler = new Compiler(scope, type, definitions)
  return compiler.finish(filter === undefined ? undefined : compiler.visit(filter, pointer, 1))
}

/** Compiles conditions that must all hold, and that stand wherever the caller says: the query parameters of a list. */
export function compileConditions(
  scope: Scope,
  type: Readable<unknown>,
  conditions: readonly { condition: Condition; pointer: string }[],
  definitions: DefinitionsInUse,
): Compiled {
  const compiler = new Compiler(scope, type, definitions)
  const nodes = conditions.map(({ condition, pointer }) => compiler.condition(condition, pointer))
  return compiler.finish(nodes.length > 0 ? conjunction('and', nodes) : undefined)
}

/**
 * A part of the tree: what its SQL depends on, and the SQL itself, which is written only when it is needed. A part that is required
 * must hold for the whole to hold, so that PostgreSQL may begin with it.
 */
type Node = { shape: string; sql(isRequired: boolean): SQL }

/** SQL that is null counts as false here, which changes nothing for `and` and `or`; `not` takes care of it. */
const conjunction = (word: 'and' | 'or', nodes: readonly Node[]): Node => ({
  shape: `${word}(${nodes.map(({ shape }) => shape).join()})`,
  sql: (isRequired) =>
    sql`(${sql.join(
      nodes.map((node) => node.sql(isRequired && word === 'and')),
      word === 'and' ? sql` and ` : sql` or `,
    )})`,
})

class Compiler {
  readonly #scope: Scope
  readonly #type: Readable<unknown>
  readonly #definitions: DefinitionsInUse
  readonly #parameters: Record<string, unknown> = {}
  readonly #references: { name: string; target: Target; id: string; pointer: string }[] = []
  #conditions = 0
  #places = 0

  constructor(scope: Scope, type: Readable<unknown>, definitions: DefinitionsInUse) {
    this.#scope = scope
    this.#type = type
    this.#definitions = definitions
  }

  visit(filter: Filter, pointer: string, depth: number): Node {
    if (depth > MAX_DEPTH) throw refuse(pointer, 'max_depth', `must be at most ${MAX_DEPTH} levels deep`)
    const group = (word: 'and' | 'or', members: readonly Filter[]) =>
      conjunction(
        word,
        members.map((member, index) => this.visit(member, `${pointer}/${word}/${index}`, depth + 1)),
      )
    if ('and' in filter) return group('and', filter.and)
    if ('or' in filter) return group('or', filter.or)
    if ('not' in filter) {
      const inner = this.visit(filter.not, `${pointer}/not`, depth + 1)
      return { shape: `not(${inner.shape})`, sql: () => sql`(${inner.sql(false)}) is not true` }
    }
    if (++this.#conditions > MAX_CONDITIONS) {
      throw refuse(pointer, 'max_conditions', `must be one of at most ${MAX_CONDITIONS} conditions`)
    }
    return this.condition(filter, `${pointer}/value`, pointer)
  }

  /**
   * @param pointer where the value stands in the request
   * @param whole where the condition stands, if it has a place of its own
   */
  condition(condition: Condition, pointer: string, whole = pointer): Node {
    const [first = '', ...rest] = condition.field.split('.')
    const relation = this.#type.relations?.[first]
    if (!relation) return this.#conditionOn(this.#type, condition, pointer, '', whole)
    const related = relation.to()
    // Who may not see the other record learns nothing about it: not even whether it lacks a value.
    const level = levelOf(this.#scope, `${related.plural}:read`)
    const inner = this.#conditionOn(related, { ...condition, field: rest.join('.') }, pointer, `${first}.`, whole)
    return {
      shape: `${first} ${level} ${inner.shape}`,
      sql: (isRequired) =>
        level ? existsRelated(relation, related.visible(level), inner.sql(false), isRequired) : sql`false`,
    }
  }

  /** @param prefix the way to the record that the condition is about */
  #conditionOn(type: Readable<unknown>, condition: Condition, pointer: string, prefix: string, whole: string): Node {
    const { field: name, op, value } = condition
    const membership = type.memberships?.[name]
    if (membership) return this.#membershipCondition(type, membership, condition, pointer)
    if (type.custom && name.startsWith(CUSTOM)) return this.#customCondition(type.custom, condition, whole)
    const operand = operandOf(type, name)
    const compare = operand && COMPARISONS[operand.kind][op]
    // Not the caller's fault: the contract declares a condition that the record type does not know.
    if (!operand || !compare) throw new UnknownCondition(`${type.plural} cannot be filtered by ${name} ${op}`)
    this.#noteReferences(type.fields[name]?.target, prefix + name, value, pointer)
    // The value decides about the SQL, not its parameters.
    if (op === 'isNull' || op === 'isEmpty') {
      const wanted = sql.raw(value === true ? 'true' : 'false')
      return { shape: `${name} ${op} ${value}`, sql: () => compare(operand, [wanted]) }
    }
    const places = operand.encode(value, op, pointer).map((parameterValue) => this.#place(parameterValue))
    const given = () => places.map((place) => sql`${parameter(place)}`)
    const own = () => compare(operand, given())
    const listing = type.listings?.[name]
    const matches = LISTED[op]
    if (!listing || !matches) return { shape: `${name} ${op}`, sql: own }
    const level = type.level?.(this.#scope) ?? requireLevel(this.#scope, `${type.plural}:read`)
    const isListed = () => listed(type, listing, level, matches(listing.value, given()))
    return {
      shape: `${name} ${op} ${level}`,
      // Both say the same: for PostgreSQL, which takes them for two, `coalesce` hides what the first one lets through.
      sql: (isRequired) => (isRequired ? sql`(coalesce(${own()}, false) and ${isListed()})` : own()),
    }
  }

  #membershipCondition(
    type: Readable<unknown>,
    { rows, value: column, target }: Membership,
    { field: name, op, value }: Condition,
    pointer: string,
  ): Node {
    const listed = (matches?: SQL) =>
      sql`exists (select from ${rows} member where ${sameTenant} and member.record_id = ${type.id}${matches && sql` and member.${sql.identifier(column.name)} ${matches}`})`
    const sameTenant = sql`member.organization_id = ${parameter('scopeOrganizationId')}`
    if (op === 'isEmpty') {
      return { shape: `${name} ${op} ${value}`, sql: () => (value === true ? sql`not ${listed()}` : listed()) }
    }
    this.#noteReferences(target, name, value, pointer)
    const place = this.#place(Array.isArray(value) ? toArray(value) : value)
    const ids = sql`${parameter(place)}::uuid[]`
    const conditions: Partial<Record<Operator, () => SQL>> = {
      has: () => listed(sql`= ${parameter(place)}::uuid`),
      hasAny: () => listed(sql`= any(${ids})`),
      hasAll: () => sql`not exists (select from unnest(${ids}) wanted where not ${listed(sql`= wanted`)})`,
    }
    const write = conditions[op]
    if (!write) throw new UnknownCondition(`${type.plural} cannot be filtered by ${name} ${op}`)
    return { shape: `${name} ${op}`, sql: write }
  }

  #customCondition({ object, slots }: CustomKeys, { field: name, op, value }: Condition, pointer: string): Node {
    const field = readyField(this.#definitions.of(object), name.slice(CUSTOM.length), `${pointer}/field`)
    const condition = keyCondition(field, op, value, pointer)
    const [column, kind] = [slots[field.slot - 1], field.type === 'user' ? 'user' : field.referenceObject]
    if (!column) throw new Error(`${object} has no key slot ${field.slot}`)
    // Named after what it leads to: the text of a statement must not depend on the names that organizations give.
    if (kind) this.#noteReferences(targetOf(kind), CUSTOM + kind, value, `${pointer}/value`)
    const places = condition.values.map((each) => this.#place(typeof each === 'string' ? each : toArray(each)))
    return {
      shape: `${column.name} ${condition.shape}`,
      sql: () =>
        condition.sql(
          column,
          places.map((place) => sql`${parameter(place)}`),
        ),
    }
  }

  #place(value: unknown): string {
    const name = `filter${this.#places++}`
    this.#parameters[name] = value
    return name
  }

  #noteReferences(target: Target | undefined, name: string, value: unknown, pointer: string): void {
    if (!target || typeof value === 'boolean') return
    const ids = Array.isArray(value) ? value.map((id, index) => [id, `${pointer}/${index}`]) : [[value, pointer]]
    for (const [id, at] of ids) {
      this.#references.push({ name, target, id: String(id).toLowerCase(), pointer: at as string })
    }
  }

  finish(root: Node | undefined): Compiled {
    const references = this.#references
    return {
      shape: root?.shape ?? '',
      parameters: this.#parameters,
      condition: () => root?.sql(true),
      check: references.length > 0 ? this.#check() : undefined,
      assertFound(found = {}) {
        const leadsNowhere = (missing: unknown, id: string) => !Array.isArray(missing) || missing.includes(id)
        const faults = references
          .filter(({ name, id }) => leadsNowhere(found[name], id))
          .map(({ pointer }): Fault => missingReference(pointer))
        if (faults.length > 0) throw new InvalidRequest(...faults.slice(0, MAX_CONDITIONS))
      },
    }
  }

  #check(): Bound<Found> {
    const scope = this.#scope
    const targets = new Map(
      this.#references.map(({ name, target }) => [
        name,
        { target, level: target.permission && levelOf(scope, target.permission) },
      ]),
    )
    const shape = [...targets].map(([name, { level }]) => `${name}:${level}`).join()
    const check = this.#type.prepared<Found>(`filter references ${shape}`, () => {
      const columns = [...targets].map(([name, { target, level }]) => missing(name, target, level))
      return statement<Found>(`${this.#type.plural}.references`, sql`select ${sql.join(columns, sql`, `)}`)
    })
    const ids = [...targets.keys()].map((name) => [
      `ids_${name}`,
      toArray(this.#references.filter((reference) => reference.name === name).map(({ id }) => id)),
    ])
    return check({ ...scopeParameters(scope), ...Object.fromEntries(ids) })
  }
}

/** The conditions on a list that a row for one of its texts can answer. */
const LISTED: Partial<Record<Operator, (value: AnyPgColumn, given: SQL[]) => SQL>> = {
  has: (value, [text]) => sql`${value} = ${text}::text`,
  hasAny: (value, [texts]) => sql`${value} = any(${texts}::text[])`,
}

/**
 * That a record is among those which some rows lead to, of all that the caller may see. Beside a condition that says the same it leaves
 * PostgreSQL the choice to begin with these rows, where they are few, or to walk an order.
 */
const listed = ({ object, id }: Readable<unknown>, { rows }: Listing, level: Level, matches: SQL): SQL =>
  sql`exists (select from ${rows} where ${within(rows, level)} and ${rows.object} = ${sql.raw(`'${object}'`)} and ${rows.recordId} = ${id} and ${matches})`

/**
 * Where the condition is required, PostgreSQL may join from either side. Elsewhere it would rather gather all related records that
 * match, however many; `offset` makes it look up the one of each row instead. Under another name, because a record may be related
 * to one of its own kind.
 */
function existsRelated({ by, to }: Relation, visible: SQL, condition: SQL, isRequired: boolean): SQL {
  const { from, id } = to()
  const renamed = (part: SQL) => mapColumnsInSQLToAlias(part, 'related')
  const lookup = isRequired ? sql`` : sql` offset 0`
  return sql`exists (select from ${from} related where ${renamed(visible)} and ${renamed(sql`${id}`)} = ${by} and ${renamed(condition)}${lookup})`
}

const refuse = (pointer: string, code: string, message: string) => new InvalidRequest({ pointer, code, message })

/** The ids among those of a parameter that lead nowhere, as a column. */
function missing(name: string, target: Target, level: Level | undefined): SQL {
  return sql`to_jsonb(array(select wanted::text from unnest(${parameter(`ids_${name}`)}::uuid[]) wanted where not ${reachable(target, level, sql`wanted`)})) as ${sql.identifier(name)}`
}

/** What a condition compares. */
export type Operand = {
  kind: 'scalar' | 'money' | 'list'
  expression: SQL | AnyPgColumn
  /** The SQL type of a value; of money, of its minor units. */
  sqlType: SQL
  /** Of money. */
  currency?: AnyPgColumn
  /** The values as parameters. */
  encode(value: unknown, op: Operator, pointer: string): unknown[]
}

/** Where a field of a filter is kept: a property, or `property.part` of an object. Undefined for an unknown one. */
export function operandOf(type: Readable<unknown>, name: string): Operand | undefined {
  const own = type.fields[name]
  if (own) return operandOfField(own)
  const [property = '', part = '', ...rest] = name.split('.')
  const outer = type.fields[property]
  if (!outer || rest.length > 0 || !/^\w+$/.test(part)) return undefined
  const column = outer.parts?.[part]
  if (column) return scalar(column, column.getSQLType())
  const [json] = outer.columns
  return json && is(json, PgJsonb) ? scalar(sql`(${json} ->> ${sql.raw(`'${part}'`)})`, 'text') : undefined
}

function operandOfField({ match, money }: Field<unknown>): Operand | undefined {
  if (money) {
    return {
      ...{ kind: 'money', expression: money.units, currency: money.currency, sqlType: sql`bigint` },
      encode: (value, op, pointer) => encodeMoney(value, op, pointer),
    }
  }
  if (!match) return undefined
  if (!is(match.column, PgJsonb)) return scalar(match.column, match.column.getSQLType(), match.encode)
  return { ...scalar(match.column, 'text'), kind: 'list' }
}

function scalar(
  expression: SQL | AnyPgColumn,
  type: string,
  encode: (value: unknown) => unknown = (value) => value,
): Operand {
  return {
    kind: 'scalar',
    expression,
    // Without the precision of the column, which would round what it is compared with.
    sqlType: sql.raw(type.startsWith('timestamp') ? 'timestamptz' : type),
    encode: (value, op) => {
      if (!Array.isArray(value)) return [encode(value)]
      return op === 'between' ? value.map(encode) : [toArray(value.map(encode))]
    },
  }
}

function encodeMoney(value: unknown, op: Operator, pointer: string): unknown[] {
  const units = (money: Money, at: string) => [toMinorUnits(money, at), money.currency]
  if (!Array.isArray(value)) return units(value as Money, pointer)
  const all = value.map((money: Money, index) => units(money, `${pointer}/${index}`))
  if (op === 'between') return all.flat()
  return [toArray(all.map(([amount]) => amount)), toArray(all.map(([, currency]) => currency))]
}

/** A list as PostgreSQL reads one. */
const toArray = (values: readonly unknown[]): string =>
  `{${values.map((value) => `"${String(value).replaceAll(/["\\]/g, '\\$&')}"`).join()}}`

type Comparison = (operand: Operand, values: readonly SQL[]) => SQL

const compare =
  (operator: SQL): Comparison =>
  ({ expression, sqlType }, [value]) =>
    sql`${expression} ${operator} ${value}::${sqlType}`

const compareMoney =
  (operator: SQL): Comparison =>
  ({ expression, currency }, [units, code]) =>
    sql`(${expression} ${operator} ${units}::bigint and ${currency} = ${code}::text)`

const negated =
  (comparison: Comparison): Comparison =>
  (operand, values) =>
    sql`(${comparison(operand, values)}) is not true`

const ORDERED = { gt: compare(sql`>`), gte: compare(sql`>=`), lt: compare(sql`<`), lte: compare(sql`<=`) }
const ORDERED_MONEY = {
  gt: compareMoney(sql`>`),
  gte: compareMoney(sql`>=`),
  lt: compareMoney(sql`<`),
  lte: compareMoney(sql`<=`),
}

const isNull: Comparison = ({ expression }, [wanted]) => sql`(${expression} is null) = ${wanted}`
const oneOf: Comparison = ({ expression, sqlType }, [list]) => sql`${expression} = any(${list}::${sqlType}[])`
const oneOfMoney: Comparison = ({ expression, currency }, [units, codes]) =>
  sql`(${expression}, ${currency}) in (select * from unnest(${units}::bigint[], ${codes}::text[]))`

/** How the operators of the contract read in SQL. Null means no; `negated` makes of it what a user expects. */
const COMPARISONS: Record<Operand['kind'], Partial<Record<Operator, Comparison>>> = {
  scalar: {
    ...ORDERED,
    eq: compare(sql`=`),
    ne: compare(sql`is distinct from`),
    in: oneOf,
    notIn: negated(oneOf),
    between: ({ expression, sqlType }, [from, to]) =>
      sql`${expression} between ${from}::${sqlType} and ${to}::${sqlType}`,
    startsWith: ({ expression }, [prefix]) => sql`starts_with(${expression}, ${prefix}::text)`,
    isNull,
  },
  money: {
    ...ORDERED_MONEY,
    eq: compareMoney(sql`=`),
    ne: negated(compareMoney(sql`=`)),
    in: oneOfMoney,
    notIn: negated(oneOfMoney),
    between: (operand, [from, fromCode, to, toCode]) =>
      sql`(${ORDERED_MONEY.gte(operand, [from, fromCode] as SQL[])} and ${ORDERED_MONEY.lte(operand, [to, toCode] as SQL[])})`,
    isNull,
  },
  list: {
    has: ({ expression }, [value]) => sql`${expression} ? ${value}::text`,
    hasAny: ({ expression }, [list]) => sql`${expression} ?| ${list}::text[]`,
    hasAll: ({ expression }, [list]) => sql`${expression} ?& ${list}::text[]`,
    isEmpty: ({ expression }, [wanted]) => sql`(${expression} = '[]'::jsonb) = ${wanted}`,
    // Of an object, which can be there or not.
    isNull,
  },
}
