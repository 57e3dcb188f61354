import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { type Level, type Permission, rolePermissions } from '../../../generated/operations.js'
import { refused } from '../../testing/case.js'
import { type Caller, createHarness, type Harness } from '../../testing/harness.js'
import { recordTypes } from '../record-type.js'

let harness: Harness
let owner: Caller
beforeAll(async () => {
  harness = await createHarness()
})
beforeEach(async () => {
  owner = await harness.newOrganization()
})
afterAll(() => harness.close())

const BASE = '/api/v1'

async function create(...tags: string[]): Promise<void> {
  const reply = await owner.post(`${BASE}/accounts`, { name: 'Tagged', tags })
  expect(reply.statusCode, reply.payload).toBe(201)
}

const rename = (tag: string, name: string, caller = owner) => caller.patch(`${BASE}/tags/${tag}`, { name })

/** Gives the role a right that reaches less, as a role may have it some day. */
function narrow(role: 'admin', permission: Permission, level: Level): void {
  const rights = rolePermissions[role] as Partial<Record<Permission, Level>>
  const before = rights[permission] as Level
  rights[permission] = level
  onTestFinished(() => {
    rights[permission] = before
  })
}

describe('whoever may not change all records changes no tag, whatever they may do with tags', () => {
  it.each(recordTypes.map((type) => type.permission('update')))('without %s of all', async (permission) => {
    await create('a')
    const admin = await harness.newUser(owner.organizationId, 'admin')
    narrow('admin', permission, 'team')
    const world = { harness, owner }
    for (const change of [() => rename('a', 'b', admin), () => admin.delete(`${BASE}/tags/a`)]) {
      const reply = await refused(world, 'forbidden', change)
      expect(reply.statusCode).toBe(403)
    }
  })
})
