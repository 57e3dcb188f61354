import { createHash } from 'node:crypto'
import type { Services } from '../../context.js'
import { TooManyRequests } from '../../problem.js'

/** Failed logins of one address; after that it has to wait, whoever tries. A correct password in between costs nothing. */
const LIMIT = { quota: 10, windowSeconds: 900 }

const keyOf = (email: string): string =>
  `login:${createHash('sha256').update(email.toLowerCase()).digest('base64url').slice(0, 22)}`

/**
 * Counts an attempt before it is made, so that many at once are not more than one after another.
 * @throws TooManyRequests after too many failures
 */
export function countLogin({ limiter }: Services, email: string): void {
  const decision = limiter.take(keyOf(email), LIMIT)
  if (!decision.allowed) throw new TooManyRequests(decision.resetSeconds)
}

/** Takes back the count of an attempt whose password was right. */
export function forgetLogin({ limiter }: Services, email: string): void {
  limiter.take(keyOf(email), { ...LIMIT, cost: -1 })
}
