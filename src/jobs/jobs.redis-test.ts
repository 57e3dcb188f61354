import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { createEmptyDatabase } from '../testing/database.js'
import { startTestRedis, type TestRedis } from '../testing/redis.js'
import { createWorkTable, type WorkTable } from '../testing/work-table.js'
import { describeJobs, log, once, patience } from './guarantees.js'
import { defineJob } from './job.js'
import { createProducer } from './producer.js'
import { startWorker } from './worker.js'

let redis: TestRedis
beforeAll(async () => {
  redis = await startTestRedis()
})
afterAll(() => redis.stop())

describeJobs('Redis', async (database) => {
  await redis.flush()
  return { databaseUrl: database.appUrl, redisUrl: redis.url }
})

describe('a stream of jobs', { timeout: 90_000 }, () => {
  it('loses nothing and waits for nothing while Redis is flushed, frozen, killed and restarted', async () => {
    const database = await createEmptyDatabase()
    const table = await createWorkTable(database)
    const config = { databaseUrl: database.appUrl, redisUrl: redis.url }
    let ticks = 0
    const job = defineJob<WorkTable>({
      name: 'finish-work',
      due: (table) => table.due(),
      run: (id, table) => table.finish(id),
    })
    const tick = defineJob<WorkTable>({
      name: 'tick',
      every: 0.5,
      async run() {
        ticks += 1
      },
    })
    const producer = createProducer({ config, log })
    const workers = [0, 1].map(() =>
      startWorker({ config, services: table, jobs: [job, tick], log, sweepSeconds: 0.5 }),
    )

    const ids: string[] = []
    let streaming = true
    const stream = (async () => {
      while (streaming) {
        const [id] = await table.add()
        producer.wake(job, String(id))
        ids.push(String(id))
        await sleep(10)
      }
    })()
    for (let round = 0; round < 2; round++) {
      await sleep(500)
      await redis.flush()
      await sleep(500)
      redis.freeze()
      await sleep(1_000)
      redis.thaw()
      await sleep(500)
      await redis.kill()
      await sleep(1_000)
      await redis.start()
    }
    streaming = false
    await stream

    await vi.waitUntil(async () => (await table.due()).length === 0, patience)
    expect(await table.effects()).toEqual(once(ids))
    const before = ticks
    await vi.waitUntil(() => ticks > before + 1, patience)

    await Promise.all([...workers.map((worker) => worker.close()), producer.close()])
    await table.close()
    await database.drop()
  })
})
