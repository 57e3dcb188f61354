import type { AuthHandlers } from '../../../generated/handlers.js'
import { InvalidRequest, problem } from '../../problem.js'
import { countLogin, forgetLogin } from './login-limit.js'
import { assertGoodPassword, hashPassword, passwordMatches } from './passwords.js'
import { register } from './register.js'
import {
  changePassword,
  endSession,
  findCaller,
  findUserByEmail,
  listOrganizations,
  openSession,
  refresh,
} from './repository.js'

export const handlers: AuthHandlers = {
  register: async ({ body }, context) => {
    assertGoodPassword(body.password, body.email, '/password')
    const session = await register(context, body, await hashPassword(body.password))
    return session ? { status: 201, headers: { Location: '/api/v1/me' }, body: session } : problem(409, 'email_taken')
  },

  login: async ({ body }, context) => {
    countLogin(context, body.email)
    const user = await findUserByEmail(context, body.email)
    const matches = await passwordMatches(user?.passwordHash, body.password)
    const organizations = user && matches ? await listOrganizations(context, user.id) : []
    const organization = body.organizationId
      ? organizations.find(({ id }) => id === body.organizationId)
      : organizations[0]
    if (!user || !organization) return problem(401, 'invalid_credentials')
    forgetLogin(context, body.email)
    const db = context.database.as({ kind: 'tenant', organizationId: organization.id })
    const session = await openSession(context, db, user, organization)
    return session ? { status: 200, body: session } : problem(401, 'invalid_credentials')
  },

  refreshSession: async ({ body }, context) => {
    const session = await refresh(context, body.refreshToken)
    return session ? { status: 200, body: session } : problem(401, 'invalid_refresh_token')
  },

  logout: async (_request, { scope }) => {
    await endSession(scope)
    return { status: 204 }
  },

  changePassword: async ({ body }, context) => {
    const { user } = await findCaller(context)
    countLogin(context, user.email)
    if (!(await passwordMatches(user.passwordHash, body.currentPassword))) {
      throw new InvalidRequest({
        pointer: '/currentPassword',
        code: 'incorrect',
        message: 'is not the current password',
      })
    }
    forgetLogin(context, user.email)
    assertGoodPassword(body.newPassword, user.email, '/newPassword')
    await changePassword(context, context.scope, await hashPassword(body.newPassword))
    return { status: 204 }
  },

  getJwks: async (_request, { publishedKeys }) => ({ status: 200, body: { keys: [...(await publishedKeys())] } }),
}
