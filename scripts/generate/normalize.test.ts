import { describe, expect, it } from 'vitest'
import type { Schema } from './document.js'
import { fixture, json, operation } from './fixture.js'
import { normalize, prune } from './normalize.js'

describe('normalize', () => {
  it('points references past components that are only references', () => {
    const document = normalize(
      fixture(
        {
          '/widgets': {
            post: operation('createWidget', { requestBody: json({ $ref: '#/components/schemas/Alias' }) }),
          },
        },
        { Alias: { $ref: '#/components/schemas/Other' }, Other: { $ref: '#/components/schemas/Id' } },
      ),
    )
    expect(document.paths['/widgets']?.post?.requestBody).toEqual(json({ $ref: '#/components/schemas/Id' }))
    expect(Object.keys(prune(document).components.schemas ?? {})).toEqual(['Id'])
  })

  it('refuses references that go round in circles or lead nowhere', () => {
    const post = operation('createWidget', { requestBody: json({ $ref: '#/components/schemas/Loop' }) })
    expect(() => normalize(fixture({ '/widgets': { post } }, { Loop: { $ref: '#/components/schemas/Loop' } }))).toThrow(
      'refers to itself',
    )
    expect(() => normalize(fixture({ '/widgets': { post } }))).toThrow('leads nowhere')
  })

  it('keeps what stands beside a reference', () => {
    const { components } = normalize(
      fixture(
        {},
        {
          Limit: { $ref: '#/components/schemas/Id', default: 'a', description: 'one' },
          Described: { $ref: '#/components/schemas/Id', description: 'two' },
        },
      ),
    )
    expect(components.schemas?.Limit).toEqual({
      allOf: [{ $ref: '#/components/schemas/Id' }],
      default: 'a',
      description: 'one',
    })
    expect(components.schemas?.Described).toEqual({ $ref: '#/components/schemas/Id', description: 'two' })
  })

  it('merges the parameters of a path into its operations, which may replace them', () => {
    const id = { name: 'widgetId', in: 'path', required: true, schema: { type: 'string' } }
    const shared = { name: 'X-Trace', in: 'header', schema: { type: 'string' } }
    const own = { name: 'X-Trace', in: 'header', schema: { type: 'integer' } }
    const key = { $ref: '#/components/parameters/IdempotencyKey' }
    const { paths } = normalize(
      fixture({
        '/widgets/{widgetId}': {
          parameters: [id, shared],
          get: operation('getWidget', { parameters: [own] }),
          post: operation('copyWidget', { parameters: [key] }),
        },
      }),
    )
    expect(paths['/widgets/{widgetId}']?.get?.parameters).toEqual([id, own])
    expect(paths['/widgets/{widgetId}']?.post?.parameters).toEqual([id, shared, key])
    expect(paths['/widgets/{widgetId}']).not.toHaveProperty('parameters')
  })

  it('leaves data alone that looks like a reference', () => {
    const schema = { type: 'object', examples: [{ $ref: '#/nowhere' }], default: { $ref: '#/nowhere' } }
    expect(normalize(fixture({}, { Free: schema })).components.schemas?.Free).toEqual(schema)
  })

  describe('of a closed composition', () => {
    const Fields = { type: 'object', properties: { name: { type: 'string' }, id: { $ref: '#/components/schemas/Id' } } }

    it('makes one closed object in which `required` reaches the properties of other members', () => {
      const allOf = [{ $ref: '#/components/schemas/Fields' }, { type: 'object', required: ['name'] }]
      const { components } = normalize(
        fixture({}, { Fields, Widget: { description: 'w', allOf, unevaluatedProperties: false } }),
      )
      expect(components.schemas?.Widget).toEqual({
        description: 'w',
        type: 'object',
        additionalProperties: false,
        required: ['name'],
        properties: Fields.properties,
      })
    })

    it('narrows a property that two members declare, and refuses a contradiction', () => {
      const compose = (name: Schema) =>
        normalize(
          fixture(
            {},
            {
              Fields,
              Widget: {
                allOf: [{ $ref: '#/components/schemas/Fields' }, { type: 'object', properties: { name } }],
                unevaluatedProperties: false,
              },
            },
          ),
        ).components.schemas?.Widget?.properties?.name
      expect(compose({ type: 'string', enum: ['a'] })).toEqual({ type: 'string', enum: ['a'] })
      expect(() => compose({ type: 'integer' })).toThrow('disagree about type of name')
    })

    it('refuses members that cannot be merged without losing a rule', () => {
      const compose = (...allOf: Schema[]) =>
        normalize(fixture({}, { Fields, Widget: { allOf, unevaluatedProperties: false } }))
      expect(() => compose({ oneOf: [{ type: 'object' }] })).toThrow('oneOf')
      expect(() => compose({ type: 'object', additionalProperties: false })).toThrow('additionalProperties')
      expect(() => compose({ type: 'object', required: ['nope'] })).toThrow('requires what it does not declare: nope')
    })
  })
})
