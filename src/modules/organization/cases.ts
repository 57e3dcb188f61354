import { expect } from 'vitest'
import { operations } from '../../../generated/operations.js'
import type { Cases } from '../../http/contract.js'
import { type Case, refused, rowsOf, unchanged } from '../../testing/case.js'

const url = operations.getOrganization.path
const schemaUrl = operations.getOrganizationSchema.path.replace('{object}', 'account')

/** A document that changes with the custom fields, and with nothing else. */
const documentCases = (path: string, typed: (document: Document, key: string) => unknown) =>
  ({
    200: async (world) => {
      const plain = await world.owner.get(path)
      const field = { object: 'account', key: 'seats', type: 'integer', label: 'Seats', minimum: 1 }
      expect((await world.owner.post(operations.createCustomField.path, field)).statusCode).toBe(201)
      const reply = await unchanged(world, () => world.owner.get(path, { 'if-none-match': String(plain.headers.etag) }))
      expect(reply.headers.etag).not.toBe(plain.headers.etag)
      expect(typed(plain.json(), 'seats')).toBeUndefined()
      expect(typed(reply.json(), 'seats')).toMatchObject({ title: 'Seats', type: 'integer' })
      return reply
    },
    304: async (world) => {
      const { etag } = (await world.owner.get(path)).headers
      const reply = await unchanged(world, () => world.owner.get(path, { 'if-none-match': String(etag) }))
      expect(reply.payload).toBe('')
      expect(reply.headers.etag).toBe(etag)
      return reply
    },
  }) satisfies Record<number, Case>

type Schemas = Record<string, { properties?: Record<string, unknown> }>
type Document = { $defs: Schemas; components: { schemas: Schemas } }

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
  getOrganizationSchema: documentCases(
    schemaUrl,
    ({ $defs }, key) => $defs.AccountCustomFieldValues?.properties?.[key],
  ),
  getOrganizationOpenapi: documentCases(
    operations.getOrganizationOpenapi.path,
    ({ components: { schemas } }, key) => schemas.AccountCustomFieldValues?.properties?.[key],
  ),
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
