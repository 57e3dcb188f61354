import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type Level,
  type OperationFacts,
  type OperationId,
  operations,
  type Permission,
  type Role,
  rolePermissions,
} from '../../generated/operations.js'
import { must, newCaller, newRecord, newTarget, newVariation, recordKinds, requestOf } from './access-world.js'
import { unchanged } from './case.js'
import { operationIds } from './examples.js'
import { type Caller, createHarness, type Harness } from './harness.js'

const roles = Object.keys(rolePermissions) as Role[]
const guarded = operationIds.filter((id) => !operations[id].public)
const facts = (id: OperationId): OperationFacts => operations[id]

let harness: Harness
beforeAll(async () => {
  harness = await createHarness()
})
afterAll(() => harness.close())

describe('without a credential', () => {
  let owner: Caller
  beforeAll(async () => {
    owner = await harness.newOrganization()
  })

  test.each(guarded)('%s is 401, whatever else is wrong, and nothing changes', async (id) => {
    const target = await newTarget(harness, owner, id)
    const wrong = [
      {},
      { pathId: randomUUID() },
      { pathId: 'not-an-id', query: { unknown: 'parameter' } },
      { body: { unknown: 'property' } },
      { headers: { 'content-type': 'text/plain' }, body: {} },
      { headers: { 'idempotency-key': 'ü', 'if-match': 'nonsense' } },
    ]
    const flipped = `${owner.token.slice(0, -3)}${owner.token.at(-3) === 'A' ? 'B' : 'A'}${owner.token.slice(-2)}`
    const at = target ? { pathId: target } : {}
    const attempts = [
      ...wrong.map((variation) => requestOf(id, undefined, { ...at, ...variation })),
      ...['', 'nonsense', 'a.b.c', flipped].map((token) => requestOf(id, token, at)),
    ]
    await unchanged({ harness, owner }, async () => {
      for (const attempt of attempts) {
        const reply = await harness.send(attempt)
        expect(reply.statusCode).toBe(401)
        expect(reply.json()).toMatchObject({ code: 'unauthenticated' })
        expect(reply.headers['www-authenticate']).toMatch(/^Bearer/)
      }
      for (const authorization of [owner.token, `Basic ${owner.token}`, `Bearer  ${owner.token}x`, 'Bearer']) {
        const reply = await harness.send(requestOf(id, undefined, { headers: { authorization } }))
        expect(reply.statusCode, authorization.slice(0, 10)).toBe(401)
      }
    })
  })

  test.each(operationIds.filter((id) => operations[id].public))('%s needs none', async (id) => {
    const reply = await harness.send(requestOf(id, undefined))
    expect(reply.statusCode).toBeLessThan(500)
    expect(reply.json()).not.toMatchObject({ code: 'unauthenticated' })
  })
})

describe.each(roles)('%s', (role) => {
  test.each(guarded)('may do %s exactly as the contract says', async (id) => {
    const owner = await harness.newOrganization()
    const caller = await newCaller(harness, owner.organizationId, role)
    const variation = await newVariation(harness, owner, id, { ownerId: caller.userId })
    const send = () => harness.send(requestOf(id, caller.token, variation))

    const { permission } = facts(id)
    if (permission === null || rolePermissions[role][permission]) {
      const reply = await send()
      expect(reply.statusCode, reply.payload).toBeLessThan(300)
    } else {
      const reply = await unchanged({ harness, owner }, send)
      expect(reply.statusCode).toBe(403)
      expect(reply.json()).toMatchObject({ code: 'forbidden' })
    }
  })
})

