import { execFileSync } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { cpus, loadavg, totalmem } from 'node:os'
import { join } from 'node:path'
import { stackedBars } from './chart.js'
import type { Limit } from './pgbench.js'
import { COMPARED, QUERIES, type Sample, SCENARIOS, type Scenario } from './scenarios.js'
import type { Size } from './seed.js'

export type Contender = 'zenith' | 'baseline'

/** One scenario, one server, one round. CPU in microseconds per request, times in milliseconds, memory in MB. */
export type Measurement = {
  round: number
  scenario: Scenario
  contender: Contender
  serverCpu: number
  postgresCpu: number
  perSecond: number
  p50: number
  p99: number
  memory: number
}

type Start = { milliseconds: number; cpu: number }

export type Results = {
  measurements: Measurement[]
  limits: Limit[]
  starts: Record<Contender, Start[]>
  sample: Sample
  size: Size
  connections: number
  seconds: number
  rounds: number
  version: string
  settings: Record<string, string>
}

/** Of the CPU per request, server and PostgreSQL together, in units of the hand-written server. */
const TARGETS: Partial<Record<Scenario, number>> = { get: 1.5, list: 1.5, create: 2 }
const DEPTH_TARGET = 1.1
const START_TARGET = 2.5

const names: Record<Contender, string> = { zenith: 'Zenith', baseline: 'hand-written' }

export const describe = ({ scenario, contender, serverCpu, postgresCpu, perSecond, p99 }: Measurement): string =>
  `${SCENARIOS[scenario].padEnd(24)} ${names[contender].padEnd(13)} ${round(serverCpu)} + ${round(postgresCpu)} µs, ${round(perSecond)}/s, p99 ${p99.toFixed(1)} ms`

type Spread = { median: number; min: number; max: number }

function spread(values: number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = (sorted.length - 1) / 2
  const median = ((sorted[Math.floor(middle)] ?? Number.NaN) + (sorted[Math.ceil(middle)] ?? Number.NaN)) / 2
  return { median, min: sorted[0] ?? Number.NaN, max: sorted.at(-1) ?? Number.NaN }
}

const round = (value: number): string => value.toLocaleString('en', { maximumFractionDigits: 0 })
const ratio = ({ median, min, max }: Spread): string => `**${median.toFixed(2)}** (${min.toFixed(2)}–${max.toFixed(2)})`
const verdict = (value: number, target: number | undefined): string =>
  target === undefined ? '' : `${value <= target ? 'met' : '**missed**'}: ≤ ${target}`

/** Renders table and charts; writes them where asked. Answers with the table. */
export async function writeReport(results: Results, folder: string | undefined): Promise<string> {
  const text = render(results)
  if (folder) {
    await mkdir(folder, { recursive: true })
    await writeFile(join(folder, 'results.md'), text)
    for (const [name, svg] of Object.entries(charts(results))) await writeFile(join(folder, name), svg)
  }
  return text
}

