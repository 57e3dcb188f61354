import { parseArgs } from 'node:util'
import closeWithGrace from 'close-with-grace'
import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import { type AppOptions, buildApp } from './app.js'
import { type Config, loadConfig, resolveSecret, StartupError } from './config.js'
import type { Principal, SharedServices } from './context.js'
import { type EmbeddedPostgres, startEmbeddedPostgres } from './db/embedded.js'
import { migrate } from './db/migrate.js'
import { createSharedCache } from './http/snapshot-cache.js'
import { createLogger, openResources, prepareDatabase, runJobs } from './process.js'

/** Starts the API. Without a database of its own it brings one, migrates it, and runs the jobs as well. */
async function main(): Promise<void> {
  const { values } = parseArgs({ options: { demo: { type: 'boolean', default: false } } })
  const config = loadConfig(process.env)
  const secret = resolveSecret(config)
  const log = createLogger(config)
  // Closed in the opposite order.
  const opened: (() => Promise<unknown>)[] = []
  const closeAll = async () => {
    for (const close of opened.reverse()) await close()
  }
  try {
    const { databaseUrl, embedded } = await openServer(config, log)
    if (embedded) opened.push(() => embedded.stop())
    const resources = openResources(config, databaseUrl, secret, log, 'zenith-api')
    opened.push(() => resources.close())
    const build = (services: Partial<SharedServices> = {}, more: Partial<AppOptions> = {}) =>
      buildApp({
        ...more,
        services: { ...resources.services, ...services },
        keys: resources.keys,
        log,
        metrics: { queries: resources.queries, queueCounts: () => resources.producer.counts() },
        snapshots: createSharedCache<Principal>(resources.redis),
      })
    if (values.demo) {
      const { fillDemo } = await import('./demo.js')
      await fillDemo(
        (clock) => build({ clock, config: { ...config, rateLimitPerMinute: 0 } }, { maxEventLoopDelayMs: 0 }),
        log,
      )
    }
    const app = await build()
    if (embedded) {
      const worker = runJobs(config, databaseUrl, resources, log)
      opened.push(() => worker.close())
    }
    opened.push(() => app.close())
    await listen(app, config)
    if (embedded) welcome(config)
    log.info({ address: app.listeningOrigin }, 'ready')
  } catch (error) {
    await closeAll()
    throw error
  }
  closeWithGrace({ delay: 15_000, logger: log }, closeAll)
}

async function openServer(config: Config, log: Logger): Promise<{ databaseUrl: string; embedded?: EmbeddedPostgres }> {
  if (config.databaseUrl) return { databaseUrl: await prepareDatabase(config, config.databaseUrl, log) }
  const embedded = await startEmbeddedPostgres({ dataDir: config.dataDir, log: (message) => log.info(message) })
  await migrate(embedded.ownerUrl)
  return { databaseUrl: embedded.appUrl, embedded }
}

async function listen(app: FastifyInstance, { host, port }: Config): Promise<void> {
  try {
    await app.listen({ host, port })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EADDRINUSE')
      throw new StartupError(`Port ${port} on ${host} is in use: stop what runs there, or set PORT`)
    if (code === 'EACCES' || code === 'EADDRNOTAVAIL')
      throw new StartupError(`Cannot listen on ${host}:${port} (${code}): set HOST and PORT`)
    throw error
  }
}

function welcome({ publicUrl }: Config): void {
  const json = "-H 'content-type: application/json'"
  const credentials = '"email":"ada@example.com","password":"correct horse battery staple"'
  const token = `node -pe 'JSON.parse(require("fs").readFileSync(0)).accessToken'`
  process.stdout.write(`
Zenith CRM API is ready. Documentation: ${publicUrl}/docs

Register, log in and create an account:

  curl -s ${publicUrl}/api/v1/auth/register ${json} -d '{${credentials},"organizationName":"Northwind Sales"}'
  TOKEN=$(curl -s ${publicUrl}/api/v1/auth/login ${json} -d '{${credentials}}' | ${token})
  curl -s ${publicUrl}/api/v1/accounts ${json} -H "authorization: Bearer $TOKEN" -d '{"name":"Northwind Traders"}'

`)
}

try {
  await main()
} catch (error) {
  if (!(error instanceof StartupError)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 1
}
