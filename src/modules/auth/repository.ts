import { and, asc, eq, gt, ne, sql } from 'drizzle-orm'
import { v7 as uuidv7 } from 'uuid'
import type { Role } from '../../../generated/operations.js'
import type { components } from '../../../generated/types.js'
import type { Context, Scope, Services } from '../../context.js'
import type { Executor } from '../../db/database.js'
import { parameter, query, statement } from '../../db/statement.js'
import { crmMemberships, crmOrganizations, crmSessions, crmUsers } from '../../db/table.js'

export type Session = components['schemas']['Session']
export type UserProfile = components['schemas']['UserProfile']
export type OrganizationSummary = components['schemas']['OrganizationSummary']

export const ACCESS_TOKEN_SECONDS = 900
const SESSION_MS = 30 * 24 * 3600_000
/** Two tabs that refresh at once must not end their session: within this time the second one is only refused. */
const REUSE_GRACE_MS = 10_000

const profile = {
  id: crmUsers.id,
  email: crmUsers.email,
  firstName: crmUsers.firstName,
  lastName: crmUsers.lastName,
  language: crmUsers.language,
  timeZone: crmUsers.timeZone,
}

const findByEmail = statement(
  'auth.user_by_email',
  query
    .select({ ...profile, passwordHash: crmUsers.passwordHash })
    .from(crmUsers)
    .where(eq(crmUsers.emailKey, sql`lower(${parameter('email')})`)),
)

const findById = statement(
  'auth.user_by_id',
  query
    .select({ ...profile, passwordHash: crmUsers.passwordHash })
    .from(crmUsers)
    .where(eq(crmUsers.id, parameter('userId'))),
)

const findOrganizations = statement(
  'auth.organizations',
  query
    .select({ id: crmOrganizations.id, name: crmOrganizations.name, role: crmMemberships.role })
    .from(crmMemberships)
    .innerJoin(crmOrganizations, eq(crmOrganizations.id, crmMemberships.organizationId))
    .where(and(eq(crmMemberships.userId, parameter('userId')), eq(crmMemberships.status, 'active')))
    .orderBy(asc(crmMemberships.createdAt), asc(crmMemberships.organizationId)),
)

// The password was looked at a while ago: who has changed it since has ended all sessions, and must not get another one. The rows
// are held, so that a change which is under way either sees this session or is seen.
const insertSession = statement<{ id: string }>(
  'auth.add_session',
  sql`insert into ${crmSessions} (organization_id, id, user_id, created_at, refreshed_at, expires_at)
    select m.organization_id, ${parameter('id')}::uuid, u.id, ${parameter('now')}::timestamptz, ${parameter('now')}::timestamptz, ${parameter('expiresAt')}::timestamptz
      from ${crmUsers} u join ${crmMemberships} m on m.user_id = u.id
     where m.organization_id = ${parameter('organizationId')} and u.id = ${parameter('userId')}
       and u.password_hash = ${parameter('passwordHash')} and m.status = 'active'
       for share
    returning id`,
)

const findSession = statement(
  'auth.session',
  query
    .select({
      userId: crmSessions.userId,
      generation: crmSessions.generation,
      refreshedAt: crmSessions.refreshedAt,
      status: crmMemberships.status,
      role: crmMemberships.role,
      organizationName: crmOrganizations.name,
      ...profile,
    })
    .from(crmSessions)
    .innerJoin(
      crmMemberships,
      and(eq(crmMemberships.organizationId, crmSessions.organizationId), eq(crmMemberships.userId, crmSessions.userId)),
    )
    .innerJoin(crmOrganizations, eq(crmOrganizations.id, crmSessions.organizationId))
    .innerJoin(crmUsers, eq(crmUsers.id, crmSessions.userId))
    .where(
      and(
        eq(crmSessions.organizationId, parameter('organizationId')),
        eq(crmSessions.id, parameter('id')),
        eq(crmSessions.revoked, false),
        gt(crmSessions.expiresAt, parameter('now')),
      ),
    )
    .for('update', { of: crmSessions }),
)

const advanceSession = statement(
  'auth.refresh_session',
  query
    .update(crmSessions)
    .set({ generation: sql`${crmSessions.generation} + 1`, refreshedAt: sql`${parameter('now')}` })
    .where(and(eq(crmSessions.organizationId, parameter('organizationId')), eq(crmSessions.id, parameter('id')))),
)

const revokeSession = statement(
  'auth.revoke_session',
  query
    .update(crmSessions)
    .set({ revoked: true })
    .where(and(eq(crmSessions.organizationId, parameter('organizationId')), eq(crmSessions.id, parameter('id')))),
)

const revokeOtherSessions = statement(
  'auth.revoke_other_sessions',
  query
    .update(crmSessions)
    .set({ revoked: true })
    .where(and(eq(crmSessions.userId, parameter('userId')), ne(crmSessions.id, parameter('keep')))),
)

