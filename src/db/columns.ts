import { type SQL, sql } from 'drizzle-orm'
import { customType, jsonb, pgPolicy, pgRole, timestamp, uuid } from 'drizzle-orm/pg-core'

/** The role that the application connects as; it owns nothing. Migrations create it. */
export const appRole = pgRole('zenith_app').existing()

/** The tenant that the connection works for, as `app.enter` put it there; null when there is none. */
export const currentOrganization = sql`(select nullif(current_setting('app.organization_id', true), '')::uuid)`
/** The person that the connection works for. */
export const currentUser = sql`(select nullif(current_setting('app.user_id', true), '')::uuid)`
/** The address of who is signing in. */
export const currentEmail = sql`(select nullif(current_setting('app.email', true), ''))`

const ofCurrentOrganization = sql`organization_id = ${currentOrganization}`

/**
 * The second wall: rows of another tenant do not exist for this connection.
 *
 * @param using which rows are seen
 * @param withCheck which rows may be written
 */
export const tenantPolicy = (table: string, using: SQL = ofCurrentOrganization, withCheck: SQL = using) =>
  pgPolicy(`${table}_tenant`, { for: 'all', to: appRole, using, withCheck })

/** The one path across tenants: jobs see the rows that match `condition`, while they claim maintenance. */
export const maintenancePolicy = (table: string, condition: SQL) => {
  const due = sql`(select current_setting('app.maintenance', true)) = 'on' and ${condition}`
  return pgPolicy(`${table}_maintenance`, { for: 'all', to: appRole, using: due, withCheck: sql`false` })
}

export const organizationId = () => uuid('organization_id').notNull()

/** Milliseconds, as JavaScript has them: a finer column would skip rows between two pages. */
export const instant = (name: string) => timestamp(name, { withTimezone: true, precision: 3, mode: 'string' })

/** A bigint that stays text on its way, because JSON numbers end at 2^53. */
export const int64 = customType<{ data: string; driverData: string }>({ dataType: () => 'bigint' })

export const json = <Value>(name: string) => jsonb(name).$type<Value>()

/** Text that orders by its bytes, which costs nothing to compare and is the same everywhere. */
export const key = customType<{ data: string; driverData: string }>({ dataType: () => 'text collate "C"' })
