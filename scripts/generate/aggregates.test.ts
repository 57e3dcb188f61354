import { Ajv2020 } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { expandAggregates, stepwiseAggregate } from './aggregates.js'
import type { Schema } from './document.js'
import { fixture } from './fixture.js'
import { normalize } from './normalize.js'

const widget = (properties: Record<string, Schema>): Schema => ({ type: 'object', properties })
const text: Schema = { type: 'string', maxLength: 255 }
const Widget = widget({
  ...{ name: text, weight: { type: ['integer', 'null'] }, labels: { type: 'array', items: { type: 'string' } } },
  price: { type: ['object', 'null'], properties: { amount: { type: 'string' }, currency: { type: 'string' } } },
  size: { type: ['object', 'null'], properties: { label: text } },
  note: { type: ['string', 'null'], maxLength: 10_000 },
  launchedOn: { type: ['string', 'null'], format: 'date' },
  createdAt: { type: 'string', format: 'date-time' },
  makerId: { type: ['string', 'null'], format: 'uuid' },
})
const Maker = widget({ country: text, foundedOn: { type: 'string', format: 'date' } })

function expand(schemas: Record<string, Schema>, name: string, marked: Schema): Schema {
  const document = normalize(fixture({}, { ...schemas, [name]: { description: 'Which.', ...marked } }))
  return expandAggregates(document).components.schemas?.[name] as Schema
}

const group = expand({ Widget, Maker }, 'WidgetGroup', {
  'x-group-of': 'Widget',
  'x-group-relations': { maker: 'Maker' },
})
const measure = expand({ Widget }, 'WidgetMeasure', { 'x-measure-of': 'Widget' })
const formsOf = ({ oneOf }: Schema) => (oneOf as Schema[]).map(({ properties = {} }) => properties)

describe('what a record is grouped by', () => {
  it('is each value that can be compared, each currency, and periods of dates and instants, also of related records', () => {
    const [values, dates, instants] = formsOf(group)
    expect(values).toEqual({
      field: {
        type: 'string',
        enum: ['name', 'weight', 'size.label', 'launchedOn', 'createdAt', 'makerId'].concat(
          ...['maker.country', 'maker.foundedOn', 'price.currency'],
        ),
      },
    })
    expect(dates).toMatchObject({ field: { enum: ['launchedOn', 'maker.foundedOn'] } })
    expect(dates).not.toHaveProperty('timeZone')
    expect(instants).toMatchObject({
      field: { enum: ['createdAt'] },
      interval: { enum: expect.arrayContaining(['week']) },
    })
    expect(instants).toHaveProperty('timeZone')
  })

  it('is refused for a relation that no reference makes', () => {
    const marked = { 'x-group-of': 'Widget', 'x-group-relations': { seller: 'Maker' } }
    expect(() => expand({ Widget, Maker }, 'WidgetGroup', marked)).toThrow('WidgetGroup: Widget has no sellerId')
  })
})

it('what is measured fits the kind of the field', () => {
  const functions: Record<string, unknown> = {}
  for (const { field, function: name } of formsOf(measure)) {
    for (const each of (field?.enum as string[] | undefined) ?? ['']) functions[each] = name?.enum
  }
  const counts = ['count', 'countDistinct']
  expect(functions).toEqual({
    ...{ '': ['count'], name: counts, 'size.label': counts, makerId: counts },
    ...{ launchedOn: [...counts, 'min', 'max'], createdAt: [...counts, 'min', 'max'] },
    ...{ weight: [...counts, 'sum', 'avg', 'min', 'max'], price: ['count', 'sum', 'avg', 'min', 'max'] },
  })
})

it.each([
  ['groups', group],
  ['measures', measure],
])('the steps of the validator take exactly the %s that the published schema takes', (_, expanded) => {
  const ajv = new Ajv2020({ strict: false })
  formats.default(ajv)
  const [published, stepwise] = [ajv.compile(expanded), ajv.compile(stepwiseAggregate({ ...expanded }))]
  const pick = (of: 'field' | 'function' | 'interval') =>
    fc.constantFrom(
      ...new Set(formsOf(expanded).flatMap((form) => (form[of]?.enum as string[] | undefined) ?? [])),
      'x',
      1,
    )
  const values: Record<string, fc.Arbitrary<unknown>> = {
    ...{ field: pick('field'), function: pick('function'), interval: pick('interval') },
    timeZone: fc.constantFrom('UTC', 'Europe/Berlin', 'CET', '+01:00', '', 7),
    as: fc.constantFrom('n', 'toString', '__proto__', 'a b', '', null),
  }
  const names = new Set(formsOf(expanded).flatMap((form) => Object.keys(form)))
  const own = Object.entries(values).filter(([name]) => names.has(name))
  const likely = fc.record(Object.fromEntries(own), { requiredKeys: [] })
  const wild = fc.record({ ...values, surplus: fc.constant(1) }, { requiredKeys: [] })
  const anything = fc.oneof({ weight: 5, arbitrary: likely }, wild, fc.constantFrom(null, [], 'x', 1))
  let valid = 0
  fc.assert(
    fc.property(anything, (given) => {
      expect(stepwise(given)).toBe(published(given))
      if (stepwise(given)) valid++
    }),
    { seed: 5, numRuns: 10_000 },
  )
  expect(valid).toBeGreaterThan(50)
})
