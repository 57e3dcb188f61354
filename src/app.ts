import { randomUUID } from 'node:crypto'
import cors, { type FastifyCorsOptions } from '@fastify/cors'
import jwt from '@fastify/jwt'
import underPressure from '@fastify/under-pressure'
import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from 'fastify'
import type { Logger } from 'pino'
import type { Principal, Services, SharedServices } from './context.js'
import { createAuthenticator } from './http/authenticate.js'
import { registerDocs } from './http/docs.js'
import { answer, answerParserErrors, registerErrors } from './http/errors.js'
import { parseJson } from './http/json.js'
import { type MetricsOptions, registerMetrics } from './http/metrics.js'
import { mountContract, send } from './http/mount.js'
import { malformed, unavailable } from './http/problems.js'
import { createSharedCache, type SharedCache } from './http/snapshot-cache.js'
import type { KeyRing } from './modules/auth/keys.js'
import { ACCESS_TOKEN_SECONDS } from './modules/auth/repository.js'

export type AppOptions = {
  services: SharedServices
  keys: KeyRing
  log: Logger
  metrics: MetricsOptions
  snapshots?: SharedCache<Principal>
  /** Sheds load while the event loop is this late; 0 never does. */
  maxEventLoopDelayMs?: number
  /** Runs before the routes are there, so that its hooks see them all. */
  extend?: (app: FastifyInstance) => void
}

type DecodedToken = { header: { kid?: unknown } }

const ISSUER = 'zenith-crm'
const BODY_LIMIT = 1024 * 1024

/** What every reply carries: nobody stores, frames, sniffs or embeds it. A route may set its own. */
const COMMON_HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none';frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'origin-agent-cluster': '?1',
  'referrer-policy': 'no-referrer',
  'strict-transport-security': 'max-age=31536000; includeSubDomains',
  'x-content-type-options': 'nosniff',
  'x-dns-prefetch-control': 'off',
  'x-download-options': 'noopen',
  'x-frame-options': 'DENY',
  'x-permitted-cross-domain-policies': 'none',
  'x-xss-protection': '0',
}

const stamp = (request: FastifyRequest, reply: FastifyReply): FastifyReply =>
  reply.header('x-request-id', request.id).headers(COMMON_HEADERS)

