import postgres, { type ReservedSql } from 'postgres'
import { appRole } from './columns.js'
import { DatabaseUnavailable, StaleClaim, translate } from './errors.js'
import type { Bound } from './statement.js'

type Rows<Bounds extends readonly Bound<unknown>[]> = {
  [Index in keyof Bounds]: Bounds[Index] extends Bound<infer Row> ? Row[] : never
}

/** Runs statements under one claim. Statements given together leave in one network flight. */
export interface Executor {
  /** Runs one statement and answers with its rows. */
  run<Row>(bound: Bound<Row>): Promise<Row[]>
  /** Runs several statements in one flight, in order. */
  all<Bounds extends readonly Bound<unknown>[]>(...bounds: Bounds): Promise<Rows<Bounds>>
  /** Runs `work` in a transaction (inside a transaction: in a savepoint); rolls back when it throws. */
  transaction<Result>(work: (tx: Executor) => Promise<Result>): Promise<Result>
}

/**
 * On whose behalf statements run; row-level security lets through what the claim allows.
 * `principal` is verified by the database in the same flight, `tenant` is trusted (jobs and sign-in, after their own checks),
 * `identity` sees one person and no tenant, by id or by e-mail address; `maintenance` sees, in every tenant, only what has
 * expired or waits for a job.
 */
export type Claim =
  | { kind: 'principal'; organizationId: string; userId: string; sessionId: string; version: number }
  | { kind: 'tenant'; organizationId: string; userId?: string }
  | { kind: 'identity'; userId?: string; email?: string }
  | { kind: 'maintenance' }

export type DatabaseOptions = {
  url: string
  /** The number of connections. */
  poolSize: number
  applicationName: string
  /** How long a statement may wait for a free connection. */
  acquireTimeoutMs?: number
  /** Receives the duration of every statement, for metrics. */
  observe?: (query: string, seconds: number, failed: boolean) => void
}

export interface Database {
  as(claim: Claim): Executor
  close(): Promise<void>
}

const STATEMENT_TIMEOUT_MS = 10_000
const LOCK_TIMEOUT_MS = 3_000

/** Opens the pool. Connections are made on first use, so a database that is down does not stop the process. */
export function openDatabase(options: DatabaseOptions): Database {
  const text = { to: 25, from: [1082, 1083, 1114, 1184, 1266, 20, 1700], serialize: String, parse: String }
  const json = { to: 3802, from: [114, 3802], serialize: String, parse: JSON.parse }
  const sql = postgres(options.url, {
    max: options.poolSize,
    // Must stay: without it the driver never hands out a connection that `reserve` had to open.
    fetch_types: true,
    connect_timeout: 5,
    idle_timeout: 300,
    max_lifetime: 3600,
    backoff: (attempt: number) => Math.min(0.05 * 2 ** attempt, 1) * (0.75 + Math.random() / 2),
    onnotice: () => undefined,
    types: { text, json },
    transform: { column: { from: postgres.toCamel } },
    connection: {
      // Whatever role the URL logs in as, statements run as the one that row-level security holds.
      role: appRole.name,
      application_name: options.applicationName,
      TimeZone: 'UTC',
      statement_timeout: STATEMENT_TIMEOUT_MS,
      lock_timeout: LOCK_TIMEOUT_MS,
      idle_in_transaction_session_timeout: STATEMENT_TIMEOUT_MS,
    },
  })
  const permits = new Permits(options.poolSize, options.acquireTimeoutMs ?? 2_000)
  const observe = options.observe ?? (() => undefined)
  return {
    as: (claim) => new ClaimExecutor(sql, permits, claim, observe),
    close: () => sql.end({ timeout: 5 }),
  }
}

type Observe = NonNullable<DatabaseOptions['observe']>

/** Counts out the connections, because the driver queues for ever when all are taken. */
class Permits {
  #waiting: (() => void)[] = []
  #free: number
  readonly #timeoutMs: number

  constructor(free: number, timeoutMs: number) {
    this.#free = free
    this.#timeoutMs = timeoutMs
  }

  async acquire(): Promise<void> {
    if (this.#free > 0) {
      this.#free -= 1
      return
    }
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(admit), 1)
        reject(new DatabaseUnavailable('all database connections are taken'))
      }, this.#timeoutMs)
      const admit = () => {
        clearTimeout(timer)
        resolve()
      }
      this.#waiting.push(admit)
    })
  }

  release(): void {
    const next = this.#waiting.shift()
    if (next) next()
    else this.#free += 1
  }
}

class ClaimExecutor implements Executor {
  readonly #sql: postgres.Sql
  readonly #permits: Permits
  readonly #claim: Claim
  readonly #observe: Observe

  constructor(sql: postgres.Sql, permits: Permits, claim: Claim, observe: Observe) {
    this.#sql = sql
    this.#permits = permits
    this.#claim = claim
    this.#observe = observe
  }

  async run<Row>(bound: Bound<Row>): Promise<Row[]> {
    const [rows] = await this.all(bound)
    return rows
  }

