import { randomBytes } from 'node:crypto'
import { pino } from 'pino'
import { buildApp } from '../../src/app.js'
import { loadConfig } from '../../src/config.js'
import type { Claim, Database, Executor } from '../../src/db/database.js'
import type { Bound } from '../../src/db/statement.js'
import { openResources } from '../../src/process.js'
import type { Signer } from '../../src/signer.js'
import { PASSWORD } from './seed.js'

/** A statement that a request caused, and on whose behalf. */
export type Recorded = { claim: Claim; bound: Bound<unknown> }

export type Reply = Record<string, unknown>
export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** The application on seeded data, and a record of what it asks of the database. */
export type Recorder = {
  signIn(email: string): Promise<string>
  /**
   * Sends a request to the application; what it refuses is an error here, but for a conflict, and for what takes it too long: that is
   * explained all the same.
   */
  send(token: string, method: Method, url: string, body?: unknown): Promise<Reply>
  /** What has reached the database since the last call. */
  take(): Recorded[]
  /** The one of the application: it makes cursors. */
  signer: Signer
  close(): Promise<void>
}

export const BASE = '/api/v1'

/** The same for every one of this process, because it locks the signing keys in the database. */
const secret = randomBytes(48).toString('base64')

/** Starts the application, as the role that row-level security holds. */
export async function openRecorder(appUrl: string): Promise<Recorder> {
  let recorded: Recorded[] = []
  const config = loadConfig({ NODE_ENV: 'test', LOG_LEVEL: 'silent', RATE_LIMIT_PER_MINUTE: '0', DATABASE_URL: appUrl })
  const log = pino({ level: config.logLevel })
  const resources = openResources(config, appUrl, secret, log, 'explain')
  const database = recording(resources.database, (each) => recorded.push(each))
  const app = await buildApp({
    services: { ...resources.services, database },
    keys: resources.keys,
    log,
    metrics: { queries: resources.queries, queueCounts: async () => undefined },
    maxEventLoopDelayMs: 0,
  })
  const send: Recorder['send'] = async (token, method, url, body) => {
    const reply = await app.inject({
      method,
      url,
      headers: {
        ...(token && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { payload: JSON.stringify(body) }),
    })
    if (reply.statusCode >= 400 && reply.statusCode !== 409 && reply.statusCode !== 503) {
      throw new Error(`${method} ${decodeURIComponent(url)} ${JSON.stringify(body) ?? ''}: ${reply.body}`)
    }
    return reply.body === '' ? {} : reply.json()
  }
  return {
    send,
    signIn: async (email) =>
      String((await send('', 'POST', `${BASE}/auth/login`, { email, password: PASSWORD })).accessToken),
    take() {
      const taken = recorded
      recorded = []
      return taken
    },
    signer: resources.signer,
    async close() {
      await app.close()
      await resources.close()
    },
  }
}

function recording(database: Database, note: (each: Recorded) => void): Database {
  const watched = (claim: Claim, executor: Executor): Executor => ({
    run: (bound) => {
      note({ claim, bound })
      return executor.run(bound)
    },
    all: (...bounds) => {
      for (const bound of bounds) note({ claim, bound })
      return executor.all(...bounds)
    },
    transaction: (work) => executor.transaction((tx) => work(watched(claim, tx))),
  })
  return { as: (claim) => watched(claim, database.as(claim)), close: () => database.close() }
}
