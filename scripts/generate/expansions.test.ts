import { describe, expect, it } from 'vitest'
import type { Schema } from './document.js'
import { expandRelations } from './expansions.js'
import { fixture } from './fixture.js'
import { normalize } from './normalize.js'

const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` })
const record = (relations: Record<string, string>): Schema => ({
  type: 'object',
  additionalProperties: false,
  required: ['id'],
  properties: {
    id: ref('Id'),
    ...Object.fromEntries(Object.keys(relations).map((name) => [`${name}Id`, ref('Id')])),
  },
  ...(Object.keys(relations).length > 0 && { 'x-expandable': relations }),
})

const schemasOf = (schemas: Record<string, Schema>) =>
  expandRelations(normalize(fixture({}, schemas))).components.schemas as Record<string, Schema>

describe('a record that is marked as expandable', () => {
  const schemas = schemasOf({
    Widget: record({ maker: 'Maker', part: 'Widget' }),
    Maker: record({ town: 'Town' }),
    Town: record({}),
    WidgetExpand: { description: 'Which.', 'x-expand-of': 'Widget' },
  })

  it('may have what its references lead to, or null', () => {
    expect(schemas.Widget?.properties?.expanded).toEqual(ref('WidgetExpanded'))
    expect(schemas.Widget?.required).toEqual(['id'])
    expect(schemas.WidgetExpanded).toMatchObject({
      type: 'object',
      additionalProperties: false,
      properties: {
        maker: { oneOf: [ref('Maker'), { type: 'null' }] },
        part: { oneOf: [ref('Widget'), { type: 'null' }] },
      },
    })
    expect(schemas.WidgetExpanded).not.toHaveProperty('required')
    expect(schemas.Town?.properties).not.toHaveProperty('expanded')
  })

  it('can be asked for relations up to two hops, each once', () => {
    expect(schemas.WidgetExpand).toEqual({
      description: 'Which.',
      'x-expand-of': 'Widget',
      type: 'array',
      minItems: 1,
      maxItems: 8,
      uniqueItems: true,
      items: { type: 'string', enum: ['maker', 'maker.town', 'part', 'part.maker', 'part.part'] },
    })
  })
})

describe('a contract is refused', () => {
  it.each([
    [
      'that expands what is no reference',
      { Widget: { ...record({}), 'x-expandable': { maker: 'Widget' } } },
      'makerId',
    ],
    ['that leads to no schema', { Widget: record({ maker: 'Maker' }) }, 'no schema'],
    ['that asks a record without relations', { Widget: record({}), Names: { 'x-expand-of': 'Widget' } }, 'Widget'],
  ])('%s', (_what, schemas, message) => {
    expect(() => schemasOf(schemas)).toThrow(message)
  })
})
