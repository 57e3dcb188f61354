import type { UsersHandlers } from '../../../generated/handlers.js'
import { problem } from '../../problem.js'
import { get, list } from '../../records/read.js'
import { accept, getInvitation, invite } from './invitations.js'
import { deactivateUser, reactivateUser, updateUser, users } from './repository.js'

export const handlers: UsersHandlers = {
  listUsers: ({ query }, { scope }) => list(scope, users, query),
  getUser: ({ params, headers }, { scope }) => get(scope, users, params.userId, headers['if-none-match']),
  updateUser: ({ params, headers, body }, { scope }) => updateUser(scope, params.userId, body, headers['if-match']),
  deactivateUser: ({ params, headers }, { scope }) => deactivateUser(scope, params.userId, headers['if-match']),
  reactivateUser: ({ params, headers }, { scope }) => reactivateUser(scope, params.userId, headers['if-match']),
  getInvitation: ({ params }, { scope }) => getInvitation(scope, params.invitationId),
  createInvitation: ({ body }, context) => invite(context, body),
  acceptInvitation: async ({ body }, context) => {
    const session = await accept(context, body)
    return session
      ? { status: 201, headers: { Location: '/api/v1/me' }, body: session }
      : problem(401, 'invalid_invitation')
  },
}
