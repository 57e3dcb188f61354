import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { UnrecoverableError } from 'bullmq'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Log } from '../db/redis.js'
import { createEmptyDatabase, type TestDatabase } from '../testing/database.js'
import { createTcpGate, type TcpGate } from '../testing/tcp-gate.js'
import { createWorkTable, type WorkTable } from '../testing/work-table.js'
import { defineJob, type Job } from './job.js'
import { createProducer, type Producer } from './producer.js'
import type { JobsConfig } from './queue.js'
import { migrateJobSchema } from './schema.js'
import { type RunningWorker, startWorker } from './worker.js'

export const log: Log = pino({ level: 'silent' })

/** Each of the rows, with its effect exactly once. */
export const once = (ids: readonly string[]) => new Map(ids.map((id) => [id, 1]))

/** A job cut off by an outage runs again when its lock has expired, some 15 seconds later. */
export const patience = { timeout: 50_000, interval: 50 }

/** What jobs promise on either backend; `place` says where a test's queue lives. */
export function describeJobs(backend: string, place: (database: TestDatabase) => Promise<JobsConfig>): void {
  describe(`jobs on ${backend}`, { timeout: 60_000 }, () => {
    let database: TestDatabase
    let table: WorkTable
    let config: JobsConfig
    const running: (RunningWorker | Producer | TcpGate)[] = []

    const job = defineJob<WorkTable>({
      name: 'finish-work',
      due: (table) => table.due(),
      run: (id, table) => table.finish(id),
    })

    function work(jobs: Job<WorkTable>[], sweepSeconds = 0.5, where = config): RunningWorker {
      const worker = startWorker({ config: where, services: table, jobs, log, sweepSeconds })
      running.push(worker)
      return worker
    }
    async function produce(where = config): Promise<Producer> {
      const producer = createProducer({ config: where, log })
      running.push(producer)
      await vi.waitUntil(() => producer.counts(), patience)
      return producer
    }
    /** Waits until nothing is left to do. */
    const settled = () => vi.waitUntil(async () => (await table.due()).length === 0, patience)

    beforeEach(async () => {
      database = await createEmptyDatabase()
      await migrateJobSchema(database.ownerUrl, 'zenith_app')
      table = await createWorkTable(database)
      config = await place(database)
    })
    afterEach(async () => {
      await Promise.all(running.splice(0).map((part) => part.close()))
      await table.close()
      await database.drop()
    })

    it('finds rows that nobody announced', async () => {
      const ids = await table.add(20)
      work([job])
      await settled()
      expect(await table.effects()).toEqual(once(ids))
    })

    it('starts an announced row without waiting for the relay', async () => {
      const producer = await produce()
      const hidden = defineJob<WorkTable>({ ...job, due: async () => [] })
      work([hidden])
      const ids = await table.add(3)
      for (const id of ids) producer.wake(hidden, id)
      await settled()
      expect(await table.effects()).toEqual(once(ids))
    })

    it('has each effect once with several workers and repeated announcements', async () => {
      const producers = [await produce(), await produce()]
      for (let index = 0; index < 3; index++) work([job])
      const ids: string[] = []
      for (let index = 0; index < 10; index++) {
        const added = await table.add(10)
        for (const id of added) for (const producer of producers) producer.wake(job, id)
        ids.push(...added)
      }
      await settled()
      expect(await table.effects()).toEqual(once(ids))
    })

    it('tries a failing job again while others go on', async () => {
      const [poisoned] = await table.add()
      let attempts = 0
      work([
        defineJob<WorkTable>({
          ...job,
          async run(id, table) {
            if (id === poisoned && ++attempts < 3) throw new Error('not yet')
            await table.finish(id)
          },
        }),
      ])
      await vi.waitUntil(() => attempts > 0, patience)
      const others = await table.add(20)
      await vi.waitUntil(async () => (await table.effects()).size >= 20, patience)
      await settled()
      expect(attempts).toBe(3)
      expect(await table.effects()).toEqual(once([String(poisoned), ...others]))
    })

    it('leaves a row alone for a while when its job failed for good, and shows it in the counts', async () => {
      await table.add()
      let attempts = 0
      let sweeps = 0
      const worker = work([
        defineJob<WorkTable>({
          name: 'fail-work',
          due(table) {
            sweeps += 1
            return table.due()
          },
          async run() {
            attempts += 1
            throw new UnrecoverableError('never')
          },
        }),
      ])
      await vi.waitUntil(() => attempts > 0, patience)
      const seen = sweeps
      await vi.waitUntil(() => sweeps > seen + 2, patience)
      expect(attempts).toBe(1)
      expect(await worker.counts()).toEqual({ waiting: 0, active: 0, delayed: 0, failed: 1 })
    })

    it('runs a schedule once per period, whatever the number of workers', async () => {
      const starts: number[] = []
      const schedule = defineJob<WorkTable>({
        name: 'tick',
        every: 1,
        async run() {
          starts.push(performance.now())
        },
      })
      for (let index = 0; index < 3; index++) work([schedule], 0.1)
      await vi.waitUntil(() => starts.length >= 4, patience)
      const periods = (Number(starts.at(-1)) - Number(starts[0])) / 1_000
      // A start may come late, but never early.
      expect(starts.length - 1).toBeLessThanOrEqual(periods + 0.5)
    })

    it('does not run a schedule twice at the same time', async () => {
      let now = 0
      let most = 0
      let runs = 0
      const schedule = defineJob<WorkTable>({
        name: 'slow-tick',
        every: 0.1,
        async run() {
          now += 1
          most = Math.max(most, now)
          await new Promise((resolve) => setTimeout(resolve, 300))
          now -= 1
          runs += 1
        },
      })
      for (let index = 0; index < 2; index++) work([schedule], 0.1)
      await vi.waitUntil(() => runs >= 3, patience)
      expect(most).toBe(1)
    })

    it('waits for the running job when it closes', async () => {
      await table.add()
      let state = 'new'
      const worker = work([
        defineJob<WorkTable>({
          ...job,
          async run(id, table) {
            state = 'running'
            await new Promise((resolve) => setTimeout(resolve, 300))
            await table.finish(id)
            state = 'finished'
          },
        }),
      ])
      await vi.waitUntil(() => state === 'running', patience)
      await worker.close()
      expect(state).toBe('finished')
    })

    it('closes at the deadline while a job hangs', async () => {
      await table.add()
      let started = false
      let release: () => void = () => undefined
      const worker = work([
        defineJob<WorkTable>({
          ...job,
          async run() {
            started = true
            await new Promise<void>((resolve) => {
              release = resolve
            })
          },
        }),
      ])
      await vi.waitUntil(() => started, patience)
      await worker.close(100)
      release()
    })

    it("runs a killed worker's jobs again, and has each effect once", async () => {
      const ids = await table.add(6)
      const program = fileURLToPath(new URL('../testing/worker-process.ts', import.meta.url))
      const where = [config.databaseUrl, ...(config.redisUrl ? [config.redisUrl] : [])]
      const child = spawn(process.execPath, ['--import', 'tsx', program, ...where], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const held = new Set<string>()
      for await (const id of createInterface({ input: child.stdout })) {
        held.add(id)
        if (held.size === ids.length) child.kill('SIGKILL')
      }
      expect((await table.effects()).size).toBe(ids.length / 2)
      const runs: string[] = []
      work([
        defineJob<WorkTable>({
          ...job,
          async run(id, table) {
            await table.finish(id)
            runs.push(id)
          },
        }),
      ])
      await vi.waitUntil(() => runs.length >= ids.length, patience)
      expect(new Set(runs)).toEqual(new Set(ids))
      expect(await table.effects()).toEqual(once(ids))
    })

    it('refuses two jobs of one name', () => {
      expect(() => work([job, job])).toThrow('two jobs have the same name')
    })

    describe('behind a gate', () => {
      let gate: TcpGate
      let gated: JobsConfig
      beforeEach(async () => {
        const { redisUrl, databaseUrl } = config
        gate = await createTcpGate(redisUrl ?? databaseUrl)
        gated = redisUrl ? { databaseUrl, redisUrl: gate.url } : { databaseUrl: gate.url }
      })
      afterEach(() => gate.close())

      it('neither fails nor waits when the server is unreachable from the start, and works once it is there', async () => {
        const producer = createProducer({ config: gated, log })
        running.push(producer)
        const [id] = await table.add()
        producer.wake(job, String(id))
        work([job], 0.5, gated)
        expect(await producer.counts()).toBeUndefined()
        gate.open()
        await settled()
        expect(await table.effects()).toEqual(once([String(id)]))
      })

      it('goes on after the server was away', async () => {
        gate.open()
        const producer = await produce(gated)
        work([job], 0.5, gated)
        const ids: string[] = []
        const announce = async () => {
          const [id] = await table.add()
          producer.wake(job, String(id))
          ids.push(String(id))
        }
        for (let outage = 0; outage < 3; outage++) {
          for (let index = 0; index < 10; index++) await announce()
          gate.shut()
          for (let index = 0; index < 10; index++) await announce()
          gate.open()
        }
        await settled()
        expect(await table.effects()).toEqual(once(ids))
      })

      it('closes while the server is away', async () => {
        gate.open()
        const producer = await produce(gated)
        const worker = work([job], 0.5, gated)
        await vi.waitUntil(() => worker.counts(), patience)
        gate.shut()
        await Promise.all([worker.close(500), producer.close()])
      })

      it('closes when the server was never there', async () => {
        const producer = createProducer({ config: gated, log })
        const worker = startWorker({ config: gated, services: table, jobs: [job], log })
        await Promise.all([worker.close(500), producer.close()])
      })
    })
  })
}
