import type { SegmentsHandlers } from '../../../generated/handlers.js'
import { removeAsset } from '../../records/assets.js'
import { get, list } from '../../records/read.js'
import { changeMembers } from '../../records/segments/members.js'
import { segments } from '../../records/segments/segments.js'
import { createSegment, updateSegment } from './repository.js'

export const handlers: SegmentsHandlers = {
  listSegments: ({ query }, { scope }) => list(scope, segments, query),
  createSegment: ({ body }, { scope }) => createSegment(scope, body),
  getSegment: ({ params, headers }, { scope }) => get(scope, segments, params.segmentId, headers['if-none-match']),
  updateSegment: ({ params, headers, body }, { scope }) =>
    updateSegment(scope, params.segmentId, body, headers['if-match']),
  deleteSegment: ({ params, headers }, { scope }) =>
    removeAsset(scope, segments, params.segmentId, headers['if-match']),
  changeSegmentMembers: ({ params, body }, { scope }) => changeMembers(scope, params.segmentId, body),
}
