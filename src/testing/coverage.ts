import { generateKeyPairSync, type KeyLike, randomUUID, sign } from 'node:crypto'
import type { InjectOptions } from 'fastify'
import {
  type OperationFacts,
  type OperationId,
  operations,
  type Permission,
  type Role,
  rolePermissions,
} from '../../generated/operations.js'
import { invitationToken } from '../modules/users/jobs.js'
import { pathOf, queryOf, requestExamples, withQuery } from './examples.js'
import type { Caller, Harness } from './harness.js'

/** A request that the contract accepts, about ids that nobody has; from anybody if the operation is public. */
export function requestOf({ resources }: Harness, id: OperationId, caller: Pick<Caller, 'token'>) {
  const { method, public: open }: OperationFacts = operations[id]
  const [example] = requestExamples(id)
  const secrets: Record<string, string> = {
    refreshToken: resources.signer.sign('refresh', `zr_${'0'.repeat(64)}_1`),
    token: invitationToken(resources.services, randomUUID(), randomUUID()),
  }
  return {
    method,
    url: withQuery(
      pathOf(id).replaceAll(/\{\w+\}/g, () => randomUUID()),
      queryOf(id),
    ),
    headers: {
      ...(!open && { authorization: `Bearer ${caller.token}` }),
      ...(example && { 'content-type': example.mediaType }),
    },
    ...(example && { payload: JSON.stringify(example.value, (name, value: unknown) => secrets[name] ?? value) }),
  } satisfies InjectOptions
}

/** The same request with some headers set. */
export const withHeaders = (request: InjectOptions, headers: Record<string, string>): InjectOptions => ({
  ...request,
  headers: { ...request.headers, ...headers },
})

/** `Authorization` headers: one that lets the caller in, and others that each differ from it in what must keep them out. */
export async function credentialsOf(
  harness: Harness,
  caller: Caller,
): Promise<{ good: string; bad: Record<string, string> }> {
  const { kid, key } = await harness.resources.keys.signing()
  const [, payload = ''] = caller.token.split('.')
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>
  const [ended, stranger] = [await harness.newUser(caller.organizationId, 'owner'), await harness.newOrganization()]
  await harness.sql.query('update crm_sessions set revoked = true where id = $1', [ended.sessionId])
  const bearer = (token: string) => `Bearer ${token}`
  const bad = {
    'no token': 'Bearer ',
    'another scheme': `Basic ${Buffer.from('ada:secret').toString('base64')}`,
    'not a token': bearer('nonsense'),
    'an expired one': bearer(forge({ kid }, { ...claims, exp: Math.floor(Date.now() / 1000) - 1 }, key)),
    'one without an end': bearer(forge({ kid }, { ...claims, exp: undefined }, key)),
    'one of another issuer': bearer(forge({ kid }, { ...claims, iss: 'elsewhere' }, key)),
    'one signed by somebody else': bearer(forge({ kid }, claims, generateKeyPairSync('ed25519').privateKey)),
    'one of an unknown key': bearer(forge({ kid: randomUUID() }, claims, key)),
    'one without a signature': bearer(forge({ kid, alg: 'none' }, claims)),
    'one of a session that has ended': bearer(ended.token),
    'one of another tenant': bearer(forge({ kid }, { ...claims, organizationId: stranger.organizationId }, key)),
  }
  return { good: bearer(forge({ kid }, claims, key)), bad }
}

/** A JSON Web Token with whatever is wanted in it. */
function forge(header: object, claims: object, key?: KeyLike): string {
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
  const signed = `${encode({ alg: 'EdDSA', typ: 'JWT', ...header })}.${encode(claims)}`
  return `${signed}.${key ? sign(null, Buffer.from(signed), key).toString('base64url') : ''}`
}

/** Goes on with a role that lacks the permission; where every role has it, one goes without it for a while. */
export async function lacking(permission: Permission, act: (role: Role) => Promise<void>): Promise<void> {
  const roles = Object.keys(rolePermissions) as Role[]
  const role = roles.find((each) => rolePermissions[each][permission] === undefined)
  if (role) return act(role)
  const permissions: Partial<Record<Permission, unknown>> = rolePermissions.read_only
  const level = permissions[permission]
  delete permissions[permission]
  try {
    await act('read_only')
  } finally {
    permissions[permission] = level
  }
}
