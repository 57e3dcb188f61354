import { is, type SQL, sql } from 'drizzle-orm'
import { type PgColumn, PgJsonb, PgText } from 'drizzle-orm/pg-core'
import type { Level } from '../../generated/operations.js'
import type { Scope } from '../context.js'
import { parameter } from '../db/statement.js'
import { InvalidRequest } from '../problem.js'
import { crmCustomFields as t } from './custom-fields/table.js'
import type { Compiled } from './filter.js'
import { wordsOf } from './highlight.js'
import type { Readable } from './record-type.js'
import { requireLevel, sameOrganization } from './scope.js'

// The documents that are searched, and what finds them, are in the database: migrations/0011_search.sql, and 0018 for
// custom fields.

/** As many matches of a kind of record as a search considers, beside those among the youngest. */
const CONSIDERED = 1_000
const MAX_WORDS = 10

/** @throws InvalidRequest when there is nothing to look for, or too much */
export function assertSearchable(q: string, pointer: string): void {
  const words = wordsOf(q).length
  if (words === 0) {
    throw new InvalidRequest({ pointer, code: 'no_words', message: 'must have a letter or a digit' })
  }
  if (words > MAX_WORDS) {
    throw new InvalidRequest({ pointer, code: 'max_words', message: `must have at most ${MAX_WORDS} words` })
  }
}

/**
 * The call of the function that finds records by the parameter `searched`: ids and scores. The rights of the caller are named so that it
 * considers no others; they have to hold for what it finds all the same.
 */
export function found(object: string, level: Level): SQL {
  const owner = level === 'all' ? sql`null` : parameter('scopeUserId')
  const teams = level === 'team' ? parameter('scopeTeamIds') : sql`'{}'`
  return sql`app.search(${sql.raw(`'${object}'`)}, ${parameter('searched')}::text, ${owner}::uuid, ${teams}::uuid[], ${sql.raw(String(CONSIDERED))})`
}

/**
 * A filter that records must match beside a search.
 *
 * @param pointer where the text stands in the request
 * @throws InvalidRequest when there is nothing to look for, or too much
 */
export function withSearch(
  scope: Scope,
  type: Readable<unknown>,
  filter: Compiled,
  q: string | undefined,
  pointer: string,
): Compiled {
  if (q === undefined) return filter
  assertSearchable(q, pointer)
  const { object } = type
  if (!object) throw new Error(`${type.plural} are not searched`)
  const level = type.level?.(scope) ?? requireLevel(scope, `${type.plural}:read`)
  return {
    ...filter,
    shape: `${filter.shape} searched`,
    parameters: { ...filter.parameters, searched: q },
    condition() {
      const condition = filter.condition()
      const isFound = sql`${type.id} = any (array(select record_id from ${found(object, level)}))`
      return condition ? sql`${isFound} and ${condition}` : isFound
    },
    isWhole: () => sql`(select count(*) < ${sql.raw(String(CONSIDERED))} from ${found(object, level)})`,
  }
}

/** The columns of text that are searched: those that `app.search_in` takes. */
export const isSearched = (column: PgColumn): boolean =>
  (is(column, PgText) && /^(.*_)?(name|email|phone|domain|website|title|sku|code|number)$/.test(column.name)) ||
  (is(column, PgJsonb) && column.name.endsWith('_emails'))

/** The keys of the custom fields of a kind of record that are not searched. */
export const unsearchedKeys = (object: string): SQL =>
  sql`to_json(array(select ${t.key} from ${t} where ${sameOrganization(t)} and ${t.object} = ${object} and not ${t.searchable}))`
