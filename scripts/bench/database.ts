import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { withClient } from '../../src/db/client.js'
import { createRoles, restrictDatabase, startEmbeddedPostgres } from '../../src/db/embedded.js'
import { migrate } from '../../src/db/migrate.js'
import { removeTraces, type Size, seed } from './seed.js'

/** A seeded database, as each of those who use it. */
export type BenchDatabase = {
  superuserUrl: string
  /** As the role of the application: row-level security holds it. */
  appUrl: string
  /** As a role with the same rights that row-level security does not hold, for the hand-written server and pgbench. */
  baselineUrl: string
  version: string
  settings: Record<string, string>
  /** The process whose children serve the connections. */
  postmaster: number
  close(): Promise<void>
}

const DATABASE = 'zenith'

/** For a data set that does not fit the default cache, and so that no background work falls into one contender's rounds. */
const SETTINGS: Record<string, string> = {
  shared_buffers: '2GB',
  max_wal_size: '8GB',
  checkpoint_timeout: '1h',
  autovacuum: 'off',
}

/**
 * The embedded PostgreSQL on `dataDir`, or the server on this machine whose superuser `url` names. Seeded once and kept.
 */
export async function openBenchDatabase(
  { url, dataDir, size }: { url: string | undefined; dataDir: string; size: Size },
  log: (message: string) => void,
): Promise<BenchDatabase> {
  const server = url ? await useServer(url) : await startEmbedded(dataDir, log)
  try {
    await migrate(server.ownerUrl)
    await seedOnce(server.superuserUrl, size, log)
    const password = randomBytes(24).toString('hex')
    const facts = await withClient(server.superuserUrl, async (client) => {
      await client.query(`do $$ begin create role zenith_bench; exception when duplicate_object then null; end $$;
        alter role zenith_bench login bypassrls password '${password}';
        grant connect on database ${DATABASE} to zenith_bench;
        grant select, insert, update, delete on all tables in schema public to zenith_bench;
        grant usage on schema app to zenith_bench; grant select on app.search_documents to zenith_bench`)
      const { rows } = await client.query<{ pid: number; version: string }>(
        `select pg_backend_pid() as pid, current_setting('server_version') as version`,
      )
      const settings = await client.query<{ name: string; setting: string }>(
        `select name, current_setting(name) as setting from pg_settings
          where name = any ($1) order by name`,
        [[...Object.keys(SETTINGS), 'fsync', 'synchronous_commit', 'jit', 'max_connections']],
      )
      return { version: rows[0]?.version ?? '', postmaster: await parentOf(rows[0]?.pid ?? 0), settings: settings.rows }
    })
    return {
      superuserUrl: server.superuserUrl,
      appUrl: server.appUrl,
      baselineUrl: Object.assign(new URL(server.superuserUrl), { username: 'zenith_bench', password }).href,
      version: facts.version,
      settings: Object.fromEntries(facts.settings.map(({ name, setting }) => [name, setting])),
      postmaster: facts.postmaster,
      close: server.stop,
    }
  } catch (error) {
    await server.stop()
    throw error
  }
}

type Server = { superuserUrl: string; ownerUrl: string; appUrl: string; stop(): Promise<void> }

async function startEmbedded(dataDir: string, log: (message: string) => void): Promise<Server> {
  let server = await startEmbeddedPostgres({ dataDir, log })
  const changed = await withClient(server.superuserUrl, async (client) => {
    const { rows } = await client.query<{ name: string; setting: string }>(
      'select name, current_setting(name) as setting from pg_settings where name = any ($1)',
      [Object.keys(SETTINGS)],
    )
    const different = rows.filter(({ name, setting }) => setting !== SETTINGS[name])
    for (const { name } of different) await client.query(`alter system set ${name} = '${SETTINGS[name]}'`)
    return different.length > 0
  })
  if (changed) {
    await server.stop()
    server = await startEmbeddedPostgres({ dataDir, log })
  }
  const { superuserUrl, ownerUrl, appUrl } = server
  return { superuserUrl: inDatabase(superuserUrl), ownerUrl, appUrl, stop: () => server.stop() }
}

/** The roles and the database stay on the server, to be used again. */
async function useServer(superuserUrl: string): Promise<Server> {
  const password = randomBytes(24).toString('hex')
  await withClient(superuserUrl, async (client) => {
    await createRoles(client, { owner: password, app: password })
    await client.query(`alter role zenith_owner password '${password}'; alter role zenith_app password '${password}'`)
    const { rowCount } = await client.query('select from pg_database where datname = $1', [DATABASE])
    if (!rowCount)
      await client.query(`create database ${DATABASE} owner zenith_owner template template0 encoding 'UTF8'`)
    await restrictDatabase(client, DATABASE)
  })
  const as = (username: string) => Object.assign(new URL(inDatabase(superuserUrl)), { username, password }).href
  return {
    superuserUrl: inDatabase(superuserUrl),
    ownerUrl: as('zenith_owner'),
    appUrl: as('zenith_app'),
    stop: async () => undefined,
  }
}

const inDatabase = (url: string): string => Object.assign(new URL(url), { pathname: `/${DATABASE}` }).href

async function seedOnce(superuserUrl: string, size: Size, log: (message: string) => void): Promise<void> {
  const found = await withClient(superuserUrl, async (client) => {
    await client.query('create schema if not exists bench; create table if not exists bench.seed (size jsonb)')
    const { rows } = await client.query<{ size: Size }>('select size from bench.seed')
    if (rows.length === 0) {
      const { rowCount } = await client.query('select from crm_organizations limit 1')
      if (rowCount)
        throw new Error('The database for the benchmark must be its own: this one has organizations already')
    }
    return rows[0]?.size
  })
  if (found && Object.entries(size).every(([name, value]) => found[name as keyof Size] === value)) {
    await removeTraces(superuserUrl)
    // Every run has a secret of its own, which does not open the keys of the last one.
    await withClient(superuserUrl, (client) => client.query('delete from crm_signing_keys'))
    return
  }
  if (found) throw new Error('The database was seeded with another size: set another DATA_DIR, or drop it')
  await seed(superuserUrl, size, log)
  await withClient(superuserUrl, (client) => client.query('insert into bench.seed values ($1)', [size]))
}

async function parentOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
}
