import {
  ContractError,
  type Document,
  type MediaType,
  type Operation,
  operationsOf,
  type Parameter,
  type Reply,
  type RequestBody,
  refsIn,
  resolve,
  rewrite,
  type Schema,
} from './document.js'

/** What a reply is sent as that holds only the properties which the caller named. */
export const PARTIAL = 'application/vnd.zenith.partial+json'
/** Where they are named: a query parameter, or a property of the body. */
const FIELDS = 'fields'

/** The marker of a list that this file writes: the names of the properties of a record. */
const MARKER = 'x-pick-of'
/** The marker of a schema that this file writes, with the name of the record that it holds a part of. */
const PARTIAL_OF = 'x-partial-of'

const SCHEMAS = '#/components/schemas/'

/** What is there whatever is asked for: what it is the part of, and of which version. */
const ALWAYS = ['id', 'version']
/** What `expand` asks for. */
const EXPANDED = 'expanded'

const DESCRIPTION = `The properties of the record that the reply is to hold, beside \`id\`, \`version\` and what \`expand\` asks for; all of them unless given. \
With names the reply is \`${PARTIAL}\`, which is sent to whoever accepts that, \`application/json\`, \`application/*\` or \`*/*\`.`

/** Writes each list that is marked `x-pick-of`, so that what can be named is what the record has, and what it does, where it is asked for. */
export function expandPicks(source: Document): Document {
  const schemas = source.components.schemas ?? {}
  const described = (parameter: Parameter) =>
    MARKER in resolve<Schema>(source, parameter.schema ?? {}) ? { description: DESCRIPTION, ...parameter } : parameter
  const parameters = Object.entries((source.components.parameters ?? {}) as Record<string, Parameter>)
  const components = {
    ...source.components,
    parameters: Object.fromEntries(parameters.map(([name, parameter]) => [name, described(parameter)])),
  }
  return rewrite({ ...source, components }, (node) => (MARKER in node ? namesOf(schemas, node) : node))
}

function namesOf(schemas: Record<string, Schema>, node: Record<string, unknown>): Schema {
  const record = schemas[String(node[MARKER])]
  const names = Object.keys(record?.properties ?? {}).filter((name) => name !== EXPANDED)
  if (!ALWAYS.every((name) => names.includes(name)))
    throw new ContractError([`${node[MARKER]} has no ${ALWAYS.join(' and ')}, so nothing of it can be picked`])
  return {
    description: DESCRIPTION,
    ...node,
    type: 'array',
    minItems: 1,
    maxItems: names.length,
    uniqueItems: true,
    items: { type: 'string', enum: names },
  }
}

/** Where the properties of which record are named. */
export type Pick = { record: string; place: 'query' | 'body' }

/** What an operation lets its callers pick. */
export function pickOf(document: Document, operation: Operation): Pick | undefined {
  const parameter = (operation.parameters ?? [])
    .map((entry) => resolve<Parameter>(document, entry))
    .find(({ in: where, name }) => where === 'query' && name === FIELDS)
  const content = operation.requestBody && resolve<RequestBody>(document, operation.requestBody).content
  const body = resolve<Schema>(document, content?.['application/json']?.schema ?? {})
  const marked = resolve<Schema>(document, parameter?.schema ?? body.properties?.[FIELDS] ?? {})
  if (!(MARKER in marked)) return undefined
  return { record: String(marked[MARKER]), place: parameter ? 'query' : 'body' }
}

/** Gives the reply of each operation that takes `fields` its second form. The first one stays as it is, for all who do not ask. */
export function addPartials(source: Document): Document {
  const document = structuredClone(source)
  for (const { operation } of operationsOf(document)) {
    const pick = pickOf(document, operation)
    if (!pick) continue
    const declared = operation.responses['200']
    const reply = declared && resolve<Reply>(document, declared)
    const whole = reply?.content?.['application/json']
    if (!reply || !whole?.schema.$ref)
      throw new ContractError([`${operation.operationId} takes fields, and answers with no component`])
    const partial: MediaType = {
      schema: { $ref: SCHEMAS + partialOf(document, whole.schema.$ref.slice(SCHEMAS.length), pick.record) },
      examples: { partial: { value: shortened(Object.values(whole.examples ?? {})[0]) } },
    }
    operation.responses['200'] = { ...reply, content: { ...reply.content, [PARTIAL]: partial } }
  }
  return document
}

/** The name of the schema that is another one with only a part of the record in it. */
function partialOf(document: Document, name: string, record: string): string {
  const schemas = document.components.schemas ?? {}
  const whole = schemas[name] ?? {}
  const component = `Partial${name}`
  if (schemas[component]) return component
  if (name !== record && !refsIn(whole).includes(SCHEMAS + record))
    throw new ContractError([`${name} holds no ${record}, of which fields could be named`])
  const description = `${whole.description} Of ${name === record ? 'it' : 'each'}, there is what \`${FIELDS}\` names.`
  const part: Schema =
    name === record
      ? { ...whole, [PARTIAL_OF]: record, required: ALWAYS }
      : rewrite(whole, (node) =>
          node.$ref === SCHEMAS + record ? { ...node, $ref: SCHEMAS + partialOf(document, record, record) } : node,
        )
  schemas[component] = { ...part, description }
  return component
}

const ID_OR_INSTANT = /^[0-9a-f]{8}-[0-9a-f-]{27}$|^\d{4}-\d\d-\d\dT/

/** An example, with the first two texts of each record. */
function shortened(example: unknown): unknown {
  const { value } = (example ?? {}) as { value?: Record<string, unknown> }
  const shorten = (record: Record<string, unknown>) => {
    const texts = Object.keys(record).filter((name) => {
      const text = record[name]
      return typeof text === 'string' && !ID_OR_INSTANT.test(text)
    })
    const names = [...ALWAYS, ...texts.slice(0, 2)]
    return Object.fromEntries(Object.entries(record).filter(([name]) => names.includes(name)))
  }
  if (!value) return value
  return Array.isArray(value.data) ? { ...value, data: value.data.map(shorten) } : shorten(value)
}
