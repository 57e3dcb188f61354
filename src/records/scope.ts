import { type SQL, sql } from 'drizzle-orm'
import type { AnyPgColumn } from 'drizzle-orm/pg-core'
import { type Level, type Permission, rolePermissions } from '../../generated/operations.js'
import type { Scope } from '../context.js'
import { parameter } from '../db/statement.js'
import { Forbidden } from '../problem.js'

/** The first wall: the rows of the caller's tenant that a permission of this level reaches. */
export function within(
  table: { organizationId: AnyPgColumn; ownerId: AnyPgColumn; teamId: AnyPgColumn },
  level: Level,
): SQL {
  const tenant = sameOrganization(table)
  switch (level) {
    case 'all':
      return tenant
    case 'team':
      return sql`${tenant} and (${table.ownerId} = ${parameter('scopeUserId')} or ${table.teamId} = any(${parameter('scopeTeamIds')}::uuid[]))`
    case 'own':
      return sql`${tenant} and ${table.ownerId} = ${parameter('scopeUserId')}`
  }
}

/** A part of what a level reaches, whose rows an index has in the order of their creation. */
export type Part = {
  condition: SQL
  /** What there is one such part for each of. */
  each?: SQL
}

/** What `team` reaches, as parts that have no row in common: the caller's own, and for each of their teams those of others. */
export const partsOfTeam = (table: Parameters<typeof within>[0]): Part[] => [
  { condition: within(table, 'own') },
  {
    each: sql`unnest(${parameter('scopeTeamIds')}::uuid[]) as scope_team(id)`,
    condition: sql`${sameOrganization(table)} and ${table.teamId} = scope_team.id and ${table.ownerId} <> ${parameter('scopeUserId')}`,
  },
]

/** The rows of the caller's tenant. */
export function sameOrganization(table: { organizationId: AnyPgColumn }): SQL {
  return sql`${table.organizationId} = ${parameter('scopeOrganizationId')}`
}

/** The parameters that `within` and `sameOrganization` refer to. */
export function scopeParameters({ principal }: Scope): Record<string, unknown> {
  return {
    scopeOrganizationId: principal.organizationId,
    scopeUserId: principal.userId,
    scopeTeamIds: `{${principal.teamIds.join(',')}}`,
  }
}

/** How far a permission of the caller reaches; undefined when the caller lacks it. */
export function levelOf({ principal }: Scope, permission: Permission): Level | undefined {
  return rolePermissions[principal.role][permission]
}

/** Like `levelOf`, for what the caller must have. */
export function requireLevel(scope: Scope, permission: Permission): Level {
  const level = levelOf(scope, permission)
  if (!level) throw new Forbidden(`needs ${permission}`)
  return level
}

const widths: readonly Level[] = ['own', 'team', 'all']

/** The level that reaches only what both reach. */
export const narrower = (a: Level, b: Level): Level => (widths.indexOf(a) < widths.indexOf(b) ? a : b)

/** Whether a permission of this level reaches a record that was already read. */
export function reaches(scope: Scope, level: Level, record: { ownerId: string; teamId: string | null }): boolean {
  const own = record.ownerId === scope.principal.userId
  const team = record.teamId !== null && scope.principal.teamIds.includes(record.teamId)
  return level === 'all' || own || (level === 'team' && team)
}
