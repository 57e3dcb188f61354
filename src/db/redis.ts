import { Redis } from 'ioredis'
import type { BaseLogger } from 'pino'

/** What the background parts need of a logger; pino's and Fastify's both fit. */
export type Log = Pick<BaseLogger, 'debug' | 'info' | 'warn' | 'error'>

/** Every key of this application; the braces keep them in one slot of a Redis Cluster, as BullMQ's scripts need. */
export const redisPrefix = '{zenith}'

/**
 * Opens a connection that never gives up: it connects in the background, reconnects within a second and
 * keeps commands for BullMQ until then. Whoever must not wait asks {@link ready} first.
 */
export function connectRedis(url: string, log: Log): Redis {
  const redis = new Redis(url, {
    maxRetriesPerRequest: null,
    retryStrategy: (attempt) => Math.min(50 * 2 ** Math.min(attempt, 5), 1_000) * (0.5 + Math.random() / 2),
    // A frozen or unreachable server keeps the socket open. Longer than BullMQ's longest blocking read (10 s).
    socketTimeout: 15_000,
  })
  let down = false
  redis.on('error', (error) => {
    if (!down) log.warn({ err: error }, 'redis is unreachable')
    down = true
  })
  redis.on('ready', () => {
    if (down) log.info('redis is back')
    down = false
  })
  return redis
}

/** Whether a command sent now goes out at once instead of waiting for a reconnect. */
export function ready(redis: Redis): boolean {
  return redis.status === 'ready'
}

/** The promise's value, or undefined once the time is up. */
export async function within<T>(milliseconds: number, promise: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, milliseconds, undefined)
  })
  return await Promise.race([promise, late]).finally(() => clearTimeout(timer))
}
