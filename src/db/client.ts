import pg from 'pg'
import { StartupError } from '../config.js'

/** Runs administrative work on a connection of its own; requests go through `openDatabase`. */
export async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 })
  // A connection that breaks fails the query under way; without a listener it would end the process as well.
  client.on('error', () => undefined)
  try {
    await client.connect()
  } catch (error) {
    const { host, pathname } = new URL(url)
    const reason = error instanceof Error ? error.message || String('code' in error && error.code) : String(error)
    throw new StartupError(`PostgreSQL at ${host}${pathname} refuses the connection (${reason}): check DATABASE_URL`, {
      cause: error,
    })
  }
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}
