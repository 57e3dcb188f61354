import { describe, expect, it } from 'vitest'
import { readContract } from './contract.js'
import { fixture, operation } from './fixture.js'

const requirements = { public: [], 'signed in': [{ bearerAuth: [] }], scoped: [{ bearerAuth: ['widgets:create'] }] }

function published(security: Record<string, string[]>[]) {
  const source = fixture({ '/widgets': { post: operation('createWidget', { security }) } })
  source['x-roles'] = { owner: security[0]?.bearerAuth?.[0] ? { 'widgets:create': 'all' } : {} }
  const { document, operations } = readContract(source)
  return { post: document.paths['/widgets']?.post, facts: operations[0] }
}

describe('publish', () => {
  it('lets a public operation be called without a credential, in a form that is not taken for an omission', () => {
    expect(published(requirements.public)).toMatchObject({ post: { security: [{}] }, facts: { public: true } })
  })

  it('tells the scope beside the security requirement, and nothing where signing in is enough', () => {
    expect(published(requirements.scoped)).toMatchObject({
      post: { security: [{ bearerAuth: [] }], 'x-permission': 'widgets:create' },
      facts: { public: false, permission: 'widgets:create' },
    })
    expect(published(requirements['signed in']).post).not.toHaveProperty('x-permission')
  })
})
