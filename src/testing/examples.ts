import { readFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import { type OperationId, operations } from '../../generated/operations.js'

export type Example = { name: string; mediaType: string; value: unknown }

/** A reply that the contract declares: a status and, for a problem, its code. */
export type DeclaredReply = { operation: OperationId; status: number; code?: string }

type Node = { $ref?: string; [name: string]: unknown }
type ProblemSchema = { allOf?: { properties?: { code?: { const?: string; enum?: string[] } } }[] }
type Contents = Record<string, { schema: ProblemSchema; examples?: Record<string, { value: unknown }> }>
type Operation = {
  operationId?: OperationId
  parameters?: Node[]
  requestBody?: { content: Contents }
  responses: Record<string, Node>
}

const contract = JSON.parse(readFileSync(new URL('../../generated/openapi.json', import.meta.url), 'utf8')) as Node

/** Every operation of the API. */
export const operationIds = Object.keys(operations) as OperationId[]

const declared = new Map(
  Object.values(contract.paths as Record<string, Record<string, Operation>>)
    .flatMap((path) => Object.values(path))
    .flatMap((operation) => (operation.operationId ? [[operation.operationId, operation]] : [])),
)

function operationOf(id: OperationId): Operation {
  const operation = declared.get(id)
  if (!operation) throw new Error(`the contract lacks ${id}`)
  return operation
}

/** The path of an operation whose parameters that take one of a few words, or have an example, have the first of them. */
export function pathOf(id: OperationId): string {
  const words = (operationOf(id).parameters ?? []).flatMap((node) => {
    const { in: where, name, schema = {} } = resolve(node) as { in?: string; name?: string; schema?: Node }
    const { enum: words, examples, format } = resolve(schema)
    const [word] = (words ?? (format === 'uuid' ? [] : examples) ?? []) as string[]
    return where === 'path' && name && word ? [{ name, word }] : []
  })
  return words.reduce((path, { name, word }) => path.replace(`{${name}}`, word), operations[id].path as string)
}

/** The query that the contract shows for an operation: what it requires. */
export const queryOf = (id: OperationId): Record<string, string> =>
  Object.fromEntries(
    (operationOf(id).parameters ?? []).flatMap((node) => {
      const { in: where, name, required, example } = resolve(node)
      return where === 'query' && required === true ? [[String(name), String(example)]] : []
    }),
  )

/** The names that an operation takes as `fields` in its query. */
export const namesOf = (id: OperationId): string[] =>
  (operationOf(id).parameters ?? []).map(resolve).flatMap(({ name, schema }) => {
    const { items } = name === 'fields' ? resolve(schema as Node) : {}
    return ((items as { enum?: string[] } | undefined)?.enum ?? []) as string[]
  })

/** Whether an operation can be tried without an effect. */
export const hasDryRun = (id: OperationId): boolean =>
  (operationOf(id).parameters ?? []).some((node) => resolve(node).name === 'dryRun')

/** A URL with more in its query. */
export const withQuery = (url: string, query: Record<string, string>): string => {
  const text = new URLSearchParams(query).toString()
  return text === '' ? url : `${url}${url.includes('?') ? '&' : '?'}${text}`
}

/** The bodies that the contract shows for requests of an operation. */
export const requestExamples = (id: OperationId): Example[] => examplesIn(operationOf(id).requestBody?.content)

/** A body with other ids in the place of its own. */
export const withIds = (body: unknown, ids: Readonly<Record<string, string>>): unknown =>
  JSON.parse(JSON.stringify(body, (_, value: unknown) => (typeof value === 'string' ? (ids[value] ?? value) : value)))

/** The bodies that the contract shows for replies of an operation. */
export const replyExamples = (id: OperationId): (Example & { status: number })[] =>
  repliesOf(id).flatMap(({ status, content }) => examplesIn(content).map((example) => ({ ...example, status })))

/** Everything that an operation may answer. */
export const declaredReplies = (id: OperationId): DeclaredReply[] =>
  repliesOf(id).flatMap(({ status, content }) => {
    const codes = Object.values(content).flatMap(({ schema }) => codesIn(schema))
    return codes.length === 0 ? [{ operation: id, status }] : codes.map((code) => ({ operation: id, status, code }))
  })

function repliesOf(id: OperationId): { status: number; content: Contents }[] {
  return Object.entries(operationOf(id).responses).map(([status, reply]) => ({
    status: Number(status),
    content: (resolve(reply).content ?? {}) as Contents,
  }))
}

const examplesIn = (content: Contents = {}): Example[] =>
  Object.entries(content).flatMap(([mediaType, { examples = {} }]) =>
    Object.entries(examples).map(([name, { value }]) => ({ name, mediaType, value })),
  )

/** The codes of a problem: its schema is the one of all problems, and one that fixes the code. */
function codesIn({ allOf = [] }: ProblemSchema): string[] {
  return allOf.flatMap(({ properties: { code } = {} }) => code?.enum ?? (code?.const ? [code.const] : []))
}

function resolve(node: Node): Node {
  if (!node.$ref) return node
  const names = node.$ref.split('/').slice(1)
  return resolve(names.reduce((at: Node, name) => at[name] as Node, contract))
}

const SECRETS = new Set(['accessToken', 'refreshToken', 'requestId', 'x'])
const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

/** A body without what differs each time: ids, instants and secrets. */
export function masked(body: unknown): unknown {
  const mask = (name: string, value: unknown): unknown => {
    if (typeof value !== 'string') return value
    if (SECRETS.has(name)) return `<${name}>`
    return ID.test(value) ? '<id>' : INSTANT.test(value) ? '<instant>' : value
  }
  return JSON.parse(JSON.stringify(body, mask))
}

/** A body, with its lists cut down to the elements that the example shows: an example need not show all. */
export function excerpt(body: unknown, example: unknown): unknown {
  if (Array.isArray(body) && Array.isArray(example)) {
    const isCut = example.length > 0 && example.length < body.length
    return isCut ? body.filter((element) => example.some((shown) => isDeepStrictEqual(element, shown))) : body
  }
  if (!(body instanceof Object && example instanceof Object)) return body
  const shown = example as Record<string, unknown>
  // Of a document of another standard its head is enough.
  if ('openapi' in shown || '$schema' in shown) {
    return Object.fromEntries(Object.keys(shown).map((name) => [name, (body as Record<string, unknown>)[name]]))
  }
  return Object.fromEntries(Object.entries(body).map(([name, value]) => [name, excerpt(value, shown[name])]))
}
