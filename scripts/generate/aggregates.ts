import type { Document, Schema } from './document.js'
import { fieldsOf, type Kind, relatedFieldsOf, where } from './filters.js'

/** The markers of the components that this file writes: the name of the record that is grouped or measured. */
const GROUP = 'x-group-of'
const MEASURE = 'x-measure-of'
/** Where references of the record lead, as in filters. */
const RELATIONS = 'x-group-relations'

const INTERVAL: Schema = { type: 'string', enum: ['day', 'week', 'month', 'quarter', 'year'] }
/** No abbreviations, which PostgreSQL takes for another zone than the database of time zones does, and no offsets. */
const TIME_ZONE: Schema = { type: 'string', maxLength: 64, pattern: '^(UTC|[A-Za-z_]+(/[A-Za-z0-9_+-]+)+)$' }
const NAME: Schema = { type: 'string', minLength: 1, maxLength: 64, pattern: '^[A-Za-z][A-Za-z0-9_]*$' }

/** What can be worked out about the values of each kind of field. */
const FUNCTIONS: Record<Kind, readonly string[]> = {
  text: ['count', 'countDistinct'],
  id: ['count', 'countDistinct'],
  enum: ['count', 'countDistinct'],
  boolean: ['count', 'countDistinct'],
  number: ['count', 'countDistinct', 'sum', 'avg', 'min', 'max'],
  money: ['count', 'sum', 'avg', 'min', 'max'],
  date: ['count', 'countDistinct', 'min', 'max'],
  instant: ['count', 'countDistinct', 'min', 'max'],
  list: [],
  membership: [],
  opaque: [],
}

/**
 * Writes the components that are marked `x-group-of` and `x-measure-of`: what records can be grouped by, and what can be worked out
 * about them, as it follows from the schema of the record.
 */
export function expandAggregates(source: Document): Document {
  const schemas = Object.entries(source.components.schemas ?? {}).map(([name, schema]) => {
    if (GROUP in schema) return [name, { ...schema, oneOf: groupsOf(source, name, schema) }]
    return [name, MEASURE in schema ? { ...schema, oneOf: measuresOf(source, schema) } : schema]
  })
  return { ...source, components: { ...source.components, schemas: Object.fromEntries(schemas) } }
}

function groupsOf(document: Document, name: string, marked: Schema): Schema[] {
  const record = String(marked[GROUP])
  const fields = [
    ...fieldsOf(document, record),
    ...relatedFieldsOf(document, name, record, (marked[RELATIONS] ?? {}) as Record<string, string>),
  ]
  const named = (...kinds: Kind[]) => fields.filter(({ kind }) => kinds.includes(kind)).map((field) => field.name)
  const values = named('text', 'id', 'enum', 'boolean', 'number', 'date', 'instant')
  const currencies = named('money').map((field) => `${field}.currency`)
  const period = (description: string, names: string[], more: Record<string, Schema> = {}) =>
    names.length > 0
      ? [object(description, ['field', 'interval'], { field: oneOf(names), interval: INTERVAL, ...more })]
      : []
  return [
    object('The value of a field.', ['field'], { field: oneOf([...values, ...currencies]) }),
    ...period('The period that a date is in.', named('date')),
    ...period('The period that an instant is in.', named('instant'), { timeZone: TIME_ZONE }),
  ]
}

function measuresOf(document: Document, marked: Schema): Schema[] {
  const alike = new Map<string, string[]>()
  for (const { name, kind } of fieldsOf(document, String(marked[MEASURE]))) {
    const key = FUNCTIONS[kind].join()
    if (key !== '') alike.set(key, [...(alike.get(key) ?? []), name])
  }
  return [
    object('The number of records.', ['function', 'as'], { function: oneOf(['count']), as: NAME }),
    ...[...alike].map(([functions, names]) =>
      object('Something about the values of a field.', ['function', 'field', 'as'], {
        function: oneOf(functions.split(',')),
        field: oneOf(names),
        as: NAME,
      }),
    ),
  ]
}

const oneOf = (values: string[]): Schema => ({ type: 'string', enum: values })

const object = (description: string, required: string[], properties: Record<string, Schema>): Schema => ({
  description,
  type: 'object',
  additionalProperties: false,
  required,
  properties,
})

/** The same for the validator, which goes step by step, so that an error points to what is wrong. */
export function stepwiseAggregate(node: Record<string, unknown>): Record<string, unknown> {
  const branches = (node.oneOf ?? []) as Schema[]
  if (GROUP in node) return { type: 'object', allOf: groupSteps(branches) }
  return MEASURE in node ? { type: 'object', allOf: measureSteps(branches) } : node
}

/** Has one of these fields. */
const about = (fields: unknown[]): Schema => ({ required: ['field'], properties: { field: { enum: fields } } })

function groupSteps([values = {}, ...periods]: Schema[]): Schema[] {
  const all = values.properties?.field?.enum ?? []
  const dated = periods.map(({ properties = {} }) => ({ fields: properties.field?.enum ?? [], properties }))
  const plain = all.filter((name) => !dated.some(({ fields }) => fields.includes(name)))
  const only = (properties: Record<string, Schema>): Schema => ({ properties, additionalProperties: false })
  return [
    { required: ['field'], properties: { field: { enum: all } } },
    where(about(plain), only({ field: {} })),
    ...dated.map(({ fields, properties }) => where(about(fields), only({ ...properties, field: {} }))),
    where({ required: ['timeZone'] }, { required: ['interval'] }),
  ]
}

function measureSteps(branches: Schema[]): Schema[] {
  const parts = branches.map(({ properties = {} }) => ({
    functions: properties.function?.enum ?? [],
    fields: properties.field?.enum,
  }))
  const lists = parts.flatMap(({ functions, fields }) => (fields ? [{ functions, fields }] : []))
  const functions = [...new Set(parts.flatMap((part) => part.functions))]
  const withField = functions.filter((name) => !parts.some((part) => !part.fields && part.functions.includes(name)))
  return [
    { required: ['function'], properties: { function: { enum: functions } } },
    where({ properties: { function: { enum: withField } } }, { required: ['field'] }),
    { required: ['as'], properties: { function: {}, field: {}, as: NAME }, additionalProperties: false },
    { properties: { field: { enum: lists.flatMap(({ fields }) => fields) } } },
    ...lists.map((part) => where(about(part.fields), { properties: { function: { enum: part.functions } } })),
  ]
}
