import { CUSTOM_FIELDS, customNames, LOOKS_CUSTOM } from './custom-fields.js'
import { ContractError, type Document, resolve, rewrite, type Schema } from './document.js'

/** The marker of a component that this file writes: the name of the record that the conditions are about. */
const MARKER = 'x-filter-of'
/** Where references of the record lead: with `{ account: Account }`, `accountId` gives conditions on `account.industry`. */
const RELATIONS = 'x-filter-relations'

/** Only live records are looked at, so there is nothing to tell apart. */
const CONSTANT = new Set(['deletedAt'])
/** Texts that may be longer are for search, not for comparison. */
const LONGEST_COMPARED = 2048

/** What the rows of other tables say of every record: lists of ids that are no properties. */
const MEMBERSHIPS = ['followers', 'segments']

const MAX_MEMBERS = 100
const MAX_VALUES = 200

export type Kind = keyof typeof OPERATORS

/** The operators that take one value, and those that take a list of values, for each kind of field. */
const OPERATORS = {
  text: { one: ['eq', 'ne', 'startsWith'], many: ['in', 'notIn'] },
  number: { one: ['eq', 'ne', 'gt', 'gte', 'lt', 'lte'], many: ['in', 'notIn'], between: true },
  date: { one: ['eq', 'ne', 'gt', 'gte', 'lt', 'lte'], many: ['in', 'notIn'], between: true },
  instant: { one: ['eq', 'ne', 'gt', 'gte', 'lt', 'lte'], many: [], between: true },
  money: { one: ['eq', 'ne', 'gt', 'gte', 'lt', 'lte'], many: ['in', 'notIn'], between: true },
  id: { one: ['eq', 'ne'], many: ['in', 'notIn'] },
  enum: { one: ['eq', 'ne'], many: ['in', 'notIn'] },
  boolean: { one: ['eq', 'ne'], many: [] },
  list: { one: ['has'], many: ['hasAny', 'hasAll'] },
  membership: { one: ['has'], many: ['hasAny', 'hasAll'] },
  opaque: { one: [], many: [] },
} satisfies Record<string, { one: string[]; many: string[]; between?: true }>

/** What a condition on a custom field can say; which operators and values fit, its type decides. */
const CUSTOM_OPERATORS = [...new Set([...OPERATORS.number.one, ...OPERATORS.text.one])].concat(
  ...['in', 'notIn', 'between', 'isNull'],
)

const TEXT: Schema = { type: 'string', maxLength: LONGEST_COMPARED, pattern: '^[^\\x00]*$' }
const NUMBER: Schema = { type: 'integer', format: 'int32', minimum: -2147483648, maximum: 2147483647 }

/** A value, or several: of whatever type a custom field has. */
const CUSTOM_VALUE: Schema = {
  type: ['string', 'number', 'boolean', 'array', 'object'],
  maxLength: LONGEST_COMPARED,
  pattern: '^[^\\x00]*$',
  minItems: 1,
  maxItems: MAX_VALUES,
  items: {
    ...{ type: ['string', 'number', 'object'], maxLength: LONGEST_COMPARED, pattern: '^[^\\x00]*$' },
    ...{ maxProperties: 2, additionalProperties: true },
  },
  maxProperties: 2,
  additionalProperties: true,
}

/** One field that conditions can be about. */
export type FilterField = { name: string; kind: Kind; nullable: boolean; value: Schema }

/**
 * Writes the components that are marked `x-filter-of`: the filter tree of a record, with conditions that follow from the schema of
 * the record, so that the two cannot drift apart.
 */
export function expandFilters(source: Document): Document {
  const schemas = Object.entries(source.components.schemas ?? {}).map(([name, schema]) => [
    name,
    MARKER in schema ? filterOf(source, name, schema) : schema,
  ])
  return { ...source, components: { ...source.components, schemas: Object.fromEntries(schemas) } }
}

function filterOf(document: Document, name: string, marked: Schema): Schema {
  const relations = (marked[RELATIONS] ?? {}) as Record<string, string>
  const record = String(marked[MARKER])
  const fields = [
    ...fieldsOf(document, record),
    ...membershipsOf(document, record),
    ...relatedFieldsOf(document, name, record, relations),
  ]
  const self = { $ref: `#/components/schemas/${name}` }
  const members = { type: 'array', minItems: 1, maxItems: MAX_MEMBERS, items: self }
  return {
    ...marked,
    oneOf: [
      group('All of these hold.', 'and', members),
      group('At least one of these holds.', 'or', members),
      group('This does not hold.', 'not', self),
      ...conditionsOn(fields),
      ...customConditions(document, [
        ['', record],
        ...Object.entries(relations).map(([name, of]): [string, string] => [`${name}.`, of]),
      ]),
    ],
  }
}