  async all<Bounds extends readonly Bound<unknown>[]>(...bounds: Bounds): Promise<Rows<Bounds>> {
    return this.#connected(async (connection) => {
      // Not awaited one by one: the claim and the statements leave in one flight, and each is its own transaction.
      const entering = enter(connection, this.#claim, false)
      const running = bounds.map((bound) => send(connection, bound, this.#observe))
      const [entered, ...results] = await Promise.allSettled([entering, ...running])
      if (entered.status === 'rejected') throw entered.reason
      return results.map(unwrap) as Rows<Bounds>
    })
  }

  transaction<Result>(work: (tx: Executor) => Promise<Result>): Promise<Result> {
    return this.#connected(async (connection) => {
      const begun = connection.unsafe('begin').execute()
      const entering = enter(connection, this.#claim, true)
      const opened = Promise.all([begun, entering])
      // Whoever runs the first statement awaits this; until then a failure must not count as unhandled.
      opened.catch(() => undefined)
      try {
        const result = await work(new TransactionExecutor(connection, opened, this.#observe))
        await opened
        await connection.unsafe('commit')
        return result
      } catch (error) {
        await connection.unsafe('rollback').catch(() => undefined)
        throw error
      }
    })
  }

  async #connected<Result>(work: (connection: ReservedSql) => Promise<Result>): Promise<Result> {
    await this.#permits.acquire()
    try {
      const connection = await this.#sql.reserve()
      try {
        return await work(connection)
      } finally {
        connection.release()
      }
    } catch (error) {
      throw translate(error)
    } finally {
      this.#permits.release()
    }
  }
}

class TransactionExecutor implements Executor {
  readonly #connection: ReservedSql
  readonly #opened: Promise<unknown>
  readonly #observe: Observe
  #savepoints = 0

  constructor(connection: ReservedSql, opened: Promise<unknown>, observe: Observe) {
    this.#connection = connection
    this.#opened = opened
    this.#observe = observe
  }

  async run<Row>(bound: Bound<Row>): Promise<Row[]> {
    const [rows] = await this.all(bound)
    return rows
  }

  async all<Bounds extends readonly Bound<unknown>[]>(...bounds: Bounds): Promise<Rows<Bounds>> {
    const running = bounds.map((bound) => send(this.#connection, bound, this.#observe))
    const [opened, ...results] = await Promise.allSettled([this.#opened, ...running])
    if (opened.status === 'rejected') throw opened.reason
    return results.map(unwrap) as Rows<Bounds>
  }

  async transaction<Result>(work: (tx: Executor) => Promise<Result>): Promise<Result> {
    const name = `s${++this.#savepoints}`
    await this.#opened
    await this.#connection.unsafe(`savepoint ${name}`)
    try {
      const result = await work(this)
      await this.#connection.unsafe(`release savepoint ${name}`)
      return result
    } catch (error) {
      await this.#connection.unsafe(`rollback to savepoint ${name}`)
      throw error
    }
  }
}

const ENTER = 'select app.enter($1, $2, $3, $4, $5) as entered'
const CLAIM =
  "select set_config('app.organization_id', $1, $5), set_config('app.user_id', $2, $5), set_config('app.email', $3, $5), set_config('app.maintenance', $4, $5)"

/**
 * Puts the claim on the connection. It stays there after the request, so every checkout starts with it.
 * A principal that no longer holds leaves the connection without a tenant: what follows in the flight sees and changes nothing.
 */
async function enter(connection: ReservedSql, claim: Claim, local: boolean): Promise<void> {
  if (claim.kind === 'principal') {
    const { organizationId, userId, sessionId, version } = claim
    const [row] = await connection
      .unsafe(ENTER, [organizationId, userId, sessionId, version, local], { prepare: true })
      .execute()
    if (!row?.['entered']) throw new StaleClaim('the session has ended or its rights have changed')
    return
  }
  const organizationId = claim.kind === 'tenant' ? claim.organizationId : ''
  const userId = claim.kind === 'maintenance' ? '' : (claim.userId ?? '')
  const email = claim.kind === 'identity' ? (claim.email ?? '') : ''
  const maintenance = claim.kind === 'maintenance' ? 'on' : ''
  await connection.unsafe(CLAIM, [organizationId, userId, email, maintenance, local], { prepare: true }).execute()
}

async function send(connection: ReservedSql, bound: Bound<unknown>, observe: Observe): Promise<unknown[]> {
  const start = performance.now()
  let failed = true
  try {
    const pending = connection.unsafe(bound.text, bound.values as never[], { prepare: true })
    const rows = bound.columns ? named(await pending.values(), bound.columns) : await pending
    failed = false
    return rows
  } finally {
    observe(bound.name, (performance.now() - start) / 1000, failed)
  }
}

function named(rows: readonly unknown[][], columns: readonly string[]): Record<string, unknown>[] {
  return rows.map((row) => Object.fromEntries(columns.map((column, index) => [column, row[index]])))
}

function unwrap(result: PromiseSettledResult<unknown>): unknown {
  if (result.status === 'rejected') throw result.reason
  return result.value
}
