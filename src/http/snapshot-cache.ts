import type { Redis } from 'ioredis'
import { ready, redisPrefix, within } from '../db/redis.js'

/** Small JSON values that the processes share. It may forget anything at any time and never fails. */
export interface SharedCache<Value> {
  /** The value, or undefined when unknown or when Redis takes longer than a moment. */
  get(key: string): Promise<Value | undefined>
  /** Does not wait. */
  set(key: string, value: Value, ttlSeconds: number): void
}

const patienceMs = 50
const muteMs = 1_000

/** A cache in Redis, or one that never knows anything when there is none. */
export function createSharedCache<Value>(redis: Redis | undefined, name = 'snapshot'): SharedCache<Value> {
  // After one late answer nobody else waits for a while.
  let mutedUntil = 0
  const usable = (redis: Redis) => ready(redis) && Date.now() >= mutedUntil

  return {
    async get(key) {
      if (!redis || !usable(redis)) return undefined
      const text = await within(
        patienceMs,
        redis.get(`${redisPrefix}:${name}:${key}`).catch(() => undefined),
      )
      if (text === undefined) mutedUntil = Date.now() + muteMs
      if (!text) return undefined
      try {
        return JSON.parse(text) as Value
      } catch {
        return undefined
      }
    },
    set(key, value, ttlSeconds) {
      if (!redis || !usable(redis)) return
      redis.set(`${redisPrefix}:${name}:${key}`, JSON.stringify(value), 'EX', ttlSeconds).catch(() => undefined)
    },
  }
}
