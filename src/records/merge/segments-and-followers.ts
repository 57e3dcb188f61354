import { sql } from 'drizzle-orm'
import type { Scope } from '../../context.js'
import type { Executor } from '../../db/database.js'
import { parameter, statement } from '../../db/statement.js'
import { MOST_FOLLOWERS } from '../followers.js'
import { levelOf, sameOrganization, scopeParameters } from '../scope.js'
import { crmSegmentMembers as members, crmSegments as segments } from '../segments/table.js'
import { crmFollowers as followers } from '../table.js'
import { addEvents } from '../write.js'
import { crmMergeReferences as r } from './table.js'

/*
 * The static segments that a record is in, and its followers. The losers keep theirs, as any record in the recycle bin does; the
 * winner gets its own from the merge, and loses those when the merge is undone.
 */

type Moved = { count: number }

const organization = sql`${parameter('scopeOrganizationId')}::uuid`
const merge = sql`${parameter('mergeId')}::uuid`
const winner = sql`${parameter('winnerId')}::uuid`
const losers = sql`${parameter('losers')}::uuid[]`
const at = sql`${parameter('at')}::timestamptz`
const user = sql`${parameter('scopeUserId')}::uuid`

/** What the merge has noted of one kind. */
const noted = (object: string) => sql`${sameOrganization(r)} and ${r.mergeId} = ${merge} and ${r.object} = ${object}`

const insertNote = sql`insert into ${r} (organization_id, merge_id, object, property, record_id, loser_id)`

/** An event for each segment in `written`, whose member the winner was made, or ceased to be. */
const segmentEvents = (from: string, to: string) =>
  addEvents({
    id: sql`app.uuid_v7()`,
    changes: sql`jsonb_build_object('members', jsonb_build_object('from', ${sql.raw(from)}, 'to', ${sql.raw(to)}))`,
    at,
    from: sql`written`,
  })

const NOBODY = `'[]'::jsonb`
const THE_WINNER = 'jsonb_build_array(written.member)'

// Whoever deletes a segment waits, or is waited for.
const join = statement<Moved>(
  'merges.join_segments',
  sql`with held as materialized (
      select ${segments.id}, ${segments.version} from ${segments} where ${sameOrganization(segments)} and ${segments.id} in (
        select ${members.segmentId} from ${members} where ${sameOrganization(members)} and ${members.recordId} = any(${losers}))
      order by 1 for key share),
    joined as (
      insert into ${members} (organization_id, segment_id, record_id, added_at, added_by_id)
      select ${organization}, held.id, ${winner}, ${at}, ${user} from held on conflict do nothing returning segment_id),
    noted as (
      ${insertNote}
      select ${organization}, ${merge}, 'segment', 'members', segment_id, (
        select ${members.recordId} from ${members} where ${sameOrganization(members)} and ${members.segmentId} = joined.segment_id
          and ${members.recordId} = any(${losers}) order by ${members.addedAt}, ${members.recordId} limit 1)
      from joined),
    written as (
      select ${organization} as organization_id, held.id, held.version, ${winner} as member from joined join held on held.id = joined.segment_id),
    event as (${segmentEvents(NOBODY, THE_WINNER)})
    select count(*)::integer as count from joined`,
)

const leave = statement<Moved>(
  'merges.leave_segments',
  sql`with gone as (
      delete from ${members} using ${r} where ${noted('segment')} and ${sameOrganization(members)} and ${members.segmentId} = ${r.recordId}
        and ${members.recordId} = ${winner} and ${members.addedAt} = ${parameter('mergedAt')}::timestamptz returning ${members.segmentId}),
    written as (
      select ${organization} as organization_id, ${segments.id}, ${segments.version}, ${winner} as member
      from gone join ${segments} on ${sameOrganization(segments)} and ${segments.id} = gone.segment_id),
    event as (${segmentEvents(THE_WINNER, NOBODY)})
    select count(*)::integer as count from gone`,
)

// Those who have followed longest come first, where there is no room for all.
const follow = statement<Moved>(
  'merges.follow',
  sql`with joined as (
      insert into ${followers} (organization_id, record_id, user_id, object, followed_at)
      select ${organization}, ${winner}, ${followers.userId}, ${parameter('object')}::text, ${at} from ${followers}
      where ${sameOrganization(followers)} and ${followers.recordId} = any(${losers}) and ${followers.userId} not in (
        select already.user_id from ${followers} already where already.organization_id = ${organization} and already.record_id = ${winner})
      group by ${followers.userId} order by min(${followers.followedAt}), ${followers.userId}
      limit greatest(0, ${sql.raw(String(MOST_FOLLOWERS))} - (select count(*) from ${followers} where ${sameOrganization(followers)} and ${followers.recordId} = ${winner}))
      on conflict do nothing returning user_id),
    noted as (
      ${insertNote}
      select ${organization}, ${merge}, 'user', 'follows', user_id, (
        select ${followers.recordId} from ${followers} where ${sameOrganization(followers)} and ${followers.userId} = joined.user_id
          and ${followers.recordId} = any(${losers}) order by ${followers.followedAt}, ${followers.recordId} limit 1)
      from joined)
    select count(*)::integer as count from joined`,
)

const unfollow = statement<Moved>(
  'merges.unfollow',
  sql`with gone as (
      delete from ${followers} using ${r} where ${noted('user')} and ${sameOrganization(followers)} and ${followers.userId} = ${r.recordId}
        and ${followers.recordId} = ${winner} and ${followers.followedAt} = ${parameter('mergedAt')}::timestamptz returning 1)
    select count(*)::integer as count from gone`,
)

const eventsOf = (scope: Scope) => ({
  ...{ eventType: 'segment.members_changed', eventObject: 'segment' },
  ...{ eventCause: scope.cause, eventRequestId: scope.requestId },
})

async function both(scope: Scope, tx: Executor, bounds: [ReturnType<typeof join>, ReturnType<typeof join>]) {
  const [[inSegments], [following]] = await tx.all(...bounds)
  const seen = levelOf(scope, 'segments:read') ? (inSegments?.count ?? 0) : 0
  return [
    { object: 'segment', property: 'members', count: seen },
    { object: 'user', property: 'follows', count: following?.count ?? 0 },
  ].filter(({ count }) => count > 0)
}

/** Puts the winner into the static segments of the losers, and makes their followers its own. */
export function joinAsLosers(
  scope: Scope,
  tx: Executor,
  parameters: { mergeId: string; object: string; winnerId: string; losers: string },
) {
  const given = { ...scopeParameters(scope), ...parameters, at: scope.clock().toISOString(), ...eventsOf(scope) }
  return both(scope, tx, [join(given), follow(given)])
}

/** Takes from the winner what came to it by the merge, and has neither gone nor come again since. */
export function leaveAsLosers(
  scope: Scope,
  tx: Executor,
  parameters: { mergeId: string; winnerId: string; mergedAt: string },
) {
  const given = { ...scopeParameters(scope), ...parameters, at: scope.clock().toISOString(), ...eventsOf(scope) }
  return both(scope, tx, [leave(given), unfollow(given)])
}
