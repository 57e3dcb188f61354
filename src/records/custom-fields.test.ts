import { afterAll, beforeAll, expect, test } from 'vitest'
import { must } from '../testing/access-world.js'
import { refused, unchanged } from '../testing/case.js'
import { type Caller, createHarness, type Harness } from '../testing/harness.js'

const accounts = '/api/v1/accounts'

let harness: Harness
let owner: Caller
beforeAll(async () => {
  harness = await createHarness()
  owner = await harness.newOrganization()
})
afterAll(() => harness.close())

const world = () => ({ harness, owner })
const keys = (word: string, count: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`${word}${index}`, index]))

test('a record has no more custom fields than the contract says, whichever way they add up', async () => {
  const names = { domain: 'full.example', externalIds: [{ system: 'erp', externalId: 'full' }] }
  const full = { name: 'Full', ...names, customFields: keys('a', 200) }
  const { id } = (await must(owner.post(accounts, full))).json<{ id: string }>()
  const record = { name: 'Full', ...names, customFields: { more: 1 } }
  const batch = (item: object) => owner.post(`${accounts}/batch`, { atomic: true, items: [item] })
  for (const [send, pointer] of [
    [() => owner.patch(`${accounts}/${id}`, { customFields: { more: 1 } }), ''],
    [() => owner.send('PUT', `${accounts}/external/erp/full`, record), ''],
    [() => owner.post(`${accounts}/upsert`, { matchOn: 'domain', record }), '/record'],
    [() => batch({ op: 'update', id, body: { customFields: { more: 1 } } }), '/items/0/body'],
    [() => batch({ op: 'upsert', matchOn: 'domain', body: record }), '/items/0/body'],
  ] as const) {
    const reply = await refused(world(), 'invalid_request', send)
    expect(reply.json()).toMatchObject({ errors: [{ pointer: `${pointer}/customFields`, code: 'max_properties' }] })
  }
  const one = { op: 'update', id, body: { customFields: { more: 1 } } }
  const alone = await unchanged(world(), () => owner.post(`${accounts}/batch`, { atomic: false, items: [one] }))
  expect(alone.json()).toMatchObject({ outcome: 'partial', results: [{ status: 400 }] })

  const swapped = await owner.patch(`${accounts}/${id}`, { customFields: { a0: null, more: 1 } })
  expect(Object.keys(swapped.json<{ customFields: object }>().customFields)).toHaveLength(200)
})

test('a record that has more of them from before can lose some, or go', async () => {
  for (const act of [
    (url: string) => owner.patch(url, { customFields: { a0: null } }),
    (url: string) => owner.delete(url),
  ]) {
    const { id } = (await must(owner.post(accounts, { name: 'A', customFields: { a: 1 } }))).json<{ id: string }>()
    const many = JSON.stringify(keys('a', 201))
    await harness.sql.query('update crm_accounts set custom_fields = $2 where id = $1', [id, many])
    await must(act(`${accounts}/${id}`))
  }
})
