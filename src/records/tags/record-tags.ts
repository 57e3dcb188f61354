import { mostItems } from '../../../generated/limits.js'
import type { components } from '../../../generated/types.js'
import type { Scope } from '../../context.js'
import { type Fault, InvalidRequest } from '../../problem.js'
import type { RecordMeta, RecordType } from '../record-type.js'
import { edit } from '../write.js'

/**
 * Adds tags to a record and takes others off. Its row is held meanwhile: of several changes at once none is lost.
 * @throws InvalidRequest for a tag on both lists, and when the record would have more than it can have
 */
export async function changeTags<Resource extends RecordMeta>(
  scope: Scope,
  type: RecordType<Resource>,
  id: string,
  { add = [], remove = [] }: components['schemas']['TagsChange'],
  ifMatch?: string,
) {
  const repeated = remove.flatMap((tag, index): Fault[] =>
    add.includes(tag) ? [{ pointer: `/remove/${index}`, code: 'repeated', message: 'must not be added, too' }] : [],
  )
  if (repeated.length > 0) throw new InvalidRequest(...repeated)
  return edit(scope, type, id, ifMatch, (before) => {
    const tags = [...new Set([...before.tags, ...add])].filter((tag) => !remove.includes(tag))
    if (tags.length > mostItems.Tags) {
      const message = `must not be more than make up the ${mostItems.Tags} that a record can have`
      throw new InvalidRequest({ pointer: '/add', code: 'max_items', message })
    }
    return { ...before, tags }
  })
}
