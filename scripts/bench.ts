/**
 * `npm run bench`: what a request costs here, next to a server written by hand and to PostgreSQL alone. See docs/bench.
 *
 *   --quick            a few short rounds, for a look; prints and writes nothing
 *   --rounds n         rounds of each scenario (5), alternating between the servers
 *   --seconds n        length of one measurement (4)
 *   --rows n           contacts in the data set (1000000); the rest in proportion
 *   --explain          only: EXPLAIN pages of 50 and every kind of statement on the data
 *   --pages            only: the pages of 50
 *   --tenant           only: compare ways to tell PostgreSQL the tenant (docs/adr/0002-tenant-setting.md)
 *   --out folder       where table and charts go (docs/bench)
 *
 * DATA_DIR keeps the seeded embedded PostgreSQL between runs (.data/bench); BENCH_DATABASE_URL names the superuser of a server
 * on this machine instead.
 */
import { execFileSync } from 'node:child_process'
import { createPublicKey, type JsonWebKey, randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { type BenchDatabase, openBenchDatabase } from './bench/database.js'
import { explainStatements, renderExplained } from './bench/explain.js'
import { load, quantile } from './bench/load.js'
import { explainPages, unexplained, writePages } from './bench/pages.js'
import { hasPgbench, type Limit, pgbench } from './bench/pgbench.js'
import { scans } from './bench/plans.js'
import { cpuOf, cpuOfFamily, memoryOf, type RunningServer, startServer } from './bench/processes.js'
import { type Contender, describe, type Measurement, type Results, writeReport } from './bench/report.js'
import {
  apiCursor,
  baselineCursor,
  COMPARED,
  type Requests,
  requests,
  type Sample,
  SCENARIOS,
  type Scenario,
  takeSample,
  withoutAccidents,
} from './bench/scenarios.js'
import { FULL_SIZE, PASSWORD, removeTraces, scaledTo } from './bench/seed.js'
import { compareTenantSettings } from './bench/tenant-setting.js'

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    rows: { type: 'string' },
    explain: { type: 'boolean', default: false },
    pages: { type: 'boolean', default: false },
    tenant: { type: 'boolean', default: false },
    out: { type: 'string', default: 'docs/bench' },
  },
})
const rounds = Number(options.rounds ?? (options.quick ? 2 : 5))
const seconds = Number(options.seconds ?? (options.quick ? 1 : 4))
const size = options.rows ? scaledTo(Number(options.rows)) : FULL_SIZE
const connections = 16
const startRounds = options.quick ? 3 : 9
const scenarios = Object.keys(SCENARIOS) as Scenario[]
const log = (message: string) => process.stderr.write(`${message}\n`)

const contenders = (scenario: Scenario): Contender[] =>
  COMPARED.includes(scenario) ? ['zenith', 'baseline'] : ['zenith']

const serverFiles: Record<Contender, string> = {
  zenith: resolve('dist/src/main.js'),
  baseline: resolve('dist/scripts/bench/baseline-server.js'),
}

async function bench(database: BenchDatabase, folder: string): Promise<void> {
  execFileSync('npm', ['run', '--silent', 'build'], { stdio: 'inherit' })
  const sample = await takeSample(database.superuserUrl, 500_000)
  const secret = randomBytes(48).toString('base64')
  const common = { LOG_LEVEL: 'info', DATABASE_POOL_SIZE: '10', NODE_ENV: 'production' }
  const environments: Record<Contender, Record<string, string>> = {
    // Limits stay on, out of reach: counting is part of the work.
    zenith: { ...common, DATABASE_URL: database.appUrl, APP_SECRET: secret, RATE_LIMIT_PER_MINUTE: '1000000' },
    baseline: { ...common, DATABASE_URL: database.baselineUrl },
  }
  const start = (contender: Contender) =>
    startServer(serverFiles[contender], environments[contender], join(folder, `${contender}.log`))

  const running: RunningServer[] = []
  try {
    const zenith = await start('zenith')
    running.push(zenith)
    environments.baseline.JWT_PUBLIC_KEY = await publicKeyOf(zenith.port)
    const baseline = await start('baseline')
    running.push(baseline)
    const servers = { zenith, baseline }
    const signIn = async (): Promise<Record<Contender, Requests>> => {
      // One after the other: many at once look like an attack on the account.
      const tokens: string[] = []
      while (tokens.length < connections) tokens.push(await tokenFor(zenith.port, sample))
      return {
        zenith: requests(sample, apiCursor(secret, sample), tokens),
        baseline: requests(sample, baselineCursor(sample), tokens),
      }
    }
    await assertSameReplies(servers, await signIn())

    log('warming up')
    const first = await signIn()
    for (const scenario of scenarios) {
      for (const contender of contenders(scenario)) {
        await load(
          { port: servers[contender].port, connections, seconds: Math.min(seconds, 2) },
          first[contender][scenario],
        )
      }
    }
    const measurements: Measurement[] = []
    const limits: Limit[] = []
    const withPgbench = hasPgbench()
    for (let round = 1; round <= rounds; round++) {
      // Created records are the newest, so they would make up the first page.
      await removeTraces(database.superuserUrl)
      const made = await signIn()
      for (const scenario of scenarios) {
        for (const contender of round % 2 === 1 ? contenders(scenario) : contenders(scenario).reverse()) {
          const measurement = await measure(database, servers[contender], made[contender][scenario])
          measurements.push({ round, scenario, contender, ...measurement })
          log(`round ${round}  ${describe(measurements.at(-1) as Measurement)}`)
        }
        if (withPgbench) {
          const limit = await pgbench({ database, sample, connections, seconds, folder }, scenario)
          // On a busy machine not one may come to its end.
          if (Number.isFinite(limit.postgresCpu)) limits.push({ round, ...limit })
        }
      }
    }
    for (const server of running.splice(0)) await server.stop()

    log('starts')
    const starts: Results['starts'] = { zenith: [], baseline: [] }
    for (let round = 0; round < startRounds; round++) {
      for (const contender of ['zenith', 'baseline'] as const) {
        const server = await start(contender)
        starts[contender].push(server.start)
        await server.stop()
      }
    }
    const { version, settings } = database
    const results: Results = {
      measurements,
      limits,
      starts,
      sample,
      size,
      connections,
      seconds,
      rounds,
      version,
      settings,
    }
    process.stdout.write(await writeReport(results, options.quick ? undefined : options.out))
  } finally {
    for (const server of running) await server.stop()
  }
}