function render(results: Results): string {
  const { starts, sample, size, connections, seconds, rounds, version, settings } = results
  const rows = COMPARED.map((scenario) => {
    const [zenith, baseline] = [medians(results, scenario, 'zenith'), medians(results, scenario, 'baseline')]
    const limit = limitOf(results, scenario)
    const cpu = ratios(results, scenario, total)
    return [
      label(scenario, sample),
      `${round(zenith.serverCpu)} + ${round(zenith.postgresCpu)} = ${round(total(zenith))}`,
      `${round(baseline.serverCpu)} + ${round(baseline.postgresCpu)} = ${round(total(baseline))}`,
      limit ? round(limit.postgresCpu) : '',
      ratio(cpu),
      verdict(cpu.median, TARGETS[scenario]),
    ]
  })
  const speed = COMPARED.map((scenario) => {
    const [zenith, baseline] = [medians(results, scenario, 'zenith'), medians(results, scenario, 'baseline')]
    const limit = limitOf(results, scenario)
    return [
      label(scenario, sample),
      ...[zenith, baseline].map(({ perSecond }) => round(perSecond)),
      limit ? round(limit.perSecond) : '',
      ...[zenith, baseline].map(({ p50, p99 }) => `${p50.toFixed(1)} / ${p99.toFixed(1)}`),
      ...[zenith, baseline].map(({ memory }) => round(memory)),
    ]
  })
  const queries = QUERIES.map((scenario) => {
    const zenith = medians(results, scenario, 'zenith')
    const limit = limitOf(results, scenario)
    return [
      label(scenario, sample),
      `${round(zenith.serverCpu)} + ${round(zenith.postgresCpu)} = ${round(total(zenith))}`,
      limit ? round(limit.postgresCpu) : '',
      limit ? ratio(limitRatios(results, scenario)) : '',
      round(zenith.perSecond),
      limit ? round(limit.perSecond) : '',
      `${zenith.p50.toFixed(1)} / ${zenith.p99.toFixed(1)}`,
    ]
  })
  const depth = depthRatio(results)
  const milliseconds = spread(
    starts.zenith.map((each, index) => each.milliseconds / (starts.baseline[index]?.milliseconds ?? 1)),
  )
  const start = (contender: Contender, key: keyof Start) => spread(starts[contender].map((each) => each[key])).median
  const settingsText = Object.entries(settings)
    .map(([name, value]) => `\`${name}=${value}\``)
    .join(', ')
  return `<!-- Written by \`npm run bench\`. -->
# Results

${rounds} rounds of ${seconds} s, ${connections} connections, alternating between the servers. Node.js ${process.versions.node}, PostgreSQL ${version},
${cpus().length} cores (${cpus()[0]?.model.trim()}), ${round(totalmem() / 2 ** 30)} GB, commit ${commit()}. Load of the machine at the end: ${loadavg()[0]?.toFixed(0)}.
${round(size.accounts)} accounts, ${round(size.contacts)} contacts, ${round(size.leads)} leads and ${round(size.opportunities)} opportunities in ${size.organizations} organizations, one of which has ${Math.round(size.bigShare * 100)} %.
${settingsText}.

## CPU per request

Microseconds, server + PostgreSQL, median of the rounds. The ratio is that of the sums, round by round: median (smallest–largest).

${table(['', 'Zenith', 'hand-written', 'PostgreSQL alone (pgbench)', 'ratio', 'target'], rows)}

![CPU per request](cpu.svg)

The page at depth ${round(sample.depth)} costs Zenith ${ratio(depth)} times the CPU of the first page (${verdict(depth.median, DEPTH_TARGET)}).

## Throughput and latency

Requests per second, milliseconds and resident memory in MB, median of the rounds.

${table(['', 'Zenith /s', 'hand-written /s', 'pgbench /s', 'Zenith p50 / p99', 'hand-written p50 / p99', 'Zenith MB', 'hand-written MB'], speed)}

![Requests per second](throughput.svg)

## Queries

Pages of 50 in the language of filters and orders, which the hand-written server does not have. The limit is the best statement by hand,
without row-level security, on the same tables and indexes; the ratio is that of PostgreSQL's shares, round by round.

${table(['', 'Zenith, µs', 'pgbench, µs', 'ratio of PostgreSQL', 'Zenith /s', 'pgbench /s', 'Zenith p50 / p99, ms'], queries)}

![CPU per query](queries.svg)

## Start

From starting the process to the first answer of \`GET /healthz\`, PostgreSQL being up; median of ${starts.zenith.length}.

${table(
  ['', 'Zenith', 'hand-written', 'ratio', 'target'],
  [
    [
      'milliseconds',
      round(start('zenith', 'milliseconds')),
      round(start('baseline', 'milliseconds')),
      ratio(milliseconds),
      verdict(milliseconds.median, START_TARGET),
    ],
    [
      'CPU, milliseconds',
      round(start('zenith', 'cpu') / 1000),
      round(start('baseline', 'cpu') / 1000),
      (start('zenith', 'cpu') / start('baseline', 'cpu')).toFixed(2),
      '',
    ],
  ],
)}
`
}