const setPassword = statement(
  'auth.set_password',
  query
    .update(crmUsers)
    .set({ passwordHash: sql`${parameter('passwordHash')}`, updatedAt: sql`${parameter('now')}` })
    .where(eq(crmUsers.id, parameter('userId'))),
)

export type Credentials = UserProfile & { passwordHash: string }

/** The user with this address, whatever organizations they belong to. */
export async function findUserByEmail({ database }: Services, email: string): Promise<Credentials | undefined> {
  const [user] = await database.as({ kind: 'identity', email: email.toLowerCase() }).run(findByEmail({ email }))
  return user
}

// The person is read outside the tenant, where nobody asks for the session.
const verifySession = statement('auth.verify_session', sql`select 1`)

/** The caller, with the hash of their password, and all organizations that they belong to. */
export async function findCaller({
  database,
  scope,
}: Context): Promise<{ user: Credentials; organizations: OrganizationSummary[] }> {
  await scope.db.run(verifySession())
  const { userId } = scope.principal
  const [[user], organizations] = await database
    .as({ kind: 'identity', userId })
    .all(findById({ userId }), findOrganizations({ userId }))
  if (!user) throw new Error(`user ${userId} is gone`)
  return { user, organizations }
}

/** The active memberships of a user, the oldest first. */
export const listOrganizations = ({ database }: Services, userId: string): Promise<OrganizationSummary[]> =>
  database.as({ kind: 'identity', userId }).run(findOrganizations({ userId }))

/** Opens a session; undefined when the password or the membership is another by now. `db` claims its tenant. */
export async function openSession(
  services: Services,
  db: Executor,
  user: Credentials,
  organization: OrganizationSummary,
): Promise<Session | undefined> {
  const now = services.clock()
  const id = uuidv7()
  const organizationId = organization.id
  const [added] = await db.run(
    insertSession({
      organizationId,
      id,
      userId: user.id,
      passwordHash: user.passwordHash,
      now: now.toISOString(),
      expiresAt: new Date(now.getTime() + SESSION_MS).toISOString(),
    }),
  )
  return added && describeSession(services, user, organization, id, 1)
}

async function describeSession(
  services: Services,
  { id: userId, email, firstName, lastName, language, timeZone }: UserProfile,
  organization: OrganizationSummary,
  sessionId: string,
  generation: number,
): Promise<Session> {
  const claims = { userId, organizationId: organization.id, sessionId }
  return {
    accessToken: await services.issueToken(claims),
    tokenType: 'Bearer',
    expiresIn: ACCESS_TOKEN_SECONDS,
    refreshToken: services.signer.sign('refresh', `zr_${compact(organization.id)}${compact(sessionId)}_${generation}`),
    user: { id: userId, email, firstName, lastName, language, timeZone },
    organization,
  }
}

/** Exchanges a refresh token; undefined when it is not, or no longer, valid. Using one a second time ends its session. */
export async function refresh(services: Services, token: string): Promise<Session | undefined> {
  const payload = services.signer.verify('refresh', token)
  const [, organization, session, generation] = /^zr_([0-9a-f]{32})([0-9a-f]{32})_(\d+)$/.exec(payload ?? '') ?? []
  if (!organization || !session) return undefined
  const now = services.clock()
  const organizationId = expand(organization)
  const key = { organizationId, id: expand(session), now: now.toISOString() }
  return services.database.as({ kind: 'tenant', organizationId }).transaction(async (tx) => {
    const [found] = await tx.run(findSession(key))
    if (found?.status !== 'active') return undefined
    if (found.generation !== Number(generation)) {
      if (now.getTime() - Date.parse(found.refreshedAt) > REUSE_GRACE_MS) await tx.run(revokeSession(key))
      return undefined
    }
    await tx.run(advanceSession(key))
    const summary = { id: organizationId, name: found.organizationName, role: found.role satisfies Role }
    return describeSession(services, found, summary, key.id, found.generation + 1)
  })
}

/** Ends the caller's session, from the next request on. */
export async function endSession({ db, principal }: Scope): Promise<void> {
  await db.run(revokeSession({ organizationId: principal.organizationId, id: principal.sessionId }))
}

/** Stores the new password and ends every other session of the user, in all organizations. */
export async function changePassword(
  { database, clock }: Services,
  { principal }: Scope,
  passwordHash: string,
): Promise<void> {
  const { userId, sessionId } = principal
  await database.as({ kind: 'identity', userId }).transaction(async (tx) => {
    await tx.all(
      setPassword({ userId, passwordHash, now: clock().toISOString() }),
      revokeOtherSessions({ userId, keep: sessionId }),
    )
  })
}

const compact = (uuid: string): string => uuid.replaceAll('-', '')
const expand = (hex: string): string =>
  `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
