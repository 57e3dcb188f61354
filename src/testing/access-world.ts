import { randomUUID } from 'node:crypto'
import type { InjectOptions, LightMyRequestResponse } from 'fastify'
import { type OperationFacts, type OperationId, operations, type Role } from '../../generated/operations.js'
import type { components } from '../../generated/types.js'
import { hashPassword } from '../modules/auth/passwords.js'
import { pathNames } from './access-contract.js'
import { operationIds, pathOf, queryOf, requestExamples, withQuery } from './examples.js'
import type { Caller, Harness } from './harness.js'

/** What a test may change in the request that the contract shows. */
export type Variation = {
  pathId?: string
  query?: Record<string, string>
  body?: unknown
  headers?: Record<string, string>
}

/** The kinds of records: collections whose members can be purged. */
export const recordKinds = operationIds
  .filter((id) => operations[id].path.endsWith('/purge'))
  .map((id) => ({ tag: operations[id].tag, collection: operations[id].path.replace(/\/\{\w+\}\/purge$/, '') }))

/** The operation with this method and path. */
export const operationAt = (method: string, path: string): OperationId | undefined =>
  operationIds.find((id) => operations[id].method === method && operations[id].path === path)

/** Bodies that name nothing, for operations whose examples name records. */
const EMPTY: Partial<Record<OperationId, object>> = { changeSegmentMembers: {} }

/** The request that the contract shows for an operation, sent by a caller. */
export function requestOf(id: OperationId, token: string | undefined, variation: Variation = {}): InjectOptions {
  const operation: OperationFacts = operations[id]
  const [example] = requestExamples(id)
  if (operation.bodyRequired && !example) throw new Error(`the contract shows no request for ${id}`)
  if (pathOf(id).split('{').length > 2)
    throw new Error(`${id} has a path that the access tests do not know how to fill`)
  const body = 'body' in variation ? variation.body : (EMPTY[id] ?? example?.value)
  const query = { ...queryOf(id), ...variation.query }
  return {
    method: operation.method,
    url: withQuery(pathOf(id).replace(/\{\w+\}/, variation.pathId ?? ''), query),
    headers: {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(body !== undefined && { 'content-type': example?.mediaType ?? 'application/json' }),
      ...variation.headers,
    },
    ...(body !== undefined && { payload: JSON.stringify(body) }),
  }
}

/** Sends what must work to prepare a test. */
export async function must(sent: Promise<LightMyRequestResponse>): Promise<LightMyRequestResponse> {
  const reply = await sent
  if (reply.statusCode >= 300) throw new Error(`a preparation came to ${reply.statusCode}: ${reply.payload}`)
  return reply
}

/** A record as the contract shows one, with the values that are unique made up anew. */
export async function newRecord(
  caller: Caller,
  collection: string,
  values: Record<string, unknown> = {},
): Promise<{ id: string; version: number }> {
  return (await must(caller.post(collection, { ...freshBody(collection), ...values }))).json()
}

function freshBody(collection: string): Record<string, unknown> {
  const id = operationAt('POST', collection)
  const example = id && requestExamples(id)[0]?.value
  if (!example) throw new Error(`the contract shows no request that creates one of ${collection}`)
  const fresh = { ...(example as Record<string, unknown>) }
  if ('domain' in fresh) fresh.domain = `${randomUUID()}.example`
  if ('email' in fresh) fresh.email = `${randomUUID()}@example.com`
  return fresh
}

/** The body of a merge of two new records with these values. */
async function newMergeBody(caller: Caller, collection: string, values: Record<string, unknown> = {}) {
  const [winner, loser] = [await newRecord(caller, collection, values), await newRecord(caller, collection, values)]
  return { winnerId: winner.id, loserIds: [loser.id] }
}

/** Merges two new records with these values. */
export async function newMerge(
  caller: Caller,
  collection: string,
  values: Record<string, unknown> = {},
): Promise<components['schemas']['Merge']> {
  const body = await newMergeBody(caller, collection, values)
  return (await must(caller.post(`${collection}/merge`, body))).json<{ merge: components['schemas']['Merge'] }>().merge
}

/** A custom field of accounts as the contract shows one, with a key that is made up anew. */
export async function newCustomField(caller: Caller, values: Record<string, unknown> = {}): Promise<{ id: string }> {
  const example = requestExamples('createCustomField')[0]?.value as Record<string, unknown>
  const key = `k${randomUUID().replaceAll('-', '')}`
  return (await must(caller.post(operations.createCustomField.path, { ...example, key, ...values }))).json()
}

