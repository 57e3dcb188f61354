import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

// Fails when the tables in src/**/table.ts differ from what the migrations make: drizzle-kit would then generate another one.
const copy = mkdtempSync(join(tmpdir(), 'zenith-migrations-'))
try {
  cpSync('migrations', copy, { recursive: true })
  const before = readdirSync(copy).length
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [
      'node_modules/drizzle-kit/bin.cjs',
      'generate',
      '--dialect=postgresql',
      '--schema=./src/**/table.ts',
      `--out=${copy}`,
    ],
    { encoding: 'utf8' },
  )
  if (status !== 0) throw new Error(`drizzle-kit generate failed:\n${stdout}${stderr}`)
  if (readdirSync(copy).length !== before) {
    process.stderr.write(
      'The tables have changed without a migration: run "npm run db:generate -- --name <what-changes>"\n',
    )
    process.exitCode = 1
  }
} finally {
  rmSync(copy, { recursive: true, force: true })
}
