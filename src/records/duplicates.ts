import { type SQL, sql } from 'drizzle-orm'
import type { components } from '../../generated/types.js'
import type { Scope } from '../context.js'
import { type Bound, parameter, statement } from '../db/statement.js'
import { problem } from '../problem.js'
import { byDefinitions, OUTDATED } from './custom-fields/definitions.js'
import type { Row } from './fields.js'
import type { Only } from './only.js'
import { find } from './read.js'
import { columnsOf, keysOf, type RecordMeta, type RecordType } from './record-type.js'
import { assertReferences, referenceParameters, references } from './references.js'
import { requireLevel, scopeParameters } from './scope.js'
import { definitionsAreCurrent, draft, type Input } from './write.js'

type Reason = components['schemas']['DuplicateReason']

/** How likely each rule makes it alone that two records are the same. */
const WEIGHTS = { email: 0.95, domain: 0.9, phone: 0.8, name: 0.7 } as const

/** The rules of equal values, the weightiest first. */
const EQUAL = ['email', 'domain', 'phone'] as const

/** How similar a name has to be. */
const SIMILAR = 0.5

/** As many records as each look-up brings. */
const CANDIDATES = 20

/** As many similar names as are considered, of records that the caller sees or not. */
const NAMES = 200

/** The other records that the caller may read and that may be the same as a live one, the likeliest first. */
export async function listDuplicates<Resource extends RecordMeta>(
  scope: Scope,
  type: RecordType<Resource>,
  id: string,
  limit: number,
) {
  const record = await find(scope, type, {
    name: 'get',
    condition: sql`${type.id} = ${parameter('id')}`,
    values: { id },
  })
  if (!record) return problem(404, 'not_found')
  const rows = await scope.db.all(...lookUps(scope, type, record))
  return ranked(type, record, rows.flat(), limit)
}

/**
 * The records that the caller may read and that may be the same as one that is not created yet, the likeliest first.
 * @throws InvalidRequest
 */
export async function findDuplicates<Resource extends RecordMeta, Body extends Input<Resource>>(
  scope: Scope,
  type: RecordType<Resource>,
  input: Only<Body, Resource>,
  limit: number,
) {
  requireLevel(scope, type.permission('read'))
  return byDefinitions(scope, scope.db, type.object, async (definitions) => {
    const { stored, row } = await draft(scope, scope.db, type, definitions, input)
    const pointed = references(scope, type)
    const check = type.prepared(`duplicates check ${pointed.shape}`, () => {
      const found = pointed.checks().map((each, index) => sql`${each} as ${sql.identifier(pointed.names[index] ?? '')}`)
      const columns = sql.join([sql`${definitionsAreCurrent()} as current`, ...found], sql`, `)
      return statement<Row>(`${type.plural}.check_duplicate`, sql`select ${columns}`)
    })
    const checked = check({
      ...{ ...scopeParameters(scope), ...referenceParameters(pointed, row) },
      ...{ eventObject: type.object, definitions: definitions.revision },
    })
    const [answer, ...rows] = await scope.db.all(checked, ...lookUps(scope, type, stored))
    const [verdict = {}] = answer ?? []
    if (verdict.current === false) return OUTDATED
    assertReferences(pointed, verdict)
    return ranked(type, stored, rows.flat(), limit)
  })
}

/** The statements that find candidates by each rule that the record has values for. */
function lookUps<Resource extends RecordMeta>(
  scope: Scope,
  type: RecordType<Resource>,
  record: Resource,
): Bound<Row>[] {
  const level = requireLevel(scope, type.permission('read'))
  const { within } = type.duplicates
  const shape = `${level} ${within}`
  const values = { ...scopeParameters(scope), id: record.id, within: within && comparable(type, record, within) }
  const conditions = () =>
    sql.join([type.visible(level), sql`${type.id} <> ${parameter('id')}`, ...sameIn(type)], sql` and `)

  const equal = EQUAL.flatMap((rule) => {
    const names = type.duplicates[rule] ?? []
    const wanted = valuesOf(type, record, names)
    if (wanted.size === 0) return []
    return names.map((name) => {
      const look = type.prepared(`duplicates ${name} ${shape}`, () =>
        statement<Row>(`${type.plural}.find_duplicates`, equalQuery(type, name, conditions()), {
          columns: keysOf(type),
        }),
      )
      return look({ ...values, wanted: JSON.stringify([...wanted]) })
    })
  })
  const name = nameOf(record)
  if (name === undefined) return equal
  const look = type.prepared(`duplicates similar ${shape}`, () =>
    statement<Row>(`${type.plural}.find_similar`, similarQuery(type, conditions()), {
      columns: ['nameSimilarity', ...keysOf(type)],
    }),
  )
  return [...equal, look({ ...values, name })]
}

