import { connect, type Socket } from 'node:net'
import postgres from 'postgres'
import { DatabaseUnavailable } from './errors.js'

export type PoolOptions = {
  url: string
  /** The number of connections. */
  size: number
  /** How long to wait for a free connection. */
  acquireTimeoutMs: number
  /** How long opening a connection may take, twice: for the network and for the server. */
  connectTimeoutMs: number
  /** How long the server may take to answer, before the network is taken for dead. Longer than its own limits. */
  answerTimeoutMs: number
  /** What the server sets for the session. */
  parameters: Record<string, string | number>
}

const IDLE_MS = 300_000
const LIFETIME_MS = 3_600_000
/** A connection keeps what it has prepared. Callers choose filters and orders, and so how many statements there are. */
const MAX_STATEMENTS = 500

/**
 * One connection to the server. It is a driver of its own, whose pool has one place and may open one socket: the driver's
 * `reserve` hangs, loses places or ends the process when a connection dies, and its pool reconnects on its own, so that a
 * statement would run without the claim and outside the transaction that it was meant for.
 */
export class Connection {
  readonly #driver: postgres.Sql
  #socket: Socket | undefined
  #isOpen = true
  #unanswered = 0
  #quietSince = performance.now()
  readonly #openedAt = performance.now()
  readonly #statements = new Set<string>()

  private constructor({ url, connectTimeoutMs, parameters }: PoolOptions) {
    const text = { to: 25, from: [1082, 1083, 1114, 1184, 1266, 20, 1700], serialize: String, parse: String }
    const json = { to: 3802, from: [114, 3802], serialize: String, parse: JSON.parse }
    const options = {
      max: 1,
      fetch_types: false,
      connect_timeout: connectTimeoutMs / 1000,
      idle_timeout: undefined,
      max_lifetime: null,
      onnotice: () => undefined,
      onclose: () => void this.close(0),
      socket: (address: Address) => this.#dial(address, connectTimeoutMs),
      types: { text, json },
      transform: { column: { from: postgres.toCamel } },
      connection: parameters,
    }
    this.#driver = postgres(url, options)
  }

  /** @throws DatabaseUnavailable when the server cannot be reached or refuses */
  static async open(options: PoolOptions): Promise<Connection> {
    const connection = new Connection(options)
    try {
      await connection.send('select 1')
      return connection
    } catch (error) {
      void connection.close(0)
      const { code, message } = error as Error & { code?: string }
      throw new DatabaseUnavailable(`cannot connect to the database (${code ?? message})`, { cause: error })
    }
  }

  /** False once the connection has failed or closed; nothing can be sent any more. */
  get isOpen(): boolean {
    return this.#isOpen
  }

  /** It has lived, or learnt, long enough: another one is to take its place. */
  get isWorn(): boolean {
    return this.#statements.size > MAX_STATEMENTS || performance.now() - this.#openedAt > LIFETIME_MS
  }

  /** How long, in milliseconds, nothing was asked or, while something was, nothing was answered. */
  get quiet(): { forMs: number; unanswered: boolean } {
    return { forMs: performance.now() - this.#quietSince, unanswered: this.#unanswered > 0 }
  }

  /** Sends a statement; what is not awaited leaves in one flight, in order. With values it is prepared once. */
  send(text: string, values: readonly unknown[] = []): Promise<postgres.RowList<Record<string, unknown>[]>> {
    return this.#watch(() => this.#query(text, values))
  }

  /** Like `send`; the rows come as arrays. */
  sendForArrays(text: string, values: readonly unknown[]): Promise<unknown[][]> {
    return this.#watch(() => this.#query(text, values).values())
  }

  #query(text: string, values: readonly unknown[]) {
    if (values.length > 0) this.#statements.add(text)
    return this.#driver.unsafe(text, values as never[], { prepare: true })
  }

  /** Ends the connection; what is not answered after the timeout fails. */
  async close(timeoutSeconds: number): Promise<void> {
    this.#isOpen = false
    await this.#driver.end({ timeout: timeoutSeconds })
    this.#socket?.destroy()
  }

