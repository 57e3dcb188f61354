import { and, eq, sql } from 'drizzle-orm'
import { type Permission, type Role, rolePermissions } from '../../../generated/operations.js'
import type { components } from '../../../generated/types.js'
import type { Principal, Scope } from '../../context.js'
import type { Executor } from '../../db/database.js'
import { parameter, query, statement } from '../../db/statement.js'
import { crmMemberships as m, crmSessions as s, crmUsers as u } from '../../db/table.js'
import { Forbidden, problem } from '../../problem.js'
import { etagOf, ifMatchHolds } from '../../records/conditional.js'
import { column, instantField } from '../../records/fields.js'
import { mergePatch } from '../../records/merge-patch.js'
import { columnsOf, defineReadable, sortBy } from '../../records/record-type.js'
import { sameOrganization, scopeParameters } from '../../records/scope.js'

type User = components['schemas']['User']

/** The users of the organization: a membership, with the person behind it. */
export const users = defineReadable<User>()({
  plural: 'users',
  from: sql`${m} join ${u} on ${u.id} = ${m.userId}`,
  id: m.userId,
  visible: () => sameOrganization(m),
  sorts: { createdAt: sortBy(m.createdAt) },
  fields: {
    id: column(m.userId),
    email: column(u.email),
    firstName: column(u.firstName),
    lastName: column(u.lastName),
    title: column(m.title),
    role: column(m.role),
    status: column(m.status),
    version: column(m.version),
    createdAt: instantField(m.createdAt),
    updatedAt: instantField(m.updatedAt),
  },
})

const hold = statement<Record<string, unknown>>(
  'users.lock',
  sql`select ${columnsOf(users)} from ${users.from} where ${sameOrganization(m)} and ${m.userId} = ${parameter('userId')} for no key update of ${m}`,
)

// Everybody who changes owners waits for the same row, so that two of them cannot each leave the other as the last one.
const holdOwners = statement<{ userId: string }>(
  'users.lock_owners',
  sql`select ${m.userId} from ${m} where ${sameOrganization(m)} and ${m.role} = 'owner' and ${m.status} = 'active' order by ${m.userId} for no key update`,
)

const save = statement(
  'users.update',
  query
    .update(m)
    .set({
      role: sql`${parameter('role')}`,
      status: sql`${parameter('status')}`,
      title: sql`${parameter('title')}`,
      version: sql`${m.version} + 1`,
      updatedAt: sql`${parameter('now')}`,
    })
    .where(and(sameOrganization(m), eq(m.userId, parameter('userId')))),
)

// Also those that would come back to life when the user is let in again.
const endSessions = statement(
  'users.end_sessions',
  query
    .update(s)
    .set({ revoked: true })
    .where(and(sameOrganization(s), eq(s.userId, parameter('userId')))),
)

const LEVELS = { own: 1, team: 2, all: 3 }

/**
 * Nobody hands out, or takes away, more than they have.
 * @throws Forbidden when the role can do something that the caller cannot
 */
export function assertMayGrant({ role: own }: Pick<Principal, 'role'>, role: Role): void {
  const mine = rolePermissions[own]
  for (const [permission, level] of Object.entries(rolePermissions[role])) {
    const held = mine[permission as Permission]
    if (!held || LEVELS[held] < LEVELS[level]) throw new Forbidden(`${own} cannot grant ${permission}`)
  }
  if (role === 'owner' && own !== 'owner') throw new Forbidden('only owners make owners')
}

/** Changes a membership, in a transaction that holds it and, where owners are concerned, all owners. */
async function changeUser(scope: Scope, userId: string, ifMatch: string | undefined, edit: (before: User) => User) {
  return scope.db.transaction(async (tx) => {
    const owners = await tx.run(holdOwners(scopeParameters(scope)))
    const before = await find(scope, tx, userId)
    if (!before) return problem(404, 'not_found')
    if (!ifMatchHolds(ifMatch, before.version)) return problem(412, 'version_mismatch')
    const after = edit(before)
    if (after.role === before.role && after.status === before.status && after.title === before.title) {
      return { status: 200 as const, headers: { ETag: etagOf(before) }, body: before }
    }
    assertMayGrant(scope.principal, before.role)
    assertMayGrant(scope.principal, after.role)
    const wasOwner = owners.some((owner) => owner.userId === userId)
    const staysOwner = after.role === 'owner' && after.status === 'active'
    if (wasOwner && !staysOwner && owners.length === 1) return problem(409, 'last_owner')
    const { role, status, title } = after
    await tx.run(save({ ...scopeParameters(scope), userId, role, status, title, now: scope.clock().toISOString() }))
    if (status === 'deactivated') await tx.run(endSessions({ ...scopeParameters(scope), userId }))
    const stored = await find(scope, tx, userId)
    if (!stored) throw new Error(`user ${userId} is gone`)
    return { status: 200 as const, headers: { ETag: etagOf(stored) }, body: stored }
  })
}

async function find(scope: Scope, tx: Executor, userId: string): Promise<User | undefined> {
  const [row] = await tx.run(hold({ ...scopeParameters(scope), userId }))
  return row && users.toResource(row)
}

/** Applies a merge patch to a membership. */
export const updateUser = (
  scope: Scope,
  userId: string,
  patch: components['schemas']['UserUpdate'],
  ifMatch?: string,
) => changeUser(scope, userId, ifMatch, (before) => mergePatch(before, patch))

/** Lets the user in no longer, from the next request on: the version that their requests claim is gone. */
export const deactivateUser = (scope: Scope, userId: string, ifMatch?: string) =>
  changeUser(scope, userId, ifMatch, (before) => ({ ...before, status: 'deactivated' }))

/** Lets the user in again. */
export async function reactivateUser(scope: Scope, userId: string, ifMatch?: string) {
  const reply = await changeUser(scope, userId, ifMatch, (before) => ({ ...before, status: 'active' }))
  // To become active never takes an owner away.
  if (reply.status === 409) throw new Error('unreachable')
  return reply
}
