import { describe, expect, it } from 'vitest'
import { readContract } from './contract.js'
import type { Operation, Parameter, RequestBody, Schema } from './document.js'
import { fixture, operation, run } from './fixture.js'
import { renderSerializers } from './serializers.js'

const PARTIAL = 'application/vnd.zenith.partial+json'
const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` })

const Widget: Schema = {
  description: 'A widget.',
  type: 'object',
  additionalProperties: false,
  required: ['id', 'version', 'name', 'color', 'makerId'],
  'x-expandable': { maker: 'Widget' },
  properties: {
    id: ref('Id'),
    version: { type: 'integer' },
    makerId: { oneOf: [ref('Id'), { type: 'null' }] },
    name: { type: 'string' },
    color: { type: ['string', 'null'] },
    size: { type: 'integer' },
  },
}
const WidgetList: Schema = {
  description: 'A page of widgets.',
  type: 'object',
  additionalProperties: false,
  required: ['data'],
  properties: { data: { type: 'array', items: ref('Widget') } },
}
const SCHEMAS: Record<string, Schema> = { Widget, WidgetList, WidgetPick: { 'x-pick-of': 'Widget' } }
const EXAMPLE = {
  id: '01935f3a-7c1e-7e12-9a55-0e7f9d1f4b21',
  version: 1,
  makerId: '01935f39-1b2c-7d4e-8f60-718293a4b5c6',
  name: 'Wheel',
  color: 'red',
  size: 5,
}

const answers = (schema: Schema, value: unknown): Operation['responses'] => ({
  200: { description: 'x', content: { 'application/json': { schema, examples: { one: { value } } } } },
})
const fields = { name: 'fields', in: 'query', style: 'form', explode: false, schema: ref('WidgetPick') }
const parameters: Parameter[] = [fields]
const list = operation('listWidgets', { parameters, responses: answers(ref('WidgetList'), { data: [EXAMPLE] }) })

const contractOf = (get: Operation, schemas = SCHEMAS) => readContract(fixture({ '/widgets': { get } }, schemas))
const contentOf = (contract: ReturnType<typeof contractOf>) => contract.operations[0]?.replies[0]?.reply.content

describe('an operation that takes fields', () => {
  const contract = contractOf(list)
  const schemas = contract.document.components.schemas ?? {}

  it('takes the names of all properties of the record, each once, except what expand adds', () => {
    expect(schemas.WidgetPick).toMatchObject({
      description: expect.stringContaining(PARTIAL),
      type: 'array',
      minItems: 1,
      maxItems: 6,
      uniqueItems: true,
      items: { type: 'string', enum: ['id', 'version', 'makerId', 'name', 'color', 'size'] },
    })
  })

  it('answers as before first, and then with parts in which only id and version must be', () => {
    const content = contentOf(contract)
    expect(Object.keys(content ?? {})).toEqual(['application/json', PARTIAL])
    expect(content?.['application/json']?.schema).toEqual(ref('WidgetList'))
    expect(content?.[PARTIAL]?.schema).toEqual(ref('PartialWidgetList'))
    expect(schemas.PartialWidgetList?.properties?.data?.items).toEqual(ref('PartialWidget'))
    expect(schemas.PartialWidget).toEqual({
      ...schemas.Widget,
      description: expect.stringMatching(/^A widget\. /),
      required: ['id', 'version'],
      'x-partial-of': 'Widget',
    })
    expect(schemas.Widget?.required).toEqual(Widget.required)
    expect(schemas.WidgetExpanded?.properties?.maker?.oneOf).toEqual([ref('Widget'), { type: 'null' }])
  })

  it('shows the first texts of its first example', () => {
    const { id, version, name, color } = EXAMPLE
    expect(contentOf(contract)?.[PARTIAL]?.examples).toEqual({
      partial: { value: { data: [{ id, version, name, color }] } },
    })
  })

  it('has a serializer that leaves out what is absent, and one that does not let it be', () => {
    type Module = { serializers: Record<string, Record<number, Record<string, (body: unknown) => string>>> }
    const { serializers } = run<Module>(renderSerializers(contract))
    const of = (type: string) => serializers.listWidgets?.[200]?.[type]
    const part = { data: [{ id: 'a', version: 1, color: null, size: undefined }] }
    expect(of(PARTIAL)?.(part)).toBe('{"data":[{"id":"a","version":1,"color":null}]}')
    expect(() => of(PARTIAL)?.({ data: [{ id: 'a' }] })).toThrow('"version" is required')
    expect(() => of('application/json')?.(part)).toThrow('is required')
  })

  it('may take them in its body, and answer with one record', () => {
    const Query = { type: 'object', properties: { fields: ref('WidgetPick') } }
    const requestBody: RequestBody = {
      content: { 'application/json': { schema: ref('WidgetQuery'), examples: { one: { value: {} } } } },
    }
    const post = operation('queryWidgets', { requestBody, responses: answers(ref('Widget'), EXAMPLE) })
    const { operations } = readContract(fixture({ '/query': { post } }, { ...SCHEMAS, WidgetQuery: Query }))
    expect(operations[0]?.pick).toEqual({ record: 'Widget', place: 'body' })
    const partial = operations[0]?.replies[0]?.reply.content?.[PARTIAL]
    expect(partial?.schema).toEqual(ref('PartialWidget'))
    expect(partial?.examples?.partial).toEqual({ value: expect.objectContaining({ name: 'Wheel', color: 'red' }) })
  })
})

it('an operation that does not take them answers in one form', () => {
  const contract = contractOf({ ...list, parameters: [] })
  expect(Object.keys(contentOf(contract) ?? {})).toEqual(['application/json'])
  expect(Object.keys(contract.document.components.schemas ?? {})).not.toContain('PartialWidget')
  expect(contract.operations[0]?.pick).toBeUndefined()
})

describe('a contract is refused', () => {
  it.each([
    [
      'that names properties of nothing',
      { WidgetPick: { 'x-pick-of': 'Wigdet' } },
      list,
      'Wigdet has no id and version',
    ],
    [
      'that names those of what has no version',
      { WidgetPick: { 'x-pick-of': 'WidgetList' } },
      list,
      'WidgetList has no',
    ],
    [
      'that names those of what is not in the reply',
      { Maker: Widget, WidgetPick: { 'x-pick-of': 'Maker' } },
      list,
      'WidgetList holds no Maker',
    ],
    [
      'that shows the reply in place',
      {},
      { ...list, responses: answers({ type: 'object' }, {}) },
      'listWidgets takes fields, and answers with no component',
    ],
  ])('%s', (_what, schemas, get, message) => {
    expect(() => contractOf(get, { ...SCHEMAS, ...schemas })).toThrow(message)
  })
})
