import { type SQL, sql } from 'drizzle-orm'
import type { Level } from '../../../generated/operations.js'
import type { components } from '../../../generated/types.js'
import type { Scope } from '../../context.js'
import { parameter, type Statement, statement } from '../../db/statement.js'
import { decodeCursor, encodeCursor } from '../cursor.js'
import { recordTypes } from '../record-type.js'
import { levelOf, type Part, partsOfTeam, scopeParameters, within } from '../scope.js'
import { crmTagUses as t } from './table.js'

type UsedTag = components['schemas']['UsedTag']
type TagUse = UsedTag['uses'][number]

/** No further than this are the records with a tag counted. */
const COUNTED_AT_MOST = 1_000

type Counted = { name: string; uses: { object: TagUse['object']; count: number }[] }

/** A page of the tags of live records that the caller may read, by name. */
export async function listTags(
  scope: Scope,
  { limit, cursor, startsWith = '' }: { limit: number; cursor?: string; startsWith?: string },
) {
  const binding = ['tags', scope.principal.organizationId, startsWith]
  const [after] = cursor === undefined ? [] : decodeCursor(scope, binding, cursor)
  const isContinued = after !== undefined
  const levels = recordTypes.flatMap((type) => {
    const level = levelOf(scope, type.permission('read'))
    return level ? [{ object: type.object, level }] : []
  })
  const find = listQuery(levels, isContinued)
  const rows = await scope.db.run(
    find({ ...scopeParameters(scope), after: isContinued ? after : startsWith, startsWith, limit: limit + 1 }),
  )
  const hasMore = rows.length > limit
  const data = rows.slice(0, limit).map(
    ({ name, uses }): UsedTag => ({
      name,
      uses: uses
        .filter(({ count }) => count > 0)
        .map(({ object, count }) => ({
          ...{ object, count: Math.min(count, COUNTED_AT_MOST), isExact: count <= COUNTED_AT_MOST },
        })),
    }),
  )
  const nextCursor = hasMore ? encodeCursor(scope, binding, [data.at(-1)?.name]) : null
  return { status: 200 as const, body: { data, page: { nextCursor, hasMore } } }
}

type Readable = { object: string; level: Level }

const statements = new Map<string, Statement<Counted>>()

function listQuery(levels: readonly Readable[], isContinued: boolean) {
  const shape = `${levels.map(({ object, level }) => `${object}:${level}`).join()} ${isContinued}`
  const known = statements.get(shape)
  if (known) return known
  // From each tag to the next along the index, however many records have it.
  const first = nextTag(levels, sql`${isContinued ? sql`>` : sql`>=`} ${parameter('after')}::text collate "C"`)
  const counts = levels.map(({ object, level }) => {
    const found = records(level, object, sql`${t.tag} = walked.tag`, COUNTED_AT_MOST + 1)
    return sql`jsonb_build_object('object', ${text(object)}, 'count', (select count(*) from (${found}) counted))`
  })
  const compiled = statement<Counted>(
    'tags.list',
    sql`with recursive walked(tag) as (
        select ${first}
        union all
        select ${nextTag(levels, sql`> walked.tag`)} from walked
        where walked.tag is not null and starts_with(walked.tag, ${parameter('startsWith')}::text)
      )
      select tag as name, jsonb_build_array(${sql.join(counts, sql`, `)}) as uses from walked
      where tag is not null and starts_with(tag, ${parameter('startsWith')}::text) limit ${parameter('limit')}`,
  )
  statements.set(shape, compiled)
  return compiled
}

const text = (object: string): SQL => sql.raw(`'${object}'`)

/** The parts that a level reaches, each of which an index has in the order of the tags. */
const parts = (level: Level): readonly Part[] => (level === 'team' ? partsOfTeam(t) : [{ condition: within(t, level) }])

/** The first tag beyond another one, of all that the caller may see. */
function nextTag(levels: readonly Readable[], beyond: SQL): SQL {
  const firsts = levels.flatMap(({ object, level }) =>
    parts(level).map((part) =>
      inEach(
        part,
        (condition) =>
          sql`(select ${t.tag} from ${t} where ${condition} and ${t.object} = ${text(object)} and ${t.tag} ${beyond} order by ${t.tag} limit 1)`,
      ),
    ),
  )
  return sql`(select min(first.tag) from (${sql.join(firsts, sql` union all `)}) first)`
}

/** The uses of a kind of record that the caller may see, of each part no more than `most`. */
const records = (level: Level, object: string, condition: SQL, most: number): SQL =>
  sql.join(
    parts(level).map((part) =>
      inEach(
        part,
        (visible) =>
          sql`(select ${t.tag} from ${t} where ${visible} and ${condition} and ${t.object} = ${text(object)} limit ${sql.raw(String(most))})`,
      ),
    ),
    sql` union all `,
  )

const inEach = ({ condition, each }: Part, select: (condition: SQL) => SQL): SQL =>
  each ? sql`(select part.tag from ${each} cross join lateral ${select(condition)} part)` : select(condition)
