import pg from 'pg'
import { type Claim, PLANNING } from '../../src/db/database.js'
import type { Bound } from '../../src/db/statement.js'
import type { Recorded } from './recorder.js'

type Mode = 'custom' | 'generic'

/** `buffers` are the pages of 8 KB that it touches. */
type Plan = { cost: number; buffers: number; milliseconds: number; sequentialScans: string[]; indexes: string[] }

/** What PostgreSQL does for a statement. It plans for the values at hand, or once for all values. */
export type Plans = Record<Mode, Plan> & {
  /** The plan that a prepared statement ends up with. */
  chosen: Mode
}

/** Explains statements as the role of the application, under the claim that they came with. */
export class Explainer {
  readonly #client: pg.Client
  readonly #prepared = new Map<string, string>()
  readonly #large: ReadonlySet<string>

  private constructor(client: pg.Client, large: ReadonlySet<string>) {
    this.#client = client
    this.#large = large
  }

  static async open(appUrl: string): Promise<Explainer> {
    const client = new pg.Client({ connectionString: appUrl })
    await client.connect()
    const planning = Object.entries(PLANNING).map(([name, value]) => `set ${name} = ${value}`)
    await client.query(`set timezone = 'UTC'; set statement_timeout = '120s'; ${planning.join('; ')}`)
    // To read a table of a few pages whole, such as the stages of twenty organizations, is right.
    const { rows } = await client.query<{ name: string }>(
      `select relname as name from pg_class where relkind = 'r' and relname like 'crm\\_%' and relpages > 4`,
    )
    return new Explainer(client, new Set(rows.map(({ name }) => name)))
  }

  close(): Promise<void> {
    return this.#client.end()
  }

  async explain(recorded: Recorded): Promise<Plans> {
    const name = await this.#prepare(recorded)
    const custom = await this.#plan('custom', name, recorded.bound)
    // What is never carried out need not be: such plans take the longest.
    const generic = await this.#plan('generic', name, recorded.bound, recorded.bound.plans === 'once')
    return { custom, generic, chosen: chosen(recorded.bound, custom, generic) }
  }

  /** Only the plan that it ends up with, and so in less time. */
  async explainChosen(recorded: Recorded): Promise<Plan> {
    const { bound } = recorded
    const name = await this.#prepare(recorded)
    if (bound.plans === 'always') return this.#plan('custom', name, bound)
    const [custom, generic] = [
      await this.#plan('custom', name, bound, false),
      await this.#plan('generic', name, bound, false),
    ]
    return this.#plan(chosen(bound, custom, generic), name, bound)
  }

  async #prepare({ claim, bound: { text } }: Recorded): Promise<string> {
    const name = this.#prepared.get(text) ?? `s${this.#prepared.size}`
    if (!this.#prepared.has(text)) await this.#client.query(`prepare ${name} as ${text}`)
    this.#prepared.set(text, name)
    await this.#client.query(claimText(this.#client, claim))
    return name
  }

  /** The buffers of the statement that puts the claim on the connection. */
  async enter({ claim }: Recorded): Promise<number> {
    if (claim.kind !== 'principal') return 0
    const values = [claim.organizationId, claim.userId, claim.sessionId, claim.version, true, 'auto']
    const text = `select app.enter(${values.map((value) => this.#client.escapeLiteral(String(value))).join(', ')})`
    await this.#client.query('begin')
    try {
      // The plans of its own statements are made on first use.
      await this.#client.query(text)
      const { rows } = await this.#client.query<Report>(`explain (analyze, buffers, timing off, format json) ${text}`)
      return buffersOf(planOf(rows[0], text).Plan)
    } finally {
      await this.#client.query('rollback')
    }
  }

