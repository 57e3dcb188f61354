import cors, { type FastifyCorsOptions } from '@fastify/cors'
import helmet from '@fastify/helmet'
import jwt from '@fastify/jwt'
import underPressure from '@fastify/under-pressure'
import Fastify, { type FastifyBaseLogger, type FastifyInstance, type FastifyRequest, LogController } from 'fastify'
import type { Logger } from 'pino'
import { v7 as uuidv7 } from 'uuid'
import type { Principal, Services, SharedServices } from './context.js'
import { createAuthenticator } from './http/authenticate.js'
import { registerDocs } from './http/docs.js'
import { answer, answerParserErrors, registerErrors } from './http/errors.js'
import { parseJson } from './http/json.js'
import { type MetricsOptions, registerMetrics } from './http/metrics.js'
import { mountContract, send } from './http/mount.js'
import { unavailable } from './http/problems.js'
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
      typeof given === 'string' && /^[A-Za-z0-9_-]{1,128}$/.test(given) ? given : uuidv7(),
    routerOptions: { maxParamLength: 200, ignoreTrailingSlash: false },
    http: { headersTimeout: 15_000 },
    clientErrorHandler: answerParserErrors,
    frameworkErrors: (error, request, reply) => answer(error, request, reply),
  })
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

  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id)
    reply.header('cache-control', 'no-store')
  })
  app.addHook('onResponse', async (request, reply) => {
    request.log.info({
      operation: request.routeOptions.config.operationId,
      method: request.method,
      path: request.url.split('?', 1)[0],
      status: reply.statusCode,
      milliseconds: Math.round(reply.elapsedTime * 10) / 10,
      organizationId: request.principal?.organizationId,
      userId: request.principal?.userId,
    })
  })
  extend?.(app)
  await registerMetrics(app, metrics)
  await app.register(helmet, {
    contentSecurityPolicy: { directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] }, useDefaults: false },
    strictTransportSecurity: { maxAge: 31_536_000, includeSubDomains: true },
    frameguard: { action: 'deny' },
  })
  await app.register(cors, {
    delegator: (request: FastifyRequest, done: (error: Error | null, options: FastifyCorsOptions) => void) =>
      done(null, {
        origin: config.corsOrigins.includes('*') ? '*' : [...config.corsOrigins],
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
        // Any other OPTIONS request is a method like another, and gets its 405.
        preflight: request.headers.origin !== undefined && 'access-control-request-method' in request.headers,
      }),
  })
  await app.register(underPressure, {
    maxEventLoopDelay: maxEventLoopDelayMs,
    // The health of the service is asked for most urgently when it is under pressure.
    pressureHandler: (request, reply) => {
      if (request.routeOptions.config.operationId === 'getHealth') return
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
      requiredClaims: ['userId', 'organizationId', 'sessionId', 'exp'],
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

function toTrustProxy(
  setting: Services['config']['trustProxy'],
): boolean | string[] | ((address: string, hop: number) => boolean) {
  if (typeof setting === 'boolean') return setting
  return typeof setting === 'number' ? (_address, hop) => hop < setting : [...setting]
}
