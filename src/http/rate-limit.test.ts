import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createRateLimiter, rateLimitHeaders } from './rate-limit.js'

const limit = { quota: 10, windowSeconds: 60 }

describe('rate limiter', () => {
  it('admits exactly the quota in a window, counts down, and refuses the rest', () => {
    const limiter = createRateLimiter({ now: () => 0 })
    const decisions = Array.from({ length: 12 }, () => limiter.take('key', limit))
    expect(decisions.map((decision) => decision.remaining)).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0])
    expect(decisions.map((decision) => decision.allowed)).toEqual([...Array(10).fill(true), false, false])
  })

  it('starts anew when the announced time has passed, not before', () => {
    let time = 1_000_000
    const limiter = createRateLimiter({ now: () => time })
    const start = time
    for (let index = 0; index < 10; index++) limiter.take('key', limit)
    const { resetSeconds } = limiter.take('key', limit)
    time = start + (resetSeconds - 1) * 1_000
    expect(limiter.take('key', limit).allowed).toBe(false)
    time = start + resetSeconds * 1_000
    expect(limiter.take('key', limit)).toMatchObject({ allowed: true, remaining: 9 })
  })

  it('keeps keys apart, in quota and in the moment of their reset', () => {
    const limiter = createRateLimiter({ now: () => 0 })
    const decisions = Array.from({ length: 20 }, (_, index) => limiter.take(`key-${index}`, limit))
    expect(decisions.every((decision) => decision.remaining === 9)).toBe(true)
    expect(new Set(decisions.map((decision) => decision.resetSeconds)).size).toBeGreaterThan(5)
  })

  it('takes the cost of a request, and nothing for a refused one', () => {
    const limiter = createRateLimiter({ now: () => 0 })
    expect(limiter.take('key', { ...limit, cost: 8 })).toMatchObject({ allowed: true, remaining: 2 })
    expect(limiter.take('key', { ...limit, cost: 3 })).toMatchObject({ allowed: false, remaining: 2 })
    expect(limiter.take('key', { ...limit, cost: 2 })).toMatchObject({ allowed: true, remaining: 0 })
  })

  it('forgets the least recently used key when it remembers too many', () => {
    const limiter = createRateLimiter({ now: () => 0, maxKeys: 2 })
    limiter.take('first', limit)
    limiter.take('second', limit)
    limiter.take('first', limit)
    limiter.take('third', limit)
    expect(limiter.take('first', limit).remaining).toBe(7)
    expect(limiter.take('second', limit).remaining).toBe(9)
  })

  it('never admits more than the quota within what it says is one window', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 1, max: 100 }),
        fc.array(fc.record({ pause: fc.integer({ min: 0, max: 30_000 }), cost: fc.integer({ min: 1, max: 5 }) })),
        (quota, windowSeconds, requests) => {
          let time = 1_700_000_000_000
          const limiter = createRateLimiter({ now: () => time })
          let admitted = 0
          let endsAt = 0
          for (const { pause, cost } of requests) {
            time += pause
            const { allowed, remaining, resetSeconds } = limiter.take('key', { quota, windowSeconds, cost })
            if (time >= endsAt) {
              admitted = 0
              // It is told in whole seconds, rounded up.
              endsAt = time + (resetSeconds - 1) * 1_000
            }
            if (allowed) admitted += cost
            expect(admitted).toBeLessThanOrEqual(quota)
            expect(remaining).toBeGreaterThanOrEqual(0)
            expect(resetSeconds).toBeGreaterThanOrEqual(1)
            expect(resetSeconds).toBeLessThanOrEqual(windowSeconds)
          }
        },
      ),
    )
  })
})

describe('rate limit headers', () => {
  it('say the policy and the state as structured fields, and when to come back after a refusal', () => {
    const policy = { quota: 600, windowSeconds: 60 }
    expect(rateLimitHeaders('default', policy, { allowed: true, remaining: 598, resetSeconds: 42 })).toEqual({
      'ratelimit-policy': '"default";q=600;w=60',
      ratelimit: '"default";r=598;t=42',
    })
    expect(rateLimitHeaders('default', policy, { allowed: false, remaining: 0, resetSeconds: 42 })).toEqual({
      'ratelimit-policy': '"default";q=600;w=60',
      ratelimit: '"default";r=0;t=42',
      'retry-after': '42',
    })
  })
})
