import { expect } from 'vitest'
import { operations } from '../../../generated/operations.js'
import type { Cases } from '../../http/contract.js'
import { assetCases, create, firstOfTwo, type Stored } from '../../testing/asset-cases.js'
import type { Row, World } from '../../testing/case.js'

const { path } = operations.listViews
const body = {
  object: 'account',
  name: 'Big wholesalers',
  columns: ['name', 'billingAddress.city', 'parentAccount.name', 'customFields.tier'],
  filter: { not: { field: 'numberOfEmployees', op: 'lt', value: 100 } },
  sort: ['name'],
}

type View = Stored & { name: string }

const save = (caller: World['owner'], more: Row = {}) => create(caller, path, { ...body, ...more })

const verbs = assetCases({
  ...{ name: 'view', table: 'crm_views', path, body },
  initial: { sharing: 'private', teamId: null },
  row: { columns: body.columns },
  patch: { sharing: 'organization' },
  // One of another organization, and a private one of a colleague.
  hidden: async ({ harness, owner }, stranger) => [
    await save(stranger, { sharing: 'organization' }),
    await save(await harness.newUser(owner.organizationId, 'admin')),
  ],
})

export const cases = {
  listViews: {
    200: async (world) => {
      const { harness, owner } = world
      await save(await harness.newOrganization(), { sharing: 'organization' })
      const member = await harness.newUser(owner.organizationId, 'member')
      await save(member)
      const [second, first] = [
        await save(owner, { name: 'B' }),
        await save(owner, { name: 'A', sharing: 'organization' }),
      ]
      const lead = await save(owner, { object: 'lead', name: 'C', columns: [], filter: null })
      const names = async (query: string, caller = owner) =>
        (await caller.get(`${path}?${query}`)).json<{ data: View[] }>().data.map(({ name }) => name)
      expect(await names('object=account&sort=-name')).toEqual(['B', 'A'])
      expect(await names('sharing=organization')).toEqual(['A'])
      expect(await names(`ownerId=${member.userId}`)).toEqual([])
      expect(await names('sort=createdAt', member)).toEqual([body.name, 'A'])
      return firstOfTwo(world, path, [first, second], lead)
    },
  },
  createView: verbs.create,
  getView: verbs.get,
  updateView: verbs.update,
  deleteView: verbs.delete,
} satisfies Cases<'views'>
