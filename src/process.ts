import type { Redis } from 'ioredis'
import { type Logger, pino } from 'pino'
import { type Config, StartupError } from './config.js'
import type { SharedServices } from './context.js'
import { type Database, openDatabase } from './db/database.js'
import { assertSafeAppRole, migrate, schemaIsCurrent } from './db/migrate.js'
import { connectRedis, ready } from './db/redis.js'
import { idempotencyRetention } from './http/idempotency.js'
import { createQueryObserver, type QueryObserver } from './http/metrics.js'
import { createRateLimiter, type RateLimiter } from './http/rate-limit.js'
import { createMailer, type Mailer } from './jobs/mail.js'
import { createProducer, type Producer } from './jobs/producer.js'
import { type RunningWorker, startWorker } from './jobs/worker.js'
import { keyRotation, sessionRetention } from './modules/auth/jobs.js'
import { KeyRing } from './modules/auth/keys.js'
import { customFieldBackfill } from './modules/custom-fields/jobs.js'
import { invitationMail } from './modules/users/jobs.js'
import { createSigner, type Signer } from './signer.js'

/** What a process opens once: pool, queue, keys and limits. */
export type Resources = {
  database: Database
  signer: Signer
  keys: KeyRing
  producer: Producer
  limiter: RateLimiter
  redis: Redis | undefined
  queries: QueryObserver
  services: SharedServices
  close(): Promise<void>
}

const clock = () => new Date()

/** The log of the process: one JSON object per line, without secrets. */
export function createLogger({ logLevel }: Pick<Config, 'logLevel'>): Logger {
  return pino({
    level: logLevel,
    base: null,
    redact: ['*.password', '*.token', '*.accessToken', '*.refreshToken', '*.authorization', 'headers.authorization'],
  })
}

/**
 * Makes sure that a database of one's own can be served: it answers, it has this release's schema, and in production the role
 * cannot get around row-level security. Outside production it is migrated.
 *
 * @throws StartupError saying what to do
 */
export async function prepareDatabase(config: Config, databaseUrl: string, log: Logger): Promise<string> {
  const production = config.environment === 'production'
  if (!(await schemaIsCurrent(databaseUrl))) {
    if (production || !config.databaseMigrationUrl) {
      throw new StartupError(
        'The database lacks migrations of this release: run `npm run db:migrate` with DATABASE_MIGRATION_URL',
      )
    }
    log.info({ applied: await migrateAsOwner(config.databaseMigrationUrl) }, 'migrated')
  }
  if (production) await assertSafeAppRole(databaseUrl)
  return databaseUrl
}

async function migrateAsOwner(url: string): Promise<readonly string[]> {
  try {
    return await migrate(url)
  } catch (error) {
    if (error instanceof StartupError) throw error
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : (error as Error)
    throw new StartupError(
      `The database cannot be migrated (${cause.message}): set DATABASE_MIGRATION_URL to the role that owns its schema`,
      { cause },
    )
  }
}

/** Opens what the API and the worker share; nothing here waits for a server. */
export function openResources(
  config: Config,
  databaseUrl: string,
  secret: string,
  log: Logger,
  name: string,
): Resources {
  const queries = createQueryObserver()
  const database = openDatabase({
    url: databaseUrl,
    poolSize: config.databasePoolSize,
    applicationName: name,
    observe: queries.observe,
  })
  const redis = config.redisUrl ? connectRedis(config.redisUrl, log) : undefined
  const producer = createProducer({ config: { databaseUrl, redisUrl: config.redisUrl }, log })
  const limiter = createRateLimiter({ redis })
  const signer = createSigner(secret)
  const keys = new KeyRing(database, signer, clock)
  return {
    database,
    signer,
    keys,
    producer,
    limiter,
    redis,
    queries,
    services: {
      config,
      database,
      signer,
      clock,
      limiter,
      wake: producer.wake,
      redisIsUp: redis && (() => ready(redis)),
    },
    async close() {
      limiter.close()
      await producer.close()
      redis?.disconnect()
      await database.close()
    },
  }
}

/** Starts the jobs of all modules. */
export function runJobs(
  config: Config,
  databaseUrl: string,
  { services, keys }: Resources,
  log: Logger,
): RunningWorker {
  const mailer: Mailer = createMailer(config, log)
  return startWorker({
    config: { databaseUrl, redisUrl: config.redisUrl },
    services: { ...services, mailer, rotateKeys: () => keys.rotate() },
    jobs: [invitationMail, customFieldBackfill, sessionRetention, keyRotation, idempotencyRetention],
    log,
  })
}
