import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createHarness, type Harness } from '../testing/harness.js'

let harness: Harness

beforeAll(async () => {
  harness = await createHarness()
})
afterAll(() => harness.close())

const get = (url: string, headers: Record<string, string> = {}) => harness.app.inject({ method: 'GET', url, headers })
const generated = (name: string) => readFileSync(new URL(`../../generated/${name}`, import.meta.url))

describe('the published contract', () => {
  it.each([
    ['openapi.json', 'application/json; charset=utf-8'],
    ['openapi.yaml', 'application/yaml; charset=utf-8'],
  ])('is the generated %s, byte for byte', async (name, type) => {
    const reply = await get(`/api/v1/${name}`)
    expect(reply.statusCode).toBe(200)
    expect(reply.headers['content-type']).toBe(type)
    expect(reply.rawPayload.equals(generated(name))).toBe(true)
  })

  it('is the same when it travels compressed, under a tag of its own', async () => {
    const plain = await get('/api/v1/openapi.json')
    const zipped = await get('/api/v1/openapi.json', { 'accept-encoding': 'br, gzip;q=0.8' })
    expect(zipped.headers).toMatchObject({ 'content-encoding': 'gzip', vary: 'accept-encoding' })
    expect(zipped.headers.etag).not.toBe(plain.headers.etag)
    expect(gunzipSync(zipped.rawPayload).equals(plain.rawPayload)).toBe(true)
    const refused = await get('/api/v1/openapi.json', { 'accept-encoding': 'gzip;q=0, identity' })
    expect(refused.headers['content-encoding']).toBeUndefined()
  })

  it.each(['/api/v1/openapi.json', '/api/v1/openapi.yaml', '/docs', '/docs/reference.js'])(
    '%s is sent again only when it has changed, and HEAD tells its size',
    async (url) => {
      const { headers, rawPayload } = await get(url)
      expect(headers).toMatchObject({ 'cache-control': 'no-cache', etag: expect.stringMatching(/^".+"$/) })
      const again = await get(url, { 'if-none-match': `"other", W/${headers.etag}` })
      expect([again.statusCode, again.rawPayload.length]).toEqual([304, 0])
      expect((await get(url, { 'if-none-match': '"other"' })).statusCode).toBe(200)
      const head = await harness.app.inject({ method: 'HEAD', url })
      expect([head.statusCode, head.headers['content-length'], head.headers.etag]).toEqual([
        200,
        String(rawPayload.length),
        headers.etag,
      ])
    },
  )
})

describe('the page', () => {
  it('runs no script but its own, and no other reply is allowed to run any', async () => {
    const policy = (await get('/docs')).headers['content-security-policy']
    expect(policy).toContain("default-src 'none'")
    expect(policy).toContain("script-src 'self';")
    expect(policy).toContain("connect-src 'self'")
    expect((await get('/api/v1/openapi.json')).headers['content-security-policy']).toBe(
      "default-src 'none';frame-ancestors 'none'",
    )
  })

  it('is named after the contract and refers to no other host', async () => {
    const { body } = await get('/docs')
    expect(body).toContain('<title>Zenith CRM API</title>')
    expect(body.match(/\b(?:https?:)?\/\/[\w.]+/g) ?? []).toEqual([])
  })
})
