import { loadMigrationUrl, StartupError } from '../src/config.js'
import { migrate } from '../src/db/migrate.js'

try {
  const applied = await migrate(loadMigrationUrl(process.env))
  for (const name of applied) console.log(`applied ${name}`)
  console.log(applied.length === 0 ? 'The database was up to date' : 'The database is up to date')
} catch (error) {
  console.error(error instanceof StartupError ? error.message : error)
  process.exitCode = 1
}
