import { Validator } from '@seriousme/openapi-schema-validator'
import type { FastifyInstance, FastifyReply, FastifyRequest, HTTPMethods, RouteOptions } from 'fastify'
import openapiGlue from 'fastify-openapi-glue'
import { handlers } from '../../generated/handlers.js'
import { type OperationFacts, type OperationId, operations, rolePermissions } from '../../generated/operations.js'
import { routes } from '../../generated/routes.js'
import { serializeProblem, serializers } from '../../generated/serializers.js'
import type { Context, Principal, PublicContext, Scope, Services } from '../context.js'
import { DatabaseUnavailable, StaleClaim } from '../db/errors.js'
import { InvalidRequest, problem } from '../problem.js'
import type { Authenticator } from './authenticate.js'
import { fingerprintOf, once } from './idempotency.js'
import { acceptsJson, isMediaType } from './negotiation.js'
import { challenge, isProblem, methodNotAllowed, toProblemBody, unauthenticated, type WireReply } from './problems.js'
import { rateLimitHeaders } from './rate-limit.js'
import { validate } from './validation.js'

declare module 'fastify' {
  interface FastifyRequest {
    principal: Principal | null
  }
  interface FastifyContextConfig {
    operationId?: OperationId
  }
}

export type MountOptions = { services: Services; authenticator: Authenticator }

// At each start the glue would compile the schema of OpenAPI itself, a third of the time to the first answer, to check a document
// that the build has generated and linted.
Object.assign(Validator.prototype, { getAjvValidator: () => () => true })

/** Mounts every operation of the contract. There is no other way to add a route to the API. */
export async function mountContract(app: FastifyInstance, options: MountOptions): Promise<void> {
  app.decorateRequest('principal', null)
  await app.register(openapiGlue, {
    specification: routes,
    operationResolver: (operationId: string) => routeOf(operationId as OperationId, options),
  })
  refuseOtherMethods(app)
}

type Invoke = (request: unknown, context: PublicContext | Context) => Promise<WireReply>

function routeOf(id: OperationId, options: MountOptions): RouteOptions {
  const operation: OperationFacts = operations[id]
  return {
    method: operation.method === 'GET' ? ['GET', 'HEAD'] : operation.method,
    url: toFastifyPath(operation.path),
    config: { operationId: id },
    // Before the body is read: an anonymous caller costs little and learns nothing.
    onRequest: (request, reply) => admit(operation, request, reply, options),
    preValidation: async (request) => validate(id, request),
    handler: async (request, reply) => {
      const result = await respond(id, operation, request, options)
      if (!operation.statuses.includes(result.status)) {
        throw new Error(`${id} answered with the undeclared status ${result.status}`)
      }
      return sendOperation(id, operation, request, reply, result)
    },
  }
}

const toFastifyPath = (path: string): string => path.replaceAll(/\{(\w+)\}/g, ':$1')

/** Lets a request in, or answers it: 406, 401, 429, 403, 415, in this order. */
async function admit(
  operation: OperationFacts,
  request: FastifyRequest,
  reply: FastifyReply,
  { services, authenticator }: MountOptions,
): Promise<FastifyReply | undefined> {
  if (!acceptsJson(request.headers.accept)) return send(request, reply, problem(406, 'not_acceptable'))
  if (!operation.public) request.principal = (await authenticator.authenticate(request)) ?? null
  if (!takeQuota(operation, request, reply, services)) return send(request, reply, problem(429, 'too_many_requests'))
  if (operation.public) {
    // An expired token does no harm here, and a client that always sends one must be able to refresh it.
    if (!isBearer(request.headers.authorization ?? 'Bearer')) return send(request, reply, unauthenticated())
  } else {
    if (!request.principal) return send(request, reply, unauthenticated())
    if (!permits(request.principal, operation)) {
      // The memory may be out of date; only the database can say no.
      request.principal = (await authenticator.reload(request)) ?? null
      if (!request.principal) return send(request, reply, unauthenticated())
      if (!permits(request.principal, operation)) return send(request, reply, problem(403, 'forbidden'))
    }
  }
  const { 'content-type': contentType, 'content-length': length, 'transfer-encoding': encoding } = request.headers
  const coding = request.headers['content-encoding'] ?? 'identity'
  const hasBody = encoding !== undefined || Number(length ?? 0) > 0
  if (hasBody && operation.mediaTypes.length === 0) {
    throw new InvalidRequest({ pointer: '', code: 'unexpected_body', message: 'must not have a body' })
  }
  if (hasBody && (coding !== 'identity' || !isMediaType(contentType ?? '', operation.mediaTypes))) {
    return send(request, reply, problem(415, 'unsupported_media_type'))
  }
  return undefined
}

const isBearer = (authorization: string): boolean => /^bearer(?: |$)/i.test(authorization)

const permits = ({ role }: Principal, { permission }: OperationFacts): boolean =>
  permission === null || rolePermissions[role][permission] !== undefined

/** Anonymous writes, such as logins, are rarer than calls with a credential. */
const ANONYMOUS_SHARE = 10

