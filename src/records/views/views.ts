import { is, sql } from 'drizzle-orm'
import { PgJsonb } from 'drizzle-orm/pg-core'
import { operations } from '../../../generated/operations.js'
import type { components } from '../../../generated/types.js'
import type { Scope } from '../../context.js'
import { parameter, statement } from '../../db/statement.js'
import { InvalidRequest, problem } from '../../problem.js'
import { defineAsset } from '../assets.js'
import type { DefinitionsInUse } from '../custom-fields/definitions.js'
import { column, type Row, reference } from '../fields.js'
import { compileKept, pageOfKept, unknownField } from '../kept-filter.js'
import type { PageQuery } from '../read.js'
import {
  type AnyRecord,
  columnsOf,
  keysOf,
  type Readable,
  type RecordMeta,
  type RecordType,
  team,
} from '../record-type.js'
import { requireLevel, sameOrganization, scopeParameters } from '../scope.js'
import { crmViews as t } from './table.js'

export type View = components['schemas']['View']

const mine = sql`${t.ownerId} = ${parameter('scopeUserId')}`
const ofMyTeams = sql`${t.teamId} = any(${parameter('scopeTeamIds')}::uuid[])`

/** The saved views. A private one is seen by its owner only, whatever the rights of others. */
export const views = defineAsset<View>()({
  object: 'view',
  plural: 'views',
  path: operations.listViews.path,
  manage: 'views:manage',
  table: t,
  fields: {
    object: column(t.object),
    sharing: column(t.sharing),
    teamId: reference(t.teamId, team),
    columns: column(t.columns),
    filter: column(t.filter),
    sort: column(t.sort),
  },
  most: 200,
  visible(level) {
    const shared = {
      all: sql`${t.sharing} <> 'private'`,
      team: sql`(${t.sharing} = 'organization' or ${ofMyTeams})`,
      own: sql`false`,
    }
    return sql`${sameOrganization(t)} and (${mine} or ${shared[level]})`
  },
  mayManage({ principal }, level, { sharing, teamId }) {
    if (level === 'all') return sharing !== 'private'
    return level === 'team' && teamId !== null && principal.teamIds.includes(teamId)
  },
})

/**
 * A page of the records that a view shows, among those that the caller may read: whoever saved it lends no rights.
 * @throws InvalidRequest for a cursor of another list
 */
export async function recordsOfView<Resource extends RecordMeta>(
  scope: Scope,
  type: RecordType<Resource>,
  viewId: string,
  query: PageQuery,
) {
  const view = await findView(scope, type, viewId)
  if (!view) return problem(404, 'not_found')
  const { filter, sort } = view
  const shown = {
    ...{ name: 'view', sort },
    compile: (definitions: DefinitionsInUse) => compileKept(scope, type, filter, definitions),
  }
  return pageOfKept(scope, type, shown, query, (errors) => problem(409, 'view_not_applicable', { errors }))
}

async function findView(scope: Scope, { object }: { object: string }, id: string): Promise<View | undefined> {
  const level = requireLevel(scope, 'views:read')
  const find = views.prepared(`of object ${level}`, () =>
    statement<Row>(
      'views.of_object',
      sql`select ${columnsOf(views)} from ${t} where ${views.visible(level)} and ${t.id} = ${parameter('id')} and ${t.object} = ${parameter('object')}`,
      { columns: keysOf(views) },
    ),
  )
  const [row] = await scope.db.run(find({ ...scopeParameters(scope), id, object }))
  return row && views.toResource(row)
}

/** @throws InvalidRequest for a column that is neither a property, nor part of one, nor one of a related record */
export function assertColumns(type: AnyRecord, columns: readonly string[]): void {
  const faults = columns.flatMap((name, index) => (isColumn(type, name) ? [] : [unknownField(`/columns/${index}`)]))
  if (faults.length > 0) throw new InvalidRequest(...faults)
}

function isColumn({ fields, relations = {} }: Pick<Readable<unknown>, 'fields' | 'relations'>, name: string): boolean {
  const [first = '', part] = name.split('.')
  const own = Object.hasOwn(fields, first) ? fields[first] : undefined
  if (part === undefined) return own !== undefined
  const related = Object.hasOwn(relations, first) ? relations[first]?.to() : undefined
  if (related) return Object.hasOwn(related.fields, part)
  const [json] = own?.columns ?? []
  return own?.parts ? Object.hasOwn(own.parts, part) : json !== undefined && is(json, PgJsonb)
}
