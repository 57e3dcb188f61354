import type { Redis } from 'ioredis'
import { LRUCache } from 'lru-cache'
import { ready, redisPrefix } from '../db/redis.js'

export interface Limit {
  /** How many units one window holds. */
  readonly quota: number
  readonly windowSeconds: number
  /** Units that this request takes; 1 unless said otherwise. */
  readonly cost?: number
}

export interface Decision {
  readonly allowed: boolean
  readonly remaining: number
  /** Whole seconds until the window ends, at least 1. */
  readonly resetSeconds: number
}

export interface RateLimiter {
  /** Takes from the key's quota if enough is left. Never waits; a refused request takes nothing. */
  take(key: string, limit: Limit): Decision
  close(): void
}

export interface RateLimiterOptions {
  /** Shares the quotas with the other processes; without it each process counts alone. */
  readonly redis?: Redis | undefined
  readonly now?: () => number
  /** Keys remembered; the least recently used is forgotten first. */
  readonly maxKeys?: number
  readonly exchangeMs?: number
}

/** One key in its current window. What all processes took is `shared` + what this one has not told yet. */
interface Counter {
  readonly sharedKey: string
  readonly endsAt: number
  shared: number
  untold: number
}

/** Adds each process's new units to the common totals and answers those. */
const exchangeScript = `
local totals = {}
for i, key in ipairs(KEYS) do
  totals[i] = redis.call('INCRBY', key, ARGV[i])
  redis.call('PEXPIRE', key, ARGV[#KEYS + i])
end
return totals`

/** More keys than this wait for the next beat, so that the script never holds Redis for long. */
const exchangeSize = 2_000

/**
 * A limiter over fixed windows that answers from memory. With Redis, processes tell each other a few times a
 * second what they took, so together they may exceed a quota by what they admit between two exchanges;
 * while Redis is away each one counts alone, and tells the rest when it is back.
 */
export function createRateLimiter(options: RateLimiterOptions = {}): RateLimiter {
  const { redis, now = Date.now, maxKeys = 50_000, exchangeMs = 250 } = options
  const untold = new Set<Counter>()
  const counters = new LRUCache<string, Counter>({ max: maxKeys, dispose: (counter) => untold.delete(counter) })
  let exchanging = false

  async function exchange(redis: Redis): Promise<void> {
    if (exchanging || untold.size === 0 || !ready(redis)) return
    exchanging = true
    const batch = [...untold].slice(0, exchangeSize)
    for (const counter of batch) untold.delete(counter)
    const current = batch.filter((counter) => counter.endsAt > now())
    try {
      const told = current.map((counter) => counter.untold)
      const lifetimes = current.map((counter) => counter.endsAt - now() + 1_000)
      const keys = current.map((counter) => counter.sharedKey)
      const totals = (await redis.eval(exchangeScript, keys.length, ...keys, ...told, ...lifetimes)) as number[]
      for (const [index, counter] of current.entries()) {
        const own = told[index] ?? 0
        counter.untold -= own
        // Never below what is known here: Redis may have lost its memory.
        counter.shared = Math.max(counter.shared + own, totals[index] ?? 0)
      }
    } catch {
      // What was not told is told at the next beat.
      for (const counter of current) untold.add(counter)
    } finally {
      exchanging = false
    }
  }

  const beat = redis && setInterval(() => void exchange(redis), exchangeMs).unref()

  return {
    take(key, { quota, windowSeconds, cost = 1 }) {
      const time = now()
      let counter = counters.get(key)
      if (!counter || time >= counter.endsAt) {
        counter = openWindow(key, windowSeconds * 1_000, time)
        counters.set(key, counter)
      }
      const allowed = counter.shared + counter.untold + cost <= quota
      if (allowed) {
        counter.untold += cost
        if (redis) untold.add(counter)
      }
      return {
        allowed,
        remaining: Math.max(quota - counter.shared - counter.untold, 0),
        resetSeconds: Math.max(Math.ceil((counter.endsAt - time) / 1_000), 1),
      }
    },
    close: () => clearInterval(beat),
  }
}

/** Every process finds the same window for a key; keys start theirs at different moments, not all on the minute. */
function openWindow(key: string, length: number, time: number): Counter {
  const offset = fnv1a(key) % length
  const endsAt = (Math.floor((time - offset) / length) + 1) * length + offset
  return { sharedKey: `${redisPrefix}:rate:${key}:${length}:${endsAt}`, endsAt, shared: 0, untold: 0 }
}

/** Spreads similar keys well; nothing depends on more. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  return hash >>> 0
}

/** The header fields of draft-ietf-httpapi-ratelimit-headers-11, and `Retry-After` with a refusal. */
export function rateLimitHeaders(name: string, limit: Limit, decision: Decision): Record<string, string> {
  return {
    'ratelimit-policy': `"${name}";q=${limit.quota};w=${limit.windowSeconds}`,
    ratelimit: `"${name}";r=${decision.remaining};t=${decision.resetSeconds}`,
    ...(decision.allowed ? {} : { 'retry-after': String(decision.resetSeconds) }),
  }
}
