import { eq, sql } from 'drizzle-orm'
import { type Permission, rolePermissions } from '../../../generated/operations.js'
import type { components } from '../../../generated/types.js'
import type { Context } from '../../context.js'
import { StaleClaim } from '../../db/errors.js'
import { parameter, query, statement } from '../../db/statement.js'
import { crmUsers } from '../../db/table.js'
import { assertTimeZone } from '../../records/fields.js'
import { mergePatch } from '../../records/merge-patch.js'
import { findCaller } from '../auth/repository.js'

type Me = components['schemas']['Me']

const holdProfile = statement(
  'me.lock',
  query
    .select({
      firstName: crmUsers.firstName,
      lastName: crmUsers.lastName,
      language: crmUsers.language,
      timeZone: crmUsers.timeZone,
    })
    .from(crmUsers)
    .where(eq(crmUsers.id, parameter('userId')))
    .for('no key update'),
)

const setProfile = statement(
  'me.update',
  query
    .update(crmUsers)
    .set({
      firstName: sql`${parameter('firstName')}`,
      lastName: sql`${parameter('lastName')}`,
      language: sql`${parameter('language')}`,
      timeZone: sql`${parameter('timeZone')}`,
      updatedAt: sql`${parameter('now')}`,
    })
    .where(eq(crmUsers.id, parameter('userId'))),
)

/** The caller, their organizations, and what they may do in the one of the credential. */
export async function describeCaller(context: Context): Promise<Me> {
  const { principal } = context.scope
  const { user, organizations } = await findCaller(context)
  const organization = organizations.find(({ id }) => id === principal.organizationId)
  if (!organization) throw new StaleClaim('the membership has ended')
  const { passwordHash: _, ...profile } = user
  const permissions = Object.entries(rolePermissions[principal.role])
  return {
    user: profile,
    organization,
    organizations,
    permissions: permissions.map(([permission, level]) => ({ permission: permission as Permission, level })),
  }
}

/** Applies a merge patch to the caller's profile. */
export async function updateProfile(context: Context, patch: components['schemas']['MeUpdate']): Promise<void> {
  if (patch.timeZone) assertTimeZone(patch.timeZone, '/timeZone')
  const { user } = await findCaller(context)
  await context.database.as({ kind: 'identity', userId: user.id }).transaction(async (tx) => {
    const [profile] = await tx.run(holdProfile({ userId: user.id }))
    if (!profile) throw new Error(`user ${user.id} is gone`)
    await tx.run(
      setProfile({ ...mergePatch(profile, patch), userId: user.id, now: context.scope.clock().toISOString() }),
    )
  })
}
