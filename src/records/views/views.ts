import { is, sql } from 'drizzle-orm'
import { PgJsonb } from 'drizzle-orm/pg-core'
import { operations } from '../../../generated/operations.js'
import type { components } from '../../../generated/types.js'
import type { Scope } from '../../context.js'
import type { Executor } from '../../db/database.js'
import { parameter, statement } from '../../db/statement.js'
import { type Fault, InvalidRequest, problem } from '../../problem.js'
import { defineAsset } from '../assets.js'
import { byAllDefinitions, DefinitionsInUse, InvalidCustomFields, OUTDATED } from '../custom-fields/definitions.js'
import { column, type Row, reference } from '../fields.js'
import { type Compiled, CUSTOM, compileFilter, type Filter, UnknownCondition } from '../filter.js'
import { page } from '../read.js'
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

/** The filter, columns or order of a view do not hold any more, or not for the caller. */
class NotApplicable extends Error {
  override name = 'NotApplicable'
  readonly faults: readonly Fault[]

  constructor(faults: readonly Fault[]) {
    super('the view cannot be applied')
    this.faults = faults
  }
}

type PageQuery = { limit: number; cursor?: string; count?: 'exact' | 'estimate'; expand?: readonly string[] }

/**
 * A page of the records that a view shows, among those that the caller may read: whoever saved it lends no rights.
 * @throws InvalidRequest for a cursor of another list
 */
export async function recordsOfView<Resource extends RecordMeta>(
  scope: Scope,
  type: RecordType<Resource, never>,
  viewId: string,
  { limit, cursor, count, expand }: PageQuery,
) {
  const view = await findView(scope, type, viewId)
  if (!view) return problem(404, 'not_found')
  try {
    return await byAllDefinitions(scope, scope.db, async (definitionsOf) => {
      const definitions = new DefinitionsInUse(scope, definitionsOf)
      const filter = applicable(scope, type, view, definitions)
      return page(scope, type, {
        ...{ name: 'view', filter, definitions, sort: view.sort, sortPointer: '/sort', limit },
        ...{ cursor, cursorPointer: '/query/cursor', count, paths: expand },
      })
    })
  } catch (error) {
    if (error instanceof InvalidCustomFields) return problem(409, 'view_not_applicable', { errors: error.errors })
    if (!(error instanceof NotApplicable)) throw error
    return problem(409, 'view_not_applicable', { errors: [...error.faults] })
  }
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

/** @throws NotApplicable */
function applicable(
  scope: Scope,
  type: Readable<unknown>,
  { filter, sort }: View,
  definitions: DefinitionsInUse,
): Compiled {
  const names = sort.map((term) => term.replace('-', ''))
  const unknown = names.findIndex((name) => !name.startsWith(CUSTOM) && !Object.hasOwn(type.sorts, name))
  if (unknown >= 0) throw new NotApplicable([unknownField(`/sort/${unknown}`)])
  const tree = (filter ?? undefined) as Filter | undefined
  const compiled = translated(() => compileFilter(scope, type, tree, '/filter', definitions))
  return { ...compiled, assertFound: (found) => translated(() => compiled.assertFound(found)) }
}

function translated<Result>(attempt: () => Result): Result {
  try {
    return attempt()
  } catch (error) {
    // By other definitions it might hold.
    if (error instanceof InvalidCustomFields) throw error
    if (error instanceof InvalidRequest) throw new NotApplicable(error.errors)
    if (error instanceof UnknownCondition) throw new NotApplicable([unknownField('/filter')])
    throw error
  }
}

const unknownField = (pointer: string): Fault => ({
  pointer,
  code: 'unknown_field',
  message: 'must be about fields of the record',
})

/**
 * Makes sure that a filter could be run by the caller: its size, its amounts, and what its references lead to.
 * @throws InvalidRequest
 */
export async function assertFilter(scope: Scope, db: Executor, type: AnyRecord, filter: View['filter']): Promise<void> {
  if (filter === null) return
  await byAllDefinitions(scope, db, async (definitionsOf) => {
    const definitions = new DefinitionsInUse(scope, definitionsOf)
    const compiled = compileFilter(scope, type, filter as Filter, '/filter', definitions)
    const verification = definitions.check()
    if (verification && !definitions.areCurrent(await db.run(verification))) return OUTDATED
    const [found] = compiled.check ? await db.run(compiled.check) : []
    if (compiled.check) compiled.assertFound(found)
    return undefined
  })
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