describe('levels', () => {
  const onRecords = guarded.filter((id) =>
    recordKinds.some(({ collection }) => facts(id).path.replace('/merges/', '/').startsWith(`${collection}/{`)),
  )
  const whose = ['own', 'team-mate', 'stranger'] as const
  const reaches: Record<Level, readonly (typeof whose)[number][]> = {
    own: ['own'],
    team: ['own', 'team-mate'],
    all: ['own', 'team-mate', 'stranger'],
  }
  const holds = (role: Role, permission: Permission | null, of: (typeof whose)[number]): boolean => {
    const level = permission === null ? 'all' : rolePermissions[role][permission]
    return level !== undefined && reaches[level].includes(of)
  }

  describe.each(roles)('%s', (role) => {
    let owner: Caller
    let caller: Caller
    let values: Record<(typeof whose)[number], Record<string, unknown>>
    beforeAll(async () => {
      owner = await harness.newOrganization()
      caller = await harness.newUser(owner.organizationId, role)
      const mate = await harness.newUser(owner.organizationId, 'member')
      const stranger = await harness.newUser(owner.organizationId, 'member')
      const team = await harness.newTeam(owner.organizationId, [caller, mate])
      const elsewhere = await harness.newTeam(owner.organizationId, [mate, stranger])
      values = {
        own: { ownerId: caller.userId },
        'team-mate': { ownerId: mate.userId, teamId: team },
        stranger: { ownerId: stranger.userId, teamId: elsewhere },
      }
    })

    test.each(onRecords)('%s reaches what the level of the permission says', async (id) => {
      const { tag, permission, idempotent } = facts(id)
      const read = `${tag}:read` as Permission
      for (const of of whose) {
        const target = await newTarget(harness, owner, id, values[of])
        const variation = {
          ...(target && { pathId: target }),
          // With a key the request runs in a transaction of the HTTP layer, which must not make a difference.
          ...(idempotent && { headers: { 'idempotency-key': randomUUID() } }),
        }
        const send = () => harness.send(requestOf(id, caller.token, variation))
        if (holds(role, permission, of)) {
          const reply = await send()
          expect(reply.statusCode, `${of}: ${reply.payload}`).toBeLessThan(300)
        } else {
          // A role that lacks the permission altogether is told so, whatever the id.
          const lacks = permission !== null && rolePermissions[role][permission] === undefined
          // What would create one says that there is one already.
          const unseen = facts(id).method === 'PUT' && facts(id).mediaTypes.length > 0 ? 409 : 404
          const expected = lacks || holds(role, read, of) ? 403 : unseen
          const reply = await unchanged({ harness, owner }, send)
          expect(reply.statusCode, of).toBe(expected)
          if (expected === 404) {
            const missing = await harness.send(
              requestOf(id, caller.token, { ...variation, pathId: randomUUID(), headers: { 'x-request-id': 'same' } }),
            )
            const hidden = await harness.send(
              requestOf(id, caller.token, { ...variation, headers: { 'x-request-id': 'same' } }),
            )
            expect(hidden.payload).toBe(missing.payload)
          }
        }
      }
    })

    test.each(recordKinds)('lists exactly the $tag that can be read', async ({ tag, collection }) => {
      const visible: string[] = []
      for (const of of whose) {
        const { id } = await newRecord(owner, collection, values[of])
        if (holds(role, `${tag}:read` as Permission, of)) visible.push(id)
        const filtered = await caller.get(`${collection}?ownerId=${values[of].ownerId}`)
        const ids = filtered.json<{ data: { id: string }[] }>().data.map((record) => record.id)
        expect(ids.includes(id), of).toBe(visible.includes(id))
      }
      const seen = (await must(caller.get(`${collection}?sort=createdAt`))).json<{
        data: { id: string; ownerId: string }[]
      }>()
      expect(seen.data.map(({ id }) => id)).toEqual(expect.arrayContaining(visible))
      const owners = new Set(
        whose.filter((of) => holds(role, `${tag}:read` as Permission, of)).map((of) => values[of].ownerId),
      )
      expect(seen.data.filter(({ ownerId }) => !owners.has(ownerId) && ownerId !== owner.userId)).toEqual([])
    })

    test('refers to exactly the records that can be read', async () => {
      if (!rolePermissions[role]['accounts:create']) return
      const { path } = operations.createAccount
      for (const of of whose) {
        const { id } = await newRecord(owner, path, values[of])
        const send = (parentAccountId: string) =>
          caller.post(path, { name: 'Child', parentAccountId }, { 'x-request-id': 'same' })
        const reply = await send(id)
        expect(reply.statusCode, of).toBe(holds(role, 'accounts:read', of) ? 201 : 400)
        if (reply.statusCode === 400) expect(reply.payload).toBe((await send(randomUUID())).payload)
      }
    })
  })
})
