import { withClient } from '../../src/db/client.js'
import { type Connection, Pool } from '../../src/db/pool.js'
import { CONTACT_COLUMNS } from './baseline-sql.js'
import type { BenchDatabase } from './database.js'
import { cpuOf, cpuOfFamily } from './processes.js'
import { takeSample } from './scenarios.js'

const GET = `select ${CONTACT_COLUMNS} from crm_contacts where organization_id = $1 and id = $2 and deleted_at is null`
const ENTER = "select app.enter($1, $2, $3, $4, $5, 'auto') as entered"
const SET = `select set_config('app.organization_id', $1, $2)`

/** Ways to read one record for one tenant, as the connection of this project sends them. */
function alternatives(principal: readonly unknown[], organizationId: string) {
  type Read = (connection: Connection, id: string) => Promise<unknown>
  const get = (connection: Connection, id: string) => connection.send(GET, [organizationId, id])
  const all: Record<string, { bypass?: boolean; read: Read }> = {
    'no tenant on the connection, no row security': { bypass: true, read: get },
    'set_config + statement in one flight': {
      read: (connection, id) => Promise.all([connection.send(SET, [organizationId, false]), get(connection, id)]),
    },
    'app.enter + statement in one flight (chosen)': {
      read: (connection, id) => Promise.all([connection.send(ENTER, [...principal, false]), get(connection, id)]),
    },
    'begin, app.enter, statement, commit in one flight': {
      read: (connection, id) =>
        Promise.all([
          connection.send('begin'),
          connection.send(ENTER, [...principal, true]),
          get(connection, id),
          connection.send('commit'),
        ]),
    },
    'begin, app.enter, statement, commit, each awaited': {
      read: async (connection, id) => {
        await connection.send('begin')
        await connection.send(ENTER, [...principal, true])
        await get(connection, id)
        await connection.send('commit')
      },
    },
  }
  return all
}

/** What it costs to tell PostgreSQL the tenant: CPU microseconds per read, client and server, as a table in Markdown. */
export async function compareTenantSettings(database: BenchDatabase, rounds: number, seconds: number): Promise<string> {
  const { organizationId, ownerId, contactIds } = await takeSample(database.superuserUrl, 1)
  const principal = await withClient(database.superuserUrl, async (client) => {
    const { rows } = await client.query<{ id: string; version: number }>(
      `select s.id, m.version from crm_sessions s join crm_memberships m using (organization_id, user_id)
        where organization_id = $1 and user_id = $2 and not revoked order by s.expires_at desc limit 1`,
      [organizationId, ownerId],
    )
    return [organizationId, ownerId, rows[0]?.id, rows[0]?.version]
  })
  const limits = { size: 10, acquireTimeoutMs: 10_000, connectTimeoutMs: 5_000, answerTimeoutMs: 60_000 }
  const parameters = { TimeZone: 'UTC' }
  const pools = {
    app: new Pool({ ...limits, url: database.appUrl, parameters: { ...parameters, role: 'zenith_app' } }),
    bypass: new Pool({ ...limits, url: database.baselineUrl, parameters }),
  }
  const found = new Map<string, { client: number; server: number }[]>()
  for (let round = 0; round <= rounds; round++) {
    for (const [name, { bypass = false, read }] of Object.entries(alternatives(principal, organizationId))) {
      const pool = bypass ? pools.bypass : pools.app
      const cpu = async () => ({ client: await cpuOf(process.pid), server: await cpuOfFamily(database.postmaster) })
      const before = await cpu()
      const end = performance.now() + seconds * 1000
      let count = 0
      await Promise.all(
        Array.from({ length: limits.size }, async () => {
          while (performance.now() < end) {
            const id = contactIds[count++ % contactIds.length] ?? ''
            await pool.use((connection) => read(connection, id))
          }
        }),
      )
      const after = await cpu()
      // The first round warms up.
      const figures = { client: (after.client - before.client) / count, server: (after.server - before.server) / count }
      if (round > 0) found.set(name, [...(found.get(name) ?? []), figures])
    }
  }
  await Promise.all([pools.app.close(), pools.bypass.close()])
  const median = (values: number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
  const rows = [...found].map(([name, figures]) => {
    const client = median(figures.map((each) => each.client))
    const server = median(figures.map((each) => each.server))
    return { name, client, server, sum: client + server }
  })
  const first = rows[0]?.sum ?? 1
  const lines = rows.map(
    ({ name, client, server, sum }) =>
      `| ${name} | ${client.toFixed(0)} | ${server.toFixed(0)} | ${sum.toFixed(0)} | ${(sum / first).toFixed(2)} |`,
  )
  return ['| | client µs | PostgreSQL µs | sum | ratio |', '| --- | ---: | ---: | ---: | ---: |', ...lines, ''].join(
    '\n',
  )
}
