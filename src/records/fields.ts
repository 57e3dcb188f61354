import type { SQL } from 'drizzle-orm'
import type { AnyPgColumn, PgColumn, PgTable } from 'drizzle-orm/pg-core'
import postgres from 'postgres'
import type { Permission } from '../../generated/operations.js'
import { InvalidRequest } from '../problem.js'
import { fromMinorUnits, type Money, toMinorUnits } from './money.js'

/** A row as the driver gives it: keys are the column names in camelCase. */
export type Row = Record<string, unknown>

/** What a reference points to, and the permission that makes it visible. */
export type Target = {
  table: () => PgTable
  id: () => AnyPgColumn
  /** Undefined: every member of the tenant may see it. */
  permission?: Permission
  /** A further condition, such as "not deleted". */
  condition?: () => SQL
}

/** How a property of the contract is kept in columns. */
export type Field<Value> = {
  readonly columns: readonly PgColumn[]
  read(row: Row): Value
  /**
   * Puts the value into the row. A function, not a method: so a column must hold every value that the property can have.
   * @throws InvalidRequest when the value breaks a rule that a schema cannot express
   */
  write: (value: Value, row: Row, pointer: string) => void
  /** How lists compare with it: the column and the form of the value there. */
  readonly match?: { column: PgColumn; encode(value: unknown): unknown }
  readonly target?: Target
  /** Tells only where the record came from: purging what it refers to clears it, instead of being refused. */
  readonly provenance?: true
  /** Of money: where amount and currency are. */
  readonly money?: { units: PgColumn; currency: PgColumn }
  /** Of an object in several columns: where its properties are. */
  readonly parts?: Readonly<Record<string, PgColumn>>
}

export const keyOf = (column: AnyPgColumn): string => postgres.toCamel(column.name)

type ValueOf<Column extends PgColumn> = Column['_']['notNull'] extends true
  ? Column['_']['data']
  : Column['_']['data'] | null

/** A property that is one column, as it is. */
export function column<Column extends PgColumn>(of: Column): Field<ValueOf<Column>> {
  const key = keyOf(of)
  return {
    columns: [of],
    read: (row) => row[key] as ValueOf<Column>,
    write: (value, row) => {
      row[key] = value
    },
    match: { column: of, encode: (value) => value },
  }
}

/** A column without nulls behind a property that a caller may clear: `compute` or `resolve` fills it before it is written. */
export function filled<Column extends PgColumn>(of: Column): Field<ValueOf<Column> | null> {
  const plain = column(of)
  return { ...plain, write: (value, row, pointer) => plain.write(value as ValueOf<Column>, row, pointer) }
}

/** An instant: PostgreSQL writes `2026-01-05 10:00:00.5+00`, RFC 3339 wants `2026-01-05T10:00:00.500Z`. */
export function instantField<Column extends PgColumn>(of: Column): Field<ValueOf<Column>> {
  const key = keyOf(of)
  return {
    columns: [of],
    read: (row) => {
      const text = row[key]
      return (typeof text === 'string' ? toRfc3339(text) : null) as ValueOf<Column>
    },
    write: (value, row) => {
      row[key] = value === null ? null : toPostgres(value as string)
    },
    match: { column: of, encode: (value) => value },
  }
}

/** As `Date.toISOString` writes it, and so as the clock gives it. */
const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

const toPostgres = (text: string): string => {
  const iso = ISO.test(text) ? text : new Date(text).toISOString()
  return `${iso.slice(0, 10)} ${iso.slice(11, -1)}+00`
}

export function toRfc3339(text: string): string {
  // 'YYYY-MM-DD HH:MM:SS' and up to three decimals, in UTC.
  return `${text.slice(0, 10)}T${text.slice(11, 19)}.${text.slice(20, -3).padEnd(3, '0')}Z`
}

/** An amount of money in two columns: minor units and currency. */
export function money(units: PgColumn, currency: PgColumn): Field<Money | null> {
  const [unitsKey, currencyKey] = [keyOf(units), keyOf(currency)]
  return {
    columns: [units, currency],
    read: (row) => {
      const value = row[unitsKey]
      return typeof value === 'string' ? fromMinorUnits(value, row[currencyKey] as string) : null
    },
    write: (value, row, pointer) => {
      row[unitsKey] = value && toMinorUnits(value, pointer)
      row[currencyKey] = value?.currency ?? null
    },
    money: { units, currency },
  }
}

/** Text that is kept and compared in lower case, such as a domain. */
export function lowerCase<Column extends PgColumn>(of: Column): Field<ValueOf<Column>> {
  const key = keyOf(of)
  return {
    ...column(of),
    write: (value, row) => {
      row[key] = typeof value === 'string' ? value.toLowerCase() : value
    },
    match: { column: of, encode: (value) => String(value).toLowerCase() },
  }
}

/** Text that is kept as given and compared without regard to case, through a generated column. */
export function caseInsensitive<Column extends PgColumn>(of: Column, lowered: PgColumn): Field<ValueOf<Column>> {
  return { ...column(of), match: { column: lowered, encode: (value) => String(value).toLowerCase() } }
}

/** A list that is empty in its column and absent from the record while it has no elements. */
export function optionalList<Column extends PgColumn>(of: Column): Field<ValueOf<Column> | undefined> {
  const key = keyOf(of)
  return {
    columns: [of],
    read: (row) => ((row[key] as unknown[]).length > 0 ? (row[key] as ValueOf<Column>) : undefined),
    write: (value, row) => {
      row[key] = value ?? []
    },
  }
}

/** The id of another row of the tenant that the caller must be able to see. */
export function reference<Column extends PgColumn>(of: Column, target: Target): Field<ValueOf<Column>> {
  return { ...column(of), target }
}

/** The id of the record that this one was made from, which the server writes. */
export const provenance = <Column extends PgColumn>(of: Column): Field<ValueOf<Column>> => ({
  ...column(of),
  provenance: true,
})

/** An IANA time zone. */
export function timeZone<Column extends PgColumn>(of: Column): Field<ValueOf<Column>> {
  const plain = column(of)
  return {
    ...plain,
    write: (value, row, pointer) => {
      if (value !== null) assertTimeZone(String(value), pointer)
      plain.write(value, row, pointer)
    },
  }
}

/** Asking the runtime takes longer than all other checks of a record; there are some six hundred names. */
const knownTimeZones = new Set<string>()

/** @throws InvalidRequest when the runtime knows no such time zone */
export function assertTimeZone(zone: string, pointer: string): void {
  if (knownTimeZones.has(zone)) return
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone })
    if (knownTimeZones.size < 1_000) knownTimeZones.add(zone)
  } catch {
    throw new InvalidRequest({ pointer, code: 'time_zone', message: 'must be a time zone of the IANA database' })
  }
}
