import { describe, expect, it } from 'vitest'
import { readContract } from './contract.js'
import type { Operation, Schema } from './document.js'
import { fixture, json, operation, run } from './fixture.js'
import { renderSerializers } from './serializers.js'

type Serializer = (body: unknown) => string
type Module = { serializeProblem: Serializer; serializers: Record<string, Record<number, Record<string, Serializer>>> }

function load(schemas: Record<string, Schema>, ...operations: Operation[]): Module {
  const paths = Object.fromEntries(operations.map((get) => [`/${get.operationId}`, { get }]))
  return run<Module>(renderSerializers(readContract(fixture(paths, schemas))))
}

function serializer(schema: Schema, schemas: Record<string, Schema> = {}): Serializer {
  const module = load(schemas, operation('getWidget', { responses: { 200: { description: 'x', ...json(schema) } } }))
  return module.serializers.getWidget?.[200]?.['application/json'] ?? (() => 'missing')
}

describe('a serializer', () => {
  const Widget = {
    type: 'object',
    additionalProperties: false,
    required: ['id', 'note'],
    properties: {
      id: { $ref: '#/components/schemas/Id' },
      note: { type: ['string', 'null'] },
      rank: { type: 'integer', default: 7 },
    },
  }

  it('writes declared properties only', () => {
    const write = serializer({ $ref: '#/components/schemas/Widget' }, { Widget })
    expect(JSON.parse(write({ id: 'a', note: null, secret: 'x' }))).toEqual({ id: 'a', note: null })
  })

  it('does not make up a default, and throws when a required property is missing', () => {
    const write = serializer({ $ref: '#/components/schemas/Widget' }, { Widget })
    expect(write({ id: 'a', note: 'n' })).not.toContain('rank')
    expect(() => write({ id: 'a' })).toThrow('is required')
  })

  it('writes a record inside of a record of its kind, and null where there is none', () => {
    const Node = {
      type: 'object',
      additionalProperties: false,
      required: ['id'],
      properties: {
        id: { type: 'string' },
        next: { oneOf: [{ $ref: '#/components/schemas/Node' }, { type: 'null' }] },
      },
    }
    const write = serializer({ $ref: '#/components/schemas/Node' }, { Node })
    const chain = { id: 'a', next: { id: 'b', next: { id: 'c', next: null } } }
    expect(JSON.parse(write({ ...chain, secret: 'x' }))).toEqual(chain)
    expect(JSON.parse(write({ id: 'a', next: { id: 'b' } }))).toEqual({ id: 'a', next: { id: 'b' } })
  })

  it.each([
    ['additionalProperties true', { type: 'object', additionalProperties: true, maxProperties: 200 }],
    ['no keyword about properties', { type: 'object' }],
    ['null allowed', { type: ['object', 'null'], additionalProperties: true }],
  ])('writes free JSON exactly: %s', (_what, free) => {
    const write = serializer(
      { type: 'object', properties: { customFields: { $ref: '#/components/schemas/Free' } } },
      { Free: free },
    )
    const customFields = {
      n: null,
      list: [1, [null, { deep: [{}] }], 'ä"\\'],
      no: false,
      zero: 0,
      text: '',
      big: 1e21,
      nested: { a: { b: [] } },
    }
    expect(JSON.parse(write({ customFields }))).toEqual({ customFields })
  })

  it('writes nullable objects, lists and times as they are', () => {
    const schema = {
      type: 'object',
      properties: {
        address: {
          type: ['object', 'null'],
          additionalProperties: false,
          properties: { city: { type: ['string', 'null'] } },
        },
        tags: { type: 'array', items: { type: 'string' } },
        at: { type: ['string', 'null'], format: 'date-time' },
      },
    }
    const write = serializer(schema)
    for (const value of [
      { address: null, tags: [], at: null },
      { address: { city: null }, tags: ['a', '"'], at: '2026-01-01T00:00:00.000Z' },
    ]) {
      expect(JSON.parse(write(value))).toEqual(value)
    }
  })

  it('chooses between alternatives without a validator library at run time', () => {
    const schema = {
      type: 'object',
      properties: {
        value: {
          oneOf: [
            { type: 'string', maxLength: 1 },
            { type: 'array', items: { type: 'integer' } },
          ],
        },
      },
    }
    const write = serializer(schema)
    expect(write({ value: [1, 2] })).toBe('{"value":[1,2]}')
    expect(() => write({ value: 'long' })).toThrow('does not match')
  })

  it('is shared by replies with the same body, and by all problems', () => {
    const responses = { 200: { description: 'x', ...json({ $ref: '#/components/schemas/Widget' }) } }
    const module = load({ Widget }, operation('getWidget', { responses }), operation('findWidget', { responses }))
    const of = (id: string) => module.serializers[id]?.[200]?.['application/json']
    expect(of('getWidget')).toBe(of('findWidget'))
    expect(module.serializeProblem({ status: 404, code: 'not_found', stack: 'secret' })).toBe(
      '{"status":404,"code":"not_found"}',
    )
  })

  it('is the same text whatever was compiled before and whichever Node.js compiles it', () => {
    const schema = {
      type: 'object',
      properties: {
        size: { $ref: '#/components/schemas/Id', minLength: 1 },
        tags: { type: 'array', items: { type: 'string' } },
      },
    }
    const contract = readContract(
      fixture({ '/w': { get: operation('getWidget', { responses: { 200: { description: 'x', ...json(schema) } } }) } }),
    )
    const source = renderSerializers(contract)
    expect(renderSerializers(contract)).toBe(source)
    expect(source).toContain('>= 128')
  })
})
