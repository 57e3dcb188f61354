import { PgDialect, pgTable, uuid } from 'drizzle-orm/pg-core'
import { describe, expect, test } from 'vitest'
import { type Permission, type Role, rolePermissions } from '../../generated/operations.js'
import type { Scope } from '../context.js'
import { Forbidden } from '../problem.js'
import { levelOf, reaches, requireLevel, sameOrganization, scopeParameters, within } from './scope.js'

const table = pgTable('things', {
  organizationId: uuid('organization_id').notNull(),
  ownerId: uuid('owner_id').notNull(),
  teamId: uuid('team_id'),
})
const text = (condition: Parameters<PgDialect['sqlToQuery']>[0]) => new PgDialect().sqlToQuery(condition).sql

const scopeOf = (role: Role, teamIds: string[] = []): Scope =>
  ({ principal: { organizationId: 'o', userId: 'me', role, teamIds } }) as unknown as Scope

test.each(['own', 'team', 'all'] as const)('the predicate of level %s names the tenant first', (level) => {
  expect(text(within(table, level)).startsWith(text(sameOrganization(table)))).toBe(true)
  expect(text(sameOrganization(table))).toBe('"things"."organization_id" = $1')
})

test('a condition about owner and team cannot be widened by what it is combined with', () => {
  // `or` binds weaker than `and`: the alternatives must be in brackets.
  expect(text(within(table, 'team'))).toMatch(/ and \(.* or .*\)$/)
})

test('the parameters are those of the caller', () => {
  expect(scopeParameters(scopeOf('member', ['a', 'b']))).toEqual({
    scopeOrganizationId: 'o',
    scopeUserId: 'me',
    scopeTeamIds: '{a,b}',
  })
  expect(scopeParameters(scopeOf('member'))).toMatchObject({ scopeTeamIds: '{}' })
})

describe('levels', () => {
  const mine = { ownerId: 'me', teamId: null }
  const ofTeam = { ownerId: 'mate', teamId: 'ours' }
  const strange = { ownerId: 'stranger', teamId: 'theirs' }
  const loose = { ownerId: 'stranger', teamId: null }

  test.each([
    ['own', [mine], [ofTeam, strange, loose]],
    ['team', [mine, ofTeam], [strange, loose]],
    ['all', [mine, ofTeam, strange, loose], []],
  ] as const)('%s', (level, within, without) => {
    const scope = scopeOf('member', ['ours'])
    for (const record of within) expect(reaches(scope, level, record)).toBe(true)
    for (const record of without) expect(reaches(scope, level, record)).toBe(false)
  })

  test('a caller without a team does not share the records without one', () => {
    expect(reaches(scopeOf('member'), 'team', loose)).toBe(false)
  })

  test.each(Object.keys(rolePermissions) as Role[])(
    '%s has what the contract gives it, and is told when not',
    (role) => {
      const scope = scopeOf(role)
      for (const permission of Object.keys(rolePermissions.owner) as Permission[]) {
        const level = rolePermissions[role][permission]
        expect(levelOf(scope, permission)).toBe(level)
        if (level) expect(requireLevel(scope, permission)).toBe(level)
        else expect(() => requireLevel(scope, permission)).toThrow(Forbidden)
      }
    },
  )
})
