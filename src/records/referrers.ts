import { getTableConfig, type PgColumn } from 'drizzle-orm/pg-core'
import { type AnyRecord, recordTypes } from './record-type.js'

/** A property of some kind of record that refers to records of a type, and its column. */
export type Referrer = { type: AnyRecord; property: string; column: PgColumn; isProvenance: boolean }

/** The properties of all records that refer to records of a type, by their foreign keys. */
export function referrersTo(table: AnyRecord['table']): Referrer[] {
  return recordTypes.flatMap((type) =>
    getTableConfig(type.table).foreignKeys.flatMap((key) => {
      const { columns, foreignTable } = key.reference()
      if (foreignTable !== table) return []
      return Object.entries(type.fields).flatMap(([property, field]) => {
        // Drizzle gives the columns of a key as copies.
        const column = field.columns.find(({ name }) => columns.some((each) => each.name === name))
        return column ? [{ type, property, column, isProvenance: field.provenance ?? false }] : []
      })
    }),
  )
}
