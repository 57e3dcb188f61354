import { sql } from 'drizzle-orm'
import { operations } from '../../../generated/operations.js'
import type { components } from '../../../generated/types.js'
import type { Scope } from '../../context.js'
import { parameter, statement } from '../../db/statement.js'
import { problem } from '../../problem.js'
import { defineAsset } from '../assets.js'
import type { DefinitionsInUse } from '../custom-fields/definitions.js'
import { column, type Row } from '../fields.js'
import type { Compiled } from '../filter.js'
import { compileKept, pageOfKept } from '../kept-filter.js'
import type { PageQuery } from '../read.js'
import { columnsOf, keysOf, type Readable, type RecordMeta, type RecordType } from '../record-type.js'
import { requireLevel, sameOrganization, scopeParameters } from '../scope.js'
import { crmSegmentMembers as members, crmSegments as t } from './table.js'

export type Segment = components['schemas']['Segment']

/** The segments, which everybody in the organization sees. */
export const segments = defineAsset<Segment>()({
  object: 'segment',
  plural: 'segments',
  path: operations.listSegments.path,
  manage: 'segments:manage',
  table: t,
  fields: {
    description: column(t.description),
    object: column(t.object),
    kind: column(t.kind),
    filter: column(t.filter),
  },
  most: 200,
  visible: () => sameOrganization(t),
  mayManage: (_scope, level) => level === 'all',
})

/**
 * A page of the records in a segment, the newest first, among those that the caller may read.
 * @throws InvalidRequest for a cursor of another list
 */
export async function recordsOfSegment<Resource extends RecordMeta>(
  scope: Scope,
  type: RecordType<Resource>,
  segmentId: string,
  query: PageQuery,
) {
  const segment = await findSegment(scope, type, segmentId)
  if (!segment) return problem(404, 'not_found')
  const { kind, filter } = segment
  const shown = {
    ...{ name: 'segment', sort: ['-createdAt'] },
    compile: (definitions: DefinitionsInUse) =>
      kind === 'static' ? membersOf(type, segmentId) : compileKept(scope, type, filter, definitions),
  }
  return pageOfKept(scope, type, shown, query, (errors) => problem(409, 'segment_not_applicable', { errors }))
}

const find = statement<Row>(
  'segments.of_object',
  sql`select ${columnsOf(segments)} from ${t} where ${sameOrganization(t)} and ${t.id} = ${parameter('id')} and ${t.object} = ${parameter('object')}`,
  { columns: keysOf(segments) },
)

async function findSegment(scope: Scope, { object }: { object: string }, id: string): Promise<Segment | undefined> {
  requireLevel(scope, 'segments:read')
  const [row] = await scope.db.run(find({ ...scopeParameters(scope), id, object }))
  return row && segments.toResource(row)
}

/** The filter of a static segment: being a member. */
const membersOf = ({ id }: Readable<unknown>, segmentId: string): Compiled => ({
  shape: 'member',
  parameters: { segmentId },
  condition: () =>
    sql`exists (select from ${members} where ${sameOrganization(members)} and ${members.segmentId} = ${parameter('segmentId')} and ${members.recordId} = ${id})`,
  check: undefined,
  assertFound: () => undefined,
})

/** Takes a record out of all segments. */
export const leaveSegments = statement(
  'segments.leave',
  sql`delete from ${members} where ${sameOrganization(members)} and ${members.recordId} = ${parameter('id')}`,
)
