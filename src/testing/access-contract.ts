import { readFileSync } from 'node:fs'
import { type OperationId, operations } from '../../generated/operations.js'

type Node = { $ref?: string; [name: string]: unknown }

type Schema = {
  type?: string | string[]
  format?: string
  properties?: Record<string, Schema>
  items?: Schema
  additionalProperties?: boolean | Schema
  'x-filter-of'?: string
  'x-choices-of'?: string
}

/** A place in a request that takes an id. */
export type IdPosition =
  | { in: 'path'; name: string }
  | { in: 'query'; name: string; pointer: string }
  | { in: 'body'; path: readonly string[]; pointer: string }

const contract = JSON.parse(readFileSync(new URL('../../generated/openapi.json', import.meta.url), 'utf8')) as Node

type Parameter = { name: string; in: 'path' | 'query' | 'header'; schema: Schema }
type Content = Record<string, { schema: Schema }>
type Operation = {
  operationId: OperationId
  parameters?: Node[]
  requestBody?: { content: Content }
  responses: Record<string, Node>
}

const METHODS = ['get', 'post', 'put', 'patch', 'delete']

const declared = new Map<OperationId, { operation: Operation; shared: Node[] }>()
for (const item of Object.values(contract.paths as Record<string, Record<string, unknown>>)) {
  for (const method of METHODS) {
    const operation = item[method] as Operation | undefined
    if (operation) declared.set(operation.operationId, { operation, shared: (item.parameters ?? []) as Node[] })
  }
}

const operationOf = (id: OperationId) => {
  const found = declared.get(id)
  if (!found) throw new Error(`the contract lacks ${id}`)
  return found
}

function resolve<Result>(node: Node): Result {
  if (!node.$ref) return node as Result
  const target = node.$ref
    .split('/')
    .slice(1)
    .reduce((at: Node, name) => at[name.replaceAll('~1', '/').replaceAll('~0', '~')] as Node, contract)
  return { ...resolve<Node>(target), ...node, $ref: undefined } as Result
}

/** A schema with everything that it refers to or is put together from, at its top level. */
function expand(schema: Schema): Schema {
  const own = resolve<Schema & { allOf?: Schema[]; anyOf?: Schema[]; oneOf?: Schema[] }>(schema as Node)
  const whole = { ...own, properties: { ...own.properties } }
  for (const part of [...(own.allOf ?? []), ...(own.anyOf ?? []), ...(own.oneOf ?? [])].map(expand)) {
    Object.assign(whole, { ...part, ...own, properties: Object.assign(whole.properties, part.properties) })
  }
  return whole
}

export const parametersOf = (id: OperationId): Parameter[] => {
  const { operation, shared } = operationOf(id)
  return [...shared, ...(operation.parameters ?? [])].map((node) => resolve<Parameter>(node))
}

function bodySchemaOf(id: OperationId): Schema | undefined {
  const [content] = Object.values(operationOf(id).operation.requestBody?.content ?? {})
  return content?.schema
}

const isId = (schema: Schema): boolean => expand(schema).format === 'uuid'

/** Every place in the requests of an operation that takes an id. */
export function idPositions(id: OperationId): IdPosition[] {
  const parameters = parametersOf(id)
    .filter(({ in: where, schema }) => where !== 'header' && isId(schema))
    .map(
      ({ in: where, name }): IdPosition =>
        where === 'path' ? { in: 'path', name } : { in: 'query', name, pointer: `/query/${name}` },
    )
  const body = bodySchemaOf(id)
  const inBody = body ? [...walk(body)].filter(({ schema }) => isId(schema)) : []
  return [...parameters, ...inBody.map(({ path }): IdPosition => ({ in: 'body', path, pointer: `/${path.join('/')}` }))]
}

/** The kind of record that an operation can expand, and its relations, each with the name of the schema of what it leads to. */
export function expandable(id: OperationId): { record: string; relations: Record<string, string> } | undefined {
  const schema = parametersOf(id).find(({ name }) => name === 'expand')?.schema
  const record = schema && resolve<Schema & { 'x-expand-of'?: string }>(schema as Node)['x-expand-of']
  if (!record) return undefined
  const { properties = {} } = resolve<Schema>({ $ref: `#/components/schemas/${record}Expanded` })
  const related = (property: Schema) => (property as { oneOf: Node[] }).oneOf[0]?.$ref?.split('/').at(-1) ?? ''
  return {
    record,
    relations: Object.fromEntries(Object.entries(properties).map(([name, property]) => [name, related(property)])),
  }
}

/** The path of every property in the body of an operation, at every depth. */
export function schemasOf(id: OperationId): (readonly string[])[] {
  const body = bodySchemaOf(id)
  return body ? [...walk(body)].map(({ path }) => path) : []
}

/** Every object in the body of an operation that is closed, and the properties that it may have. */
export function closedObjects(id: OperationId): { path: readonly string[]; properties: string[] }[] {
  const body = bodySchemaOf(id)
  if (!body) return []
  return [...walk(body)]
    .filter(({ schema }) => schema.properties && schema.additionalProperties === false)
    .map(({ path, schema }) => ({ path, properties: Object.keys(schema.properties ?? {}) }))
}

/** The properties of what an operation answers, at every depth: what a caller might try to set. */
export function answeredProperties(id: OperationId): Set<string> {
  const names = new Set<string>()
  for (const [status, reply] of Object.entries(operationOf(id).operation.responses)) {
    if (Number(status) >= 400) continue
    for (const { schema } of Object.values(resolve<{ content?: Content }>(reply).content ?? {})) {
      for (const { path } of walk(schema)) {
        const name = path.at(-1)
        if (name !== undefined && name !== '0') names.add(name)
      }
    }
  }
  return names
}

/**
 * Every schema within a schema, with the path of property names; the elements of an array are at `0`. A record inside of a record of
 * its kind is not looked into again.
 */
function* walk(
  schema: Schema,
  path: readonly string[] = [],
  around: readonly string[] = [],
): Generator<{ path: readonly string[]; schema: Schema }> {
  // A filter tree sets nothing and has no end; src/records/filter.test.ts tries what can be put there.
  const { $ref } = schema as Node
  if ($ref && around.includes($ref)) return
  const inside = $ref ? [...around, $ref] : around
  const whole = expand(schema)
  if (whole['x-filter-of']) return
  yield { path, schema: whole }
  const properties = Object.entries(whole.properties ?? {})
  // One choice stands for all, which are alike.
  const walked = whole['x-choices-of'] ? properties.slice(0, 1) : properties
  for (const [name, property] of walked) yield* walk(property, [...path, name], inside)
  if (whole.items) yield* walk(whole.items, [...path, '0'], inside)
}

/** The names of the parameters in the path of an operation. */
export const pathNames = (id: OperationId): string[] =>
  [...operations[id].path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name)