/** A saved view, as the contract shows one of the kind of record that a tag names. */
export const newView = (caller: Caller, tag: string, values?: Record<string, unknown>): Promise<{ id: string }> =>
  newOfKind(caller, 'createView', tag, values)

/** A segment, as the contract shows one of the kind of record that a tag names, or of accounts without a filter. */
export const newSegment = (caller: Caller, tag: string, values?: Record<string, unknown>): Promise<{ id: string }> =>
  newOfKind(caller, 'createSegment', tag, values)

async function newOfKind(
  caller: Caller,
  id: 'createView' | 'createSegment',
  tag: string,
  values: Record<string, unknown> = {},
): Promise<{ id: string }> {
  const examples = requestExamples(id)
  const { value } = examples.find(({ name }) => name === tag) ?? (examples[0] as { value: unknown })
  return (await must(caller.post(operations[id].path, { ...(value as object), ...values }))).json()
}

/**
 * The id for the path of an operation, of something that the operation can be done to: a record with these values, deleted where
 * it is to be restored or purged, by its external id where that is in the path, a member, deactivated where they are to be reactivated, or something else without values.
 * Undefined for a path without an id.
 */
export async function newTarget(
  harness: Harness,
  owner: Caller,
  id: OperationId,
  values: Record<string, unknown> = {},
): Promise<string | undefined> {
  const [name] = pathNames(id)
  if (!name) return undefined
  const { path } = operations[id]
  if (path.endsWith('/external/{system}/{externalId}')) {
    const externalId = randomUUID()
    const body = { ...freshBody(path.slice(0, path.indexOf('/external/'))), ...values }
    await must(owner.send('PUT', pathOf(id).replace('{externalId}', externalId), body))
    return externalId
  }
  const collection = path.slice(0, path.indexOf('/{'))
  const one = `${collection}/{${name}}`
  if (pathOf(id) !== path) return undefined
  // Of deals, whose examples have no custom fields that this one would rule out.
  if (name === 'customFieldId') return (await newCustomField(owner, { object: 'opportunity' })).id
  if (name === 'viewId' || name === 'segmentId') {
    const [make, table] = name === 'viewId' ? [newView, 'crm_views'] : [newSegment, 'crm_segments']
    const made = await make(owner, operations[id].tag)
    const sql = `update ${table} set owner_id = $2 where id = $1`
    if (values.ownerId) await harness.sql.query(sql, [made.id, values.ownerId])
    return made.id
  }
  if (name === 'tag') {
    const tag = randomUUID()
    await newRecord(owner, operations.createAccount.path, { tags: [tag] })
    return tag
  }
  if (name === 'mergeId') return (await newMerge(owner, collection.replace('/merges', ''), values)).id
  if (name === 'userId') {
    const { userId } = await harness.newUser(owner.organizationId, 'member')
    if (path === `${one}/reactivate`) await must(owner.post(`${collection}/${userId}/deactivate`))
    return userId
  }
  const isRecord = recordKinds.some((kind) => kind.collection === collection)
  const record = await newRecord(owner, collection, isRecord ? values : {})
  if ([`${one}/restore`, `${one}/purge`].includes(path)) await must(owner.delete(`${collection}/${record.id}`))
  return record.id
}

/** What the request for an operation has to say so that it can be done: the id in its path, or those in its body. */
export async function newVariation(
  harness: Harness,
  owner: Caller,
  id: OperationId,
  values: Record<string, unknown> = {},
): Promise<Variation> {
  const { path } = operations[id]
  if (path.endsWith('/merge')) return { body: await newMergeBody(owner, path.replace(/\/merge$/, ''), values) }
  const pathId = await newTarget(harness, owner, id, values)
  return pathId === undefined ? {} : { pathId }
}

let hash: Promise<string> | undefined

/** Somebody of the organization, who has the password that the examples of the contract use. */
export async function newCaller(harness: Harness, organizationId: string, role: Role): Promise<Caller> {
  const caller = await harness.newUser(organizationId, role)
  const change = requestExamples('changePassword')[0] as { value: components['schemas']['PasswordChange'] }
  hash ??= hashPassword(change.value.currentPassword)
  await harness.sql.query('update crm_users set password_hash = $1 where id = $2', [await hash, caller.userId])
  return caller
}

/** The reply as it went over the wire, but for the date. */
export function wire({ statusCode, headers, payload }: LightMyRequestResponse): unknown {
  const { date: _, ...rest } = headers
  return { statusCode, headers: rest, payload }
}