function takeQuota(
  operation: OperationFacts,
  request: FastifyRequest,
  reply: FastifyReply,
  services: Services,
): boolean {
  const perMinute = services.config.rateLimitPerMinute
  if (perMinute === 0) return true
  const { principal } = request
  const name = principal ? 'default' : operation.method === 'GET' ? 'anonymous' : 'sign-in'
  const key = principal ? `${principal.organizationId}:${principal.userId}` : `${name}:${request.ip}`
  const quota = name === 'sign-in' ? Math.max(1, Math.floor(perMinute / ANONYMOUS_SHARE)) : perMinute
  const limit = { quota, windowSeconds: 60 }
  const decision = services.limiter.take(key, limit)
  reply.headers(rateLimitHeaders(name, limit, decision))
  return decision.allowed
}

/** Calls the handler; again with fresh rights when the database says that the remembered ones no longer hold. */
async function respond(
  id: OperationId,
  operation: OperationFacts,
  request: FastifyRequest,
  { services, authenticator }: MountOptions,
): Promise<WireReply> {
  if (operation.public) return invoke(id, request, publicContext(request, services))
  for (let attempt = 1; attempt <= 5; attempt++) {
    try {
      return await respondTo(id, operation, request, services)
    } catch (error) {
      if (!(error instanceof StaleClaim)) throw error
      request.principal = (await authenticator.reload(request)) ?? null
      if (!request.principal) return unauthenticated()
      if (!permits(request.principal, operation)) return problem(403, 'forbidden')
    }
  }
  throw new DatabaseUnavailable('the rights of the caller do not stand still')
}

async function respondTo(
  id: OperationId,
  operation: OperationFacts,
  request: FastifyRequest,
  services: Services,
): Promise<WireReply> {
  const scope = scopeOf(request, services)
  const context = publicContext(request, services)
  const key = operation.idempotent ? request.headers['idempotency-key'] : undefined
  if (typeof key !== 'string') return invoke(id, request, Object.assign(context, { scope }))
  const fingerprint = fingerprintOf(request.method, request.url, request.body)
  return once(scope, key, fingerprint, (tx) => invoke(id, request, { ...context, scope: { ...scope, db: tx } }))
}

function invoke(id: OperationId, request: FastifyRequest, context: PublicContext | Context): Promise<WireReply> {
  const { params, query, headers, body } = request
  return (handlers[id] as Invoke)({ params, query, headers, body }, context)
}

function publicContext(request: FastifyRequest, services: Services): PublicContext {
  return { ...services, requestId: request.id, log: request.log, clientAddress: request.ip }
}

function scopeOf(request: FastifyRequest, { database, clock, signer }: Services): Scope {
  const principal = request.principal as Principal
  const { organizationId, userId, sessionId, version } = principal
  const db = database.as({ kind: 'principal', organizationId, userId, sessionId, version })
  return { db, principal, requestId: request.id, cause: 'api', clock, signer }
}

function sendOperation(
  id: OperationId,
  operation: OperationFacts,
  request: FastifyRequest,
  reply: FastifyReply,
  result: WireReply,
): FastifyReply {
  if (isProblem(result)) return send(request, reply, result)
  if (result.headers) reply.headers(result.headers)
  if (result.status === 308) keepQuery(request, reply, result)
  if (operation.paginated) linkNextPage(request, reply, result.body)
  reply.code(result.status)
  const mediaType = result.headers?.['content-type'] ?? 'application/json'
  const serialize = serializers[id][result.status]?.[mediaType]
  if (!serialize || result.body === undefined) return reply.send()
  return reply.type(`${mediaType}; charset=utf-8`).send(serialize(result.body))
}

/** Whoever follows a redirect asks there for the same as here. */
function keepQuery({ query }: FastifyRequest, reply: FastifyReply, { headers }: WireReply): void {
  const asked = new URLSearchParams()
  for (const [name, value] of Object.entries(query as Record<string, unknown>)) asked.set(name, String(value))
  if (asked.size > 0) reply.header('location', `${headers?.Location}?${asked}`)
}

/** The next page per RFC 8288, for clients that follow links. */
function linkNextPage(request: FastifyRequest, reply: FastifyReply, body: unknown): void {
  const { nextCursor } = (body as { page: { nextCursor: string | null } }).page
  if (nextCursor === null) return
  const [path = '', search = ''] = request.url.split('?')
  const query = new URLSearchParams(search)
  query.set('cursor', nextCursor)
  reply.header('link', `<${path}?${query}>; rel="next"`)
}

/** Sends a problem. */
export function send(request: FastifyRequest, reply: FastifyReply, result: WireReply): FastifyReply {
  if (result.headers) reply.headers(result.headers)
  if (result.status === 401) reply.headers(challenge)
  reply.code(result.status)
  if (!isProblem(result)) return reply.send(result.body)
  return reply.type('application/problem+json; charset=utf-8').send(serializeProblem(toProblemBody(result, request.id)))
}

const METHODS: readonly HTTPMethods[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE']

/** Every other method on a path of the contract is answered with 405 and the ones that it has. */
function refuseOtherMethods(app: FastifyInstance): void {
  const methodsOf = new Map<string, string[]>()
  for (const { path, method } of Object.values(operations)) {
    methodsOf.set(path, [...(methodsOf.get(path) ?? []), ...(method === 'GET' ? ['GET', 'HEAD'] : [method])])
  }
  for (const [path, methods] of methodsOf) {
    const allow = methods.join(', ')
    app.route({
      method: METHODS.filter((method) => !methods.includes(method)),
      url: toFastifyPath(path),
      onRequest: async (request, reply) => send(request, reply, methodNotAllowed(allow)),
      handler: async () => undefined,
    })
  }
}