async function explain(database: BenchDatabase): Promise<void> {
  await mkdir(options.out, { recursive: true })
  const pages = await explainPages(database)
  process.stdout.write(await writePages(pages, join(options.out, 'pages.md')))
  const faults = unexplained(pages)
  if (!options.pages) {
    const explained = await explainStatements(database, 'all')
    const text = renderExplained(explained)
    await writeFile(join(options.out, 'plans.md'), text)
    process.stdout.write(text)
    faults.push(...explained.filter(({ plans }) => scans(plans).length > 0).map(({ request }) => `scan: ${request}`))
  }
  for (const fault of faults) log(fault)
  if (faults.length > 0) process.exitCode = 1
}

async function measure(
  database: BenchDatabase,
  { pid, port }: RunningServer,
  next: Requests[Scenario],
): Promise<Omit<Measurement, 'round' | 'scenario' | 'contender'>> {
  const cpu = async () => ({ server: await cpuOf(pid), postgres: await cpuOfFamily(database.postmaster) })
  const before = await cpu()
  const { requests: count, seconds: taken, latencies } = await load({ port, connections, seconds }, next)
  const after = await cpu()
  return {
    serverCpu: (after.server - before.server) / count,
    postgresCpu: (after.postgres - before.postgres) / count,
    perSecond: count / taken,
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
    memory: (await memoryOf(pid)).now,
  }
}

async function publicKeyOf(port: number): Promise<string> {
  const reply = await fetch(`http://127.0.0.1:${port}/.well-known/jwks.json`)
  const { keys } = (await reply.json()) as { keys: JsonWebKey[] }
  if (!keys[0]) throw new Error('The server has published no key')
  return createPublicKey({ key: keys[0], format: 'jwk' }).export({ format: 'pem', type: 'spki' }).toString()
}

async function tokenFor(port: number, { ownerEmail: email }: Sample): Promise<string> {
  const reply = await fetch(`http://127.0.0.1:${port}/api/v1/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email, password: PASSWORD }),
  })
  const { accessToken } = (await reply.json()) as { accessToken?: string }
  if (!accessToken) throw new Error(`Login was answered with ${reply.status}`)
  return accessToken
}

/** The comparison means something only while both servers give the same answers. */
async function assertSameReplies(
  servers: Record<Contender, RunningServer>,
  made: Record<Contender, Requests>,
): Promise<void> {
  for (const scenario of COMPARED) {
    const [ours, theirs] = await Promise.all(
      (['zenith', 'baseline'] as const).map(async (contender) => {
        const [head = '', body = ''] = made[contender][scenario](0).bytes.split('\r\n\r\n')
        const [line = '', ...fields] = head.split('\r\n')
        const [method = '', path = ''] = line.split(' ')
        const headers = fields
          .map((field) => field.split(': ') as [string, string])
          .filter(([name]) => !['host', 'content-length'].includes(name))
        const url = `http://127.0.0.1:${servers[contender].port}${path}`
        const reply = await fetch(url, { method, headers, ...(body && { body }) })
        return withoutAccidents(await reply.text(), scenario)
      }),
    )
    if (ours !== theirs) throw new Error(`${scenario} is answered differently:\n${ours}\n${theirs}`)
  }
  log('both servers give the same replies')
}

const folder = await mkdtemp(join(tmpdir(), 'zenith-bench-'))
const dataDir = resolve(process.env.DATA_DIR ?? '.data/bench')
const database = await openBenchDatabase({ url: process.env.BENCH_DATABASE_URL, dataDir, size }, log)
try {
  if (options.explain || options.pages) await explain(database)
  else if (options.tenant) process.stdout.write(await compareTenantSettings(database, rounds, seconds))
  else await bench(database, folder)
} finally {
  await removeTraces(database.superuserUrl)
  await database.close()
  await rm(folder, { recursive: true })
}