/** Builds the HTTP application; `main.ts` and every test start it the same way. */
export async function buildApp(options: AppOptions): Promise<FastifyInstance> {
  const {
    keys,
    log,
    metrics,
    extend,
    snapshots = createSharedCache<Principal>(undefined),
    maxEventLoopDelayMs = 2_000,
  } = options
  const { config, database, clock } = options.services
  const app = Fastify({
    loggerInstance: log as FastifyBaseLogger,
    // One line per request is written below, with the operation in it.
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: BODY_LIMIT,
    requestTimeout: 30_000,
    keepAliveTimeout: 72_000,
    forceCloseConnections: 'idle',
    exposeHeadRoutes: false,
    trustProxy: toTrustProxy(config.trustProxy),
    genReqId: ({ headers: { 'x-request-id': given } }) =>
      typeof given === 'string' && /^[A-Za-z0-9_-]{1,128}$/.test(given) ? given : randomUUID(),
    // Node refuses longer requests than that; what is wrong with a parameter is for the contract to say.
    routerOptions: { maxParamLength: 16_384, ignoreTrailingSlash: false },
    // Node would answer a request without a host by itself, and not with a problem.
    http: { headersTimeout: 15_000, requireHostHeader: false },
    clientErrorHandler: answerParserErrors,
    frameworkErrors: (error, request, reply) => answer(error, request, stamp(request, reply)),
  })
  // Likewise for expectations that nobody knows; RFC 9110, 10.1.1 lets a server pass them over.
  app.server.on('checkExpectation', (request, response) => app.server.emit('request', request, response))
  registerErrors(app)
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(
    ['application/json', 'application/merge-patch+json'],
    { parseAs: 'buffer' },
    (_request, body, done) => {
      try {
        done(null, body.length === 0 ? undefined : parseJson(body as Buffer))
      } catch (error) {
        done(error as Error)
      }
    },
  )
  // The mount has refused every body that the operation does not declare; what is left is empty.
  app.addContentTypeParser('*', (_request, _payload, done) => done(null, undefined))

  app.addHook('onRequest', (request, reply, done) => {
    stamp(request, reply)
    const hasHost = request.headers.host !== undefined || request.raw.httpVersion === '1.0'
    if (hasHost) done()
    else send(request, reply.header('connection', 'close'), malformed('host', 'must have a Host header'))
  })
  // These lines are flat and hold no secrets, so none are looked for.
  const requestLog = log.child({}, { redact: [] })
  app.addHook('onResponse', (request, reply, done) => {
    requestLog.info({
      reqId: request.id,
      operation: request.routeOptions.config.operationId,
      method: request.method,
      path: request.url.split('?', 1)[0],
      status: reply.statusCode,
      milliseconds: Math.round(reply.elapsedTime * 10) / 10,
      organizationId: request.principal?.organizationId,
      userId: request.principal?.userId,
    })
    done()
  })
  extend?.(app)
  await registerMetrics(app, metrics)
  if (config.corsOrigins.length > 0) await app.register(cors, { delegator: corsOptions(config.corsOrigins) })
  await app.register(underPressure, {
    maxEventLoopDelay: maxEventLoopDelayMs,
    // The health of the service is asked for most urgently when it is under pressure.
    pressureHandler: (request, reply, _type, value) => {
      // The first sample is taken while the process starts, and is not a number.
      if (request.routeOptions.config.operationId === 'getHealth' || !Number.isFinite(value)) return
      send(request, reply, unavailable())
    },
  })
  await app.register(jwt, {
    // The plugin passes the request first and the decoded token second; its types know the token only.
    secret: async (...[, token]: unknown[]) => {
      const key = await keys.verifying((token as DecodedToken).header.kid)
      // Without a key the plugin would look for another one.
      if (!key) throw Object.assign(new Error('signed with an unknown key'), { statusCode: 401 })
      return key
    },
    decode: { complete: true },
    sign: { algorithm: 'EdDSA', iss: ISSUER, aud: ISSUER, expiresIn: ACCESS_TOKEN_SECONDS },
    verify: {
      algorithms: ['EdDSA'],
      allowedIss: ISSUER,
      allowedAud: ISSUER,
      requiredClaims: ['userId', 'organizationId', 'sessionId', 'exp', 'iss', 'aud'],
    },
  })
  const services: Services = {
    ...options.services,
    publishedKeys: () => keys.published(),
    issueToken: async (claims) => {
      const { kid, key } = await keys.signing()
      return app.jwt.sign(claims, { key, kid })
    },
  }
  await mountContract(app, { services, authenticator: createAuthenticator(database, snapshots, clock) })
  await registerDocs(app)
  return app
}

type CorsDelegator = (request: FastifyRequest, done: (error: Error | null, options: FastifyCorsOptions) => void) => void

function corsOptions(origins: readonly string[]): CorsDelegator {
  const options = {
    origin: origins.includes('*') ? '*' : [...origins],
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    exposedHeaders: [
      'ETag',
      'Link',
      'Location',
      'RateLimit',
      'RateLimit-Policy',
      'Retry-After',
      'X-Request-Id',
      'Idempotency-Replayed',
    ],
    maxAge: 600,
  }
  // Any other OPTIONS request is a method like another, and gets its 405.
  return ({ headers }, done) => {
    const preflight = headers.origin !== undefined && 'access-control-request-method' in headers
    done(null, { ...options, preflight })
  }
}

function toTrustProxy(
  setting: Services['config']['trustProxy'],
): boolean | string[] | ((address: string, hop: number) => boolean) {
  if (typeof setting === 'boolean') return setting
  return typeof setting === 'number' ? (_address, hop) => hop < setting : [...setting]
}
