import { and, eq, gt, isNull, sql } from 'drizzle-orm'
import { v7 as uuidv7 } from 'uuid'
import type { components } from '../../../generated/types.js'
import type { Context, Scope, Services } from '../../context.js'
import { parameter, query, statement } from '../../db/statement.js'
import { crmMemberships, crmOrganizations, crmUsers } from '../../db/table.js'
import { problem } from '../../problem.js'
import { toRfc3339 } from '../../records/fields.js'
import { sameOrganization, scopeParameters } from '../../records/scope.js'
import { assertGoodPassword, hashPassword, passwordMatches } from '../auth/passwords.js'
import { addMember, addUser } from '../auth/register.js'
import { findUserByEmail, openSession, type Session } from '../auth/repository.js'
import { invitationMail } from './jobs.js'
import { assertMayGrant } from './repository.js'
import { crmInvitations as t } from './table.js'

const VALID_MS = 7 * 24 * 3600_000

const isMember = statement<{ member: boolean }>(
  'users.is_member',
  sql`select exists (select from ${crmMemberships} join ${crmUsers} on ${crmUsers.id} = ${crmMemberships.userId}
    where ${sameOrganization(crmMemberships)} and ${crmMemberships.status} = 'active' and ${crmUsers.emailKey} = lower(${parameter('email')})) as member`,
)

// A new invitation to the same address takes the place of the one that waits; the token of that one names an id that is gone.
const upsert = statement(
  'users.invite',
  query
    .insert(t)
    .values({
      organizationId: sql`${parameter('scopeOrganizationId')}`,
      id: sql`${parameter('id')}`,
      email: sql`${parameter('email')}`,
      role: sql`${parameter('role')}`,
      invitedById: sql`${parameter('scopeUserId')}`,
      createdAt: sql`${parameter('now')}`,
      expiresAt: sql`${parameter('expiresAt')}`,
    })
    .onConflictDoUpdate({
      target: [t.organizationId, t.emailKey],
      targetWhere: sql`accepted_at is null`,
      set: {
        id: sql`excluded.id`,
        email: sql`excluded.email`,
        role: sql`excluded.role`,
        invitedById: sql`excluded.invited_by_id`,
        createdAt: sql`excluded.created_at`,
        expiresAt: sql`excluded.expires_at`,
        mailedAt: sql`null`,
      },
    }),
)

const findPending = statement(
  'users.invitation',
  query
    .select({ email: t.email, role: t.role, organizationName: crmOrganizations.name })
    .from(t)
    .innerJoin(crmOrganizations, eq(crmOrganizations.id, t.organizationId))
    .where(
      and(
        eq(t.organizationId, parameter('organizationId')),
        eq(t.id, parameter('id')),
        isNull(t.acceptedAt),
        gt(t.expiresAt, parameter('now')),
      ),
    )
    .for('update', { of: t }),
)

const markAccepted = statement(
  'users.accept_invitation',
  query
    .update(t)
    .set({ acceptedAt: sql`${parameter('now')}` })
    .where(and(eq(t.organizationId, parameter('organizationId')), eq(t.id, parameter('id')))),
)

const find = statement(
  'users.get_invitation',
  query
    .select({
      id: t.id,
      email: t.email,
      role: t.role,
      invitedById: t.invitedById,
      createdAt: t.createdAt,
      expiresAt: t.expiresAt,
      acceptedAt: t.acceptedAt,
    })
    .from(t)
    .where(and(eq(t.organizationId, parameter('organizationId')), eq(t.id, parameter('id')))),
)

/** An invitation of the caller's organization, whatever has become of it. */
export async function getInvitation({ db, principal: { organizationId } }: Scope, id: string) {
  const [row] = await db.run(find({ organizationId, id }))
  if (!row) return problem(404, 'not_found')
  const { invitedById, createdAt, expiresAt, acceptedAt, ...invitation } = row
  return {
    status: 200 as const,
    body: {
      ...invitation,
      invitedBy: { type: 'user' as const, id: invitedById },
      createdAt: toRfc3339(createdAt),
      expiresAt: toRfc3339(expiresAt),
      acceptedAt: acceptedAt && toRfc3339(acceptedAt),
    },
  }
}

/** Invites somebody; the mail is sent by a job. */
export async function invite(context: Context, { email, role }: components['schemas']['InvitationCreate']) {
  const { scope } = context
  const now = scope.clock()
  const id = uuidv7()
  const invitation = {
    id,
    email,
    role,
    createdAt: now.toISOString(),
    expiresAt: new Date(now.getTime() + VALID_MS).toISOString(),
  }
  const isTaken = await scope.db.transaction(async (tx) => {
    const [found] = await tx.run(isMember({ ...scopeParameters(scope), email }))
    // Judged once the database has verified that the caller still has this role.
    assertMayGrant(scope.principal, role)
    if (found?.member) return true
    await tx.run(upsert({ ...scopeParameters(scope), ...invitation, now: invitation.createdAt }))
    return false
  })
  if (isTaken) return problem(409, 'already_member')
  context.wake(invitationMail, `${scope.principal.organizationId}_${id}`)
  return {
    status: 201 as const,
    headers: { Location: `/api/v1/invitations/${id}` },
    body: { ...invitation, invitedBy: { type: 'user' as const, id: scope.principal.userId }, acceptedAt: null },
  }
}

/** Joins the organization of an invitation; undefined when the token or the password is not right. */
export async function accept(
  services: Services,
  { token, password, firstName, lastName }: components['schemas']['InvitationAccept'],
): Promise<Session | undefined> {
  const [organizationId, id] = services.signer.verify('invitation', token)?.split('_') ?? []
  if (!organizationId || !id) return undefined
  const now = services.clock().toISOString()
  const key = { organizationId, id, now }
  const [known] = await services.database.as({ kind: 'tenant', organizationId }).run(findPending(key))
  if (!known) return undefined
  const existing = await findUserByEmail(services, known.email)
  if (existing && !(await passwordMatches(existing.passwordHash, password))) return undefined
  if (!existing) assertGoodPassword(password, known.email, '/password')
  const passwordHash = existing?.passwordHash ?? (await hashPassword(password))
  const userId = existing?.id ?? uuidv7()

  return services.database.as({ kind: 'tenant', organizationId, userId }).transaction(async (tx) => {
    const [pending] = await tx.run(findPending(key))
    if (!pending) return undefined
    const user =
      existing ?? (await addUser(tx, userId, { email: pending.email, firstName, lastName }, passwordHash, now))
    if (!user) return undefined
    if (!(await addMember(tx, organizationId, userId, pending.role, now))) return undefined
    await tx.run(markAccepted(key))
    const summary = { id: organizationId, name: pending.organizationName, role: pending.role }
    return openSession(services, tx, { ...user, passwordHash }, summary)
  })
}
