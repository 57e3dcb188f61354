import { execFile, spawnSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { PGBENCH_SCRIPTS } from './baseline-sql.js'
import type { BenchDatabase } from './database.js'
import { cpuOfFamily } from './processes.js'
import { type Sample, type Scenario, STAGE } from './scenarios.js'

/** What PostgreSQL alone can do. */
export type Limit = { scenario: Scenario; postgresCpu: number; perSecond: number }

export const hasPgbench = (): boolean => spawnSync('pgbench', ['--version']).status === 0

type Options = { database: BenchDatabase; sample: Sample; connections: number; seconds: number; folder: string }

/** The statements of the hand-written server without a server: as prepared statements, from as many connections. */
export async function pgbench({ database, sample, connections, seconds, folder }: Options): Promise<Limit[]> {
  const values: Record<string, string> = {
    organization: sample.organizationId,
    owner: sample.ownerId,
    contacts: `{${sample.contactIds.slice(0, connections).join(',')}}`,
    account: sample.accountIds[0] ?? '',
    after_time: sample.position.createdAt,
    after_id: sample.position.id,
    stage: STAGE,
  }
  const url = new URL(database.baselineUrl)
  const limits: Limit[] = []
  for (const [scenario, text] of Object.entries(PGBENCH_SCRIPTS)) {
    const file = join(folder, `${scenario}.sql`)
    // A script has one statement per line.
    await writeFile(file, `${text.replaceAll(/\s+/g, ' ')}\n`)
    const define = Object.entries(values).flatMap(([name, value]) => ['-D', `${name}=${value}`])
    const before = await cpuOfFamily(database.postmaster)
    const { stdout } = await promisify(execFile)(
      'pgbench',
      [
        '-n',
        '-M',
        'prepared',
        '-c',
        String(connections),
        '-T',
        String(seconds),
        ...define,
        '-f',
        file,
        url.pathname.slice(1),
      ],
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
    const postgresCpu = ((await cpuOfFamily(database.postmaster)) - before) / count
    limits.push({ scenario: scenario as Scenario, postgresCpu, perSecond })
  }
  return limits
}