  /** Runs a query of one's own under the claim of a recorded one. */
  async ask<Row extends object>({ claim }: Recorded, text: string, values: unknown[]): Promise<Row[]> {
    await this.#client.query(claimText(this.#client, claim))
    return (await this.#client.query<Row>(text, values)).rows
  }

  async #plan(mode: Mode, name: string, { text, values }: Bound<unknown>, isRun = true): Promise<Plan> {
    const literals = values.map((value) => (value === null ? 'null' : this.#client.escapeLiteral(String(value))))
    await this.#client.query(`begin; set local plan_cache_mode = force_${mode}_plan`)
    try {
      const before = await this.#scanned()
      // Writes are planned only: they have been carried out once already.
      const reads = text.startsWith('select') || (text.startsWith('with') && !/\b(insert|update|delete)\b/.test(text))
      const options = reads && isRun ? 'analyze, buffers, timing off, format json' : 'format json'
      const { rows } = await this.#client.query<Report>(
        `explain (${options}) execute ${name}${literals.length > 0 ? `(${literals.join(', ')})` : ''}`,
      )
      const { Plan: plan, 'Execution Time': milliseconds = 0 } = planOf(rows[0], text)
      const planned = flatten(plan)
        .filter((node) => node['Node Type'] === 'Seq Scan')
        .map((node) => node['Relation Name'] ?? '')
      // What functions do inside, the plan does not show.
      const done = [...(await this.#scanned())].filter(([table, count]) => count > (before.get(table) ?? 0))
      const scanned = new Set([...planned, ...done.map(([table]) => table)])
      return {
        cost: plan['Total Cost'],
        buffers: buffersOf(plan),
        milliseconds,
        sequentialScans: [...scanned].filter((table) => this.#large.has(table)),
        indexes: flatten(plan).flatMap((node) => node['Index Name'] ?? []),
      }
    } finally {
      await this.#client.query('rollback')
    }
  }

  /** How often this session has read a table whole, since its figures were last collected or so. */
  async #scanned(): Promise<Map<string, number>> {
    const { rows } = await this.#client.query<{ name: string; count: number }>(
      'select relname as name, seq_scan::int as count from pg_stat_xact_user_tables where seq_scan > 0',
    )
    return new Map(rows.map(({ name, count }) => [name, count]))
  }
}

export const scans = ({ custom, generic }: Plans): string[] => [...custom.sequentialScans, ...generic.sequentialScans]

/** As in choose_custom_plan() of PostgreSQL: planning anew has its price. */
const chosen = ({ plans }: Bound<unknown>, custom: Plan, generic: Plan): Mode =>
  plans === 'once' && generic.cost < custom.cost + PLANNING_COST ? 'generic' : 'custom'

/** 1000 × cpu_operator_cost × (relations + 1), for one relation. */
const PLANNING_COST = 5

function claimText(client: pg.Client, claim: Claim): string {
  const tenant = claim.kind === 'principal' || claim.kind === 'tenant' ? claim.organizationId : ''
  const user = claim.kind === 'identity' || claim.kind === 'tenant' ? (claim.userId ?? '') : ''
  const email = claim.kind === 'identity' ? (claim.email ?? '') : ''
  const set = (name: string, value: string) => `set app.${name} = ${client.escapeLiteral(value)}`
  return [
    set('organization_id', tenant),
    set('user_id', user),
    set('email', email),
    set('maintenance', claim.kind === 'maintenance' ? 'on' : ''),
  ].join('; ')
}

type Node = {
  'Node Type': string
  'Relation Name'?: string
  'Index Name'?: string
  'Total Cost': number
  'Shared Hit Blocks'?: number
  'Shared Read Blocks'?: number
  Plans?: Node[]
}
type Explanation = { Plan: Node; 'Execution Time'?: number }
type Report = { 'QUERY PLAN': [Explanation] }

function planOf(report: Report | undefined, text: string): Explanation {
  const [found] = report?.['QUERY PLAN'] ?? []
  if (!found) throw new Error(`PostgreSQL explained nothing of ${text}`)
  return found
}

const buffersOf = (plan: Node): number => (plan['Shared Hit Blocks'] ?? 0) + (plan['Shared Read Blocks'] ?? 0)

const flatten = (node: Node): Node[] => [node, ...(node.Plans ?? []).flatMap(flatten)]
