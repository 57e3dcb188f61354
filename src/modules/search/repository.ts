import { sql } from 'drizzle-orm'
import type { Level } from '../../../generated/operations.js'
import type { components } from '../../../generated/types.js'
import type { Scope } from '../../context.js'
import { parameter, statement } from '../../db/statement.js'
import type { Row } from '../../records/fields.js'
import { highlight } from '../../records/highlight.js'
import { type AnyRecord, columnsOf, keysOf, type RecordMeta, recordTypes } from '../../records/record-type.js'
import { levelOf, scopeParameters } from '../../records/scope.js'
import { assertSearchable, found, isSearched, unsearchedKeys } from '../../records/search.js'

type Hit = components['schemas']['SearchHit']

/** The records of all kinds that the caller may see and that match best, in one flight. */
export async function search(
  scope: Scope,
  { q, objects, limit }: { q: string; objects?: readonly string[]; limit: number },
): Promise<Hit[]> {
  assertSearchable(q, '/query/q')
  const types = recordTypes.filter(({ object }) => objects === undefined || objects.includes(object))
  const searched = types.flatMap((type) => {
    const level = levelOf(scope, type.permission('read'))
    return level ? [{ type, level }] : []
  })
  const values = { ...scopeParameters(scope), searched: q, limit }
  const rows = await scope.db.all(...searched.map(({ type, level }) => best(type, level)(values)))
  const hits = searched.flatMap(({ type }, index) => (rows[index] ?? []).map((row) => toHit(type, row, q)))
  return hits.sort((a, b) => b.score - a.score).slice(0, limit)
}

/** A record, how well it matches, and which of its custom fields are not searched. */
type Found = Row & { found: number; unsearched: string[] }

/** The first wall is here: what the function finds is joined under the predicate of the caller's rights. */
const best = (type: AnyRecord, level: Level) =>
  type.prepared(`search ${level}`, () =>
    statement<Found>(
      `${type.plural}.search`,
      sql`select round(found.score::numeric, 4)::float8, ${unsearchedKeys(type.object)}, ${columnsOf(type)} from ${found(type.object, level)} found
        join ${type.from} on ${type.id} = found.record_id where ${type.visible(level)}
        order by found.score desc, ${type.id} desc limit ${parameter('limit')}`,
      { columns: ['found', 'unsearched', ...keysOf(type)] },
    ),
  )

function toHit(type: AnyRecord, row: Found, q: string): Hit {
  const record = type.toResource(row)
  const texts = textsOf(type, record, new Set(row.unsearched))
  const [title] = texts
  const { id, ownerId, teamId, createdAt, updatedAt } = record
  const fields = texts.filter(({ field }) => !field.startsWith('customFields.') && field !== 'additionalEmails')
  return {
    object: type.object,
    id,
    title: title?.text ?? '',
    score: row.found,
    highlights: highlight(texts, q),
    summary: {
      ...{ ownerId, teamId, createdAt, updatedAt },
      fields: Object.fromEntries(fields.map(({ field, text }) => [field, text])),
    },
  }
}

/** A text that is searched, and the property that it is of. */
type SearchedText = { field: string; text: string }

/** What is searched of a record, its name first; without parts of the name, which say nothing more. */
function textsOf(type: AnyRecord, record: RecordMeta, unsearched: ReadonlySet<string>): SearchedText[] {
  const values = record as unknown as Record<string, unknown>
  const name = typeof values.name === 'string' ? values.name : ''
  const own = Object.entries(type.fields).flatMap(([field, { columns }]) => {
    const [column] = columns
    return column && isSearched(column) && field !== 'name' ? texts(field, values[field]) : []
  })
  const custom = Object.entries(record.customFields).flatMap(([key, value]) =>
    unsearched.has(key) ? [] : texts(`customFields.${key}`, value),
  )
  return [{ field: 'name', text: name }, ...own.filter(({ text }) => !name.includes(text)), ...custom]
}

const texts = (field: string, value: unknown): SearchedText[] =>
  (Array.isArray(value) ? value : [value]).flatMap((text) =>
    typeof text === 'string' && text !== '' ? [{ field, text }] : [],
  )
