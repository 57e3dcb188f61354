import { Ajv2020 } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Schema } from './document.js'
import { expandFilters, stepwiseFilter } from './filters.js'
import { fixture } from './fixture.js'
import { normalize } from './normalize.js'

const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` })
const widget = (properties: Record<string, Schema>): Schema => ({ type: 'object', properties })

const Widget = widget({
  id: ref('Id'),
  name: { type: 'string', maxLength: 255 },
  note: { type: ['string', 'null'], maxLength: 10_000 },
  kind: { type: ['string', 'null'], enum: ['big', 'small', null] },
  weight: { type: ['integer', 'null'] },
  price: { type: ['object', 'null'], properties: { amount: { type: 'string' }, currency: { type: 'string' } } },
  size: { type: ['object', 'null'], properties: { label: { type: 'string', maxLength: 9 } } },
  labels: { type: 'array', items: { type: 'string' } },
  customFields: { type: 'object', additionalProperties: true },
  anything: { type: 'object', additionalProperties: true },
  makerId: { type: ['string', 'null'], format: 'uuid' },
  deletedAt: { type: ['string', 'null'], format: 'date-time' },
})
const Maker = widget({ country: { type: 'string', maxLength: 2 } })

function filterOf(schemas: Record<string, Schema>, marked: Schema): Schema {
  const document = normalize(fixture({}, { ...schemas, WidgetFilter: { description: 'Which.', ...marked } }))
  return expandFilters(document).components.schemas?.WidgetFilter as Schema
}

const expanded = filterOf({ Widget, Maker }, { 'x-filter-of': 'Widget', 'x-filter-relations': { maker: 'Maker' } })
const conditions = (expanded.oneOf as Schema[])
  .map(({ properties = {} }) => properties)
  .filter(({ field }) => field?.enum)
  .map(({ field, op, value }) => ({
    fields: field?.enum as string[],
    ops: op?.enum as string[],
    value: value as Schema,
  }))

describe('a filter', () => {
  it('has a condition for each property, each part of an object and each field of a related record', () => {
    const operators: Record<string, string[]> = {}
    for (const { fields, ops } of conditions)
      for (const field of fields) operators[field] = [...(operators[field] ?? []), ...ops]
    const text = ['eq', 'ne', 'startsWith', 'in', 'notIn']
    const number = ['eq', 'ne', 'gt', 'gte', 'lt', 'lte', 'in', 'notIn', 'between']
    const ids = ['has', 'hasAny', 'hasAll', 'isEmpty']
    expect(operators).toEqual({
      followers: ids,
      segments: ids,
      id: ['eq', 'ne', 'in', 'notIn'],
      name: text,
      note: ['isNull'],
      kind: ['eq', 'ne', 'in', 'notIn', 'isNull'],
      weight: [...number, 'isNull'],
      price: [...number, 'isNull'],
      size: ['isNull'],
      'size.label': [...text, 'isNull'],
      labels: ['has', 'hasAny', 'hasAll', 'isEmpty'],
      makerId: ['eq', 'ne', 'in', 'notIn', 'isNull'],
      'maker.country': text,
    })
  })

  it('compares with what the property can be, but never with null', () => {
    const kind = conditions.find(({ fields, ops }) => fields.includes('kind') && ops.includes('eq'))
    expect(kind?.value).toEqual({ type: 'string', enum: ['big', 'small'] })
  })

  it('has one condition for all custom fields, its own and those of related records that have some', () => {
    const relations = { 'x-filter-relations': { maker: 'Widget' } }
    const both = filterOf({ Widget, Maker }, { 'x-filter-of': 'Widget', ...relations })
    for (const [filter, field, isThere] of [
      [expanded, 'customFields.tier', true],
      [expanded, 'maker.customFields.tier', false],
      [expanded, 'customFields.', false],
      [expanded, 'customFields.tier.x', false],
      [both, 'maker.customFields.tier', true],
      [both, 'customFields.tier', true],
      [both, 'maker.maker.customFields.tier', false],
    ] as const) {
      const [custom] = (filter.oneOf as Schema[]).flatMap(({ properties }) => properties?.field?.pattern ?? [])
      expect(new RegExp(String(custom)).test(field), field).toBe(isThere)
    }
    const without = filterOf({ Maker }, { 'x-filter-of': 'Maker' })
    expect(JSON.stringify(without)).not.toContain('customFields')
  })

  it('changes with the record', () => {
    const { name, ...rest } = Widget.properties as Record<string, Schema>
    const renamed = filterOf({ Widget: widget({ ...rest, title: name as Schema }) }, { 'x-filter-of': 'Widget' })
    expect(JSON.stringify(renamed)).toContain('"title"')
    expect(JSON.stringify(renamed)).not.toContain('"name"')
  })

  it('is refused for no record, and for a relation that no reference makes', () => {
    expect(() => filterOf({}, { 'x-filter-of': 'Widget' })).toThrow('a filter is about Widget, which is no schema')
    const marked = { 'x-filter-of': 'Widget', 'x-filter-relations': { seller: 'Maker' } }
    expect(() => filterOf({ Widget, Maker }, marked)).toThrow('WidgetFilter: Widget has no sellerId')
  })
})

const CUSTOM_NAMES = [
  'customFields.tier',
  'customFields',
  'customFields.Tier',
  'maker.customFields.tier',
  'xcustomFields.tier',
]

it('the steps of the validator take exactly what the published filter takes', () => {
  const ajv = new Ajv2020({ strict: false })
  formats.default(ajv)
  const root = (filter: object) => ({ ...ref('WidgetFilter'), components: { schemas: { WidgetFilter: filter } } })
  const published = ajv.compile(root(expanded))
  const stepwise = ajv.compile(root(stepwiseFilter({ ...expanded })))

  const pick = <Value>(values: readonly Value[]) => fc.constantFrom(...new Set(values))
  const one = fc.oneof(
    fc.constantFrom('big', 'x', 'DE', 7, 1.5, true, null, { amount: '1', currency: 'EUR' }),
    fc.uuid(),
  )
  const value = fc.oneof(one, fc.array(one, { maxLength: 3 }))
  const surplus = fc.constant(1)
  const wild = fc.record(
    {
      field: pick([...conditions.flatMap(({ fields }) => fields), 'anything', 'deletedAt', 'maker', ...CUSTOM_NAMES]),
      op: pick([...conditions.flatMap(({ ops }) => ops), 'like']),
      ...{ value, surplus },
    },
    { requiredKeys: ['field', 'op', 'value'] },
  )
  const custom = fc.record({ field: pick(CUSTOM_NAMES), op: pick(['eq', 'between', 'isNull', 'has']), value })
  const likely = pick(conditions).chain(({ fields, ops }) => fc.record({ field: pick(fields), op: pick(ops), value }))
  const condition = fc.oneof(wild, likely, custom)
  const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 3, withCrossShrink: true },
      condition,
      fc.record({ not: tie('tree') }),
      fc.record(
        { and: fc.array(tie('tree'), { maxLength: 2 }), or: fc.array(tie('tree'), { maxLength: 2 }) },
        { requiredKeys: [] },
      ),
    ),
  }))
  let valid = 0
  fc.assert(
    fc.property(tree, (filter) => {
      expect(stepwise(filter)).toBe(published(filter))
      if (stepwise(filter)) valid++
    }),
    { seed: 5, numRuns: 5_000 },
  )
  expect(valid).toBeGreaterThan(100)
})
