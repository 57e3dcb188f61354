import { type SQL, sql } from 'drizzle-orm'
import type { Row } from './fields.js'
import type { AnyRecord } from './record-type.js'
import { sameOrganization } from './scope.js'

/**
 * Selects records and holds them against other writers until the transaction ends: in the order of their ids, so that two who hold
 * several never wait for each other. Others may come to refer to them meanwhile, for which a plain `for update` would make them wait.
 */
export const holdQuery = ({ table }: Pick<AnyRecord, 'table'>, columns: SQL, condition: SQL): SQL<Row> =>
  sql`select ${columns} from ${table} where ${condition} order by ${table.id} for no key update`

/** The records of the caller's tenant whose ids a query finds; it is run once, whatever the planner thinks of it. */
export const among = ({ table }: Pick<AnyRecord, 'table'>, ids: SQL): SQL =>
  sql`${sameOrganization(table)} and ${table.id} = any(array(${ids}))`
