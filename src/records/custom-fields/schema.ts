import type { components } from '../../../generated/types.js'
import { wholly } from './pattern.js'

type CustomField = components['schemas']['CustomField']

/** A JSON Schema of 2020-12. */
export type JsonSchema = { [keyword: string]: unknown }

export const MAX_TEXT = 255
export const MAX_LONG_TEXT = 10_000

export const patterns = {
  text: '^[^\\x00-\\x1f\\x7f]*$',
  longText: '^[^\\x00]*$',
  date: '^(19|20|21|22)[0-9]{2}-[0-9]{2}-[0-9]{2}$',
  timestamp:
    '^(19|20|21|22)[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-](0[0-9]|1[0-5]):[0-5][0-9])$',
  amount: '^-?[0-9]{1,12}(\\.[0-9]{1,4})?$',
  currency: '^[A-Z]{3}$',
  id: '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$',
  url: '^https?://',
  phone: '^\\+[1-9][0-9]{1,14}$',
} as const

/** The furthest numbers of a field without bounds; up to there JSON keeps integers exact. */
const MAX_NUMBER = 9_007_199_254_740_991

/**
 * The values of a field, as a schema for people and generators.
 *
 * @param use `read`: what the type alone says, because values may be older than the rules; `write`: all rules
 */
export function schemaOf(field: CustomField, use: 'read' | 'write'): JsonSchema {
  const ruled = use === 'write'
  return {
    title: field.label,
    ...(field.description && { description: field.description }),
    ...valuesOf(
      ruled ? field : { ...field, pattern: null, minimum: null, maximum: null, minLength: null, maxLength: null },
    ),
    ...(field.archived && { deprecated: true }),
    ...(field.personalData && { 'x-personal-data': true }),
  }
}

function valuesOf(field: CustomField): JsonSchema {
  const { minimum, maximum, minLength, maxLength, pattern } = field
  const atLeast = minLength !== null && { minLength }
  const offered = field.options.map(({ value }) => value)
  switch (field.type) {
    case 'text':
      return {
        ...{ type: 'string', ...atLeast, maxLength: maxLength ?? MAX_TEXT },
        ...(pattern ? { pattern: wholly(pattern) } : { pattern: patterns.text }),
      }
    case 'longText':
      return { type: 'string', ...atLeast, maxLength: maxLength ?? MAX_LONG_TEXT, pattern: patterns.longText }
    case 'number':
      return { type: 'number', ...(minimum !== null && { minimum }), ...(maximum !== null && { maximum }) }
    case 'integer':
      return {
        ...{ type: 'integer', format: 'int64' },
        ...{ minimum: minimum ?? -MAX_NUMBER, maximum: maximum ?? MAX_NUMBER },
      }
    case 'boolean':
      return { type: 'boolean' }
    case 'date':
      return { type: 'string', format: 'date', maxLength: 10, pattern: patterns.date }
    case 'timestamp':
      return { type: 'string', format: 'date-time', maxLength: 35, pattern: patterns.timestamp }
    case 'money':
      return {
        type: 'object',
        additionalProperties: false,
        required: ['amount', 'currency'],
        properties: {
          amount: { type: 'string', maxLength: 18, pattern: patterns.amount },
          currency: { type: 'string', minLength: 3, maxLength: 3, pattern: patterns.currency },
        },
      }
    case 'select':
      return { type: 'string', enum: offered }
    case 'multiSelect':
      return {
        ...{ type: 'array', uniqueItems: true, maxItems: Math.max(1, offered.length) },
        items: { type: 'string', enum: offered },
      }
    case 'user':
    case 'reference':
      return { type: 'string', format: 'uuid', maxLength: 36 }
    case 'url':
      return { type: 'string', format: 'uri', maxLength: 2048, pattern: patterns.url }
    case 'email':
      return { type: 'string', format: 'email', maxLength: 254 }
    case 'phone':
      return { type: 'string', maxLength: 16, pattern: patterns.phone }
  }
}
