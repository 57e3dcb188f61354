import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, it } from 'vitest'
import {
  type ClientOptions,
  createAccount,
  createClient,
  getMe,
  listAccounts,
  paginate,
  queryAccounts,
  register,
  type Schemas,
  ZenithProblem,
} from '../../generated/sdk/src/index.js'
import { DatabaseUnavailable } from '../db/errors.js'
import { createHarness, type Harness } from './harness.js'

let harness: Harness
let baseUrl: string
beforeAll(async () => {
  harness = await createHarness()
  await harness.app.listen({ port: 0, host: '127.0.0.1' })
  baseUrl = `http://127.0.0.1:${(harness.app.server.address() as AddressInfo).port}`
})
afterAll(() => harness.close())

/** The SDK in the hands of the owner of a new organization. */
async function newClient(options: Partial<ClientOptions> = {}) {
  const { organizationId, token } = await harness.newOrganization()
  return { organizationId, client: createClient({ baseUrl, accessToken: token, ...options }) }
}

it('walks every page exactly once', async () => {
  const sizes: number[] = []
  const { client } = await newClient({
    fetch: async (input, init) => {
      const reply = await fetch(input, init)
      if (init?.method === 'GET') sizes.push(((await reply.clone().json()) as { data: unknown[] }).data.length)
      return reply
    },
  })
  const names = ['a', 'b', 'c', 'd', 'e']
  for (const name of names) await createAccount(client, { body: { name } })
  const walked: string[] = []
  for await (const { name } of paginate(listAccounts, client, { query: { sort: ['name'], limit: 2 } })) {
    walked.push(name)
  }
  expect(walked).toEqual(names)
  expect(sizes).toEqual([2, 2, 1])

  const found: string[] = []
  const filter: Schemas['AccountFilter'] = { not: { field: 'name', op: 'in', value: ['b'] } }
  const query = { body: { filter, sort: ['-name' as const], limit: 1 } }
  for await (const { name } of paginate(queryAccounts, client, query)) found.push(name)
  expect(found).toEqual(['e', 'd', 'c', 'a'])
})

it('makes one record of a call whose first attempt met a 503 and whose second reply was lost', async () => {
  const statuses: number[] = []
  const { client, organizationId } = await newClient({
    fetch: async (input, init) => {
      if (statuses.length === 0) harness.setDatabaseFault(new DatabaseUnavailable('connection refused'))
      const reply = await fetch(input, init).finally(() => harness.setDatabaseFault(undefined))
      if (statuses.push(reply.status) === 2) throw new TypeError('fetch failed')
      return reply
    },
  })
  const { data, response } = await createAccount(client, { body: { name: 'Once' } })
  expect(statuses).toEqual([503, 201, 201])
  expect(response.headers.get('idempotency-replayed')).toBe('true')
  const { rows } = await harness.sql.query('select id from crm_accounts where organization_id = $1', [organizationId])
  expect(rows).toEqual([{ id: data.id }])
})

it('renews an expired access token once for all requests that wait', async () => {
  const body = { email: 'sdk@example.com', password: 'correct horse battery staple', organizationName: 'SDK' }
  const { data: session } = await register(createClient({ baseUrl }), { body })
  const renewed: string[] = []
  const client = createClient({
    baseUrl,
    accessToken: 'expired',
    refreshToken: session.refreshToken,
    onTokens: ({ refreshToken }) => {
      renewed.push(refreshToken)
    },
  })
  const callers = await Promise.all([getMe(client), getMe(client)])
  expect(callers.map(({ data }) => data.user.email)).toEqual([body.email, body.email])
  expect(renewed).toHaveLength(1)
  expect(renewed).not.toContain(session.refreshToken)
})

it('throws a problem that tells the code and the record in the way', async () => {
  const { client } = await newClient()
  const body = { name: 'Northwind', domain: 'northwind.example' }
  const { data: account } = await createAccount(client, { body })
  const problem = await createAccount(client, { body }).catch((error: unknown) => error)
  expect(problem).toBeInstanceOf(ZenithProblem)
  expect(problem).toMatchObject({ status: 409, code: 'duplicate_value', conflicts: [{ id: account.id }] })
})
