import { createRequire } from 'node:module'
import ts from 'typescript'
import type { Document, Header, Operation, PathItem, Reply, Schema } from './document.js'

const PROBLEMS = {
  BadRequest: [400, 'invalid_request'],
  Unauthenticated: [401, 'unauthenticated'],
  Forbidden: [403, 'forbidden'],
  NotFound: [404, 'not_found'],
  NotAcceptable: [406, 'not_acceptable'],
  NameTaken: [409, 'name_taken'],
  IdempotencyKeyInUse: [409, 'idempotency_key_in_use'],
  PayloadTooLarge: [413, 'payload_too_large'],
  UnsupportedMediaType: [415, 'unsupported_media_type'],
  IdempotencyKeyReused: [422, 'idempotency_key_reused'],
  TooManyRequests: [429, 'too_many_requests'],
  InternalError: [500, 'internal_error'],
  ServiceUnavailable: [503, 'service_unavailable'],
} as const

function problem(status: number, code: string): Reply {
  const pinned = { type: 'object', properties: { status: { const: status }, code: { const: code } } }
  const schema: Schema = { allOf: [{ $ref: '#/components/schemas/Problem' }, pinned] }
  return { description: code, content: { 'application/problem+json': { schema, examples: { [code]: { value: {} } } } } }
}

function header(type: string): Header {
  return { schema: { type } }
}

/** A JSON body with an example. */
export function json(schema: Schema): {
  content: Record<string, { schema: Schema; examples: Record<string, unknown> }>
} {
  return { content: { 'application/json': { schema, examples: { one: { value: {} } } } } }
}

/** An operation that is sound by itself. */
export function operation(operationId: string, more: Partial<Operation> = {}): Operation {
  return {
    operationId,
    summary: operationId,
    tags: ['widgets'],
    security: [],
    responses: { 204: { description: 'Done.' } },
    ...more,
  }
}

/** A small sound contract with the given paths and schemas. */
export function fixture(paths: Record<string, PathItem>, schemas: Record<string, Schema> = {}): Document {
  return structuredClone({
    openapi: '3.1.0',
    info: { title: 'Fixture', version: '1.0.0' },
    servers: [{ url: '/api/v1' }],
    tags: [{ name: 'widgets' }],
    paths,
    components: {
      schemas: {
        Problem: {
          type: 'object',
          additionalProperties: false,
          required: ['status', 'code'],
          properties: { status: { type: 'integer' }, code: { type: 'string' }, detail: { type: 'string' } },
        },
        Session: {
          type: 'object',
          required: ['accessToken', 'refreshToken'],
          properties: { accessToken: { type: 'string' }, refreshToken: { type: 'string' } },
        },
        Id: { type: 'string', format: 'uuid' },
        ...schemas,
      },
      headers: {
        'X-Request-Id': header('string'),
        RateLimit: header('string'),
        'RateLimit-Policy': header('string'),
        'Access-Control-Allow-Origin': header('string'),
        'Retry-After': header('integer'),
        'WWW-Authenticate': header('string'),
      },
      parameters: {
        IdempotencyKey: { name: 'Idempotency-Key', in: 'header', schema: { type: 'string', minLength: 1 } },
      },
      responses: Object.fromEntries(
        Object.entries(PROBLEMS).map(([name, [status, code]]) => [name, problem(status, code)]),
      ),
    },
  })
}

/** Runs a generated module and gives its exports. */
export function run<T>(source: string): T {
  const { outputText } = ts.transpileModule(source.replace(/^const require = .*$/m, ''), {
    compilerOptions: { module: ts.ModuleKind.CommonJS, target: ts.ScriptTarget.ES2022 },
  })
  const exports = {}
  new Function('exports', 'require', outputText)(exports, createRequire(import.meta.url))
  return exports as T
}
