import { describe, expect, it } from 'vitest'
import type { Document } from './document.js'
import { fixture, json, operation, run } from './fixture.js'
import { render } from './render.js'

const widget = { type: 'object', required: ['id'], properties: { id: { $ref: '#/components/schemas/Id' } } }

function contract(): Document {
  const list = {
    parameters: [{ name: 'cursor', in: 'query', schema: { type: 'string' } }],
    responses: { 200: { description: 'x', ...json(widget) } },
  }
  return {
    ...fixture({
      '/widgets': { get: operation('listWidgets', { ...list, security: [{ bearerAuth: ['widgets:read'] }] }) },
      '/livez': { servers: [{ url: '/' }], get: operation('getLiveness') },
    }),
    'x-roles': { owner: { 'widgets:read': 'all' }, member: { 'widgets:read': 'team' } },
  }
}

describe('render', () => {
  it('gives the same files for the same contract', async () => {
    expect(await render(contract())).toEqual(await render(contract()))
  })

  it('puts no path of the machine into a file', async () => {
    for (const [name, content] of await render(contract())) expect(content.includes(process.cwd()), name).toBe(false)
  })

  it('tells the HTTP layer what it needs to know', async () => {
    const source = (await render(contract())).get('operations.ts') ?? ''
    const { operations, rolePermissions } = run<{ operations: object; rolePermissions: object }>(source)
    expect(operations).toMatchObject({
      listWidgets: {
        method: 'GET',
        path: '/api/v1/widgets',
        public: false,
        permission: 'widgets:read',
        handlerStatuses: [200],
        paginated: true,
      },
      getLiveness: { path: '/livez', public: true, permission: null, statuses: [204, 400, 401, 406, 429, 500, 503] },
    })
    expect(rolePermissions).toEqual({ owner: { 'widgets:read': 'all' }, member: { 'widgets:read': 'team' } })
  })

  it('tells how long lists may be that have a name, and no others', async () => {
    const document = contract()
    Object.assign(document.components.schemas ?? {}, {
      Colors: { type: 'array', maxItems: 7, items: { type: 'string' } },
      Widget: { type: 'object', properties: { names: { type: 'array', maxItems: 9, items: { type: 'string' } } } },
    })
    const colors = { description: 'x', ...json({ $ref: '#/components/schemas/Colors' }) }
    const widget = { description: 'x', ...json({ $ref: '#/components/schemas/Widget' }) }
    document.paths['/colors'] = { get: operation('listColors', { responses: { 200: colors } }) }
    document.paths['/widget'] = { get: operation('getWidget', { responses: { 200: widget } }) }
    const { mostItems } = run<{ mostItems: object }>((await render(document)).get('limits.ts') ?? '')
    expect(mostItems).toEqual({ Colors: 7 })
  })

  it('gives the router the full paths and nothing to compile', async () => {
    const { routes } = run<{ routes: { paths: object } }>((await render(contract())).get('routes.ts') ?? '')
    expect(routes.paths).toEqual({
      '/api/v1/widgets': { get: { operationId: 'listWidgets' } },
      '/livez': { get: { operationId: 'getLiveness' } },
    })
  })
})
