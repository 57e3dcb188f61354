import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

// Adds a record type to a copy of the project, as CONTRIBUTING.md shows it, and runs its tests there.

const RECORD = [
  ...['product', 'products', 'name:name!', 'sku:text', 'unitPrice:money', 'isActive:boolean'],
  ...['launchedOn:date', 'accountId:account'],
]
const WRITTEN = /^(openapi|generated|migrations|src\/modules\/products)\//
const MINUTES = 60_000

const project = resolve(import.meta.dirname, '../..')
const copy = mkdtempSync(join(tmpdir(), 'zenith-new-record-'))

/** Runs a program of this project in the copy and answers with its output, which shows only when it fails. */
function run(title: string, script: string, args: string[]): string {
  const start = Date.now()
  try {
    const output = execFileSync(process.execPath, [join('node_modules', script), ...args], {
      ...{ cwd: copy, encoding: 'utf8', stdio: 'pipe', timeout: 5 * MINUTES },
    })
    console.log(`${title}: ok (${Math.round((Date.now() - start) / 1000)} s)`)
    return output
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
    throw new Error(`${title} failed:\n${stdout}${stderr}`, { cause: error })
  }
}

const git = (cwd: string, ...args: string[]): string[] =>
  execFileSync('git', args, { cwd, encoding: 'utf8' }).split('\0').filter(Boolean)

const hashOf = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex')

try {
  const files = git(project, 'ls-files', '-z', '--cached', '--others', '--exclude-standard')
  const before = new Map<string, string>()
  for (const file of new Set(files)) {
    if (!existsSync(join(project, file))) continue
    cpSync(join(project, file), join(copy, file))
    before.set(file, hashOf(join(copy, file)))
  }
  symlinkSync(join(project, 'node_modules'), join(copy, 'node_modules'), 'junction')
  git(copy, 'init', '--quiet')

  run('scaffold', 'tsx/dist/cli.mjs', ['scripts/new-record.ts', ...RECORD])
  run('generate', 'tsx/dist/cli.mjs', ['scripts/generate.ts'])
  run('migration', 'drizzle-kit/bin.cjs', ['generate', '--name', 'add-products'])
  run('types', 'typescript/bin/tsc', ['--noEmit'])
  run('lint', '@biomejs/biome/bin/biome', ['check', 'src/modules/products'])
  const tests = run('tests', 'vitest/vitest.mjs', [
    'run',
    '--no-color',
    'src/testing/coverage.test.ts',
    'src/testing/examples.test.ts',
    '-t',
    'Product',
  ])

  const passed = Number(/Tests\s+(\d+) passed/.exec(tests)?.[1] ?? 0)
  if (passed === 0) throw new Error('no test is about the new record type')

  const after = git(copy, 'ls-files', '-z', '--others', '--exclude-standard').filter((file) => file !== 'node_modules')
  const changed = [...new Set([...before.keys(), ...after])].filter(
    (file) => !existsSync(join(copy, file)) || hashOf(join(copy, file)) !== before.get(file),
  )
  const elsewhere = changed.filter((file) => !WRITTEN.test(file))
  if (elsewhere.length > 0) throw new Error(`a new record type took changes elsewhere: ${elsewhere.join(', ')}`)
  console.log(`${passed} tests passed. A new record type takes ${changed.length} files, none of them shared code.`)
} finally {
  rmSync(copy, { recursive: true, force: true })
}
