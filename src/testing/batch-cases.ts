import { expect } from 'vitest'
import { type Case, eventsOf, type Row, refused, rowsOf, type World } from './case.js'
import { masked } from './examples.js'
import type { RecordFacts } from './record-cases.js'

type Stored = Row & { id: string; version: number }
type Results = { outcome: string; results: { body?: Stored }[] }

/** The cases of the batch that every record has. */
export function batchCases({ object, table, path, body, patch }: RecordFacts) {
  const create = async ({ owner }: World): Promise<Stored> => (await owner.post(path, body)).json()

  return {
    200: async (world) => {
      const [kept, doomed] = [await create(world), await create(world)]
      const items = [
        { op: 'create', body },
        { op: 'update', id: kept.id, body: patch, ifMatch: '"1"' },
        { op: 'delete', id: doomed.id, ifMatch: '*' },
        { op: 'update', id: kept.id, body: patch },
      ]
      const reply = await world.owner.post(`${path}/batch`, { items })
      const changed = { ...kept, ...patch, version: 2, updatedAt: expect.any(String) }
      expect(reply.json()).toEqual({
        outcome: 'completed',
        results: [
          {
            ...{ index: 0, status: 201, etag: '"1"' },
            body: expect.objectContaining({ ...body, version: 1, ownerId: world.owner.userId }),
          },
          { index: 1, status: 200, etag: '"2"', body: changed },
          { index: 2, status: 204 },
          { index: 3, status: 200, etag: '"2"', body: changed },
        ],
      })
      const made = reply.json<Results>().results[0]?.body as Stored
      for (const record of [made, changed]) {
        expect((await world.owner.get(`${path}/${record.id}`)).json()).toEqual(record)
      }
      expect(await rowsOf(world, `${table} t where id = $1`, doomed.id)).toMatchObject([
        { version: 2, deleted_at: expect.any(String) },
      ])
      const told = { actor_id: world.owner.userId, request_id: reply.headers['x-request-id'], cause: 'api' }
      expect(await eventsOf(world, made.id)).toMatchObject([{ ...told, type: `${object}.created`, version: 1 }])
      expect(await eventsOf(world, kept.id)).toMatchObject([{}, { ...told, type: `${object}.updated`, version: 2 }])
      expect(await eventsOf(world, doomed.id)).toMatchObject([{}, { ...told, type: `${object}.deleted`, version: 2 }])
      // The event of a create tells the same as that of a create alone.
      const [alone] = await eventsOf(world, kept.id)
      const [together] = await eventsOf(world, made.id)
      expect(masked(together?.changes)).toEqual(masked(alone?.changes))
      return reply
    },
    409: async (world) => {
      const { id } = await create(world)
      const items = [
        { op: 'create', body },
        { op: 'update', id, body: patch, ifMatch: '"7"' },
      ]
      const reply = await refused(world, 'batch_rejected', () => world.owner.post(`${path}/batch`, { items }))
      expect(reply.json()).toMatchObject({ errors: [{ pointer: '/items/1/ifMatch', code: 'version_mismatch' }] })
      return reply
    },
  } satisfies Record<number, Case>
}
