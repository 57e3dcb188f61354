import { ContractError, type Document, rewrite, type Schema } from './document.js'

/** Where the references of a record lead: with `{ account: Account }`, `accountId` can be expanded as `account`. */
const RELATIONS = 'x-expandable'
/** The marker of a list that this file writes: what can be expanded of the record with this name. */
const MARKER = 'x-expand-of'

/** Every hop costs a look-up, and what is further away has a list of its own. */
const MAX_HOPS = 2
const MAX_EXPANDED = 8

const SCHEMAS = '#/components/schemas/'

type Schemas = Record<string, Schema>

/**
 * Gives each record that is marked `x-expandable` the optional property `expanded`, and each list that is marked `x-expand-of` the
 * names that it may hold, so that what can be asked for and what can be answered are the same.
 */
export function expandRelations(source: Document): Document {
  const schemas = source.components.schemas ?? {}
  const extended = Object.entries(schemas).flatMap(([name, schema]) => withExpanded(schemas, name, schema))
  const document = { ...source, components: { ...source.components, schemas: Object.fromEntries(extended) } }
  return rewrite(document, (node) => (MARKER in node ? namesOf(schemas, node) : node))
}

const relationsOf = (schemas: Schemas, record: string): [relation: string, related: string][] =>
  Object.entries((schemas[record]?.[RELATIONS] ?? {}) as Record<string, string>)

function withExpanded(schemas: Schemas, name: string, schema: Schema): [string, Schema][] {
  const { [RELATIONS]: marked, ...record } = schema
  if (!marked) return [[name, schema]]
  const relations = relationsOf(schemas, name)
  const faults = relations.flatMap(([relation, related]) => [
    ...(`${relation}Id` in (record.properties ?? {}) ? [] : [`${name} has no ${relation}Id`]),
    ...(schemas[related] ? [] : [`${name}: ${relation} leads to ${related}, which is no schema`]),
  ])
  if (faults.length > 0) throw new ContractError(faults)
  const expanded: Schema = {
    description:
      'What the references lead to, as far as `expand` names them; null where there is nothing that the caller may see.',
    type: 'object',
    additionalProperties: false,
    properties: Object.fromEntries(
      relations.map(([relation, related]) => [
        relation,
        { oneOf: [{ $ref: SCHEMAS + related }, { type: 'null' }] } satisfies Schema,
      ]),
    ),
  }
  const component = `${name}Expanded`
  const properties = { ...record.properties, expanded: { $ref: SCHEMAS + component } }
  return [
    [name, { ...record, properties }],
    [component, expanded],
  ]
}

function namesOf(schemas: Schemas, node: Record<string, unknown>): Schema {
  const names = pathsFrom(schemas, String(node[MARKER]), MAX_HOPS)
  if (names.length === 0) throw new ContractError([`nothing of ${node[MARKER]} can be expanded`])
  return {
    ...node,
    type: 'array',
    minItems: 1,
    maxItems: MAX_EXPANDED,
    uniqueItems: true,
    items: { type: 'string', enum: names },
  }
}

/** `account`, `account.owner`. */
const pathsFrom = (schemas: Schemas, record: string, hops: number): string[] =>
  relationsOf(schemas, record).flatMap(([relation, related]) => [
    relation,
    ...(hops > 1 ? pathsFrom(schemas, related, hops - 1).map((path) => `${relation}.${path}`) : []),
  ])
