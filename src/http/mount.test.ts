import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type OperationFacts, operations } from '../../generated/operations.js'
import { createHarness, type Harness } from '../testing/harness.js'

let harness: Harness

beforeAll(async () => {
  harness = await createHarness()
})
afterAll(() => harness.close())

const publicOperations = (Object.values(operations) as OperationFacts[]).filter((operation) => operation.public)

describe.each(publicOperations.map(({ method, path }) => [method, path] as const))(
  '%s %s, which is public',
  (method, url) => {
    const withCredential = (authorization: string) => harness.send({ method, url, headers: { authorization } })

    it('refuses a credential of a scheme that nobody can check', async () => {
      const reply = await withCredential('Basic YWRhOnNlY3JldA==')
      expect(reply.statusCode).toBe(401)
      expect(reply.headers['www-authenticate']).toMatch(/^Bearer /)
      expect(reply.json()).toMatchObject({ code: 'unauthenticated' })
    })

    it.each(['Bearer', 'Bearer expired', 'bearer x.y.z'])('passes over the token of "%s"', async (authorization) => {
      expect((await withCredential(authorization)).statusCode).toBe(method === 'GET' ? 200 : 400)
    })
  },
)

it('judges an overlong parameter by the contract, like any other', async () => {
  const owner = await harness.newOrganization()
  const reply = await owner.get(`/api/v1/accounts/${'a'.repeat(5_000)}`)
  expect(reply.json()).toMatchObject({ status: 400, errors: [{ pointer: '/path/accountId' }] })
})

it('knows the offsets from UTC that PostgreSQL knows, and no others', async () => {
  const owner = await harness.newOrganization()
  const since = (offset: string) =>
    owner.get(`/api/v1/accounts?createdAt%5Bgte%5D=2026-01-05T10:00:00${encodeURIComponent(offset)}`)
  for (const offset of ['Z', '+15:59', '-15:59']) expect((await since(offset)).statusCode).toBe(200)
  for (const offset of ['+16:00', '-22:12']) expect((await since(offset)).statusCode).toBe(400)
})
