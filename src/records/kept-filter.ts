import type { Scope } from '../context.js'
import type { Executor } from '../db/database.js'
import { type Fault, InvalidRequest } from '../problem.js'
import { byAllDefinitions, DefinitionsInUse, InvalidCustomFields, OUTDATED } from './custom-fields/definitions.js'
import { type Compiled, CUSTOM, compileFilter, type Filter, UnknownCondition } from './filter.js'
import { type PageQuery, page } from './read.js'
import type { Readable, RecordMeta, RecordType } from './record-type.js'

/** What was kept, such as a filter, does not hold any more, or not for the caller; the pointers lead into the resource that has it. */
class NotApplicable extends Error {
  override name = 'NotApplicable'
  readonly faults: Fault[]

  constructor(...faults: Fault[]) {
    super('what was kept cannot be applied')
    this.faults = faults
  }
}

/** The filter of a resource, as it is kept there under `filter`. */
type Kept = object | null

type Shown = {
  /** What the statements are called in metrics. */
  name: string
  sort: readonly string[]
  compile(definitions: DefinitionsInUse): Compiled
}

/**
 * A page of the records that a resource shows, among those that the caller may read.
 * @param refuse answers when what is kept does not hold any more, or not for the caller
 * @throws InvalidRequest for a cursor of another list
 */
export async function pageOfKept<Resource extends RecordMeta, Refusal>(
  scope: Scope,
  type: RecordType<Resource>,
  { name, sort, compile }: Shown,
  query: PageQuery,
  refuse: (errors: Fault[]) => Refusal,
) {
  try {
    return await byAllDefinitions(scope, scope.db, async (definitionsOf) => {
      const definitions = new DefinitionsInUse(scope, definitionsOf)
      assertSort(type, sort)
      const listed = { name, filter: compile(definitions), definitions, sort }
      const pointers = { sortPointer: '/sort', cursorPointer: '/query/cursor' }
      return page<Resource, PageQuery>(scope, type, { ...listed, ...pointers }, query)
    })
  } catch (error) {
    if (error instanceof InvalidCustomFields) return refuse(error.errors)
    if (error instanceof NotApplicable) return refuse(error.faults)
    throw error
  }
}

/** @throws NotApplicable */
function assertSort({ sorts }: Readable<unknown>, sort: readonly string[]): void {
  const names = sort.map((term) => term.replace('-', ''))
  const unknown = names.findIndex((name) => !name.startsWith(CUSTOM) && !Object.hasOwn(sorts, name))
  if (unknown >= 0) throw new NotApplicable(unknownField(`/sort/${unknown}`))
}

/** Compiles a kept filter for the caller, as part of `pageOfKept`. */
export function compileKept(
  scope: Scope,
  type: Readable<unknown>,
  filter: Kept,
  definitions: DefinitionsInUse,
): Compiled {
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
    if (error instanceof InvalidRequest) throw new NotApplicable(...error.errors)
    if (error instanceof UnknownCondition) throw new NotApplicable(unknownField('/filter'))
    throw error
  }
}

export const unknownField = (pointer: string): Fault => ({
  pointer,
  code: 'unknown_field',
  message: 'must be about fields of the record',
})

/**
 * Makes sure, before a filter is kept, that the caller could run it: its size, its amounts, and what its references lead to.
 * @throws InvalidRequest
 */
export async function assertFilter(scope: Scope, db: Executor, type: Readable<unknown>, filter: Kept): Promise<void> {
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
