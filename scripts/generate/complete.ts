import {
  ContractError,
  type Document,
  isRef,
  type Located,
  type MediaType,
  type Operation,
  operationsOf,
  type Parameter,
  problemOf,
  type Ref,
  type Reply,
  resolve,
  type Schema,
} from './document.js'

/** Components of the same names hold them; the linters look for the names of headers there. */
const EVERY_REPLY: readonly string[] = ['X-Request-Id', 'RateLimit', 'RateLimit-Policy', 'Access-Control-Allow-Origin']
const BY_STATUS: Readonly<Record<string, readonly string[]>> = {
  401: ['WWW-Authenticate'],
  429: ['Retry-After'],
  503: ['Retry-After'],
}

/** Response headers that the HTTP layer sets; a handler neither sees nor sends them. */
export const LAYER_HEADERS: ReadonlySet<string> = new Set([
  ...EVERY_REPLY,
  ...Object.values(BY_STATUS).flat(),
  'Link',
  'Idempotency-Replayed',
])

/** The one scope of an operation; null when any signed-in user may call it, or anybody. */
export function permissionOf(operation: Operation): string | null {
  return operation.security?.[0]?.bearerAuth?.[0] ?? null
}

export function isPublic(operation: Operation): boolean {
  return operation.security?.length === 0
}

export function hasHeader(document: Document, operation: Operation, name: string): boolean {
  return (operation.parameters ?? []).some((entry) => {
    const parameter = resolve<Parameter>(document, entry)
    return parameter.in === 'header' && parameter.name === name
  })
}

/** Adds what the HTTP layer can always answer, so that path files only state what a handler decides. */
export function complete(source: Document): Document {
  const document = structuredClone(source)
  for (const located of operationsOf(document)) addReplies(document, located)
  for (const located of operationsOf(document)) addHeaders(document, located)
  for (const { operation } of operationsOf(document)) {
    const permission = permissionOf(operation)
    if (permission !== null)
      operation.description = `${operation.description ?? ''}\n\nRequires the scope \`${permission}\`.`.trim()
  }
  return document
}

function addReplies(document: Document, { operation }: Located): void {
  const hasBody = operation.requestBody !== undefined
  const idempotent = hasHeader(document, operation, 'Idempotency-Key')
  const replies: [status: string, name: string, given: boolean][] = [
    ['400', 'BadRequest', true],
    ['401', 'Unauthenticated', true],
    ['403', 'Forbidden', permissionOf(operation) !== null],
    ['406', 'NotAcceptable', true],
    ['409', 'IdempotencyKeyInUse', idempotent],
    ['413', 'PayloadTooLarge', hasBody],
    ['415', 'UnsupportedMediaType', hasBody],
    ['422', 'IdempotencyKeyReused', idempotent],
    ['429', 'TooManyRequests', true],
    ['500', 'InternalError', true],
    ['503', 'ServiceUnavailable', true],
  ]
  for (const [status, name, given] of replies) {
    if (!given) continue
    const added = { $ref: `#/components/responses/${name}` }
    const declared = operation.responses[status]
    operation.responses[status] = declared === undefined ? added : combine(document, declared, added)
  }
}

/** A status with reasons of the handler and reasons of the HTTP layer gets one reply that lists the codes of both. */
function combine(document: Document, declared: Reply | Ref, added: Ref): Reply | Ref {
  const reply = structuredClone(resolve<Reply>(document, declared))
  const other = resolve<Reply>(document, added)
  const problem = problemOf(reply)
  const addition = problemOf(other)
  if (problem === undefined || addition === undefined) return declared
  const code = codeOf(problem.schema)
  const codes = [...valuesOf(code), ...valuesOf(codeOf(addition.schema))]
  if (new Set(codes).size === valuesOf(code).length) return declared
  delete code.const
  code.enum = [...new Set(codes)]
  problem.examples = { ...problem.examples, ...addition.examples }
  const combined = { ...reply, description: `${reply.description} Or: ${other.description}` }
  if (!isRef(declared)) return combined
  const name = `${nameOf(declared)}Or${nameOf(added)}`
  const responses = document.components.responses ?? {}
  document.components.responses = responses
  responses[name] ??= combined
  return { $ref: `#/components/responses/${name}` }
}

/** The schema of `code` in a problem that pins it, whether directly or in a member of an `allOf`. */
function codeOf(schema: Schema): Schema {
  const code = [schema, ...(schema.allOf ?? [])]
    .map((member) => member.properties?.code)
    .find((member) => member !== undefined)
  if (code === undefined || valuesOf(code).length === 0)
    throw new ContractError(['a problem reply must pin its code with const or enum'])
  return code
}

/** The codes that a problem reply may carry. */
export function codesOf(problem: MediaType): unknown[] {
  return valuesOf(codeOf(problem.schema))
}

function valuesOf(schema: Schema): unknown[] {
  return schema.const === undefined ? (schema.enum ?? []) : [schema.const]
}

function nameOf(ref: Ref): string {
  return ref.$ref.slice(ref.$ref.lastIndexOf('/') + 1)
}

function addHeaders(document: Document, { operation }: Located): void {
  for (const [status, entry] of Object.entries(operation.responses)) {
    const reply = resolve<Reply>(document, entry)
    for (const header of [...EVERY_REPLY, ...(BY_STATUS[status] ?? [])]) {
      if (document.components.headers?.[header] === undefined)
        throw new ContractError([`components.headers.${header} is missing`])
      reply.headers = { [header]: { $ref: `#/components/headers/${header}` }, ...reply.headers }
    }
  }
}