const label = (scenario: Scenario, { depth }: Sample): string =>
  scenario === 'deep' ? `list of 50, depth ${round(depth)}` : SCENARIOS[scenario]

const total = ({ serverCpu, postgresCpu }: Pick<Measurement, 'serverCpu' | 'postgresCpu'>): number =>
  serverCpu + postgresCpu

const of = ({ measurements }: Results, scenario: Scenario, contender: Contender): Measurement[] =>
  measurements.filter((each) => each.scenario === scenario && each.contender === contender)

type Figures = Omit<Measurement, 'round' | 'scenario' | 'contender'>

function medians(results: Results, scenario: Scenario, contender: Contender): Figures {
  const found = of(results, scenario, contender)
  const median = (key: keyof Figures) => spread(found.map((each) => each[key])).median
  return {
    serverCpu: median('serverCpu'),
    postgresCpu: median('postgresCpu'),
    perSecond: median('perSecond'),
    p50: median('p50'),
    p99: median('p99'),
    memory: median('memory'),
  }
}

function ratios(results: Results, scenario: Scenario, figure: (of: Measurement) => number): Spread {
  const theirs = of(results, scenario, 'baseline')
  return spread(of(results, scenario, 'zenith').map((each, index) => figure(each) / figure(theirs[index] ?? each)))
}

/** Medians of the rounds. */
function limitOf({ limits }: Results, scenario: Scenario): Pick<Limit, 'postgresCpu' | 'perSecond'> | undefined {
  const found = limits.filter((each) => each.scenario === scenario)
  const median = (key: 'postgresCpu' | 'perSecond') => spread(found.map((each) => each[key])).median
  return found.length > 0 ? { postgresCpu: median('postgresCpu'), perSecond: median('perSecond') } : undefined
}

function limitRatios(results: Results, scenario: Scenario): Spread {
  const ours = of(results, scenario, 'zenith')
  return spread(
    results.limits
      .filter((limit) => limit.scenario === scenario)
      .map(
        ({ round, postgresCpu }) =>
          (ours.find((each) => each.round === round)?.postgresCpu ?? Number.NaN) / postgresCpu,
      ),
  )
}

function depthRatio(results: Results): Spread {
  const first = of(results, 'list', 'zenith')
  return spread(of(results, 'deep', 'zenith').map((each, index) => total(each) / total(first[index] ?? each)))
}

function table(head: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map((_, index) => (index === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n')
}

function commit(): string {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim()
  } catch {
    return 'unknown'
  }
}

function charts(results: Results): Record<string, string> {
  type Shares = Pick<Limit, 'postgresCpu' | 'perSecond'> & { serverCpu: number }
  const groups = (scenarios: readonly Scenario[], values: (shares: Shares) => number[]) =>
    scenarios.map((scenario) => {
      const limit = limitOf(results, scenario)
      return {
        label: label(scenario, results.sample),
        bars: [
          { label: names.zenith, values: values(medians(results, scenario, 'zenith')) },
          ...(COMPARED.includes(scenario)
            ? [{ label: names.baseline, values: values(medians(results, scenario, 'baseline')) }]
            : []),
          ...(limit ? [{ label: 'pgbench', values: values({ serverCpu: 0, ...limit }) }] : []),
        ],
      }
    })
  const cpu = ({ serverCpu, postgresCpu }: Shares) => [serverCpu, postgresCpu]
  const shares = ['server', 'PostgreSQL']
  return {
    'cpu.svg': stackedBars({
      title: 'CPU per request, microseconds',
      series: shares,
      groups: groups(COMPARED, cpu),
    }),
    'queries.svg': stackedBars({
      title: 'CPU per query, microseconds',
      series: shares,
      groups: groups(QUERIES, cpu),
    }),
    'throughput.svg': stackedBars({
      title: 'Requests per second',
      series: ['requests per second'],
      groups: groups([...COMPARED, ...QUERIES], ({ perSecond }) => [perSecond]),
    }),
  }
}
