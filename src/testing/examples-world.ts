import type { InjectOptions } from 'fastify'
import { type OperationFacts, type OperationId, operations } from '../../generated/operations.js'
import type { components } from '../../generated/types.js'
import { invitationToken } from '../modules/users/jobs.js'
import type { Reply, Tenant } from './case.js'
import { type Example, operationIds, pathOf, queryOf, requestExamples, withIds, withQuery } from './examples.js'
import type { Harness } from './harness.js'

type Session = components['schemas']['Session']

/** An organization in which the examples of an operation succeed, and the request that one of them makes there. */
export type Scene = Tenant & { request(example?: Example): InjectOptions }

/**
 * Brings about what the examples of an operation presuppose, by the examples of the operations before it: Ada has registered her
 * organization, there is one record of the kind, it is deleted where it will be restored, Grace is invited.
 */
export async function setScene(harness: Harness, id: OperationId): Promise<Scene> {
  // An address can be registered once, and every scene begins with the same registration.
  await harness.sql.query(`update crm_users set email = id || '@example.org' where email like '%@example.com'`)
  const scene = {
    organizationId: '',
    bearer: '',
    pathId: '',
    secrets: {} as Record<string, string>,
    ids: {} as Record<string, string>,
  }

  const request = (of: OperationId, example = requestExamples(of)[0]): InjectOptions => {
    const { method, public: open }: OperationFacts = operations[of]
    const fill = (name: string, value: unknown) => scene.secrets[name] ?? value
    return {
      method,
      url: withQuery(pathOf(of).replace(/\{\w+\}/, scene.pathId), queryOf(of)),
      headers: {
        ...(!open && { authorization: `Bearer ${scene.bearer}` }),
        ...(example && { 'content-type': example.mediaType }),
      },
      ...(example && { payload: JSON.stringify(withIds(example.value, scene.ids), fill) }),
    }
  }
  const perform = async (step: OperationId, given?: Example): Promise<Reply> => {
    // What can be of several kinds is of the kind that the operation is about.
    const example = given ?? requestExamples(step).find(({ name }) => name === operations[id].tag)
    const reply = await harness.send(request(step, example))
    if (reply.statusCode >= 300) throw new Error(`${step} came to ${reply.payload}`)
    return reply
  }

  if (id !== 'register') {
    const { accessToken, refreshToken, organization, user } = (await perform('register')).json<Session>()
    scene.organizationId = organization.id
    scene.bearer = accessToken
    scene.secrets = { refreshToken }
    if (operations[id].path.includes('{userId}')) {
      // Ada is spoken about, so another owner speaks: only then can she be deactivated.
      scene.bearer = (await harness.newUser(organization.id, 'owner')).token
      scene.pathId = user.id
    }
  }
  if (operations[id].path.endsWith('/{externalId}')) scene.pathId = '10042'
  const made: string[] = []
  for (const step of stepsBefore(id)) {
    const reply = await perform(step)
    if (reply.statusCode === 201 && operations[step].method === 'POST') made.push(reply.json<{ id: string }>().id)
    scene.pathId = made.at(-1) ?? scene.pathId
  }
  /** Creates a second record, without the value that is unique. */
  const createSecond = async (creating: OperationId): Promise<string> => {
    const [example] = requestExamples(creating)
    if (!example) throw new Error(`the contract does not show how ${creating} goes`)
    const { domain: _domain, email: _email, ...value } = example.value as Record<string, unknown>
    return (await perform(creating, { ...example, value })).json<{ id: string }>().id
  }
  if (operations[id].path.endsWith('}/duplicates')) for (const step of stepsBefore(id)) await createSecond(step)
  const merging = mergingOf(id)
  if (merging) {
    const [shown] = requestExamples(merging)
    const [creating] = stepsBefore(merging)
    if (!creating || !shown) throw new Error(`the contract does not show how ${merging} goes`)
    const { winnerId, loserIds } = shown.value as { winnerId: string; loserIds: string[] }
    // It gets the value that is unique from the other one.
    scene.ids = { [winnerId]: await createSecond(creating), [loserIds[0] ?? '']: scene.pathId }
    if (id !== merging) scene.pathId = (await perform(merging)).json<{ merge: { id: string } }>().merge.id
  }
  if (operations[id].path.endsWith('/{tag}')) scene.pathId = encodeURIComponent('key account')
  // A batch names its records in its body.
  if (operations[id].path.endsWith('/batch')) scene.secrets = { id: scene.pathId }
  // The members of a segment are a list of ids.
  if (id === 'changeSegmentMembers') scene.secrets = { 0: made[0] ?? '' }
  if (id === 'acceptInvitation') {
    scene.secrets = { token: invitationToken(harness.resources.services, scene.organizationId, scene.pathId) }
  }
  return { harness, owner: { organizationId: scene.organizationId }, request: (example) => request(id, example) }
}

const isDeletionIn = (collection: string, id: OperationId): boolean =>
  operations[id].method === 'DELETE' && operations[id].path.startsWith(`${collection}/{`)

/** The operation that merges the records that an operation is about merges of. */
function mergingOf(id: OperationId): OperationId | undefined {
  const { path } = operations[id]
  const url = path.endsWith('/merge') ? path : path.replace(/\/merges(\/[\w-]+).*$/, '$1/merge')
  return operationIds.find((other) => url.endsWith('/merge') && operations[other].path === url)
}

/** What has to happen to a record, a user or an invitation before the operation makes sense. */
function stepsBefore(id: OperationId): OperationId[] {
  const { path } = operations[id]
  const at = (method: string, url: string) =>
    operationIds.find((other) => operations[other].method === method && operations[other].path === url)
  const listed = /\/(?:view|segment)s\/\{\w+\}(\/\w+)$/.exec(path)?.[1]?.replace('/members', '/accounts')
  const steps = [
    listed && at('POST', operations.listViews.path.replace('/views', listed)),
    (path === operations.searchRecords.path || path.startsWith(operations.listTags.path)) && 'createAccount',
    at(
      'POST',
      path
        .replace(/\/(\{.*|accept$|batch$|query$|aggregate$|duplicates$|merge$)/, '')
        .replace(/\/(recycle-bin|merges)/, ''),
    ),
    /\/(restore|purge)$/.test(path) && at('DELETE', path.replace(/\/\w+$/, '')),
    path.includes('/recycle-bin/') &&
      operationIds.find((other) => isDeletionIn(path.replace('/recycle-bin', ''), other)),
    path.endsWith('/followers') && at('PUT', `${path}/me`),
    path.endsWith('/reactivate') && at('POST', path.replace('/reactivate', '/deactivate')),
    path.endsWith('/{externalId}') && at('PUT', path),
  ]
  return steps.filter((step): step is OperationId => typeof step === 'string' && step !== id)
}
