import { expect } from 'vitest'
import { operations } from '../../../generated/operations.js'
import type { Cases } from '../../http/contract.js'
import { unchanged } from '../../testing/case.js'

export const cases = {
  searchRecords: {
    200: async (world) => {
      const { harness, owner } = world
      const stranger = await harness.newOrganization()
      const lovelace = { firstName: 'Ada', lastName: 'Lovelace', title: 'Countess' }
      await stranger.post(operations.createContact.path, lovelace)
      const ada = (await owner.post(operations.createContact.path, lovelace)).json<{ id: string; createdAt: string }>()
      const works = (await owner.post(operations.createAccount.path, { name: 'Lovelace Works' })).json<{ id: string }>()
      await owner.post(operations.createLead.path, { lastName: 'Hopper' })

      const url = `${operations.searchRecords.path}?q=lovel`
      const reply = await unchanged(world, () => owner.get(url))
      const hits = reply.json<{ data: { id: string }[] }>().data
      expect(hits.map(({ id }) => id).sort()).toEqual([ada.id, works.id].sort())
      expect(hits.find(({ id }) => id === ada.id)).toEqual({
        ...{ object: 'contact', id: ada.id, title: 'Ada Lovelace', score: expect.any(Number) },
        highlights: [{ field: 'name', text: 'Ada Lovelace', ranges: [[4, 9]] }],
        summary: {
          ...{ ownerId: owner.userId, teamId: null, createdAt: ada.createdAt, updatedAt: ada.createdAt },
          fields: { name: 'Ada Lovelace', title: 'Countess' },
        },
      })
      const accounts = await owner.get(`${url}&objects=account`)
      expect(accounts.json()).toMatchObject({ data: [{ object: 'account', id: works.id }] })
      return reply
    },
  },
} satisfies Cases<'search'>
