import { expandAggregates } from './aggregates.js'
import { expandChoices } from './choices.js'
import { complete, hasHeader, isPublic, permissionOf } from './complete.js'
import { expandSorts } from './custom-fields.js'
import {
  type Document,
  isJson,
  type Located,
  operationsOf,
  type Parameter,
  type Reply,
  type RequestBody,
  resolve,
  type Schema,
} from './document.js'
import { expandRelations } from './expansions.js'
import { expandFilters } from './filters.js'
import { normalize, prune } from './normalize.js'
import { addPartials, expandPicks, type Pick, pickOf } from './picks.js'
import { publish } from './publish.js'
import { checkRules } from './rules.js'

/** One operation with every reference resolved, as the renderers need it. */
export interface OperationFacts {
  id: string
  method: string
  /** The full path of the URL, with `{name}` for parameters. */
  path: string
  tag: string
  summary: string
  public: boolean
  permission: string | null
  parameters: Parameter[]
  body: { required: boolean; mediaTypes: string[]; schema: Schema } | null
  replies: { status: number; reply: Reply }[]
  /** The statuses that the path file declares: what the handler decides. */
  handlerStatuses: number[]
  idempotent: boolean
  paginated: boolean
  /** It takes `fields`. */
  pick: Pick | undefined
}

export interface Contract {
  /** The published document. */
  document: Document
  operations: OperationFacts[]
  tags: string[]
  roles: Record<string, Record<string, string>>
}

/** Checks a bundled document and works out everything that is generated from it. */
export function readContract(bundle: Document): Contract {
  // Last, because what is expanded is no property that a record is found by, or takes from another one.
  const source = expandPicks(
    expandRelations(expandChoices(expandAggregates(expandSorts(expandFilters(normalize(bundle)))))),
  )
  checkRules(source)
  const document = prune(complete(addPartials(source)))
  const declared = new Map(
    operationsOf(source).map(({ operation }) => [operation.operationId, Object.keys(operation.responses).map(Number)]),
  )
  const operations = operationsOf(document).map((located) =>
    factsOf(document, located, declared.get(located.operation.operationId) ?? []),
  )
  const used = new Set(operations.map(({ tag }) => tag))
  return {
    document: publish(document),
    operations,
    tags: (document.tags ?? []).map(({ name }) => name).filter((name) => used.has(name)),
    roles: document['x-roles'] ?? {},
  }
}

function factsOf(
  document: Document,
  { path, method, item, operation }: Located,
  handlerStatuses: number[],
): OperationFacts {
  const parameters = (operation.parameters ?? []).map((entry) => {
    const parameter = resolve<Parameter>(document, entry)
    return { ...parameter, schema: parameter.schema ?? {} }
  })
  const replies = Object.entries(operation.responses).map(([status, entry]) => ({
    status: Number(status),
    reply: resolve<Reply>(document, entry),
  }))
  return {
    id: operation.operationId,
    method: method.toUpperCase(),
    path: basePath(item.servers ?? document.servers) + path,
    tag: operation.tags[0] ?? '',
    summary: operation.summary,
    public: isPublic(operation),
    permission: permissionOf(operation),
    parameters,
    body: operation.requestBody ? bodyOf(resolve<RequestBody>(document, operation.requestBody)) : null,
    replies,
    handlerStatuses,
    idempotent: hasHeader(document, operation, 'Idempotency-Key'),
    paginated: parameters.some((parameter) => parameter.in === 'query' && parameter.name === 'cursor'),
    pick: pickOf(document, operation),
  }
}

function basePath(servers: { url: string }[] | undefined): string {
  return new URL(servers?.[0]?.url ?? '/', 'http://localhost').pathname.replace(/\/$/, '')
}

function bodyOf({ required = false, content }: RequestBody): OperationFacts['body'] {
  const [first] = Object.entries(content).filter(([mediaType]) => isJson(mediaType))
  return { required, mediaTypes: Object.keys(content), schema: first?.[1].schema ?? {} }
}

/** The schemas of a reply by media type, except that of a problem. */
export function jsonOf(reply: Reply): [mediaType: string, schema: Schema][] {
  return Object.entries(reply.content ?? {}).flatMap(([mediaType, { schema }]) =>
    isJson(mediaType) ? [[mediaType, schema]] : [],
  )
}

/** The names of the list parameters, which arrive as one comma-separated string. */
export function listsOf(document: Document, { parameters }: OperationFacts): string[] {
  return parameters
    .filter(({ schema = {} }) => resolve<Schema>(document, schema as Schema).type === 'array')
    .map(({ name }) => name)
}

/** The query parameters that always have a value, because their schema has a default. */
export function defaultedOf(document: Document, { parameters }: OperationFacts): string[] {
  return parameters
    .filter(
      (parameter) =>
        parameter.in === 'query' && resolve<Schema>(document, (parameter.schema ?? {}) as Schema).default !== undefined,
    )
    .map(({ name }) => name)
}
