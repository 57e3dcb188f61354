/** The parts of an OpenAPI 3.1 document that the build works with. */

export interface Ref {
  $ref: string
  [sibling: string]: unknown
}

export interface Schema {
  $ref?: string
  type?: string | string[]
  const?: unknown
  enum?: unknown[]
  default?: unknown
  required?: string[]
  properties?: Record<string, Schema>
  additionalProperties?: boolean | Schema
  unevaluatedProperties?: boolean | Schema
  items?: Schema
  allOf?: Schema[]
  [keyword: string]: unknown
}

export interface Parameter {
  name: string
  in: string
  required?: boolean
  style?: string
  explode?: boolean
  schema?: Schema
}

export interface Header {
  required?: boolean
  schema: Schema
}

export interface MediaType {
  schema: Schema
  examples?: Record<string, unknown>
}

export interface Reply {
  description: string
  headers?: Record<string, Header | Ref>
  content?: Record<string, MediaType>
}

export interface RequestBody {
  required?: boolean
  content: Record<string, MediaType>
}

export interface Operation {
  operationId: string
  summary: string
  description?: string
  tags: string[]
  security?: Record<string, string[]>[]
  /** The scope that the caller needs, in the published document. */
  'x-permission'?: string
  parameters?: (Parameter | Ref)[]
  requestBody?: RequestBody | Ref
  responses: Record<string, Reply | Ref>
}

type Method = 'get' | 'post' | 'put' | 'patch' | 'delete'

export type PathItem = Partial<Record<Method, Operation>> & {
  servers?: { url: string }[]
  parameters?: (Parameter | Ref)[]
}

interface Components {
  schemas?: Record<string, Schema>
  responses?: Record<string, Reply>
  headers?: Record<string, Header>
  [section: string]: Record<string, unknown> | undefined
}

export interface Document {
  openapi: string
  info: { title: string; version: string; description?: string }
  servers?: { url: string }[]
  tags?: { name: string }[]
  paths: Record<string, PathItem>
  components: Components
  'x-roles'?: Record<string, Record<string, string>>
  [member: string]: unknown
}

const METHODS: readonly Method[] = ['get', 'post', 'put', 'patch', 'delete']
const PROBLEM = 'application/problem+json'

/** Everything that the contract breaks, told in one go. */
export class ContractError extends Error {
  readonly violations: readonly string[]

  constructor(violations: readonly string[]) {
    super(`The contract is not sound:\n${violations.map((violation) => `  - ${violation}`).join('\n')}`)
    this.name = 'ContractError'
    this.violations = violations
  }
}

export type Located = { path: string; method: Method; item: PathItem; operation: Operation }

/** Every operation, in the order of the document. */
export function operationsOf(document: Document): Located[] {
  return Object.entries(document.paths).flatMap(([path, item]) =>
    METHODS.flatMap((method) => {
      const operation = item[method]
      return operation ? [{ path, method, item, operation }] : []
    }),
  )
}

export function isRef(value: unknown): value is Ref {
  return typeof value === 'object' && value !== null && '$ref' in value && typeof value.$ref === 'string'
}

/** Follows a local reference, and further ones where it leads to one. */
export function resolve<T>(document: Document, value: T | Ref): T {
  const seen = new Set<string>()
  let current: unknown = value
  while (isRef(current)) {
    if (seen.has(current.$ref)) throw new ContractError([`${current.$ref} refers to itself`])
    seen.add(current.$ref)
    current = lookup(document, current.$ref)
  }
  return current as T
}

function lookup(document: Document, ref: string): unknown {
  const target = ref
    .slice('#/'.length)
    .split('/')
    .reduce<unknown>((node, token) => (node as Record<string, unknown> | undefined)?.[unescapeToken(token)], document)
  if (!ref.startsWith('#/') || target === undefined) throw new ContractError([`${ref} leads nowhere`])
  return target
}

function unescapeToken(token: string): string {
  return decodeURIComponent(token).replaceAll('~1', '/').replaceAll('~0', '~')
}

export function isJson(mediaType: string): boolean {
  return mediaType === 'application/json' || (mediaType.endsWith('+json') && mediaType !== PROBLEM)
}

export function problemOf(reply: Reply): MediaType | undefined {
  return reply.content?.[PROBLEM]
}

/** Keywords whose values are data, not schemas; a `$ref` in there is just a string. */
const DATA = new Set(['const', 'default', 'enum', 'example', 'examples', 'x-roles'])
/** Keywords whose members are names, so that a property may well be called `default`. */
const NAMES = new Set(['properties', 'patternProperties', '$defs', 'schemas', 'headers', 'responses'])

/** Rebuilds a tree from its leaves up; `change` sees every object in it, except data. */
export function rewrite<T>(tree: T, change: (node: Record<string, unknown>) => unknown): T {
  const visit = (node: unknown, names: boolean): unknown => {
    if (Array.isArray(node)) return node.map((item) => visit(item, false))
    if (typeof node !== 'object' || node === null) return node
    const copy: Record<string, unknown> = {}
    for (const [key, value] of Object.entries(node)) {
      copy[key] = !names && DATA.has(key) ? value : visit(value, !names && NAMES.has(key))
    }
    return names ? copy : change(copy)
  }
  return visit(tree, false) as T
}

/** Every reference in a tree. */
export function refsIn(tree: unknown): string[] {
  const refs: string[] = []
  rewrite(tree, (node) => {
    if (isRef(node)) refs.push(node.$ref)
    return node
  })
  return refs
}