/** One condition for all custom fields: the contract of an organization has typed ones in its place. */
function customConditions(document: Document, reached: readonly (readonly [way: string, record: string])[]): Schema[] {
  const ways = reached.filter(([, record]) => CUSTOM_FIELDS in (recordOf(document, record).properties ?? {}))
  if (ways.length === 0) return []
  const { properties, ...rest } = condition('A custom field that is filterable.', [], CUSTOM_OPERATORS, CUSTOM_VALUE)
  // Linters that compare enumerations see no difference to the other conditions, unless there is more that they cannot compare.
  return [{ ...rest, minProperties: 3, properties: { ...properties, field: customNames(ways.map(([way]) => way)) } }]
}

const group = (description: string, name: string, value: Schema): Schema => ({
  description,
  type: 'object',
  additionalProperties: false,
  required: [name],
  properties: { [name]: value },
})

const condition = (description: string, fields: string[], operators: string[], value: Schema): Schema => ({
  description,
  type: 'object',
  additionalProperties: false,
  required: ['field', 'op', 'value'],
  properties: {
    field: { type: 'string', enum: fields },
    op: { type: 'string', enum: operators },
    value,
  },
})

/** Fields whose values look alike share their conditions. */
function conditionsOn(fields: readonly FilterField[]): Schema[] {
  const alike = new Map<string, FilterField[]>()
  for (const field of fields) {
    const key = JSON.stringify([field.kind, field.value])
    alike.set(key, [...(alike.get(key) ?? []), field])
  }
  const conditions = [...alike.values()].flatMap((members) => {
    const [{ kind, value }] = members as [FilterField]
    const { one, many, between }: { one: string[]; many: string[]; between?: true } = OPERATORS[kind]
    const names = members.map(({ name }) => name)
    const several = (least: number, most: number): Schema => ({
      type: 'array',
      minItems: least,
      maxItems: most,
      items: value,
    })
    return [
      ...(one.length > 0 ? [condition(`A ${kind} and a value.`, names, one, value)] : []),
      ...(many.length > 0 ? [condition(`A ${kind} and several values.`, names, many, several(1, MAX_VALUES))] : []),
      ...(between
        ? [condition('From the first value to the second, both included.', names, ['between'], several(2, 2))]
        : []),
    ]
  })
  const named = (matches: (field: FilterField) => boolean) => fields.filter(matches).map(({ name }) => name)
  const nullable = named((field) => field.nullable)
  const lists = named(({ kind }) => kind === 'list' || kind === 'membership')
  const truth = { type: 'boolean' }
  if (nullable.length > 0) conditions.push(condition('Whether there is no value.', nullable, ['isNull'], truth))
  if (lists.length > 0) conditions.push(condition('Whether the list is empty.', lists, ['isEmpty'], truth))
  return conditions
}

function recordOf(document: Document, record: string): Schema {
  const schema = document.components.schemas?.[record]
  if (!schema) throw new ContractError([`a filter is about ${record}, which is no schema`])
  return schema
}

/** The fields of the records that references lead to. @throws ContractError for a relation that no reference makes */
export function relatedFieldsOf(
  document: Document,
  component: string,
  record: string,
  relations: Readonly<Record<string, string>>,
): FilterField[] {
  const own = recordOf(document, record).properties ?? {}
  const dangling = Object.keys(relations).filter((relation) => !(`${relation}Id` in own))
  if (dangling.length > 0)
    throw new ContractError(dangling.map((relation) => `${component}: ${record} has no ${relation}Id`))
  return Object.entries(relations).flatMap(([relation, related]) =>
    fieldsOf(document, related).map((field) => ({ ...field, name: `${relation}.${field.name}` })),
  )
}

/** The fields of a record, also those inside its objects. */
export function fieldsOf(document: Document, record: string): FilterField[] {
  return Object.entries(recordOf(document, record).properties ?? {})
    .filter(([name]) => !CONSTANT.has(name))
    .flatMap(([name, property]) => fieldsIn(document, name, resolve<Schema>(document, property as Schema)))
}

/** The lists of ids that every kind of record has. */
function membershipsOf(document: Document, record: string): FilterField[] {
  if (!(CUSTOM_FIELDS in (recordOf(document, record).properties ?? {}))) return []
  const value = comparedWith(document, 'membership', resolve<Schema>(document, { $ref: '#/components/schemas/Id' }))
  return MEMBERSHIPS.map((name) => ({ name, kind: 'membership', nullable: false, value }))
}

/** The field, or those inside it: `billingAddress` and `billingAddress.city`. */
function fieldsIn(document: Document, name: string, schema: Schema, outerNullable = false): FilterField[] {
  const types = [schema.type ?? []].flat()
  const nullable = outerNullable || types.includes('null')
  const kind = kindOf(document, schema, types)
  if (!kind) return []
  const field: FilterField = { name, kind, nullable, value: comparedWith(document, kind, schema) }
  if (kind !== 'opaque') return [field]
  const parts = Object.entries(schema.properties ?? {}).flatMap(([part, property]) =>
    fieldsIn(document, `${name}.${part}`, resolve<Schema>(document, property as Schema), nullable),
  )
  return nullable ? [field, ...parts] : parts
}

