import { expect, test } from 'vitest'
import { expandChoices } from './choices.js'
import type { Document } from './document.js'

const documentWith = (schemas: object): Document =>
  ({
    openapi: '3.1.0',
    info: { title: 'Test', version: '1.0.0' },
    paths: {},
    components: { schemas },
  }) as unknown as Document

test('there is a choice for each property that callers may write, and for each custom field', () => {
  const { components } = expandChoices(
    documentWith({
      Id: { type: 'string' },
      WidgetUpdate: { type: 'object', properties: { name: { type: 'string' }, customFields: { type: 'object' } } },
      WidgetChoices: { description: 'Whose.', 'x-choices-of': 'WidgetUpdate' },
    }),
  )
  const id = { $ref: '#/components/schemas/Id' }
  expect(components.schemas?.WidgetChoices).toMatchObject({
    description: 'Whose.',
    additionalProperties: false,
    properties: { name: id, customFields: { type: 'object', additionalProperties: id } },
  })
})

test('choices for what is no record are refused', () => {
  expect(() => expandChoices(documentWith({ WidgetChoices: { 'x-choices-of': 'WidgetUpdate' } }))).toThrow(
    'WidgetChoices: WidgetUpdate is no schema with properties',
  )
})
