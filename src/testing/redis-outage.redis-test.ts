import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { RunningWorker } from '../jobs/worker.js'
import { runJobs } from '../process.js'
import { type Caller, createHarness, type Harness } from './harness.js'
import { startTestRedis, type TestRedis } from './redis.js'

let dataDir: string
let redis: TestRedis
let harness: Harness
let worker: RunningWorker
let owner: Caller
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'zenith-outage-'))
  redis = await startTestRedis()
  harness = await createHarness({ REDIS_URL: redis.url, DATA_DIR: dataDir, RATE_LIMIT_PER_MINUTE: '100000' })
  const { config, database, resources } = harness
  worker = runJobs(config, database.appUrl, resources, pino({ level: 'silent' }))
  owner = await harness.newOrganization()
})
afterAll(async () => {
  await worker.close(1_000)
  await harness.close()
  await redis.stop()
  await rm(dataDir, { recursive: true, force: true })
})

it('Redis dying, freezing, forgetting and returning under load costs no request and no job', async () => {
  let running = true
  let invited = 0
  const statuses = new Map<number, number>()
  const count = ({ statusCode }: { statusCode: number }) =>
    statuses.set(statusCode, (statuses.get(statusCode) ?? 0) + 1)
  const load = async () => {
    while (running) {
      count(await owner.post('/api/v1/accounts', { name: 'Under load' }))
      count(await owner.get('/api/v1/accounts?limit=1'))
      count(await owner.post('/api/v1/invitations', { email: `guest-${invited++}@example.com`, role: 'member' }))
      await sleep(20)
    }
  }
  const loads = [load(), load()]
  for (const strike of [redis.kill, redis.start, redis.flush, redis.freeze, redis.thaw, redis.kill, redis.start]) {
    await sleep(700)
    await strike()
  }
  await sleep(700)
  running = false
  await Promise.all(loads)
  expect([...statuses.keys()].sort()).toEqual([200, 201])

  const unsent = async () => {
    const { rows } = await harness.sql.query<{ unsent: string }>(
      'select count(*) as unsent from crm_invitations where mailed_at is null',
    )
    return Number(rows[0]?.unsent)
  }
  while ((await unsent()) > 0) await sleep(200)
  expect((await readdir(join(dataDir, 'mail'))).length).toBeGreaterThanOrEqual(invited)
})
