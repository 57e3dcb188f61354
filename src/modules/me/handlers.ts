import type { MeHandlers } from '../../../generated/handlers.js'
import { describeCaller, updateProfile } from './repository.js'

export const handlers: MeHandlers = {
  getMe: async (_request, context) => ({ status: 200, body: await describeCaller(context) }),
  updateMe: async ({ body }, context) => {
    await updateProfile(context, body)
    return { status: 200, body: await describeCaller(context) }
  },
}
