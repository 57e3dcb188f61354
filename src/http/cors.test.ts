import { afterAll, beforeAll, expect, it } from 'vitest'
import { operations } from '../../generated/operations.js'
import { createHarness, type Harness } from '../testing/harness.js'

const url = operations.listAccounts.path
const preflight = {
  'access-control-request-method': 'PATCH',
  'access-control-request-headers': 'authorization,if-match',
}

let harness: Harness
beforeAll(async () => {
  harness = await createHarness({ CORS_ORIGINS: 'https://app.example.com' })
})
afterAll(() => harness.close())

it('a browser at a configured origin may use every method, with every header', async () => {
  const headers = { origin: 'https://app.example.com', ...preflight }
  const reply = await harness.send({ method: 'OPTIONS', url, headers })
  expect(reply.statusCode).toBe(204)
  expect(reply.headers).toMatchObject({
    'access-control-allow-origin': 'https://app.example.com',
    'access-control-allow-headers': 'authorization,if-match',
  })
  const allowed = String(reply.headers['access-control-allow-methods']).split(', ')
  const declared = new Set(Object.values(operations).map(({ method }) => method))
  expect(allowed).toEqual(expect.arrayContaining([...declared]))
})

it('a browser anywhere else may not', async () => {
  const reply = await harness.send({
    method: 'OPTIONS',
    url,
    headers: { origin: 'https://evil.example', ...preflight },
  })
  expect(reply.headers).not.toHaveProperty('access-control-allow-origin')
})
