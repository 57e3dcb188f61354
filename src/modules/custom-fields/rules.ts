import { type Fault, InvalidRequest } from '../../problem.js'
import type { CustomField } from '../../records/custom-fields/definitions.js'
import { CUSTOM_OPERATORS } from '../../records/custom-fields/filter.js'
import { faultOfPattern } from '../../records/custom-fields/pattern.js'
import { MAX_TEXT } from '../../records/custom-fields/schema.js'
import { faultOf } from '../../records/custom-fields/value.js'

type Rule = 'referenceObject' | 'pattern' | 'minimum' | 'maximum' | 'minLength' | 'maxLength'

/** What a field of this type may say about its values. */
const RULES: Partial<Record<CustomField['type'], readonly Rule[]>> = {
  text: ['pattern', 'minLength', 'maxLength'],
  longText: ['minLength', 'maxLength'],
  number: ['minimum', 'maximum'],
  integer: ['minimum', 'maximum'],
  money: ['minimum', 'maximum'],
  reference: ['referenceObject'],
}
const UNIQUE: ReadonlySet<CustomField['type']> = new Set([
  ...(['text', 'number', 'integer', 'date', 'user', 'reference', 'url', 'email', 'phone'] as const),
])
/** Types whose values are texts for people. */
export const SEARCHABLE: ReadonlySet<CustomField['type']> = new Set([
  ...(['text', 'longText', 'select', 'multiSelect', 'url', 'email', 'phone'] as const),
])
const ALL_RULES: readonly Rule[] = ['referenceObject', 'pattern', 'minimum', 'maximum', 'minLength', 'maxLength']

/**
 * Makes sure that a definition makes sense.
 * @param before the definition that it takes the place of
 * @throws InvalidRequest
 */
export function assertSound(field: CustomField, before?: CustomField): void {
  const faults = [...faultsOfRules(field), ...faultsOfOptions(field, before)]
  // A default can be held against rules only that make sense themselves.
  const last = faults.length === 0 ? faultOfDefault(field) : undefined
  if (last) faults.push(last)
  if (faults.length > 0) throw new InvalidRequest(...faults)
}

function* faultsOfRules(field: CustomField): Generator<Fault> {
  const { key, type, minimum, maximum, minLength, maxLength, pattern } = field
  // Every object of JavaScript seems to have these, which breaks the types of clients.
  if (key in {}) yield { pointer: '/key', code: 'reserved', message: 'must not be a name that every object has' }
  for (const rule of ALL_RULES) {
    if (field[rule] !== null && !RULES[type]?.includes(rule)) {
      yield { pointer: `/${rule}`, code: 'not_of_type', message: `must be absent for ${type}` }
    }
  }
  if (field.unique && !UNIQUE.has(type)) {
    yield { pointer: '/unique', code: 'not_of_type', message: `must be false for ${type}` }
  }
  if (field.filterable && !CUSTOM_OPERATORS[type]) {
    yield { pointer: '/filterable', code: 'not_of_type', message: `must be false for ${type}` }
  }
  if (field.searchable && !SEARCHABLE.has(type)) {
    yield { pointer: '/searchable', code: 'not_of_type', message: `must be false for ${type}` }
  }
  if (type === 'reference' && field.referenceObject === null) {
    yield { pointer: '/referenceObject', code: 'required', message: 'must name what the field refers to' }
  }
  if (minimum !== null && maximum !== null && minimum > maximum) {
    yield { pointer: '/maximum', code: 'range', message: 'must not be less than minimum' }
  }
  if (minLength !== null && maxLength !== null && minLength > maxLength) {
    yield { pointer: '/maxLength', code: 'range', message: 'must not be less than minLength' }
  }
  if (type !== 'text') return
  for (const rule of ['minLength', 'maxLength'] as const) {
    if ((field[rule] ?? 0) > MAX_TEXT) {
      yield { pointer: `/${rule}`, code: 'maximum', message: `must be at most ${MAX_TEXT} for text` }
    }
  }
  const message = pattern === null ? undefined : faultOfPattern(pattern, Math.min(maxLength ?? MAX_TEXT, MAX_TEXT))
  if (message) yield { pointer: '/pattern', code: 'pattern', message }
}

function* faultsOfOptions({ type, options }: CustomField, before: CustomField | undefined): Generator<Fault> {
  const pointer = '/options'
  const offers = type === 'select' || type === 'multiSelect'
  const values = new Set(options.map(({ value }) => value))
  if (!offers && options.length > 0) yield { pointer, code: 'not_of_type', message: `must be absent for ${type}` }
  if (offers && options.length === 0) yield { pointer, code: 'min_items', message: 'must have at least one option' }
  if (values.size < options.length) yield { pointer, code: 'unique_items', message: 'must have no value twice' }
  if (before?.options.some(({ value }) => !values.has(value))) {
    yield { pointer, code: 'missing_option', message: 'must have every option that there was; archive it instead' }
  }
}

function faultOfDefault(field: CustomField): Fault | undefined {
  const { type, defaultValue, unique } = field
  const pointer = '/defaultValue'
  if (defaultValue === null) return undefined
  if (unique) return { pointer, code: 'not_unique', message: 'must be absent for a unique field' }
  if (type === 'user' || type === 'reference') {
    return { pointer, code: 'not_of_type', message: `must be absent for ${type}` }
  }
  return faultOf(field, defaultValue, undefined, pointer)
}
