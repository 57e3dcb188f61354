import type { components } from '../../../generated/types.js'
import type { Scope } from '../../context.js'
import { InvalidRequest, problem } from '../../problem.js'
import { changeAsset, createAsset } from '../../records/assets.js'
import { assertFilter } from '../../records/kept-filter.js'
import { mergePatch } from '../../records/merge-patch.js'
import { recordTypeOf } from '../../records/record-type.js'
import { type Segment, segments } from '../../records/segments/segments.js'

/** A segment of whatever kind of record, without what the server writes. */
type Given = Pick<Segment, 'name' | 'description' | 'object' | 'kind' | 'filter'>

/**
 * Creates a segment of the caller.
 * @throws InvalidRequest for a filter that the caller could not run, and for one of a static segment
 */
export async function createSegment(scope: Scope, input: components['schemas']['SegmentCreate']) {
  const segment: Given = { description: null, filter: null, ...input }
  assertKind(segment)
  await assertFilter(scope, scope.db, typeOf(segment), segment.filter)
  const created = await createAsset(scope, segments, segment)
  const detail = `a user has at most ${segments.most} segments`
  return created ?? problem(409, 'too_many_segments', { detail })
}

/**
 * Applies a merge patch to a segment.
 * @throws InvalidRequest for a filter that the caller could not run, and for one of a static segment
 * @throws Forbidden when the caller may not change the segment
 */
export async function updateSegment(
  scope: Scope,
  id: string,
  patch: components['schemas']['SegmentUpdate'],
  ifMatch: string | undefined,
) {
  return changeAsset(scope, segments, id, ifMatch, async (tx, before) => {
    if (patch.object !== before.object) {
      throw new InvalidRequest({ pointer: '/object', code: 'object_mismatch', message: 'must be that of the segment' })
    }
    // A filter is one value: what is left of the old one would not go with the new one.
    const target = patch.filter === undefined ? before : { ...before, filter: null }
    const after = mergePatch<Given, Given>(target, patch as Given) as Segment
    assertKind(after)
    if (patch.filter) await assertFilter(scope, tx, typeOf(after), after.filter)
    return after
  })
}

function assertKind({ kind, filter }: Given): void {
  if (kind === 'dynamic' || filter === null) return
  throw new InvalidRequest({ pointer: '/filter', code: 'not_of_kind', message: 'must be null in a static segment' })
}

function typeOf({ object }: Given) {
  const type = recordTypeOf(object)
  if (!type) throw new Error(`nothing is called ${object}`)
  return type
}