/** Undefined for what conditions cannot be about. */
function kindOf(document: Document, schema: Schema, types: readonly string[]): Kind | undefined {
  if (types.includes('boolean')) return 'boolean'
  if (types.includes('integer')) return 'number'
  if (types.includes('array')) {
    const items = resolve<Schema>(document, (schema.items ?? {}) as Schema)
    return items.type === 'string' ? 'list' : undefined
  }
  if (types.includes('object')) {
    const names = Object.keys(schema.properties ?? {})
    if (names.join() === 'amount,currency') return 'money'
    return names.length > 0 ? 'opaque' : undefined
  }
  if (!types.includes('string')) return undefined
  if (schema.enum) return 'enum'
  if (schema.format === 'uuid') return 'id'
  if (schema.format === 'date') return 'date'
  if (schema.format === 'date-time') return 'instant'
  return Number(schema.maxLength ?? 0) > LONGEST_COMPARED ? 'opaque' : 'text'
}

/** What a condition compares with: like the field, but never null. */
function comparedWith(document: Document, kind: Kind, schema: Schema): Schema {
  if (kind === 'opaque') return {}
  if (kind === 'number') return NUMBER
  if (kind === 'text' || kind === 'list') return TEXT
  const { description: _, examples: __, default: ___, ...rest } = schema
  const type = [rest.type ?? []].flat().filter((each) => each !== 'null')
  const plain = {
    ...rest,
    type: type[0] as string,
    ...(rest.enum && { enum: rest.enum.filter((each) => each !== null) }),
  }
  return rewrite<Schema>(plain, (node) => (node.$ref ? resolve<Schema>(document, node as Schema) : node) as Schema)
}

type Branch = { field: unknown[]; op: unknown[]; value: Schema }

const isCustom = ({ properties: { field } = {} }: Schema): boolean => field?.pattern !== undefined

/**
 * The same filter for the validator, which decides step by step: so an error points to the field, the operator or the value that is
 * wrong, where `oneOf` could only say that nothing fits.
 */
export function stepwiseFilter(node: Record<string, unknown>): Record<string, unknown> {
  if (!(MARKER in node)) return node
  const members = node.oneOf as Schema[]
  const groups = members.filter(({ properties = {} }) => !properties.field)
  const custom = members.filter(isCustom).map(({ properties = {} }) => properties)
  const branches = members
    .filter((member) => member.properties?.field && !isCustom(member))
    .map(({ properties = {} }): Branch => {
      const { field = {}, op = {}, value = {} } = properties
      return { field: field.enum ?? [], op: op.enum ?? [], value }
    })
  const isGroup = groups.map(({ required = [] }) => ({ required }))
  return {
    type: 'object',
    allOf: [
      ...groups.map((member, index) => where(isGroup[index] ?? {}, member)),
      { if: { anyOf: isGroup }, else: { allOf: conditionSteps(branches, custom) } },
    ],
  }
}

/** The consequence holds wherever the condition does. */
export const where = (condition: Schema, consequence: Schema): Schema => ({ if: { not: condition }, else: consequence })

function conditionSteps(branches: readonly Branch[], custom: readonly Record<string, Schema>[]): Schema[] {
  const operators = new Map<unknown, unknown[]>()
  for (const { field, op } of branches)
    for (const name of field) operators.set(name, [...(operators.get(name) ?? []), ...op])
  const fieldsBy = new Map<string, unknown[]>()
  for (const [name, names] of operators) {
    const key = JSON.stringify(names)
    fieldsBy.set(key, [...(fieldsBy.get(key) ?? []), name])
  }
  const is = (properties: Record<string, unknown[]>): Schema => ({
    properties: Object.fromEntries(Object.entries(properties).map(([name, values]) => [name, { enum: values }])),
  })
  const known = [
    is({ field: [...operators.keys()] }),
    ...[...fieldsBy].map(([key, field]) => where(is({ field }), is({ op: JSON.parse(key) as unknown[] }))),
    ...branches.map(({ field, op, value }) => where(is({ field, op }), { properties: { value } })),
  ]
  const looksCustom = { properties: { field: LOOKS_CUSTOM } }
  const steps = custom.flatMap((parts) =>
    Object.entries(parts).map(([name, part]) => ({ properties: { [name]: part } })),
  )
  return [
    { required: ['field', 'op', 'value'] },
    { properties: { field: {}, op: {}, value: {} }, additionalProperties: false },
    ...(custom.length > 0
      ? [where(looksCustom, { allOf: steps }), { if: looksCustom, else: { allOf: known } }]
      : known),
  ]
}
