import { expect } from 'vitest'
import { operations, rolePermissions } from '../../../generated/operations.js'
import type { Cases } from '../../http/contract.js'
import { rowsOf, unchanged, type World } from '../../testing/case.js'

const url = operations.getMe.path

async function describe(world: World): Promise<object> {
  const { organizationId, userId } = world.owner
  const [user] = await rowsOf(world, 'crm_users t where id = $1', userId)
  const organization = { id: organizationId, name: 'Test', role: 'owner' }
  return {
    user: { id: userId, email: user?.email, firstName: null, lastName: null, language: null, timeZone: null },
    organization,
    organizations: [organization],
    permissions: Object.entries(rolePermissions.owner).map(([permission, level]) => ({ permission, level })),
  }
}

export const cases = {
  getMe: {
    200: async (world) => {
      const reply = await unchanged(world, () => world.owner.get(url))
      expect(reply.json()).toEqual(await describe(world))
      expect(reply.payload).not.toContain('password')
      return reply
    },
  },
  updateMe: {
    200: async (world) => {
      const before = (await world.owner.get(url)).json<{ user: object }>()
      await world.owner.patch(url, { firstName: 'Ada', lastName: 'Byron' })
      const patch = { lastName: null, language: 'en-GB', timeZone: 'Europe/London' }
      const reply = await world.owner.patch(url, patch)
      expect(reply.json()).toEqual({ ...before, user: { ...before.user, firstName: 'Ada', ...patch } })
      expect(await rowsOf(world, 'crm_users t where id = $1', world.owner.userId)).toMatchObject([
        { first_name: 'Ada', last_name: null, language: 'en-GB', time_zone: 'Europe/London' },
      ])
      return reply
    },
  },
} satisfies Cases<'me'>