const matchOf = (type: RecordType<RecordMeta>, name: string) => {
  const { match } = type.fields[name] ?? {}
  if (!match) throw new Error(`${name} of ${type.plural} cannot be compared`)
  return match
}

/** A value in the form in which it is compared. */
function comparable(type: RecordType<RecordMeta>, record: RecordMeta, name: string): unknown {
  const value = (record as unknown as Row)[name] ?? null
  return value === null ? null : matchOf(type, name).encode(value)
}

/** What a record has in some properties. */
function valuesOf(type: RecordType<RecordMeta>, record: RecordMeta, names: readonly string[]): Set<unknown> {
  const values = new Set(names.map((name) => comparable(type, record, name)))
  values.delete(null)
  return values
}

function nameOf(record: RecordMeta): string | undefined {
  const { name } = record as RecordMeta & { name?: unknown }
  return typeof name === 'string' ? name : undefined
}

function sameIn(type: RecordType<RecordMeta>): SQL[] {
  const { within } = type.duplicates
  if (within === undefined) return []
  const { column } = matchOf(type, within)
  return [sql`${column} is not distinct from ${parameter('within')}::${sql.raw(column.getSQLType())}`]
}

// Value by value, so that each is a step into the index, which has the youngest last.
function equalQuery(type: RecordType<RecordMeta>, name: string, conditions: SQL): SQL<Row> {
  const { column } = matchOf(type, name)
  const { createdAt } = type.table
  return sql`select record.* from jsonb_array_elements_text(${parameter('wanted')}::jsonb) wanted (value) cross join lateral (
      select ${columnsOf(type)} from ${type.from} where ${conditions} and ${column} = wanted.value
      order by ${createdAt} desc, ${type.id} desc limit ${sql.raw(String(CANDIDATES))}) record`
}

// The first wall is here: what the function finds is joined under the predicate of the caller's rights.
const similarQuery = (type: RecordType<RecordMeta>, conditions: SQL): SQL<Row> =>
  sql`select round(alike.score::numeric, 4)::float8, ${columnsOf(type)}
    from app.similar_records(${sql.raw(`'${type.object}'`)}, ${parameter('name')}::text, ${sql.raw(String(SIMILAR))}::real, ${sql.raw(String(NAMES))}) alike
    join ${type.from} on ${type.id} = alike.record_id where ${conditions}
    order by alike.score desc, ${type.id} desc limit ${sql.raw(String(CANDIDATES))}`

/** What was found, each record once, with all reasons. */
function ranked<Resource extends RecordMeta>(type: RecordType<Resource>, to: Resource, rows: Row[], limit: number) {
  const found = new Map<string, { record: Resource; similarity: number }>()
  for (const row of rows) {
    const record = type.toResource(row)
    const { similarity = 0 } = found.get(record.id) ?? {}
    found.set(record.id, { record, similarity: Math.max(similarity, Number(row.nameSimilarity ?? 0)) })
  }
  const data = [...found.values()].flatMap(({ record, similarity }) => {
    const reasons = reasonsFor(type, to, record, similarity)
    // In a few alphabets the database and the runtime differ about lower case.
    return reasons.length > 0 ? [{ record, score: scoreOf(reasons, similarity), reasons }] : []
  })
  const isBefore = (a: Resource, b: Resource) => (a.id < b.id ? 1 : -1)
  data.sort((a, b) => b.score - a.score || isBefore(a.record, b.record))
  return { status: 200 as const, body: { data: data.slice(0, limit) } }
}

function reasonsFor<Resource extends RecordMeta>(
  type: RecordType<Resource>,
  to: Resource,
  record: Resource,
  similarity: number,
): Reason[] {
  const { within } = type.duplicates
  const equal = EQUAL.flatMap((rule) => {
    const wanted = valuesOf(type, to, type.duplicates[rule] ?? [])
    const fields = (type.duplicates[rule] ?? []).filter((name) => wanted.has(comparable(type, record, name)))
    return fields.length > 0 ? [{ rule, fields }] : []
  })
  if (similarity === 0) return equal
  const same = within !== undefined && comparable(type, record, within) !== null ? [within] : []
  return [...equal, { rule: 'name', fields: ['name', ...same] }]
}

/** What the doubts that each reason leaves alone leave together. */
function scoreOf(reasons: readonly Reason[], similarity: number): number {
  const doubts = reasons.map(({ rule }) => 1 - WEIGHTS[rule] * (rule === 'name' ? similarity : 1))
  return Math.round((1 - doubts.reduce((all, doubt) => all * doubt, 1)) * 10_000) / 10_000
}
