import { createHash } from 'node:crypto'
import { and, eq, gt, lt, sql } from 'drizzle-orm'
import type { JobServices, Scope } from '../context.js'
import type { Executor } from '../db/database.js'
import { parameter, query, statement } from '../db/statement.js'
import { defineJob } from '../jobs/job.js'
import { problem } from '../problem.js'
import type { WireReply } from './problems.js'
import { crmIdempotencyKeys as t } from './table.js'

const kept = sql`now() - interval '24 hours'`
const ofKey = and(
  eq(t.organizationId, parameter('organizationId')),
  eq(t.userId, parameter('userId')),
  eq(t.key, parameter('key')),
)

const hold = statement<{ held: boolean }>(
  'idempotency.lock',
  sql`select pg_try_advisory_xact_lock(hashtextextended(${parameter('lock')}, 0)) as held`,
)

const find = statement(
  'idempotency.find',
  query
    .select({ fingerprint: t.fingerprint, status: t.status, headers: t.headers, body: t.body })
    .from(t)
    .where(and(ofKey, gt(t.createdAt, kept))),
)

const store = statement(
  'idempotency.store',
  query
    .insert(t)
    .values({
      organizationId: sql`${parameter('organizationId')}`,
      userId: sql`${parameter('userId')}`,
      key: sql`${parameter('key')}`,
      fingerprint: sql`${parameter('fingerprint')}`,
      status: sql`${parameter('status')}`,
      headers: sql`${parameter('headers')}`,
      body: sql`${parameter('body')}`,
      createdAt: sql`now()`,
    })
    .onConflictDoUpdate({
      target: [t.organizationId, t.userId, t.key],
      set: {
        fingerprint: sql`excluded.fingerprint`,
        status: sql`excluded.status`,
        headers: sql`excluded.headers`,
        body: sql`excluded.body`,
        createdAt: sql`excluded.created_at`,
      },
    }),
)

/** Carries a reply that must leave no trace out of the transaction. */
class Refused extends Error {
  readonly reply: WireReply

  constructor(reply: WireReply) {
    super('refused')
    this.reply = reply
  }
}

/** Tells a retry from another request: the route with its parameters, and the body. */
export const fingerprintOf = (method: string, url: string, body: unknown): string =>
  createHash('sha256')
    .update(JSON.stringify([method, url, body ?? null]))
    .digest('base64url')

/**
 * Runs a request at most once per key: its effect and its reply are stored in one transaction, and a retry gets that reply.
 * A refused request stores nothing, so that it can be sent again.
 * Follows draft-ietf-httpapi-idempotency-key-header: 409 while the first one runs, 422 for another request with the same key.
 */
export async function once(
  { db, principal: { organizationId, userId } }: Scope,
  header: string,
  fingerprint: string,
  run: (tx: Executor) => Promise<WireReply>,
): Promise<WireReply> {
  // A structured-field string is quoted, a bare token is not: `"abc"` and `abc` are the same key.
  const key = header.replace(/^"(.*)"$/, '$1')
  const names = { organizationId, userId, key }
  try {
    return await db.transaction(async (tx) => {
      const [[lock], [stored]] = await tx.all(hold({ lock: `${organizationId}:${userId}:${key}` }), find(names))
      if (stored && stored.fingerprint !== fingerprint) return problem(422, 'idempotency_key_reused')
      if (stored) return replay(stored)
      if (!lock?.held) return problem(409, 'idempotency_key_in_use')
      const reply = await run(tx)
      if (reply.status >= 400) throw new Refused(reply)
      await tx.run(
        store({
          ...names,
          fingerprint,
          status: reply.status,
          headers: JSON.stringify(reply.headers ?? {}),
          body: reply.body === undefined ? null : JSON.stringify(reply.body),
        }),
      )
      return reply
    })
  } catch (error) {
    if (error instanceof Refused) return error.reply
    throw error
  }
}

function replay({
  status,
  headers,
  body,
}: {
  status: number
  headers: Record<string, string>
  body: string | null
}): WireReply {
  return {
    status,
    headers: { ...headers, 'Idempotency-Replayed': 'true' },
    ...(body !== null && { body: JSON.parse(body) as unknown }),
  }
}

const deleteOld = statement('idempotency.expired', query.delete(t).where(lt(t.createdAt, kept)))

/** Removes keys that are older than what is promised. */
export const idempotencyRetention = defineJob<JobServices>({
  name: 'idempotency-retention',
  every: 3600,
  run: async (_id, { database }) => {
    await database.as({ kind: 'maintenance' }).run(deleteOld())
  },
})
