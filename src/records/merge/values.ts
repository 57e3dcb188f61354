import { isDeepStrictEqual } from 'node:util'
import { mostItems } from '../../../generated/limits.js'
import { type Fault, InvalidRequest } from '../../problem.js'
import { MAX_CUSTOM_FIELDS } from '../custom-fields.js'
import type { RecordMeta, RecordType } from '../record-type.js'
import { BOOKKEEPING, type Changes } from '../write.js'

type Values = Record<string, unknown>

/** For a property, and for each custom field, the id of the record whose value wins. */
export type Choices = Readonly<Record<string, string | Readonly<Record<string, string>> | undefined>>

/** Lists without order, which are united, and how long they may be. */
const UNITED: Readonly<Record<string, number>> = { tags: mostItems.Tags, externalIds: mostItems.ExternalIds }

const isEmpty = (value: unknown): boolean =>
  value === null || value === undefined || value === '' || (Array.isArray(value) && value.length === 0)

const own = (values: Values, key: string): unknown => (Object.hasOwn(values, key) ? values[key] : undefined)

/** The properties that callers write. */
const writableOf = ({ fields, follows }: RecordType<RecordMeta>): string[] =>
  Object.keys(fields).filter((name) => !BOOKKEEPING.has(name) && !(name in follows))

/** A property and those that only change together with it. */
const unitOf = ({ follows }: RecordType<RecordMeta>, name: string): string[] => [
  name,
  ...Object.keys(follows).filter((follower) => follows[follower] === name),
]

/**
 * The winner with the values that it gets from the losers.
 *
 * @param isUsable whether the value of a property, or of a custom field as `customFields.key`, may become the winner's: a reference must
 *   not lead to the winner itself
 * @throws InvalidRequest when a choice is about nothing, or there is more than a record can hold
 */
export function mergedValues<Resource extends RecordMeta>(
  type: RecordType<Resource>,
  winner: Resource,
  losers: readonly Resource[],
  choices: Choices,
  isUsable: (property: string, value: unknown) => boolean,
): Resource {
  const records = [winner, ...losers] as (Resource & Values)[]
  const merged: Values = { ...winner }
  for (const name of writableOf(type)) {
    const choice = choices[name]
    if (name === 'customFields') {
      merged.customFields = mergedCustomFields(records, typeof choice === 'object' ? choice : {}, isUsable)
    } else if (name in UNITED && choice === undefined) {
      const united = unitedLists(name, records)
      if (united.length > 0) merged[name] = united
    } else {
      const usable = (record: Values) => (isUsable(name, record[name]) ? record[name] : null)
      const chosen = records.find(({ id }) => id === choice)
      const source = chosen ?? records.find((record) => !isEmpty(usable(record)))
      // Where nobody has a value, the winner keeps its own way of having none.
      if (!source) {
        if (!isUsable(name, merged[name])) merged[name] = null
      } else if (source !== winner || !isUsable(name, merged[name])) {
        for (const member of unitOf(type, name)) merged[member] = source[member]
        merged[name] = usable(source)
      }
    }
  }
  return merged as Resource
}

const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : [])
const isIn = (list: readonly unknown[]) => (element: unknown) => list.some((each) => isDeepStrictEqual(each, element))

function unitedLists(name: string, records: readonly Values[]): unknown[] {
  const united: unknown[] = []
  for (const element of records.flatMap((record) => listOf(record[name]))) {
    if (!isIn(united)(element)) united.push(element)
  }
  const most = UNITED[name] ?? 0
  if (united.length > most) {
    const message = `must be chosen: together the records have more than ${most}`
    throw new InvalidRequest({ pointer: `/fields/${name}`, code: 'max_items', message })
  }
  return united
}

function mergedCustomFields(
  records: readonly RecordMeta[],
  choices: Readonly<Record<string, string>>,
  isUsable: (property: string, value: unknown) => boolean,
): Values {
  const keys = new Set(records.flatMap(({ customFields }) => Object.keys(customFields)))
  const unknown = Object.keys(choices).filter((key) => !keys.has(key))
  if (unknown.length > 0) throw new InvalidRequest(...unknown.slice(0, 100).map(unknownField))
  const values = [...keys].flatMap((key): [string, unknown][] => {
    const chosen = Object.hasOwn(choices, key) ? records.find(({ id }) => id === choices[key]) : undefined
    const usable = ({ customFields }: RecordMeta) => {
      const value = own(customFields, key)
      return isUsable(`customFields.${key}`, value) ? value : undefined
    }
    const source = chosen ?? records.find((record) => !isEmpty(usable(record))) ?? records[0]
    const value = source && usable(source)
    return value === undefined ? [] : [[key, value]]
  })
  if (values.length > MAX_CUSTOM_FIELDS) {
    const message = `must be chosen: together the records have more than ${MAX_CUSTOM_FIELDS} custom fields`
    throw new InvalidRequest({ pointer: '/fields/customFields', code: 'max_properties', message })
  }
  return Object.fromEntries(values)
}

const unknownField = (key: string): Fault => ({
  pointer: pointerTo(key),
  code: 'unknown_custom_field',
  message: 'must be a custom field that one of the records has',
})

/** Where the choice for a custom field stands in the request, as far as a pointer may be long. */
export const pointerTo = (key: string): string =>
  `/fields/customFields/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`.slice(0, 512)

/**
 * The winner with the values that it had before the merge, but for those that were changed since.
 *
 * @param changes what the merge changed
 * @returns `kept` names what was changed since
 */
export function givenBack<Resource extends RecordMeta>(
  type: RecordType<Resource>,
  winner: Resource,
  changes: Changes,
): { record: Resource; kept: string[] } {
  const now = winner as Resource & Values
  const record: Values = { ...winner }
  const kept: string[] = []
  for (const name of writableOf(type)) {
    const changed = unitOf(type, name).filter((member) => changes[member])
    if (changed.length === 0) continue
    if (name === 'customFields') {
      record.customFields = customFieldsGivenBack(winner.customFields, changes[name], kept)
    } else if (changed.every((member) => isDeepStrictEqual(now[member] ?? null, changes[member]?.to))) {
      for (const member of changed) record[member] = changes[member]?.from
    } else if (name in UNITED) {
      record[name] = listGivenBack(now[name], changes[name])
    } else kept.push(name)
  }
  return { record: record as Resource, kept }
}

/** The list without what the merge added to it and with what it took away; what came since stays. */
function listGivenBack(now: unknown, change: Changes[string] | undefined): unknown[] {
  const [from, to] = [listOf(change?.from), listOf(change?.to)]
  const rest = listOf(now).filter((element) => !isIn(to)(element) || isIn(from)(element))
  return [...rest, ...from.filter((element) => !isIn(to)(element) && !isIn(rest)(element))]
}

function customFieldsGivenBack(now: Values, change: Changes[string] | undefined, kept: string[]): Values {
  const [from, to] = [change?.from, change?.to].map((values) => (values ?? {}) as Values) as [Values, Values]
  const values = { ...now }
  for (const key of new Set([...Object.keys(from), ...Object.keys(to)])) {
    const [before, after] = [own(from, key), own(to, key)]
    if (isDeepStrictEqual(before, after)) continue
    if (!isDeepStrictEqual(own(now, key), after)) kept.push(`customFields.${key}`.slice(0, 512))
    else if (before === undefined) delete values[key]
    else values[key] = before
  }
  return values
}
