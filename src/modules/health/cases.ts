import { expect } from 'vitest'
import { operations } from '../../../generated/operations.js'
import { DatabaseUnavailable } from '../../db/errors.js'
import type { Cases } from '../../http/contract.js'
import type { Reply, World } from '../../testing/case.js'

async function whileDatabaseIsDown({ harness }: World, url: string): Promise<Reply> {
  harness.setDatabaseFault(new DatabaseUnavailable('connection refused'))
  try {
    return await harness.send({ url })
  } finally {
    harness.setDatabaseFault(undefined)
  }
}

export const cases = {
  getHealth: {
    200: async ({ harness }) => {
      const reply = await harness.send({ url: operations.getHealth.path })
      expect(reply.json()).toEqual({ status: 'up', dependencies: { database: 'up', redis: 'unused' } })
      return reply
    },
    503: async (world) => {
      const reply = await whileDatabaseIsDown(world, operations.getHealth.path)
      expect(reply.json()).toEqual({ status: 'down', dependencies: { database: 'down', redis: 'unused' } })
      return reply
    },
  },
  getLiveness: {
    200: async (world) => {
      const reply = await whileDatabaseIsDown(world, operations.getLiveness.path)
      expect(reply.json()).toEqual({ status: 'up' })
      return reply
    },
  },
} satisfies Cases<'health'>
