import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Caller, createHarness, type Harness } from '../../testing/harness.js'

let harness: Harness
let owner: Caller
beforeAll(async () => {
  harness = await createHarness()
  owner = await harness.newOrganization()
})
afterAll(() => harness.close())

const eventsOf = async (id: string) => {
  const { rows } = await harness.sql.query(
    'select type, version, changes, actor_id, request_id from crm_events where record_id = $1 order by id',
    [id],
  )
  return rows as {
    type: string
    version: number
    changes: Record<string, { from: unknown; to: unknown }>
    actor_id: string
    request_id: string
  }[]
}

describe('accounts', () => {
  it('every change leaves one event that tells who, what and from which request', async () => {
    const created = await owner.post(
      '/api/v1/accounts',
      { name: 'One', customFields: { a: 1 } },
      { 'x-request-id': 'first' },
    )
    const { id } = created.json<{ id: string }>()
    await owner.patch(`/api/v1/accounts/${id}`, { name: 'Two', customFields: { b: [2] } })
    await owner.patch(`/api/v1/accounts/${id}`, { name: 'Two' })
    await owner.delete(`/api/v1/accounts/${id}`)
    await owner.post(`/api/v1/accounts/${id}/restore`)
    const events = await eventsOf(id)
    expect(events.map(({ type, version }) => [type, version])).toEqual([
      ['account.created', 1],
      ['account.updated', 2],
      ['account.deleted', 3],
      ['account.restored', 4],
    ])
    expect(events[0]).toMatchObject({
      actor_id: owner.userId,
      request_id: 'first',
      changes: { name: { from: null, to: 'One' } },
    })
    expect(events[1]?.changes).toEqual({
      name: { from: 'One', to: 'Two' },
      customFields: { from: { a: 1 }, to: { a: 1, b: [2] } },
    })
  })

  it('a deleted account frees its domain, and cannot come back once another has it', async () => {
    const first = await owner.post('/api/v1/accounts', { name: 'First', domain: 'Freed.example' })
    const { id } = first.json<{ id: string }>()
    expect((await owner.post('/api/v1/accounts', { name: 'Second', domain: 'freed.example' })).json()).toMatchObject({
      code: 'duplicate_value',
      conflicts: [{ object: 'account', id, matchedOn: ['domain'] }],
    })
    await owner.delete(`/api/v1/accounts/${id}`)
    const second = await owner.post('/api/v1/accounts', { name: 'Second', domain: 'freed.example' })
    expect(second.statusCode).toBe(201)
    const restored = await owner.post(`/api/v1/accounts/${id}/restore`)
    expect(restored.json()).toMatchObject({ status: 409, conflicts: [{ id: second.json<{ id: string }>().id }] })
  })
})
