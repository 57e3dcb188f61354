import { type SQL, sql } from 'drizzle-orm'
import type { Level } from '../../generated/operations.js'
import type { components } from '../../generated/types.js'
import type { Scope } from '../context.js'
import { parameter, statement } from '../db/statement.js'
import { crmMemberships } from '../db/table.js'
import { problem } from '../problem.js'
import { toRfc3339 } from './fields.js'
import type { RecordMeta, RecordType } from './record-type.js'
import { requireLevel, sameOrganization, scopeParameters } from './scope.js'
import { crmFollowers as t } from './table.js'

/** As many as a record may have. */
export const MOST_FOLLOWERS = 200

const seen = ({ table, visible }: RecordType<RecordMeta>, level: Level): SQL =>
  sql`select ${table.id} from ${table} where ${visible(level)} and ${table.id} = ${parameter('id')}`

const ofRecord = sql`${sameOrganization(t)} and ${t.recordId} = ${parameter('id')}`
const ofCaller = sql`${ofRecord} and ${t.userId} = ${parameter('scopeUserId')}`

/** All active users who follow a record that the caller may see. */
export async function listFollowers<Resource extends RecordMeta>(scope: Scope, type: RecordType<Resource>, id: string) {
  const level = requireLevel(scope, type.permission('read'))
  const find = type.prepared(`followers ${level}`, () =>
    statement<Row>(`${type.plural}.followers`, listQuery(type, level)),
  )
  const rows = await scope.db.run(find({ ...scopeParameters(scope), id }))
  if (rows.length === 0) return problem(404, 'not_found')
  const data = rows.flatMap(({ userId, followedAt }): components['schemas']['Follower'][] =>
    userId === null ? [] : [{ userId, followedAt: toRfc3339(followedAt) }],
  )
  return { status: 200 as const, body: { data } }
}

/** A follower as the driver gives it; null where a record has none. */
type Row = { userId: string | null; followedAt: string }

const listQuery = (type: RecordType<RecordMeta>, level: Level): SQL<Row> =>
  sql`select f.user_id, f.followed_at from (${seen(type, level)}) r left join lateral (
      select ${t.userId}, ${t.followedAt} from ${t} join ${crmMemberships} on ${sameOrganization(crmMemberships)}
        and ${crmMemberships.userId} = ${t.userId} and ${crmMemberships.status} = 'active'
      where ${sameOrganization(t)} and ${t.recordId} = r.id
    ) f on true order by f.followed_at, f.user_id limit ${sql.raw(String(MOST_FOLLOWERS))}`

/** Makes the caller a follower of a record that they may see; whoever is one stays one. */
export async function follow<Resource extends RecordMeta>(scope: Scope, type: RecordType<Resource>, id: string) {
  const level = requireLevel(scope, type.permission('read'))
  const write = type.prepared(`follow ${level}`, () =>
    statement<{ found: boolean; follows: boolean }>(`${type.plural}.follow`, followQuery(type, level)),
  )
  const { object } = type
  const [done] = await scope.db.run(write({ ...scopeParameters(scope), id, object, at: scope.clock().toISOString() }))
  if (!done?.found) return problem(404, 'not_found')
  if (!done.follows)
    return problem(409, 'too_many_followers', { detail: `a record has at most ${MOST_FOLLOWERS} followers` })
  return { status: 204 as const }
}

const followQuery = (type: RecordType<RecordMeta>, level: Level): SQL<{ found: boolean; follows: boolean }> =>
  sql`with record as (${seen(type, level)} for key share),
    followed as (
      insert into ${t} (organization_id, record_id, user_id, object, followed_at)
      select ${parameter('scopeOrganizationId')}::uuid, id, ${parameter('scopeUserId')}::uuid, ${parameter('object')}::text, ${parameter('at')}::timestamptz
      from record where (select count(*) from ${t} where ${ofRecord}) < ${sql.raw(String(MOST_FOLLOWERS))}
      on conflict do nothing returning 1)
    select exists (select from record) as found,
      exists (select from followed) or exists (select from ${t} where ${ofCaller})
        or (select count(*) from ${t} where ${ofRecord}) < ${sql.raw(String(MOST_FOLLOWERS))} as follows`

/** The caller does not follow a record any longer, also when they cannot see it any more. */
export async function unfollow<Resource extends RecordMeta>(scope: Scope, type: RecordType<Resource>, id: string) {
  const level = requireLevel(scope, type.permission('read'))
  const write = type.prepared(`unfollow ${level}`, () =>
    statement<{ found: boolean }>(
      `${type.plural}.unfollow`,
      sql`with gone as (delete from ${t} where ${ofCaller} and ${t.object} = ${parameter('object')} returning 1)
        select exists (select from gone) or exists (${seen(type, level)}) as found`,
    ),
  )
  const [done] = await scope.db.run(write({ ...scopeParameters(scope), id, object: type.object }))
  return done?.found ? { status: 204 as const } : problem(404, 'not_found')
}

/** Takes the followers of a record away. */
export const loseFollowers = statement('records.lose_followers', sql`delete from ${t} where ${ofRecord}`)
