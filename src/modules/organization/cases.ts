import { expect } from 'vitest'
import { operations } from '../../../generated/operations.js'
import type { Cases } from '../../http/contract.js'
import { refused, rowsOf, unchanged } from '../../testing/case.js'

const url = operations.getOrganization.path

export const cases = {
  getOrganization: {
    200: async (world) => {
      const reply = await unchanged(world, () => world.owner.get(url))
      expect(reply.json()).toEqual({
        ...{ id: world.owner.organizationId, name: 'Test', locale: null, timeZone: null },
        ...{ currency: 'EUR', fiscalYearStartMonth: 1, version: 1 },
        ...{ createdAt: expect.any(String), updatedAt: expect.any(String) },
      })
      expect(reply.headers.etag).toBe('"1"')
      return reply
    },
    304: async (world) => {
      const reply = await unchanged(world, () => world.owner.get(url, { 'if-none-match': '"1"' }))
      expect(reply.payload).toBe('')
      expect(reply.headers.etag).toBe('"1"')
      return reply
    },
  },
  updateOrganization: {
    200: async (world) => {
      const before = (await world.owner.get(url)).json<object>()
      const patch = { name: 'Renamed', timeZone: 'Europe/Berlin', currency: 'JPY', fiscalYearStartMonth: 4 }
      const reply = await world.owner.patch(url, patch, { 'if-match': '"1"' })
      expect(reply.json()).toEqual({ ...before, ...patch, version: 2, updatedAt: expect.any(String) })
      expect(reply.headers.etag).toBe('"2"')
      expect(await rowsOf(world, 'crm_organizations t where id = $1', world.owner.organizationId)).toMatchObject([
        { name: 'Renamed', time_zone: 'Europe/Berlin', currency: 'JPY', fiscal_year_start_month: 4, version: 2 },
      ])
      return reply
    },
    412: (world) =>
      refused(world, 'version_mismatch', () => world.owner.patch(url, { name: 'Renamed' }, { 'if-match': '"7"' })),
  },
} satisfies Cases<'organization'>
