import { sql } from 'drizzle-orm'
import { v7 as uuidv7 } from 'uuid'
import type { components } from '../../../generated/types.js'
import type { Services } from '../../context.js'
import type { Executor } from '../../db/database.js'
import { parameter, query, statement } from '../../db/statement.js'
import { crmMemberships, crmOrganizations, crmUsers } from '../../db/table.js'
import { addDefaultPipeline } from '../pipelines/repository.js'
import { openSession, type Session, type UserProfile } from './repository.js'

type NewUser = Pick<UserProfile, 'email'> & {
  firstName?: string | null | undefined
  lastName?: string | null | undefined
}

const insertUser = statement(
  'auth.add_user',
  query
    .insert(crmUsers)
    .values({
      id: sql`${parameter('id')}`,
      email: sql`${parameter('email')}`,
      passwordHash: sql`${parameter('passwordHash')}`,
      firstName: sql`${parameter('firstName')}`,
      lastName: sql`${parameter('lastName')}`,
      createdAt: sql`${parameter('now')}`,
      updatedAt: sql`${parameter('now')}`,
    })
    .onConflictDoNothing()
    .returning({ id: crmUsers.id }),
)

const insertOrganization = statement(
  'auth.add_organization',
  query.insert(crmOrganizations).values({
    id: sql`${parameter('id')}`,
    name: sql`${parameter('name')}`,
    createdAt: sql`${parameter('now')}`,
    updatedAt: sql`${parameter('now')}`,
  }),
)

const insertMembership = statement(
  'auth.add_membership',
  query
    .insert(crmMemberships)
    .values({
      organizationId: sql`${parameter('organizationId')}`,
      userId: sql`${parameter('userId')}`,
      role: sql`${parameter('role')}`,
      status: 'active',
      createdAt: sql`${parameter('now')}`,
      updatedAt: sql`${parameter('now')}`,
    })
    .onConflictDoUpdate({
      target: [crmMemberships.organizationId, crmMemberships.userId],
      set: {
        role: sql`excluded.role`,
        status: sql`excluded.status`,
        version: sql`${crmMemberships.version} + 1`,
        updatedAt: sql`excluded.updated_at`,
      },
      setWhere: sql`${crmMemberships.status} = 'deactivated'`,
    })
    .returning({ userId: crmMemberships.userId }),
)

/** Adds a person; undefined when the address is taken. `tx` claims the new id. */
export async function addUser(
  tx: Executor,
  id: string,
  { email, firstName = null, lastName = null }: NewUser,
  passwordHash: string,
  now: string,
): Promise<UserProfile | undefined> {
  const [added] = await tx.run(insertUser({ id, email, passwordHash, firstName, lastName, now }))
  return added && { id, email, firstName, lastName, language: null, timeZone: null }
}

/**
 * Makes a person an active member of the organization, also one who was deactivated before; false when they are one already, who
 * must not get another role by it.
 */
export async function addMember(
  tx: Executor,
  organizationId: string,
  userId: string,
  role: components['schemas']['Role'],
  now: string,
): Promise<boolean> {
  const [added] = await tx.run(insertMembership({ organizationId, userId, role, now }))
  return added !== undefined
}

/** Creates a user and their organization, and signs in; undefined when the address is taken. */
export async function register(
  services: Services,
  { email, firstName, lastName, organizationName }: components['schemas']['RegisterRequest'],
  passwordHash: string,
): Promise<Session | undefined> {
  const userId = uuidv7()
  const organizationId = uuidv7()
  const now = services.clock().toISOString()
  return services.database.as({ kind: 'tenant', organizationId, userId }).transaction(async (tx) => {
    const user = await addUser(tx, userId, { email, firstName, lastName }, passwordHash, now)
    if (!user) return undefined
    await tx.run(insertOrganization({ id: organizationId, name: organizationName, now }))
    await addMember(tx, organizationId, userId, 'owner', now)
    await addDefaultPipeline(tx, organizationId)
    return openSession(
      services,
      tx,
      { ...user, passwordHash },
      { id: organizationId, name: organizationName, role: 'owner' },
    )
  })
}
