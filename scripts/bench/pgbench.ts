import { execFile, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { PGBENCH_SCRIPTS } from './baseline-sql.js'
import type { BenchDatabase } from './database.js'
import { misspelt } from './pages-questions.js'
import { cpuOfFamily } from './processes.js'
import { RENEWAL, type Sample, type Scenario, STAGE, TIER } from './scenarios.js'
import { customKey } from './seed-custom-fields.js'

/** What PostgreSQL alone can do, in one round. */
export type Limit = { round: number; scenario: Scenario; postgresCpu: number; perSecond: number }

export const hasPgbench = (): boolean => spawnSync('pgbench', ['--version']).status === 0

type Options = { database: BenchDatabase; sample: Sample; connections: number; seconds: number; folder: string }

/** A statement by hand without a server: prepared, from as many connections. */
export async function pgbench(
  { database, sample, connections, seconds, folder }: Options,
  scenario: Scenario,
): Promise<Omit<Limit, 'round'>> {
  const { lifecycleStage, title, industry, lastName, fullName } = sample.values
  const realm = createHash('md5').update(`${sample.organizationId}contact`).digest('hex').slice(0, 8)
  const values: Record<string, string> = {
    organization: sample.organizationId,
    owner: sample.ownerId,
    contacts: `{${sample.contactIds.slice(0, connections).join(',')}}`,
    account: sample.accountIds[0] ?? '',
    after_time: sample.position.createdAt,
    after_id: sample.position.id,
    stage: STAGE,
    stage_most: lifecycleStage.most,
    stage_least: lifecycleStage.least,
    title: title.most,
    industry: industry.most,
    tier: customKey('tier', TIER),
    renewal: customKey('renewal', RENEWAL),
    // What the lexemes of the documents begin with.
    realm,
    asked: `'${realm}${lastName.most.toLowerCase()}':*`,
    misspelt: misspelt(fullName.least).toLowerCase(),
  }
  const url = new URL(database.baselineUrl)
  const file = join(folder, `${scenario}.sql`)
  // A script has one statement per line.
  await writeFile(file, `${PGBENCH_SCRIPTS[scenario].replaceAll(/\s+/g, ' ')}\n`)
  const define = Object.entries(values).flatMap(([name, value]) => ['-D', `${name}=${value}`])
  const load = ['-c', String(connections), '-T', String(seconds)]
  const before = await cpuOfFamily(database.postmaster)
  const { stdout } = await promisify(execFile)(
    'pgbench',
    ['-n', '-M', 'prepared', ...load, ...define, '-f', file, url.pathname.slice(1)],
    {
      env: {
        PATH: process.env.PATH,
        PGHOST: url.hostname,
        PGPORT: url.port,
        PGUSER: url.username,
        PGPASSWORD: url.password,
      },
    },
  )
  const count = Number(/transactions actually processed: (\d+)/.exec(stdout)?.[1])
  const perSecond = Number(/tps = ([\d.]+)/.exec(stdout)?.[1])
  return { scenario, postgresCpu: ((await cpuOfFamily(database.postmaster)) - before) / count, perSecond }
}
