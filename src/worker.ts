import closeWithGrace from 'close-with-grace'
import { loadConfig, resolveSecret, StartupError } from './config.js'
import { createLogger, openResources, prepareDatabase, runJobs } from './process.js'

/** Starts a process that only runs jobs; any number of them may run. */
async function main(): Promise<void> {
  const config = loadConfig(process.env)
  if (!config.databaseUrl) {
    throw new StartupError(
      'DATABASE_URL is required: the embedded database is served and worked on by one process, `npm start`',
    )
  }
  const secret = resolveSecret(config)
  const log = createLogger(config)
  const databaseUrl = await prepareDatabase(config, config.databaseUrl, log)
  const resources = openResources(config, databaseUrl, secret, log, 'zenith-worker')
  const worker = runJobs(config, databaseUrl, resources, log)
  log.info('working')
  closeWithGrace({ delay: 15_000, logger: log }, async () => {
    await worker.close()
    await resources.close()
  })
}

try {
  await main()
} catch (error) {
  if (!(error instanceof StartupError)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 1
}
