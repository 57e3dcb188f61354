import { setTimeout as sleep } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import { pino } from 'pino'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { connectRedis, ready } from '../db/redis.js'
import { startTestRedis, type TestRedis } from '../testing/redis.js'
import { createRateLimiter, type RateLimiter } from './rate-limit.js'
import { createSharedCache } from './snapshot-cache.js'

const patience = { timeout: 20_000, interval: 20 }
/** Long enough for no window to end during a test, unless it lasts for months. */
const limit = { quota: 1_000, windowSeconds: 1e8 }

let server: TestRedis
const connections: Redis[] = []
const limiters: RateLimiter[] = []

beforeEach(async () => {
  server = await startTestRedis()
})
afterEach(async () => {
  for (const limiter of limiters.splice(0)) limiter.close()
  for (const connection of connections.splice(0)) connection.disconnect()
  await server.stop()
})

/** A connection of its own, as another process would have. */
async function connect(): Promise<Redis> {
  const redis = connectRedis(server.url, pino({ level: 'silent' }))
  connections.push(redis)
  await vi.waitUntil(() => ready(redis), patience)
  return redis
}

async function limiterOf(): Promise<RateLimiter> {
  const limiter = createRateLimiter({ redis: await connect(), exchangeMs: 20 })
  limiters.push(limiter)
  return limiter
}

/** Waits until the limiter knows what all have taken; asking takes nothing. */
const sees = (limiter: RateLimiter, key: string, remaining: number) =>
  vi.waitUntil(() => limiter.take(key, { ...limit, cost: 0 }).remaining === remaining, patience)

describe('rate limiters of several processes', () => {
  it('share one quota', async () => {
    const [first, second] = [await limiterOf(), await limiterOf()]
    expect(first.take('key', { ...limit, cost: 400 }).allowed).toBe(true)
    expect(second.take('key', { ...limit, cost: 400 }).allowed).toBe(true)
    await sees(first, 'key', 200)
    await sees(second, 'key', 200)
    expect(first.take('key', { ...limit, cost: 400 }).allowed).toBe(false)
    expect(second.take('key', { ...limit, cost: 400 }).allowed).toBe(false)
  })

  it('leave nothing behind in Redis when the window has ended', async () => {
    const limiter = await limiterOf()
    const redis = await connect()
    await vi.waitUntil(async () => {
      limiter.take('short', { quota: 5, windowSeconds: 1 })
      return (await redis.dbsize()) > 0
    }, patience)
    await vi.waitUntil(async () => (await redis.dbsize()) === 0, patience)
  })

  it('count on alone while Redis is frozen or dead, and together again when it is back', async () => {
    const [first, second] = [await limiterOf(), await limiterOf()]
    first.take('key', { ...limit, cost: 100 })
    await sees(second, 'key', 900)

    server.freeze()
    await sleep(100)
    expect(first.take('key', { ...limit, cost: 100 }).remaining).toBe(800)
    await server.kill()
    await sleep(100)
    expect(second.take('key', { ...limit, cost: 200 }).remaining).toBe(700)

    // The new Redis has forgotten the first 100, and adds up what it is told from then on.
    await server.start()
    await sees(first, 'key', 700)
    await sees(second, 'key', 700)
    expect(second.take('key', { ...limit, cost: 800 }).allowed).toBe(false)
  })

  it('still know what they admitted when Redis has lost its memory', async () => {
    const [first, second] = [await limiterOf(), await limiterOf()]
    first.take('key', { ...limit, cost: 600 })
    await sees(second, 'key', 400)
    await server.flush()
    second.take('key', { ...limit, cost: 100 })
    await sees(second, 'key', 300)
    // Once the other key has arrived, the exchange that tells the first about the loss is over as well.
    first.take('other', limit)
    first.take('key', { ...limit, cost: 0 })
    await sees(second, 'other', 999)
    await sees(first, 'key', 400)
    expect(first.take('key', { ...limit, cost: 500 }).allowed).toBe(false)
  })

  it('never wait, fail or admit more than the quota each, whatever happens to Redis under load', async () => {
    const quota = 2_000
    const all = [await limiterOf(), await limiterOf()]
    const admitted = [0, 0]
    let streaming = true
    const stream = (async () => {
      while (streaming) {
        for (const [index, limiter] of all.entries()) {
          for (let request = 0; request < 20; request++) {
            const { allowed } = limiter.take('key', { quota, windowSeconds: 1e8 })
            if (allowed) admitted[index] = Number(admitted[index]) + 1
          }
        }
        await sleep(5)
      }
    })()
    await sleep(100)
    await server.flush()
    server.freeze()
    await sleep(200)
    server.thaw()
    await sleep(100)
    await server.kill()
    await sleep(200)
    await server.start()
    await sleep(1_500)
    streaming = false
    await stream
    for (const count of admitted) expect(count).toBeLessThanOrEqual(quota)
    // Neither admits anything more: they agree again that the quota is used up.
    const spent = all.map((limiter) => limiter.take('key', { quota, windowSeconds: 1e8 }).allowed)
    expect(spent).toEqual([false, false])
  })
})

describe('shared cache', () => {
  it('gives one process what another one stored, until it expires', async () => {
    const [first, second] = [createSharedCache<{ role: string }>(await connect()), createSharedCache(await connect())]
    expect(await first.get('user')).toBeUndefined()
    first.set('user', { role: 'admin' }, 1)
    await vi.waitUntil(() => second.get('user'), patience)
    expect(await second.get('user')).toEqual({ role: 'admin' })
    await vi.waitUntil(async () => (await second.get('user')) === undefined, patience)
  })

  it('knows nothing, and fails nobody, while Redis is frozen or dead', async () => {
    const cache = createSharedCache<number>(await connect())
    cache.set('key', 1, 60)
    await vi.waitUntil(() => cache.get('key'), patience)
    server.freeze()
    expect(await cache.get('key')).toBeUndefined()
    cache.set('key', 2, 60)
    await server.kill()
    expect(await cache.get('key')).toBeUndefined()
    await server.start()
    await vi.waitUntil(async () => {
      cache.set('key', 3, 60)
      return (await cache.get('key')) === 3
    }, patience)
  })

  it('takes an unreadable value for an unknown one', async () => {
    const redis = await connect()
    await redis.set('{zenith}:snapshot:key', '{"half')
    expect(await createSharedCache(redis).get('key')).toBeUndefined()
  })
})
