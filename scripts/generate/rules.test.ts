import { describe, expect, it } from 'vitest'
import type { Operation, PathItem, Schema } from './document.js'
import { fixture, json, operation } from './fixture.js'
import { checkRules } from './rules.js'

function check(path: string, item: PathItem, more: object = {}): () => void {
  return () => checkRules({ ...fixture({ [path]: item }), ...more })
}

const get = (more: Partial<Operation>): PathItem => ({ get: operation('getWidget', more) })
const query = (parameter: object): PathItem =>
  get({ parameters: [{ name: 'q', in: 'query', schema: { type: 'string' }, ...parameter }] })
const reply = (status: number | string, body: object): PathItem =>
  get({ responses: { [status]: { description: 'x', ...body } } })
const READ = { security: [{ bearerAuth: ['widgets:read'] }] }

describe('checkRules', () => {
  it('accepts a sound contract', () => {
    expect(check('/widgets', get(READ), { 'x-roles': { owner: { 'widgets:read': 'all' } } })).not.toThrow()
  })

  const refused: [violation: string, run: () => void][] = [
    ['a default would let anything through', check('/widgets', reply('default', {}))],
    ['no role in x-roles grants widgets:read', check('/widgets', get(READ))],
    ['which no operation requires', check('/widgets', get({}), { 'x-roles': { owner: { 'widgets:read': 'all' } } })],
    ['unknown level some', check('/widgets', get(READ), { 'x-roles': { owner: { 'widgets:read': 'some' } } })],
    ['getWidget is used twice', check('/widgets', { ...get({}), post: operation('getWidget') })],
    ['must be lowerCamelCase', check('/widgets', { get: operation('Get_Widget') })],
    ['needs a summary', check('/widgets', get({ summary: '' }))],
    ['needs exactly one tag', check('/widgets', get({ tags: ['widgets', 'others'] }))],
    ['the tag others is not declared', check('/widgets', get({ tags: ['others'] }))],
    ['declare security', () => checkRules(fixture({ '/widgets': { get: withoutSecurity() } }))],
    ['would make the operation public', check('/widgets', get({ security: [{}] }))],
    ['at most one scope', check('/widgets', get({ security: [{ bearerAuth: ['a:b', 'c:d'] }] }))],
    ['takes ":" for a parameter', check('/widgets:merge', get({}))],
    ['cannot match the path parameter id-x', check('/widgets/{id-x}', get({}))],
    ['path parameter id is not declared', check('/widgets/{id}', get({}))],
    ['the path has no parameter q', check('/widgets', query({ in: 'path', required: true }))],
    ['must be a scalar', check('/widgets', query({ style: 'deepObject', schema: { type: 'object' } }))],
    ['with style form and explode false', check('/widgets', query({ schema: { type: 'array', items: {} } }))],
    ['parameters in cookie are not supported', check('/widgets', query({ in: 'cookie' }))],
    [
      'OpenAPI ignores a parameter named Authorization',
      check('/widgets', query({ name: 'Authorization', in: 'header' })),
    ],
    [
      'body needs examples',
      check('/widgets', get({ requestBody: { content: { 'application/json': { schema: {} } } } })),
    ],
    ['reply 200 needs examples', check('/widgets', reply(200, { content: { 'application/json': { schema: {} } } }))],
    [
      'cannot be sent as text/csv',
      check('/widgets', reply(200, { content: { 'text/csv': { schema: {}, examples: { one: { value: '' } } } } })),
    ],
    ['reply 204 cannot have a body', check('/widgets', reply(204, json({})))],
    ['reply 404 must be a problem', check('/widgets', reply(404, json({})))],
    [
      'must share one schema',
      check('/widgets', get({ requestBody: twoMediaTypes({ type: 'object' }, { type: 'string' }) })),
    ],
    [
      'default in a merge patch',
      check('/widgets', get({ requestBody: twoMediaTypes({ default: 1 }, { default: 1 }) })),
    ],
  ]
  it.each(refused)('refuses: %s', (violation, run) => {
    expect(run).toThrow(violation)
  })

  it('tells every violation at once', () => {
    expect(check('/widgets', get({ summary: '', tags: [] }))).toThrow(/needs a summary\n.*needs exactly one tag/)
  })
})

function withoutSecurity(): Operation {
  const { security: _security, ...rest } = operation('getWidget')
  return rest
}

function twoMediaTypes(patch: Schema, plain: Schema) {
  const examples = { one: { value: {} } }
  return {
    content: {
      'application/merge-patch+json': { schema: patch, examples },
      'application/json': { schema: plain, examples },
    },
  }
}
