import { afterAll, beforeAll, expect, test } from 'vitest'
import { operations } from '../../generated/operations.js'
import { answeredProperties, closedObjects, parametersOf } from './access-contract.js'
import { newTarget, requestOf } from './access-world.js'
import { contentsOf, unchanged } from './case.js'
import { operationIds, requestExamples } from './examples.js'
import { type Caller, createHarness, type Harness } from './harness.js'

/** What tenants, rights and bookkeeping are called here, in the database and elsewhere. */
const COVETED = [
  'id',
  'version',
  'organizationId',
  'organization_id',
  'tenantId',
  'userId',
  'user_id',
  'ownerId',
  'owner_id',
  'role',
  'roles',
  'permissions',
  'status',
  'isAdmin',
  'verified',
  'email',
  'emailKey',
  'passwordHash',
  'password_hash',
  'sessionId',
  'generation',
  'createdAt',
  'createdById',
  'created_at',
  'deletedAt',
  'invitedBy',
  'acceptedAt',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  '$set',
  '',
]

const withBody = operationIds.filter((id) => operations[id].mediaTypes.length > 0)

let harness: Harness
let owner: Caller
beforeAll(async () => {
  harness = await createHarness()
  owner = await harness.newOrganization()
})
afterAll(() => harness.close())

test.each(withBody)('%s takes no property that it does not declare, in no object of its body', async (id) => {
  const objects = closedObjects(id)
  expect(objects.some(({ path }) => path.length === 0)).toBe(true)
  const target = await newTarget(harness, owner, id)
  const token = operations[id].public ? undefined : owner.token
  const names = new Set([...answeredProperties(id), ...COVETED])
  const digest = async () => [await contentsOf({ harness, owner }), await count()]
  const before = await digest()
  let tried = 0
  for (const { path, properties } of objects) {
    for (const name of names) {
      if (properties.includes(name)) continue
      const body = structuredClone(requestExamples(id)[0]?.value) as Record<string, unknown>
      let at = body
      for (const step of path) {
        at[step] ??= shown(step)
        at = at[step] as Record<string, unknown>
      }
      at[name] = name.endsWith('Id') ? owner.organizationId : 'owner'
      const reply = await harness.send(requestOf(id, token, { ...(target && { pathId: target }), body }))
      expect(reply.statusCode, `/${[...path, name].join('/')}`).toBe(400)
      expect(reply.json<{ errors: { pointer: string }[] }>().errors.map(({ pointer }) => pointer)).toContain(
        `/${[...path, name].join('/')}`,
      )
      tried += 1
    }
  }
  expect(tried).toBeGreaterThan(20)
  expect(await digest()).toEqual(before)
})

test.each(operationIds.filter((id) => operations[id].mediaTypes.length === 0))('%s takes no body', async (id) => {
  const target = await newTarget(harness, owner, id)
  const request = requestOf(id, operations[id].public ? undefined : owner.token, {
    ...(target && { pathId: target }),
    body: { role: 'owner' },
  })
  const reply = await unchanged({ harness, owner }, () => harness.send(request))
  expect(reply.statusCode).toBe(400)
})

test.each(operationIds)('%s takes no query parameter that it does not declare', async (id) => {
  const target = await newTarget(harness, owner, id)
  const declared = parametersOf(id).map(({ name }) => name)
  const names = ['organizationId', 'tenantId', 'userId', 'role', 'ownerId[eq]', '_method', '__proto__', 'constructor']
  await unchanged({ harness, owner }, async () => {
    for (const name of names.filter((each) => !declared.includes(each))) {
      const request = requestOf(id, operations[id].public ? undefined : owner.token, {
        ...(target && { pathId: target }),
        query: { [name]: 'owner' },
      })
      const reply = await harness.send(request)
      expect(reply.statusCode, name).toBe(400)
      expect(reply.json()).toMatchObject({ errors: [{ pointer: `/query/${name}` }] })
    }
  })
})

/** An object that some example of the contract has under this name. */
function shown(name: string): Record<string, unknown> {
  const examples = withBody.flatMap((id) => requestExamples(id)).map(({ value }) => value as Record<string, unknown>)
  // Also in the record that is to be upserted.
  for (const value of examples.flatMap((each) => [each, each.record as Record<string, unknown> | undefined])) {
    const found = value?.[name]
    if (typeof found === 'object' && found !== null) return structuredClone(found) as Record<string, unknown>
  }
  return {}
}

/** How many people and organizations there are. */
async function count(): Promise<unknown> {
  const { rows } = await harness.sql.query(
    'select (select count(*) from crm_users) as users, (select count(*) from crm_organizations) as organizations',
  )
  return rows
}
