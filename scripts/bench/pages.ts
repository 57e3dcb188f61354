import { writeFile } from 'node:fs/promises'
import { withClient } from '../../src/db/client.js'
import { type Caller, signInAll } from './explain.js'
import { findValues, type Question, questions } from './pages-questions.js'
import { Explainer } from './plans.js'
import { BASE, openRecorder, type Recorded, type Recorder, type Reply } from './recorder.js'

/** Of a page of 50, for which 51 records are read. */
const LIMIT = 200
/** The deep page of what does not say otherwise begins here, or at the last hundred records where there are fewer. */
const DEPTH = 10_000

const ROLES = ['owner', 'member'] as const
const PLACES = ['first', 'deep'] as const
type Cell = `${(typeof ROLES)[number]}, ${(typeof PLACES)[number]}`

/** What a page of a request costs: the buffers of all its statements, the claim included. */
type Cost = { buffers: number; records: number; depth: number; scans: string[] }

export type Answered = { question: Question; costs: Partial<Record<Cell, Cost>> }

/**
 * Asks the application for pages of 50, as the owner and as a member of the biggest organization, and explains every statement of
 * each request as the role of the application.
 */
export async function explainPages(
  { superuserUrl, appUrl }: { superuserUrl: string; appUrl: string },
  isWanted: (question: Question) => boolean = () => true,
): Promise<Answered[]> {
  const recorder = await openRecorder(appUrl)
  const explainer = await Explainer.open(appUrl)
  try {
    const answered = new Map<string, Answered>()
    await withClient(superuserUrl, async (client) => {
      await client.query(`set timezone = 'UTC'`)
      for (const caller of await signInAll(recorder, client, 'common')) {
        const role = ROLES.find((each) => each === caller.role)
        if (!role) continue
        for (const question of questions(await findValues(client, caller)).filter(isWanted)) {
          const key = `${question.scenario} ${question.what}`
          const of = answered.get(key) ?? { question, costs: {} }
          answered.set(key, of)
          const ask = new Page(recorder, explainer, caller, question)
          of.costs[`${role}, first`] = await ask.first()
          const deep = await ask.deep()
          if (deep) of.costs[`${role}, deep`] = deep
        }
      }
    })
    return [...answered.values()]
  } finally {
    await explainer.close()
    await recorder.close()
  }
}

class Page {
  readonly #recorder: Recorder
  readonly #explainer: Explainer
  readonly #caller: Caller
  readonly #question: Question
  #statements: Recorded[] = []
  #nextCursor: string | null = null

  constructor(recorder: Recorder, explainer: Explainer, caller: Caller, question: Question) {
    this.#recorder = recorder
    this.#explainer = explainer
    this.#caller = caller
    this.#question = question
  }

  async first(): Promise<Cost> {
    // Once before, so that what the application remembers it has.
    await this.#ask()
    return this.#cost(await this.#ask(), 0)
  }

  /** The page from a cursor as far behind as there is a full one; undefined where all is on the first page. */
  async deep(): Promise<Cost | undefined> {
    const cursor = this.#nextCursor
    const list = this.#statements.find(({ bound }) => LIST.test(bound.text))
    if (!cursor || !list) return undefined
    const { position, depth } = await this.#positionOf(list)
    return position && this.#cost(await this.#ask(this.#moved(cursor, position)), depth)
  }

  async #ask(cursor?: string): Promise<Reply> {
    const { body } = this.#question
    const path = `${BASE}${this.#question.path}`
    this.#recorder.take()
    const reply = body
      ? await this.#recorder.send(this.#caller.token, 'POST', path, { ...body, limit: 50, ...(cursor && { cursor }) })
      : await this.#recorder.send(
          this.#caller.token,
          'GET',
          `${path}${path.includes('?') ? '&' : '?'}${new URLSearchParams({ limit: '50', ...(cursor && { cursor }) })}`,
        )
    this.#statements = this.#recorder.take()
    this.#nextCursor = (reply.page as { nextCursor: string | null } | undefined)?.nextCursor ?? null
    return reply
  }

  async #cost(reply: Reply, depth: number): Promise<Cost> {
    const [any] = this.#statements
    if (!any) throw new Error(`${this.#question.what} has asked nothing of the database`)
    let buffers = await this.#explainer.enter(any)
    const scanned = new Set<string>()
    for (const each of this.#statements) {
      const plan = await this.#explainer.explainChosen(each)
      buffers += plan.buffers
      for (const table of plan.sequentialScans) scanned.add(table)
    }
    return { buffers, records: (reply.data as unknown[] | undefined)?.length ?? 50, depth, scans: [...scanned] }
  }

  /** Where the list stands before its deep page, by the statement of the list itself. */
  async #positionOf(list: Recorded): Promise<{ position: string[] | undefined; depth: number }> {
    const { text, values } = list.bound
    const [, from = '', order = '', limit = ''] = LIST.exec(text) ?? []
    const most = this.#question.depth ?? DEPTH
    // Also where the list is put together from parts.
    const limits = new Set(Array.from(text.matchAll(/ limit (\$\d+)/g), ([, place]) => place))
    const all = values.map((value, index) => (limits.has(`$${index + 1}`) ? most + 100 : value))
    const counted = `select count(*)::int as total from (select from ${from} limit ${limit}) counted`
    const [{ total = 0 } = {}] = await this.#explainer.ask<{ total: number }>(list, counted, all)
    const depth = Math.min(most, total - 100)
    if (depth < 50) return { position: undefined, depth }
    const terms = splitTerms(order).map((term) => `(${term.replace(/ (asc|desc)$/, '')})::text`)
    const placed = `select array[${terms}] as position from ${from} order by ${order} limit 1 + 0 * ${limit}::bigint offset ${depth - 1}`
    const [row] = await this.#explainer.ask<{ position: string[] }>(list, placed, all)
    return { position: row?.position, depth }
  }

  /** The same cursor at another position: what it is bound to, its first element says. */
  #moved(cursor: string, position: readonly string[]): string {
    const payload = cursor.slice(0, cursor.lastIndexOf('.'))
    const [binding, ...before] = JSON.parse(Buffer.from(payload, 'base64url').toString()) as unknown[]
    if (before.length !== position.length) throw new Error('A cursor has another order than its list')
    return this.#recorder.signer.sign(
      'cursor',
      Buffer.from(JSON.stringify([binding, ...position])).toString('base64url'),
    )
  }
}

