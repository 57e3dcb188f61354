import { fullFormats } from 'ajv-formats/dist/formats.js'
import type { components } from '../../../generated/types.js'
import { type Fault, InvalidRequest } from '../../problem.js'
import { toMinorUnits } from '../money.js'
import { compilePattern } from './pattern.js'
import { MAX_LONG_TEXT, MAX_TEXT, patterns } from './schema.js'

type CustomField = components['schemas']['CustomField']
type Type = CustomField['type']

const regular = Object.fromEntries(
  Object.entries(patterns).map(([name, pattern]) => [name, new RegExp(pattern, 'u')]),
) as Record<keyof typeof patterns, RegExp>

const compiled = new WeakMap<CustomField, RegExp>()

function matcherOf(field: CustomField, pattern: string): RegExp {
  const known = compiled.get(field) ?? compilePattern(pattern)
  compiled.set(field, known)
  return known
}

/** Whether a text has a format, by the functions that the generated validators use. */
function hasFormat(name: 'date' | 'date-time' | 'uri' | 'email', text: string): boolean {
  const format = fullFormats[name]
  if (format instanceof RegExp) return format.test(text)
  if (typeof format === 'function') return format(text) === true
  if (typeof format !== 'object') return false
  const { validate } = format
  if (validate instanceof RegExp) return validate.test(text)
  return typeof validate === 'function' && (validate as (text: string) => boolean)(text) === true
}

/** What is wrong: a code and a sentence for people. */
type Complaint = readonly [code: string, message: string]

const notOfType = (message: string): Complaint => ['type', message]

/**
 * What is wrong with a value that a field is given, or undefined. Ids are not looked up here.
 *
 * @param before the value that the record has, which may hold options that are archived by now
 * @param pointer where the value stands in the request
 */
export function faultOf(field: CustomField, value: unknown, before: unknown, pointer: string): Fault | undefined {
  if (field.type === 'money') return faultOfMoney(field, value, pointer)
  const complaint = checks[field.type](value, field, before)
  return complaint && { pointer, code: complaint[0], message: complaint[1] }
}

type Check = (value: unknown, field: CustomField, before: unknown) => Complaint | undefined

const checks: Record<Exclude<Type, 'money'>, Check> = {
  text: (value, field) => {
    if (typeof value !== 'string') return notOfType('must be text')
    if (!regular.text.test(value)) return ['pattern', 'must be text on one line']
    const { pattern } = field
    return (
      faultOfLength(value, field, MAX_TEXT) ??
      (pattern && !matcherOf(field, pattern).test(value) ? ['pattern', `must match ${pattern}`] : undefined)
    )
  },
  longText: (value, field) => {
    if (typeof value !== 'string') return notOfType('must be text')
    if (!regular.longText.test(value)) return ['pattern', 'must be text']
    return faultOfLength(value, field, MAX_LONG_TEXT)
  },
  number: (value, field) => (typeof value === 'number' ? faultOfBounds(value, field) : notOfType('must be a number')),
  integer: (value, field) =>
    Number.isSafeInteger(value) ? faultOfBounds(value as number, field) : notOfType('must be an integer'),
  boolean: (value) => (typeof value === 'boolean' ? undefined : notOfType('must be true or false')),
  date: (value) => {
    if (typeof value !== 'string') return notOfType('must be a date')
    if (regular.date.test(value) && hasFormat('date', value)) return undefined
    return ['format', 'must be a date such as 2026-03-31']
  },
  timestamp: (value) => {
    if (typeof value !== 'string') return notOfType('must be an instant')
    if (regular.timestamp.test(value) && hasFormat('date-time', value)) return undefined
    return ['format', 'must be an instant per RFC 3339']
  },
  select: (value, field) => {
    if (typeof value !== 'string') return notOfType('must be the value of an option')
    return faultOfOption(field, value, [])
  },
  multiSelect: (value, field, before) => {
    if (!Array.isArray(value)) return notOfType('must be a list of values of options')
    if (new Set(value).size < value.length) return ['unique_items', 'must have no value twice']
    const kept = Array.isArray(before) ? before : []
    for (const each of value) {
      const complaint = faultOfOption(field, each, kept)
      if (complaint) return complaint
    }
    return undefined
  },
  user: (value) => faultOfId(value),
  reference: (value) => faultOfId(value),
  url: (value) => {
    if (typeof value !== 'string') return notOfType('must be a URL')
    if (value.length > 2048) return ['max_length', 'must have at most 2048 characters']
    return regular.url.test(value) && hasFormat('uri', value) ? undefined : ['format', 'must be an http or https URL']
  },
  email: (value) => {
    if (typeof value !== 'string') return notOfType('must be an e-mail address')
    if (value.length > 254) return ['max_length', 'must have at most 254 characters']
    return hasFormat('email', value) ? undefined : ['format', 'must be an e-mail address']
  },
  phone: (value) => {
    if (typeof value !== 'string') return notOfType('must be a telephone number')
    return regular.phone.test(value) ? undefined : ['format', 'must be a telephone number in E.164 form']
  },
}

function faultOfLength(value: string, { minLength, maxLength }: CustomField, limit: number): Complaint | undefined {
  const most = maxLength ?? limit
  // Characters as people count them, and as JSON Schema does: a pair of surrogates is one.
  const length = value.length <= most && minLength === null ? value.length : [...value].length
  if (length > most) return ['max_length', `must have at most ${most} characters`]
  if (minLength !== null && length < minLength) return ['min_length', `must have at least ${minLength} characters`]
  return undefined
}

function faultOfBounds(value: number, { minimum, maximum }: CustomField): Complaint | undefined {
  if (minimum !== null && value < minimum) return ['minimum', `must be at least ${minimum}`]
  if (maximum !== null && value > maximum) return ['maximum', `must be at most ${maximum}`]
  return undefined
}

function faultOfOption({ options }: CustomField, value: unknown, kept: readonly unknown[]): Complaint | undefined {
  const option = options.find((each) => each.value === value)
  if (!option) return ['enum', 'must be the value of an option']
  if (option.archived && !kept.includes(value)) return ['archived_option', 'must be an option that is not archived']
  return undefined
}

function faultOfId(value: unknown): Complaint | undefined {
  if (typeof value !== 'string') return notOfType('must be an id')
  return regular.id.test(value) ? undefined : ['format', 'must be a UUID']
}

function faultOfMoney(field: CustomField, value: unknown, pointer: string): Fault | undefined {
  const { amount, currency, ...others } = Object(value) as Record<string, unknown>
  const isMoney = typeof amount === 'string' && typeof currency === 'string' && Object.keys(others).length === 0
  if (!isMoney || Array.isArray(value)) {
    return { pointer, code: 'type', message: 'must be an amount and a currency' }
  }
  if (!regular.amount.test(amount))
    return { pointer: `${pointer}/amount`, code: 'pattern', message: 'must be a decimal' }
  try {
    toMinorUnits({ amount, currency }, pointer)
  } catch (error) {
    if (error instanceof InvalidRequest) return error.errors[0]
    throw error
  }
  const complaint = faultOfBounds(Number(amount), field)
  return complaint && { pointer: `${pointer}/amount`, code: complaint[0], message: complaint[1] }
}
