import { expect } from 'vitest'
import { type Case, type Reply, unchanged } from './case.js'
import { create, hidden, type RecordFacts, remove, strangerTo } from './record-cases.js'

/** The cases of finding possible duplicates: of records with the same name, in each of which the name is a reason. */
export function likenessCases(given: RecordFacts) {
  // The address would be another reason.
  const { email: _email, ...body } = given.body
  const facts = { ...given, body }
  const { path } = facts
  const idsOf = (reply: Reply) =>
    reply.json<{ data: { record: { id: string } }[] }>().data.map(({ record }) => record.id)
  const named = 'name' in body || 'lastName' in body
  const found = (...records: object[]) => ({
    data: named ? records.map((record) => ({ record, score: 0.7, reasons: [{ rule: 'name', fields: ['name'] }] })) : [],
  })

  return {
    listDuplicates: {
      200: async (world) => {
        await create(await strangerTo(world), facts)
        const [first, second, third] = [
          await create(world, facts),
          await create(world, facts),
          await create(world, facts),
        ]
        await remove(world, facts, await create(world, facts))
        const url = `${path}/${second.id}/duplicates`
        const reply = await unchanged(world, () => world.owner.get(url))
        expect(reply.json()).toEqual(found(third, first))
        expect((await world.owner.get(`${url}?limit=1`)).json()).toEqual(found(third))
        return reply
      },
      404: hidden(facts, ({ owner }, url, headers) => owner.get(`${url}/duplicates`, headers), 'live'),
    },

    findDuplicates: {
      200: async (world) => {
        const url = `${path}/duplicates`
        await create(await strangerTo(world), facts)
        expect(idsOf(await world.owner.post(url, body))).toEqual([])
        const [first, second] = [await create(world, facts), await create(world, facts)]
        await remove(world, facts, await create(world, facts))
        const reply = await unchanged(world, () => world.owner.post(url, body))
        expect(reply.json()).toEqual(found(second, first))
        expect((await world.owner.post(`${url}?limit=1`, body)).json()).toEqual(found(second))
        return reply
      },
    },
  } satisfies Record<string, Record<number, Case>>
}