  async #watch<Result>(start: () => PromiseLike<Result>): Promise<Result> {
    if (!this.#isOpen) throw new DatabaseUnavailable('the connection to the database is lost')
    if (this.#unanswered++ === 0) this.#quietSince = performance.now()
    try {
      return await start()
    } catch (error) {
      // Between the error of a socket and its end the driver still takes statements, and never answers them.
      if (!(error instanceof postgres.PostgresError)) this.#isOpen = false
      throw error
    } finally {
      this.#unanswered--
      this.#quietSince = performance.now()
    }
  }

  async #dial({ host: [host = 'localhost'], port: [port = 5432], path }: Address, timeoutMs: number): Promise<Socket> {
    if (this.#socket) throw new DatabaseUnavailable('the connection to the database is lost')
    const socket = path ? connect(path) : connect({ host, port, noDelay: true })
    this.#socket = socket
    const timer = setTimeout(() => socket.destroy(new DatabaseUnavailable('the database is out of reach')), timeoutMs)
    try {
      await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
    } finally {
      clearTimeout(timer)
    }
    socket.on('error', () => {
      this.#isOpen = false
    })
    // The driver verifies the server's certificate for this name.
    return Object.assign(socket, { host })
  }
}

type Address = { host: string[]; port: number[]; path?: string | false }

/** Hands out connections, each to one caller at a time. */
export class Pool {
  readonly #options: PoolOptions
  readonly #connections = new Set<Connection>()
  readonly #idle: Connection[] = []
  readonly #waiting: (() => void)[] = []
  readonly #sweeper: NodeJS.Timeout
  #free: number
  #isClosed = false

  constructor(options: PoolOptions) {
    this.#options = options
    this.#free = options.size
    this.#sweeper = setInterval(() => this.#sweep(), Math.min(1_000, options.answerTimeoutMs / 2)).unref()
  }

  /** @throws DatabaseUnavailable when no connection is to be had in time */
  async use<Result>(work: (connection: Connection) => Promise<Result>): Promise<Result> {
    await this.#admit()
    try {
      const connection = this.#takeIdle() ?? (await this.#open())
      try {
        return await work(connection)
      } finally {
        this.#putBack(connection)
      }
    } finally {
      this.#leave()
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    clearInterval(this.#sweeper)
    await Promise.all([...this.#connections].map((connection) => connection.close(5)))
  }

  async #admit(): Promise<void> {
    if (this.#free > 0) {
      this.#free -= 1
      return
    }
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(enter), 1)
        reject(new DatabaseUnavailable('all database connections are taken'))
      }, this.#options.acquireTimeoutMs)
      const enter = () => {
        clearTimeout(timer)
        resolve()
      }
      this.#waiting.push(enter)
    })
  }

  #leave(): void {
    const next = this.#waiting.shift()
    if (next) next()
    else this.#free += 1
  }

  /** The one that was used last: its statements are prepared, and the others may grow old. */
  #takeIdle(): Connection | undefined {
    for (let connection = this.#idle.pop(); connection; connection = this.#idle.pop()) {
      if (connection.isOpen) return connection
      this.#connections.delete(connection)
    }
    return undefined
  }

  async #open(): Promise<Connection> {
    if (this.#isClosed) throw new DatabaseUnavailable('the database pool is closed')
    const connection = await Connection.open(this.#options)
    this.#connections.add(connection)
    return connection
  }

  #putBack(connection: Connection): void {
    if (connection.isOpen && !connection.isWorn && !this.#isClosed) this.#idle.push(connection)
    else this.#drop(connection)
  }

  #drop(connection: Connection): void {
    this.#connections.delete(connection)
    void connection.close(1)
  }

  #sweep(): void {
    for (const connection of this.#connections) {
      const { forMs, unanswered } = connection.quiet
      if (unanswered && forMs > this.#options.answerTimeoutMs) void connection.close(0)
    }
    while (this.#idle[0] && this.#idle[0].quiet.forMs > IDLE_MS) this.#drop(this.#idle.shift() as Connection)
  }
}
