import { appRole } from './columns.js'
import { DatabaseUnavailable, StaleClaim, translate } from './errors.js'
import { type Connection, Pool } from './pool.js'
import type { Bound, Plans } from './statement.js'

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
  /** How long opening a connection may take. */
  connectTimeoutMs?: number
  /** How long the server may stay silent before its network is taken for dead. */
  answerTimeoutMs?: number
  /** Receives the duration of every statement, for metrics. */
  observe?: (query: string, seconds: number, failed: boolean) => void
}

export interface Database {
  as(claim: Claim): Executor
  close(): Promise<void>
}

const STATEMENT_TIMEOUT_MS = 10_000
const LOCK_TIMEOUT_MS = 3_000

/**
 * How every session plans. What a tenant asks for, an index leads to, also where one tenant has most of a table: to read the rows of all
 * others would seem cheaper then.
 */
export const PLANNING = { enable_seqscan: 'off' } as const

/** Opens the pool. Connections are made on first use, so a database that is down does not stop the process. */
export function openDatabase(options: DatabaseOptions): Database {
  const pool = new Pool({
    url: options.url,
    size: options.poolSize,
    acquireTimeoutMs: options.acquireTimeoutMs ?? 2_000,
    connectTimeoutMs: options.connectTimeoutMs ?? 5_000,
    answerTimeoutMs: options.answerTimeoutMs ?? 1.5 * STATEMENT_TIMEOUT_MS,
    parameters: {
      // Whatever role the URL logs in as, statements run as the one that row-level security holds.
      role: appRole.name,
      application_name: options.applicationName,
      TimeZone: 'UTC',
      ...PLANNING,
      statement_timeout: STATEMENT_TIMEOUT_MS,
      lock_timeout: LOCK_TIMEOUT_MS,
      idle_in_transaction_session_timeout: STATEMENT_TIMEOUT_MS,
    },
  })
  const observe = options.observe ?? (() => undefined)
  return {
    as: (claim) => new ClaimExecutor(pool, claim, observe),
    close: () => pool.close(),
  }
}

type Observe = NonNullable<DatabaseOptions['observe']>

class ClaimExecutor implements Executor {
  readonly #pool: Pool
  readonly #claim: Claim
  readonly #observe: Observe

  constructor(pool: Pool, claim: Claim, observe: Observe) {
    this.#pool = pool
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
      const plans = bounds.some((bound) => bound.plans === 'always') ? 'always' : 'once'
      const entering = enter(connection, this.#claim, false, plans)
      const running = bounds.map((bound) => send(connection, bound, this.#observe))
      const [entered, ...results] = await Promise.allSettled([entering, ...running])
      if (entered.status === 'rejected') throw entered.reason
      return results.map(unwrap) as Rows<Bounds>
    })
  }

  transaction<Result>(work: (tx: Executor) => Promise<Result>): Promise<Result> {
    return this.#connected(async (connection) => {
      const begun = connection.send('begin')
      const entering = enter(connection, this.#claim, true, 'once')
      const opened = Promise.all([begun, entering])
      // Whoever runs the first statement awaits this; until then a failure must not count as unhandled.
      opened.catch(() => undefined)
      try {
        const result = await work(new TransactionExecutor(connection, opened, this.#observe))
        await opened
        const { command } = await connection.send('commit')
        // PostgreSQL answers the commit of a failed transaction by rolling back.
        if (command !== 'COMMIT') throw new Error('a transaction went on after a failed statement')
        return result
      } catch (error) {
        await connection.send('rollback').catch(() => undefined)
        throw error
      }
    })
  }

  async #connected<Result>(work: (connection: Connection) => Promise<Result>): Promise<Result> {
    try {
      return await this.#pool.use(work)
    } catch (error) {
      throw translate(error)
    }
  }
}

class TransactionExecutor implements Executor {
  readonly #connection: Connection
  readonly #opened: Promise<unknown>
  readonly #observe: Observe
  #savepoints = 0

  constructor(connection: Connection, opened: Promise<unknown>, observe: Observe) {
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
    await this.#connection.send(`savepoint ${name}`)
    try {
      const result = await work(this)
      await this.#connection.send(`release savepoint ${name}`)
      return result
    } catch (error) {
      await this.#connection.send(`rollback to savepoint ${name}`)
      throw error
    }
  }
}

const ENTER = 'select app.enter($1, $2, $3, $4, $5, $6) as entered'
const CLAIM =
  "select set_config('app.organization_id', $1, $5), set_config('app.user_id', $2, $5), set_config('app.email', $3, $5), set_config('app.maintenance', $4, $5)"

/** `auto` tries five times, and plans for the values once more only where that looks cheaper by more than planning costs. */
const PLAN_CACHE_MODE: Record<Plans, string> = { once: 'auto', always: 'force_custom_plan' }

/**
 * Puts the claim on the connection. It stays there after the request, so every checkout starts with it.
 * A principal that no longer holds leaves the connection without a tenant: what follows in the flight sees and changes nothing.
 */
async function enter(connection: Connection, claim: Claim, local: boolean, plans: Plans): Promise<void> {
  if (claim.kind === 'principal') {
    const { organizationId, userId, sessionId, version } = claim
    const [row] = await connection.send(ENTER, [
      organizationId,
      userId,
      sessionId,
      version,
      local,
      PLAN_CACHE_MODE[plans],
    ])
    if (row?.entered === null) throw new DatabaseUnavailable('the session and its rights could not be verified')
    if (!row?.entered) throw new StaleClaim('the session has ended or its rights have changed')
    return
  }
  const organizationId = claim.kind === 'tenant' ? claim.organizationId : ''
  const userId = claim.kind === 'maintenance' ? '' : (claim.userId ?? '')
  const email = claim.kind === 'identity' ? (claim.email ?? '') : ''
  const maintenance = claim.kind === 'maintenance' ? 'on' : ''
  await connection.send(CLAIM, [organizationId, userId, email, maintenance, local])
}

async function send(connection: Connection, bound: Bound<unknown>, observe: Observe): Promise<unknown[]> {
  const start = performance.now()
  let failed = true
  try {
    const rows = bound.toRow
      ? (await connection.sendForArrays(bound.text, bound.values)).map(bound.toRow)
      : await connection.send(bound.text, bound.values)
    failed = false
    return rows
  } finally {
    observe(bound.name, (performance.now() - start) / 1000, failed)
  }
}

function unwrap(result: PromiseSettledResult<unknown>): unknown {
  if (result.status === 'rejected') throw result.reason
  return result.value
}
