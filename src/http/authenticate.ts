import type {} from '@fastify/jwt'
import { and, eq, gt, sql } from 'drizzle-orm'
import type { FastifyRequest } from 'fastify'
import { LRUCache } from 'lru-cache'
import type { Clock, Principal } from '../context.js'
import type { Database } from '../db/database.js'
import { parameter, query, statement } from '../db/statement.js'
import { crmMemberships, crmSessions, crmTeamMembers } from '../db/table.js'
import type { SharedCache } from './snapshot-cache.js'

/** What an access token says. */
type TokenPayload = Pick<Principal, 'userId' | 'organizationId' | 'sessionId'> & { exp: number }

declare module '@fastify/jwt' {
  interface FastifyJWT {
    payload: Omit<TokenPayload, 'exp'>
    user: TokenPayload
  }
}

export type Authenticator = {
  /** Who calls, as far as is remembered; undefined without a valid credential. */
  authenticate(request: FastifyRequest): Promise<Principal | undefined>
  /** Who calls, asked of the database: for when it says that the memory is out of date. */
  reload(request: FastifyRequest): Promise<Principal | undefined>
}

const SNAPSHOT_SECONDS = 300

const findPrincipal = statement(
  'auth.principal',
  query
    .select({
      role: crmMemberships.role,
      version: crmMemberships.version,
      teamIds: sql<string[]>`array_to_json(array(
        select ${crmTeamMembers.teamId} from ${crmTeamMembers}
        where ${crmTeamMembers.organizationId} = ${crmMemberships.organizationId} and ${crmTeamMembers.userId} = ${crmMemberships.userId}))`,
    })
    .from(crmSessions)
    .innerJoin(
      crmMemberships,
      and(eq(crmMemberships.organizationId, crmSessions.organizationId), eq(crmMemberships.userId, crmSessions.userId)),
    )
    .where(
      and(
        eq(crmSessions.organizationId, parameter('organizationId')),
        eq(crmSessions.id, parameter('sessionId')),
        eq(crmSessions.userId, parameter('userId')),
        eq(crmSessions.revoked, false),
        gt(crmSessions.expiresAt, sql`now()`),
        eq(crmMemberships.status, 'active'),
      ),
    ),
)

/**
 * Recognises callers by their access token. Signatures and snapshots of rights are remembered, here and between processes;
 * that is safe because the database verifies session and rights again in the flight of every statement.
 */
export function createAuthenticator(database: Database, shared: SharedCache<Principal>, clock: Clock): Authenticator {
  const remembered = new LRUCache<string, { payload: TokenPayload; principal: Principal }>({ max: 10_000 })

  async function verify(request: FastifyRequest): Promise<TokenPayload | undefined> {
    try {
      return await request.jwtVerify<TokenPayload>()
    } catch (error) {
      // A token that is not valid is an answer; a key ring that cannot be read is not.
      const { statusCode, code } = error as { statusCode?: number; code?: unknown }
      if (statusCode !== undefined || String(code).startsWith('FAST_JWT_')) return undefined
      throw error
    }
  }

  async function load({ organizationId, userId, sessionId }: TokenPayload): Promise<Principal | undefined> {
    const [row] = await database
      .as({ kind: 'tenant', organizationId })
      .run(findPrincipal({ organizationId, userId, sessionId }))
    return row && { organizationId, userId, sessionId, ...row }
  }

  async function recognise(request: FastifyRequest, ask: boolean): Promise<Principal | undefined> {
    const token = request.headers.authorization
    if (!token) return undefined
    const known = remembered.get(token)
    const payload = known?.payload ?? (await verify(request))
    if (!payload || payload.exp * 1000 <= clock().getTime()) return undefined
    if (known && !ask) return known.principal
    const key = `${payload.organizationId}:${payload.sessionId}`
    const principal = (ask ? undefined : await shared.get(key)) ?? (await load(payload))
    if (!principal) {
      remembered.delete(token)
      return undefined
    }
    remembered.set(token, { payload, principal })
    shared.set(key, principal, SNAPSHOT_SECONDS)
    return principal
  }

  return {
    authenticate: (request) => recognise(request, false),
    reload: (request) => recognise(request, true),
  }
}
