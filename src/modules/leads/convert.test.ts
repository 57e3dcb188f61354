import { afterAll, beforeAll, expect, it } from 'vitest'
import type { components } from '../../../generated/types.js'
import { type Caller, createHarness, type Harness } from '../../testing/harness.js'

let harness: Harness
let owner: Caller

beforeAll(async () => {
  harness = await createHarness()
  owner = await harness.newOrganization()
})
afterAll(() => harness.close())

async function convert(lead: object): Promise<{ account: string; contact: string }> {
  const { id } = (await owner.post('/api/v1/leads', lead)).json<{ id: string }>()
  const reply = await owner.post(`/api/v1/leads/${id}/convert`, {})
  expect(reply.statusCode).toBe(200)
  const { account, contact } = reply.json<components['schemas']['LeadConversionResult']>()
  return { account: account.record.name, contact: contact.record.lastName }
}

it('finds a name for the account and the contact of a lead whose own texts are blank', async () => {
  expect(await convert({ email: 'ada@example.com', lastName: '', companyName: ' ' })).toEqual({
    account: 'ada@example.com',
    contact: 'ada@example.com',
  })
})

it('shortens what does not fit into one name', async () => {
  const [first, last] = ['🦉'.repeat(255), 'b'.repeat(255)]
  expect(await convert({ firstName: first, lastName: last })).toEqual({ account: first, contact: last })
})

it('refuses a lead of whom only blanks are told', async () => {
  const reply = await owner.post('/api/v1/leads', { firstName: 'Ada', lastName: ' ', companyName: '' })
  expect(reply.json()).toMatchObject({ status: 400, errors: [{ code: 'lead_identity' }] })
})
