import { describe, expect, it } from 'vitest'
import { readContract } from './contract.js'
import type { Operation, PathItem, Schema } from './document.js'
import { fixture, json, operation, run } from './fixture.js'
import { renderValidators } from './validators.js'

type Validator = ((data: unknown) => boolean) & {
  errors?: { instancePath: string; keyword: string; params: object }[] | null
}
type Parts = Record<'params' | 'query' | 'headers' | 'body', Validator>

function compile(post: Partial<Operation>, schemas: Record<string, Schema> = {}, item: PathItem = {}): Parts {
  const path = item.parameters ? '/widgets/{widgetId}' : '/widgets'
  const source = renderValidators(
    readContract(fixture({ [path]: { ...item, post: operation('createWidget', post) } }, schemas)),
  )
  return run<{ validators: { createWidget: Parts } }>(source).validators.createWidget
}

const parameter = (name: string, schema: Schema, more: object = {}) => ({ name, in: 'query', schema, ...more })
const body = (schema: Schema) => ({ requestBody: { required: true, ...json(schema) } })

describe('the validator of a query', () => {
  const limit = parameter('limit', { type: 'integer', maximum: 200, default: 50 })
  const dryRun = parameter('dryRun', { type: 'boolean' })
  const after = parameter('createdAt[gte]', { type: 'string', format: 'date-time' })
  const sort = parameter(
    'sort',
    { type: 'array', items: { type: 'string', enum: ['a', '-a'] } },
    { style: 'form', explode: false },
  )
  const { query } = compile({ parameters: [limit, dryRun, after, sort] })

  it('turns text into numbers and booleans, and fills in defaults', () => {
    const data = { dryRun: 'true', 'createdAt[gte]': '2026-01-01T00:00:00Z', sort: ['-a', 'a'] }
    expect(query(data)).toBe(true)
    expect(data).toEqual({ ...data, dryRun: true, limit: 50 })
  })

  it.each([
    ['an unknown parameter', { nope: '1' }],
    ['a repeated parameter', { limit: ['1', '2'] }],
    ['a repeated list, which the HTTP layer leaves nested', { sort: [['a', '-a']] }],
    ['a word for a number', { limit: 'ten' }],
    ['an empty number', { limit: '' }],
    ['a number out of range', { limit: '201' }],
    ['a malformed time', { 'createdAt[gte]': 'yesterday' }],
    ['an unknown sort field', { sort: ['b'] }],
  ])('refuses %s', (_what, data) => {
    expect(query(data)).toBe(false)
  })

  it('refuses everything where no parameter is declared', () => {
    const bare = compile({}).query
    expect(bare({})).toBe(true)
    expect(bare({ q: '1' })).toBe(false)
    expect(bare.errors?.[0]).toMatchObject({ keyword: 'additionalProperties', params: { additionalProperty: 'q' } })
  })
})

describe('the validators of headers and path', () => {
  it('look for header names in lower case, and let other headers pass', () => {
    const { headers } = compile({ parameters: [{ $ref: '#/components/parameters/IdempotencyKey' }] })
    expect(headers({ host: 'x', 'idempotency-key': 'k' })).toBe(true)
    expect(headers({ 'idempotency-key': '' })).toBe(false)
  })

  it('include the parameters of the path item beside those of the operation', () => {
    const widgetId = { name: 'widgetId', in: 'path', required: true, schema: { $ref: '#/components/schemas/Id' } }
    const trace = { name: 'X-Trace', in: 'header', schema: { type: 'string', maxLength: 2 } }
    const own = { $ref: '#/components/parameters/IdempotencyKey' }
    const { params, headers } = compile({ parameters: [own] }, {}, { parameters: [widgetId, trace] })
    expect(params({ widgetId: '01935f3a-7c1e-7e12-9a55-0e7f9d1f4b21' })).toBe(true)
    expect(params({ widgetId: '1' })).toBe(false)
    expect(headers({ 'x-trace': 'long' })).toBe(false)
  })
})

describe('the validator of a body', () => {
  it('never coerces and never removes', () => {
    const schema = {
      type: 'object',
      additionalProperties: false,
      properties: { name: { type: 'string' }, count: { type: 'integer' } },
    }
    const validate = compile(body(schema)).body
    expect(validate({ name: 'x', count: 1 })).toBe(true)
    for (const wrong of [
      { name: 5 },
      { count: '1' },
      { name: null },
      { name: ['x'] },
      { name: 'x', extra: 1 },
      [],
      null,
      'x',
    ]) {
      expect(validate(wrong), JSON.stringify(wrong)).toBe(false)
    }
  })

  it('keeps validating behind a component that is only a reference', () => {
    const validate = compile(body({ $ref: '#/components/schemas/Alias' }), {
      Alias: { $ref: '#/components/schemas/Id' },
    }).body
    expect(validate('nonsense')).toBe(false)
  })

  it('applies what stands beside a reference', () => {
    const properties = { size: { $ref: '#/components/schemas/Size', default: 3, maximum: 5 } }
    const validate = compile(body({ type: 'object', properties }), { Size: { type: 'integer' } }).body
    const data = {}
    expect(validate(data)).toBe(true)
    expect(data).toEqual({ size: 3 })
    expect(validate({ size: 6 })).toBe(false)
    expect(validate({ size: 'x' })).toBe(false)
  })

  it('knows null from its type, and closes compositions', () => {
    const Fields = { type: 'object', properties: { name: { type: ['string', 'null'], maxLength: 3 } } }
    const allOf = [{ $ref: '#/components/schemas/Fields' }, { type: 'object', required: ['name'] }]
    const validate = compile(body({ allOf, unevaluatedProperties: false }), { Fields }).body
    expect(validate({ name: null })).toBe(true)
    expect(validate({ name: 'long' })).toBe(false)
    expect(validate({})).toBe(false)
    expect(validate({ name: 'a', more: 1 })).toBe(false)
  })

  it('points at the place of the error, also through references', () => {
    const properties = { ids: { type: 'array', items: { $ref: '#/components/schemas/Id' } } }
    const validate = compile(body({ type: 'object', properties })).body
    expect(validate({ ids: ['x'] })).toBe(false)
    expect(validate.errors?.[0]).toMatchObject({ instancePath: '/ids/0', keyword: 'format' })
  })

  it('refuses a keyword that the validator would not know', () => {
    expect(() => compile(body({ type: 'string', exampel: 1 }))).toThrow('exampel')
  })
})
