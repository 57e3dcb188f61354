import { type Log, within } from '../db/redis.js'
import type { RowJob } from './job.js'
import { countEntries, enqueue, type JobQueue, type JobsConfig, openBackend, type QueueCounts } from './queue.js'

/** What a request may do with jobs. */
export interface Producer {
  /**
   * Asks for a job to start now, once its row is committed. Takes no time and never fails: when the queue is
   * out of reach the wish is dropped, and the relay finds the row a few seconds later.
   */
  wake(job: Pick<RowJob<never>, 'name' | 'every'>, id: string): void
  /** Undefined while the queue is out of reach. */
  counts(): Promise<QueueCounts | undefined>
  close(): Promise<void>
}

/** A server that accepts but does not answer must not make us collect wishes without end. */
const maxUnanswered = 1_000

/** Opens the API's side of the queue; returns at once, whatever state the server is in. */
export function createProducer({ config, log }: { config: JobsConfig; log: Log }): Producer {
  const backend = openBackend(config, log)
  let queue: JobQueue | undefined
  let unanswered = 0
  const opening = backend.queue().then((opened) => {
    queue = opened
  })

  return {
    wake(job, id) {
      if (!queue || !backend.ready() || unanswered >= maxUnanswered) return
      unanswered += 1
      enqueue(queue, job.name, id)
        .catch((err) => log.debug({ err, job: job.name, id }, 'job left to the relay'))
        .finally(() => {
          unanswered -= 1
        })
    },
    counts: () => countEntries(queue, backend),
    async close() {
      const open = queue
      queue = undefined
      if (open)
        await within(
          2_000,
          open.close().catch(() => undefined),
        )
      backend.disconnect()
      // What was still being opened closes itself; nobody else may end its connection before.
      await within(2_000, opening)
    },
  }
}
