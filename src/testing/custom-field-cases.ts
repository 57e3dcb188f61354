import { expect } from 'vitest'
import { operations } from '../../generated/operations.js'
import { must } from './access-world.js'
import { type Case, type Reply, refused, type World } from './case.js'
import type { RecordFacts } from './record-cases.js'

/** The 409 of a kind of record that has nothing unique but custom fields. */
export function uniqueFieldCases({ object, path, body }: RecordFacts) {
  const create = async ({ owner }: World, customFields: object) =>
    (await must(owner.post(path, { ...body, customFields }))).json<{ id: string }>()
  const define = ({ owner }: World) =>
    must(
      owner.post(operations.createCustomField.path, {
        ...{ object, key: 'contractNumber', type: 'email', label: 'Contract', unique: true },
      }),
    )
  const duplicate = async (world: World, id: string, send: () => Promise<Reply>): Promise<Reply> => {
    const reply = await refused(world, 'duplicate_value', send)
    expect(reply.json()).toMatchObject({
      errors: [{ pointer: '/customFields/contractNumber', code: 'duplicate_value' }],
      conflicts: [{ object, id, matchedOn: ['customFields.contractNumber'] }],
    })
    return reply
  }
  const one = { contractNumber: 'a@example.com' }
  const same = { contractNumber: 'A@Example.com' }
  return {
    create: async (world) => {
      await define(world)
      const { id } = await create(world, one)
      return duplicate(world, id, () => world.owner.post(path, { ...body, customFields: same }))
    },
    update: async (world) => {
      await define(world)
      const { id } = await create(world, one)
      const other = await create(world, { contractNumber: 'b@example.com' })
      return duplicate(world, id, () => world.owner.patch(`${path}/${other.id}`, { customFields: same }))
    },
    restore: async (world) => {
      await define(world)
      const deleted = await create(world, one)
      await must(world.owner.delete(`${path}/${deleted.id}`))
      const { id } = await create(world, same)
      const reply = await duplicate(world, id, () => world.owner.post(`${path}/${deleted.id}/restore`))
      await must(world.owner.patch(`${path}/${id}`, { customFields: { contractNumber: null } }))
      await must(world.owner.post(`${path}/${deleted.id}/restore`))
      return reply
    },
  } satisfies Record<string, Case>
}
