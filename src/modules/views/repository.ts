import type { Level } from '../../../generated/operations.js'
import type { components } from '../../../generated/types.js'
import type { Scope } from '../../context.js'
import { Forbidden, InvalidRequest, problem } from '../../problem.js'
import { changeAsset, createAsset } from '../../records/assets.js'
import { assertFilter } from '../../records/kept-filter.js'
import { mergePatch } from '../../records/merge-patch.js'
import { recordTypeOf } from '../../records/record-type.js'
import { missingReference } from '../../records/references.js'
import { requireLevel } from '../../records/scope.js'
import { assertColumns, type View, views } from '../../records/views/views.js'

/** A view of whatever kind of record, without what the server writes. */
type Given = Pick<View, 'name' | 'object' | 'sharing' | 'teamId' | 'columns' | 'filter' | 'sort'>

/**
 * Saves a view of the caller.
 * @throws InvalidRequest for a filter that the caller could not run, and for columns that there are not
 * @throws Forbidden when the caller may not share it like this
 */
export async function createView(scope: Scope, input: components['schemas']['ViewCreate']) {
  const level = requireLevel(scope, views.manage)
  const view: Given = {
    ...{ sharing: input.teamId ? 'team' : 'private', teamId: null, columns: [], filter: null, sort: ['-createdAt'] },
    ...input,
  }
  assertSharing(scope, level, view)
  const type = typeOf(view)
  assertColumns(type, view.columns)
  await assertFilter(scope, scope.db, type, view.filter)
  const created = await createAsset(scope, views, view)
  if (!created) return problem(409, 'too_many_views', { detail: `a user has at most ${views.most} views` })
  return created
}

/**
 * Applies a merge patch to a view.
 * @throws InvalidRequest for a filter that the caller could not run, and for columns that there are not
 * @throws Forbidden when the caller sees the view, but may not change it or share it like this
 */
export async function updateView(
  scope: Scope,
  id: string,
  patch: components['schemas']['ViewUpdate'],
  ifMatch: string | undefined,
) {
  return changeAsset(scope, views, id, ifMatch, async (tx, before, level) => {
    if (patch.object !== before.object) {
      throw new InvalidRequest({
        pointer: '/object',
        code: 'object_mismatch',
        message: 'must be the object of the view',
      })
    }
    // A filter is one value: what is left of the old one would not go with the new one.
    const target = patch.filter === undefined ? before : { ...before, filter: null }
    const after = mergePatch<Given, Given>(target, patch as Given) as View
    if (patch.sharing === undefined && patch.teamId) after.sharing = 'team'
    if (after.sharing !== 'team' && patch.teamId === undefined) after.teamId = null
    assertSharing(scope, level, after, before)
    const type = typeOf(after)
    if (patch.columns) assertColumns(type, after.columns)
    if (patch.filter) await assertFilter(scope, tx, type, after.filter)
    return after
  })
}

function typeOf({ object }: Pick<View, 'object'>) {
  const type = recordTypeOf(object)
  if (!type) throw new Error(`nothing is called ${object}`)
  return type
}

type Sharing = Pick<View, 'sharing' | 'teamId'>

/** Makes sure that the caller may share a view like this, where it is not shared so already. */
function assertSharing({ principal }: Scope, level: Level, { sharing, teamId }: Sharing, before?: Sharing): void {
  const pointer = '/teamId'
  if (sharing !== 'team' && teamId !== null) {
    throw new InvalidRequest({ pointer, code: 'not_of_sharing', message: 'must be null unless a team shares the view' })
  }
  if (sharing === 'team' && teamId === null) {
    throw new InvalidRequest({ pointer, code: 'team_required', message: 'must name the team that shares the view' })
  }
  if (level === 'all' || (sharing === before?.sharing && teamId === before.teamId)) return
  if (sharing === 'organization') throw new Forbidden(`${views.manage} does not reach the organization`)
  if (teamId !== null && !principal.teamIds.includes(teamId)) throw new InvalidRequest(missingReference(pointer))
}
