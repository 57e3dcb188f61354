import { setTimeout as sleep } from 'node:timers/promises'
import {
  type BackendFactory,
  createPostgresBackend,
  createRedisBackend,
  type IQueueBackend,
  type Processor,
  type Queue,
  type QueueOptions,
  type Worker,
  type WorkerOptions,
  withBackend,
} from 'bullmq'
import pg from 'pg'
import { connectRedis, type Log, ready, redisPrefix, within } from '../db/redis.js'

/** Where the queue lives: in Redis when `redisUrl` is set, else in the application's own database. */
export interface JobsConfig {
  readonly databaseUrl: string
  readonly redisUrl?: string | undefined
}

/** What an entry of the queue carries: which row to look at, never its content. */
export interface EntryData {
  readonly id?: string
}

export type JobQueue = Pick<Queue<EntryData>, 'add' | 'clean' | 'getJobCounts' | 'waitUntilReady' | 'close'>
export type JobWorker = Pick<Worker<EntryData>, 'run' | 'waitUntilReady' | 'close' | 'disconnect'>

/** How many entries are in which state. */
export interface QueueCounts {
  readonly waiting: number
  readonly active: number
  readonly delayed: number
  readonly failed: number
}

export const queueName = 'jobs'
export const queueSchema = 'bullmq'

const queueOptions: Omit<QueueOptions, 'connection'> = {
  prefix: redisPrefix,
  // Nothing reads BullMQ's event stream.
  streams: { events: { maxLen: 100 } },
  defaultJobOptions: {
    attempts: 8,
    backoff: { type: 'exponential', delay: 1_000, jitter: 0.5 },
    // A finished entry would keep its row from being queued again; whether it is done is the row's to say.
    removeOnComplete: true,
    // A failed entry stays as the mark of a pause (see the relay) and for the metrics.
    removeOnFail: { count: 1_000 },
  },
}

const workerOptions: Omit<WorkerOptions, 'connection'> = {
  prefix: redisPrefix,
  autorun: false,
  concurrency: 10,
  // A killed worker's jobs run again within 15 seconds, and up to three times.
  lockDuration: 10_000,
  stalledInterval: 5_000,
  maxStalledCount: 3,
  runRetryDelay: 1_000,
}

type FailedListener = (entry: { name: string; data: EntryData; attemptsMade: number } | undefined, error: Error) => void

/** The one place that knows which of the two backends is in use. */
export interface Backend {
  /** Resolves once the server answers, however late; undefined when disconnected before. */
  queue(): Promise<JobQueue | undefined>
  /** Likewise. */
  worker(process: Processor<EntryData>, onFailed: FailedListener): Promise<JobWorker | undefined>
  /** Whether a command sent now goes out at once. */
  ready(): boolean
  /** Gives up waiting for the server. */
  disconnect(): void
}

/** Opens the backend that the configuration names; returns at once. */
export function openBackend(config: JobsConfig, log: Log): Backend {
  if (config.redisUrl) {
    const redis = connectRedis(config.redisUrl, log)
    return bindBackend(createRedisBackend, redis, log, {
      ready: () => ready(redis),
      disconnect: () => redis.disconnect(),
    })
  }
  const connection = {
    connectionString: config.databaseUrl,
    schema: queueSchema,
    application_name: 'zenith-jobs',
    max: 3,
    connectionTimeoutMillis: 5_000,
    query_timeout: 30_000,
    keepAlive: true,
    Client: GuardedClient,
  }
  return bindBackend(createPostgresBackend, connection, log, { ready: () => true, disconnect: () => undefined })
}

/**
 * While a client is checked out of the pool nobody listens for its errors, and BullMQ does not either: a connection that is cut
 * then would end the process. Whoever waits for an answer still gets the error.
 */
class GuardedClient extends pg.Client {
  constructor(config?: pg.ClientConfig) {
    super(config)
    this.on('error', () => undefined)
  }
}

function bindBackend<B extends IQueueBackend, C>(
  factory: BackendFactory<B, C>,
  connection: C,
  log: Log,
  server: Pick<Backend, 'ready' | 'disconnect'>,
): Backend {
  const { Queue, Worker } = withBackend(unhurried(factory))
  const stop = new AbortController()

  const onError = (err: Error) => {
    // An outage of Redis is told once, by its connection.
    if (server.ready() && !stop.signal.aborted) log.warn({ err }, 'job queue')
  }

  /** A BullMQ object whose first connection failed stays broken for ever, so it is made anew. */
  async function open<T extends Openable>(create: () => T): Promise<T | undefined> {
    while (!stop.signal.aborted) {
      let opened: T | undefined
      try {
        opened = create()
        await opened.waitUntilReady()
        if (!stop.signal.aborted) return opened
        await opened.close()
      } catch (error) {
        onError(error as Error)
        await opened?.close().catch(onError)
        await sleep(1_000, undefined, { signal: stop.signal }).catch(() => undefined)
      }
    }
    return undefined
  }

  return {
    queue: () => open(() => new Queue<EntryData>(queueName, { ...queueOptions, connection }).on('error', onError)),
    worker: (process, onFailed) =>
      open(() =>
        new Worker<EntryData>(queueName, process, { ...workerOptions, connection })
          .on('error', onError)
          .on('failed', onFailed),
      ),
    ready: server.ready,
    disconnect() {
      stop.abort()
      server.disconnect()
    },
  }
}

/** After an error reply (a full Redis, a refused login) BullMQ asks for the next job at once, again and again. */
function unhurried<B extends IQueueBackend, C>(factory: BackendFactory<B, C>): BackendFactory<B, C> {
  return (...options) => {
    const backend = factory(...options)
    const moveToActive = backend.moveToActive.bind(backend)
    backend.moveToActive = (...job) =>
      moveToActive(...job).catch(async (error: unknown) => {
        await sleep(1_000)
        throw error
      })
    return backend
  }
}

interface Openable {
  waitUntilReady(): Promise<unknown>
  close(): Promise<void>
}

/** Puts a row's job into the queue, unless it is there already. BullMQ forbids a colon in an id. */
export function enqueue(queue: JobQueue, jobName: string, id: string): Promise<unknown> {
  return queue.add(jobName, { id }, { jobId: `${jobName}-${id}` })
}

/** The numbers for the metrics page; undefined when the server does not answer within a second. */
export async function countEntries(queue: JobQueue | undefined, backend: Backend): Promise<QueueCounts | undefined> {
  if (!queue || !backend.ready()) return undefined
  const counts = queue.getJobCounts('waiting', 'active', 'delayed', 'failed').catch(() => undefined)
  return (await within(1_000, counts)) as QueueCounts | undefined
}
