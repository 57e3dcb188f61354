import { setTimeout as sleep } from 'node:timers/promises'
import { type Log, within } from '../db/redis.js'
import type { Job } from './job.js'
import {
  countEntries,
  type EntryData,
  enqueue,
  type JobQueue,
  type JobsConfig,
  type JobWorker,
  openBackend,
  type QueueCounts,
} from './queue.js'

export interface WorkerOptions<Services> {
  readonly config: JobsConfig
  /** Handed to every job. */
  readonly services: Services
  readonly jobs: readonly Job<Services>[]
  readonly log: Log
  /** How often the relay looks for due rows. */
  readonly sweepSeconds?: number
}

export interface RunningWorker {
  /** Undefined while the queue is out of reach. */
  counts(): Promise<QueueCounts | undefined>
  /** Takes no new job and lets the running ones end, up to the deadline; what is cut off runs again elsewhere. */
  close(deadlineMs?: number): Promise<void>
}

/** A job that failed for good is left alone for so long, then its row counts as due again. */
const failedPauseMs = 10 * 60_000

/**
 * Runs jobs and the relay that finds them. Any number of workers may run at once: an entry's id makes it one
 * entry, however many of them add it. Returns at once, whatever state the server is in.
 */
export function startWorker<Services>(options: WorkerOptions<Services>): RunningWorker {
  const { config, services, log, sweepSeconds = 5 } = options
  const jobs = new Map(options.jobs.map((job) => [job.name, job]))
  if (jobs.size < options.jobs.length) throw new Error('two jobs have the same name')

  const backend = openBackend(config, log)
  const stop = new AbortController()
  let queue: JobQueue | undefined
  let worker: JobWorker | undefined

  async function run(entry: { name: string; data: EntryData }): Promise<void> {
    const job = jobs.get(entry.name)
    // During a rolling update the entry may be a newer release's: a retry can reach a worker that knows it.
    if (!job) throw new Error(`no job named ${entry.name} in this release`)
    if (job.every !== undefined) await job.run(undefined, services)
    else if (entry.data.id !== undefined) await job.run(entry.data.id, services)
  }

  async function start(): Promise<void> {
    queue = await backend.queue()
    worker = await backend.worker(run, (entry, err) => {
      log.warn({ err, job: entry?.name, id: entry?.data.id, attempt: entry?.attemptsMade }, 'job failed')
    })
    if (!queue || !worker) return
    worker.run().catch((err) => log.error({ err }, 'worker stopped'))
    while (!stop.signal.aborted) {
      const found = await sweep(queue)
      // Where there was work there is often more than `due` named.
      const pause = (found > 0 ? 1_000 : sweepSeconds * 1_000) * (0.75 + Math.random() / 2)
      await sleep(pause, undefined, { signal: stop.signal }).catch(() => undefined)
    }
  }

  /** Puts everything due into the queue, where most of it is already; answers how many rows were due. */
  async function sweep(queue: JobQueue): Promise<number> {
    let found = 0
    for (const job of jobs.values()) {
      try {
        if (job.every !== undefined) {
          // The id keeps two runs apart, the deduplication keeps their distance.
          const deduplication = { id: job.name, ttl: job.every * 1_000 }
          await queue.add(job.name, {}, { jobId: job.name, deduplication })
        } else {
          const ids = await job.due(services)
          found += ids.length
          await Promise.all(ids.map((id) => enqueue(queue, job.name, id)))
        }
      } catch (err) {
        if (!stop.signal.aborted) log.error({ err, job: job.name }, 'relay')
      }
    }
    await queue.clean(failedPauseMs, 1_000, 'failed').catch((err) => log.debug({ err }, 'relay'))
    return found
  }

  const started = start().catch((err) => log.error({ err }, 'worker did not start'))

  let closing: Promise<void> | undefined
  async function close(deadlineMs: number): Promise<void> {
    stop.abort()
    // While Redis is down BullMQ's close never ends.
    await within(deadlineMs, Promise.allSettled([worker?.close(), queue?.close()]))
    backend.disconnect()
    await within(500, Promise.allSettled([worker?.disconnect(), started]))
  }

  return {
    counts: () => countEntries(queue, backend),
    close(deadlineMs = 8_000) {
      closing ??= close(deadlineMs)
      return closing
    },
  }
}