/** What a list reads from, its order and the parameter of its limit. */
const LIST = /^select .*? from (.*) order by (.*) limit (\$\d+)$/s

/** The terms of an order; a comma in brackets belongs to a term. */
function splitTerms(order: string): string[] {
  const terms = ['']
  let depth = 0
  for (const character of order) {
    depth += character === '(' ? 1 : character === ')' ? -1 : 0
    if (character === ',' && depth === 0) terms.push('')
    else terms[terms.length - 1] += character
  }
  return terms.map((term) => term.trim())
}

// ---- report

const MEMBERS = `Only the member's pages: what a member may see lies scattered in the order of the list, and no index has an owner or a team
  before that order (or the statement asks for either), so records of others are passed over, most of them in a page of their own.`

const UNEXPLAINED = '**unexplained**'

/** Why a question reads too much: what the owner's pages miss by has a reason of its own. */
const reasonOf = ({ question, costs }: Answered): string | undefined =>
  isOver(costs['owner, first']) || isOver(costs['owner, deep']) ? question.reason : MEMBERS

const isOver = (cost: Cost | undefined): boolean => cost !== undefined && cost.buffers > LIMIT
const costsOf = ({ costs }: Answered): Cost[] => Object.values(costs)

/** Misses without a reason, and tables that were read whole. */
export const unexplained = (answered: readonly Answered[]): string[] =>
  answered.flatMap((each) => [
    ...(costsOf(each).some(isOver) && !reasonOf(each) ? [`no reason: ${each.question.what}`] : []),
    ...costsOf(each).flatMap((cost) => cost.scans.map((table) => `scan of ${table}: ${each.question.what}`)),
  ])

/** A table for each scenario, as Markdown. */
export async function writePages(answered: readonly Answered[], file: string | undefined): Promise<string> {
  const cells = ROLES.flatMap((role) => PLACES.map((place): Cell => `${role}, ${place}`))
  const all = answered.flatMap(costsOf)
  const sections = [...new Set(answered.map(({ question }) => question.scenario))].map((scenario) => {
    const group = answered.filter(({ question }) => question.scenario === scenario)
    const over = group.filter((each) => costsOf(each).some(isOver))
    const reasons = [...new Set(over.map((each) => reasonOf(each) ?? UNEXPLAINED))]
    const rows = group.map((each) => {
      const number = reasons.indexOf(reasonOf(each) ?? UNEXPLAINED) + 1
      const verdict = over.includes(each) ? `**missed**: ${number}` : 'met'
      return `| ${[each.question.what, ...cells.map((cell) => shown(each.costs[cell])), verdict].join(' | ')} |`
    })
    return `## ${scenario}

| | ${cells.join(' | ')} | ≤ ${LIMIT} |
| --- | ${cells.map(() => '---:').join(' | ')} | --- |
${rows.join('\n')}
${reasons.map((reason, index) => `\n${index + 1}. ${reason}`).join('')}
`
  })
  const within = (role: (typeof ROLES)[number]): string => {
    const costs = answered.flatMap((each) => PLACES.flatMap((place) => each.costs[`${role}, ${place}`] ?? []))
    return `${costs.filter((cost) => !isOver(cost)).length} of ${costs.length}`
  }
  const text = `<!-- Written by \`npm run bench -- --explain\`. -->
# Pages of 50

What a page of 50 records costs PostgreSQL: the pages of 8 KB that all statements of the request touch, the claim (session and
membership) and the check of references included, measured as the role of the application under row-level security. Asked through the
application by the owner of the biggest organization, who sees all of it, and by a member, who sees what is theirs or their team's; as
the first page, and from a cursor ${DEPTH.toLocaleString('en')} records behind it (500,000 in orders of everything), or a hundred from the end.
A page reads 51 records, so about 60 is the least where they lie apart. In brackets: records, where the page is not full. No figure:
everything is on the first page.

Within ${LIMIT}: ${within('owner')} pages of the owner, ${within('member')} of the member. Sequential scans of tenant tables: **${all.filter((cost) => cost.scans.length > 0).length}**.

${sections.join('\n')}`
  if (file) await writeFile(file, text)
  return text
}

function shown(cost: Cost | undefined): string {
  if (!cost) return ''
  const figure = cost.buffers.toLocaleString('en')
  const records = cost.records < 50 ? ` (${cost.records})` : ''
  return `${isOver(cost) ? `**${figure}**` : figure}${records}`
}
