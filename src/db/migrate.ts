import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { assertSchemaCompatibility, LATEST_SCHEMA_VERSION, SchemaMigrationRequiredError } from 'bullmq'
import { drizzle } from 'drizzle-orm/node-postgres'
import { migrate as applyMigrations } from 'drizzle-orm/node-postgres/migrator'
import type pg from 'pg'
import { StartupError } from '../config.js'
import { queueSchema } from '../jobs/queue.js'
import { migrateJobSchema } from '../jobs/schema.js'
import { packageRoot } from '../package-root.js'
import { withClient } from './client.js'
import { appRole as servingRole } from './columns.js'

const appRole = servingRole.name

/** Brings the database up to this release as the owner of its schema, and answers which migrations that took. */
export async function migrate(ownerUrl: string): Promise<readonly string[]> {
  return withClient(ownerUrl, async (client) => {
    // Held until the connection closes: of several migrators one works, the others then find nothing to do.
    await client.query(`select pg_advisory_lock(hashtext('zenith migrate'))`)
    await ensureAppRole(client)
    const pending = await pendingMigrations(client)
    // Rather fail than queue behind a long transaction, with every request queueing behind us.
    await client.query(`set lock_timeout = '10s'`)
    await applyMigrations(drizzle({ client }), { migrationsFolder })
    const skipped = await pendingMigrations(client)
    if (skipped.length > 0) {
      throw new Error(`Older than a migration that is applied already, generate again: ${skipped.join(', ')}`)
    }
    // After every run, so that no table can be without its policy and its rights.
    await client.query('select app.secure()')
    // The same for the triggers by which records are found and tags counted.
    await client.query('select app.search_records()')
    await client.query('select app.tag_records()')
    // What `schemaIsCurrent` reads.
    await client.query(`grant usage on schema drizzle to ${appRole}; grant select on ${ledger} to ${appRole}`)
    await migrateJobSchema(ownerUrl, appRole)
    return pending
  })
}

/** Whether everything that this release needs is applied; a newer database is current too, as in a rolling update. */
export async function schemaIsCurrent(url: string): Promise<boolean> {
  return withClient(url, async (client) => {
    try {
      const pending = await pendingMigrations(client)
      return pending.length === 0 && (await assertSchemaCompatibility(client, queueSchema)) >= LATEST_SCHEMA_VERSION
    } catch (error) {
      if (error instanceof SchemaMigrationRequiredError || hasCode(error, '42501')) return false
      throw error
    }
  })
}

/** Refuses a role for serving requests that could get around row-level security. */
export async function assertSafeAppRole(appUrl: string): Promise<void> {
  const { role, reasons } = await withClient(appUrl, async (client) => {
    const { rows } = await client.query<{ role: string; reasons: string[] }>(roleDangers)
    return rows[0] ?? { role: '', reasons: [] }
  })
  if (reasons.length > 0) {
    throw new StartupError(
      `DATABASE_URL connects as "${role}", which ${reasons.join(', ')} and so could get around row-level security: ` +
        `connect as ${appRole}, or as a role that has nothing but membership of it`,
    )
  }
}

// A role can become any role that it is a member of, inherited or not; a superuser counts as a member of all.
const roleDangers = `
  with self as (select * from pg_roles where rolname = current_user),
  reachable as (
    select r.* from pg_roles r, self
     where case when self.rolsuper then r.oid = self.oid else pg_has_role(self.oid, r.oid, 'member') end
  ),
  danger (rolname, what) as (
    select rolname, 'is a superuser' from reachable where rolsuper
    union all select rolname, 'has BYPASSRLS' from reachable where rolbypassrls
    union all select rolname, 'has CREATEROLE' from reachable where rolcreaterole
    union all select rolname, 'has REPLICATION' from reachable where rolreplication
    union all select rolname, 'reaches the files of the server' from reachable
     where rolname in ('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program')
    union all select rolname, 'owns the database' from reachable
     where oid = (select datdba from pg_database where datname = current_database())
    union all select rolname, 'owns tables' from reachable
     where oid in (select c.relowner from pg_class c join pg_namespace n on n.oid = c.relnamespace
                    where c.relkind in ('r', 'p') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema')
  ),
  grouped as (select rolname, string_agg(what, ', ' order by what) as dangers from danger group by rolname)
  select self.rolname as role,
         array(select case when rolname = self.rolname then dangers
                           else format('is a member of "%s", which %s', rolname, dangers) end
                 from grouped order by rolname <> self.rolname, rolname) as reasons
    from self`

const migrationsFolder = join(packageRoot, 'migrations')
const ledger = 'drizzle.__drizzle_migrations'

interface Journal {
  readonly entries: readonly { readonly tag: string; readonly when: number }[]
}

/** Names of this release's migrations that the database lacks. */
async function pendingMigrations(client: pg.Client): Promise<string[]> {
  const journal = JSON.parse(await readFile(join(migrationsFolder, 'meta', '_journal.json'), 'utf8')) as Journal
  const applied = new Set<number>()
  const { rowCount } = await client.query('select where to_regclass($1) is not null', [ledger])
  if (rowCount) {
    const { rows } = await client.query<{ created_at: string }>(`select created_at from ${ledger}`)
    for (const row of rows) applied.add(Number(row.created_at))
  }
  return journal.entries.filter((entry) => !applied.has(entry.when)).map((entry) => entry.tag)
}

async function ensureAppRole(client: pg.Client): Promise<void> {
  const { rowCount } = await client.query('select from pg_roles where rolname = $1', [appRole])
  if (rowCount) return
  try {
    await client.query(`create role ${appRole} nologin; grant ${appRole} to current_user`)
  } catch (error) {
    // Roles belong to the server, the lock above to one database: a migrator of another one may have been first.
    if (hasCode(error, '42710', '23505')) return
    throw new StartupError(
      `The role ${appRole} is missing and DATABASE_MIGRATION_URL may not create it: ` +
        `run "create role ${appRole} login password '...'" as an administrator`,
      { cause: error },
    )
  }
}

function hasCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && codes.some((code) => code === error.code)
}
