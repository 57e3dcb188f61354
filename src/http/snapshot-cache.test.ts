import { pino } from 'pino'
import { expect, it } from 'vitest'
import { connectRedis } from '../db/redis.js'
import { createSharedCache } from './snapshot-cache.js'

it('knows nothing without Redis', async () => {
  const cache = createSharedCache<number>(undefined)
  cache.set('key', 1, 60)
  expect(await cache.get('key')).toBeUndefined()
})

it('knows nothing, and fails nobody, with a Redis that was never there', async () => {
  const redis = connectRedis('redis://127.0.0.1:1', pino({ level: 'silent' }))
  const cache = createSharedCache<number>(redis)
  cache.set('key', 1, 60)
  expect(await cache.get('key')).toBeUndefined()
  redis.disconnect()
})
