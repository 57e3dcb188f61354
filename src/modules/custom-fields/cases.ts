import { randomUUID } from 'node:crypto'
import { expect } from 'vitest'
import { operations } from '../../../generated/operations.js'
import type { Cases } from '../../http/contract.js'
import { type Case, type Reply, type Row, refused, rowsOf, unchanged, type World } from '../../testing/case.js'

const path = operations.listCustomFields.path
const body = { object: 'account', key: 'contractEnd', type: 'date', label: 'End of contract', personalData: true }
const blank = {
  ...{
    referenceObject: null,
    description: null,
    required: false,
    unique: false,
    defaultValue: null,
    options: [],
    pattern: null,
  },
  ...{ minimum: null, maximum: null, minLength: null, maxLength: null, filterable: false, archived: false },
  ...{ indexState: 'none', searchable: false, searchState: 'none' },
}

async function create({ owner }: World, more: Row = {}): Promise<Row & { id: string }> {
  const reply = await owner.post(path, { ...body, ...more })
  expect(reply.statusCode, reply.payload).toBe(201)
  return reply.json()
}

const revisionOf = (world: World) =>
  rowsOf(world, 'crm_custom_field_revisions t where organization_id = $1', world.owner.organizationId)

/** A field of another organization looks like one that never was: the same bytes. */
const missing =
  (send: (world: World, url: string, headers: Record<string, string>) => Promise<Reply>): Case =>
  async (world) => {
    const stranger = { harness: world.harness, owner: await world.harness.newOrganization() }
    const headers = { 'x-request-id': 'the-same' }
    const theirs = await create(stranger)
    const replies: Reply[] = []
    for (const id of [randomUUID(), theirs.id]) {
      const attempt = () => refused(world, 'not_found', () => send(world, `${path}/${id}`, headers))
      replies.push(await unchanged(stranger, attempt))
    }
    expect(new Set(replies.map(({ payload }) => payload)).size).toBe(1)
    return replies[0] as Reply
  }

/** Two records with the same value of a field that is not defined yet, and the oldest of those that stand in the way. */
async function share(world: World, key: string): Promise<string> {
  const ids: string[] = []
  for (const name of ['One', 'Two']) {
    const account = { name, customFields: { [key]: '2026-12-31' } }
    ids.push((await world.owner.post(operations.createAccount.path, account)).json<{ id: string }>().id)
  }
  return ids[1] ?? ''
}

async function refusesShared(world: World, id: string, send: () => Promise<Reply>): Promise<void> {
  const reply = await refused(world, 'duplicate_value', send)
  expect(reply.json()).toMatchObject({
    errors: [{ pointer: '/unique' }],
    conflicts: [{ object: 'account', id, matchedOn: ['customFields.contractEnd'] }],
  })
}

/** As many fields as there may be, written behind the back of the API. */
async function fill(world: World, object = 'account'): Promise<void> {
  const { id } = await create(world, { object, key: 'first' })
  await world.harness.sql.query(
    `insert into crm_custom_fields select (jsonb_populate_record(f, jsonb_build_object('id', gen_random_uuid(), 'key', 'k' || n))).*
     from crm_custom_fields f, generate_series(2, 200) n where id = $1`,
    [id],
  )
}

/** As many filterable fields as there may be, and one that is not. */
async function fillSlots(world: World): Promise<string> {
  for (let index = 0; index < 10; index++) await create(world, { key: `slot${index}`, filterable: true })
  return (await create(world, { key: 'plain' })).id
}

export const cases = {
  listCustomFields: {
    200: async (world) => {
      await create({ harness: world.harness, owner: await world.harness.newOrganization() })
      const first = await create(world)
      const second = await create(world, { key: 'a' })
      const other = await create(world, { object: 'lead' })
      const archived = (await world.owner.patch(`${path}/${second.id}`, { archived: true })).json<Row>()
      const read = async (query: string) => (await world.owner.get(`${path}?${query}`)).json<{ data: Row[] }>().data
      expect(await read('object=account&sort=key')).toEqual([archived, first])
      expect(await read('object=account&archived=false')).toEqual([first])
      expect(await read('archived=true')).toEqual([archived])
      const reply = await unchanged(world, () => world.owner.get(path))
      expect(reply.json()).toEqual({ data: [first, archived, other], page: { nextCursor: null, hasMore: false } })
      return reply
    },
  },
  createCustomField: {
    200: async (world) => {
      const { owner } = world
      await share(world, 'contractEnd')
      const bad = { name: 'Three', customFields: { contractEnd: 'soon' } }
      const { id } = (await owner.post(operations.createAccount.path, bad)).json<{ id: string }>()
      const strict = { ...body, required: true, unique: true, filterable: true }
      const reply = await unchanged(world, () => owner.post(`${path}?dryRun=true`, strict))
      const { check, ...field } = reply.json<{ check: { violations: Row[] } }>()
      expect(field).toMatchObject({ ...strict, version: 1, indexState: 'none' })
      expect(reply.headers).not.toHaveProperty('location')
      expect(check).toMatchObject({ records: 3, isComplete: true })
      expect(check.violations).toEqual([
        { code: 'format', records: 1, examples: [id] },
        { code: 'duplicate_value', records: 2, examples: [expect.any(String), expect.any(String)] },
      ])
      await create(world, { key: 'taken' })
      await refused(world, 'key_taken', () => owner.post(`${path}?dryRun=true`, { ...body, key: 'taken' }))
      return reply
    },
    201: async (world) => {
      const reply = await world.owner.post(path, body)
      const field = reply.json<Row>()
      const by = { type: 'user', id: world.owner.userId }
      expect(field).toEqual({
        ...{ ...blank, ...body, id: field.id, version: 1, createdBy: by, updatedBy: by },
        ...{ createdAt: expect.any(String), updatedAt: field.createdAt },
      })
      expect(reply.headers).toMatchObject({ etag: '"1"', location: `${path}/${field.id}` })
      expect((await world.owner.get(`${path}/${field.id}`)).json()).toEqual(field)
      expect(await rowsOf(world, 'crm_custom_fields t where id = $1', field.id)).toMatchObject([
        { organization_id: world.owner.organizationId, key: 'contractEnd', type: 'date', personal_data: true },
      ])
      expect(await revisionOf(world)).toHaveLength(1)
      return reply
    },
    409: async (world) => {
      const second = await share(world, 'contractEnd')
      await refusesShared(world, second, () => world.owner.post(path, { ...body, unique: true }))
      const { id } = await create(world)
      expect((await world.owner.patch(`${path}/${id}`, { archived: true })).statusCode).toBe(200)
      const taken = await refused(world, 'key_taken', () => world.owner.post(path, { ...body, type: 'text' }))
      expect(taken.json()).toMatchObject({ conflicts: [{ object: 'custom_field', id, matchedOn: ['key'] }] })
      await create(world, { object: 'contact' })
      await fillSlots(world)
      const more = { ...body, key: 'more', filterable: true }
      await refused(world, 'too_many_filterable_fields', () => world.owner.post(path, more))
      await fill(world, 'lead')
      return refused(world, 'too_many_custom_fields', () => world.owner.post(path, { ...body, object: 'lead' }))
    },
  },
  getCustomField: {
    200: async (world) => {
      const field = await create(world)
      const reply = await unchanged(world, () => world.owner.get(`${path}/${field.id}`))
      expect(reply.json()).toEqual(field)
      expect(reply.headers.etag).toBe('"1"')
      return reply
    },
    304: async (world) => {
      const { id } = await create(world)
      const reply = await unchanged(world, () => world.owner.get(`${path}/${id}`, { 'if-none-match': '"1"' }))
      expect(reply.payload).toBe('')
      return reply
    },
    404: missing(({ owner }, url, headers) => owner.get(url, headers)),
  },
  updateCustomField: {
    200: async (world) => {
      const field = await create(world)
      const [before] = await revisionOf(world)
      const url = `${path}/${field.id}`
      const patch = { label: 'Renewal', required: true, defaultValue: '2026-12-31', personalData: false }
      const reply = await world.owner.patch(url, patch, { 'if-match': '"1"' })
      expect(reply.json()).toEqual({ ...field, ...patch, version: 2, updatedAt: expect.any(String) })
      expect(reply.headers.etag).toBe('"2"')
      expect((await world.owner.get(url)).json()).toEqual(reply.json())
      expect(await revisionOf(world)).not.toEqual([before])
      const same = await unchanged(world, () => world.owner.patch(url, patch))
      expect(same.json()).toEqual(reply.json())
      const { id } = (await world.owner.post(operations.createAccount.path, { name: 'A' })).json<{ id: string }>()
      const other = await create(world, { key: 'other' })
      const strict = { label: 'Dry', required: true, filterable: true }
      const dry = await unchanged(world, () => world.owner.patch(`${path}/${other.id}?dryRun=true`, strict))
      const violations = [{ code: 'required', records: 1, examples: [id] }]
      expect(dry.json()).toMatchObject({ ...strict, version: 1, check: { records: 1, isComplete: true, violations } })
      expect(dry.headers.etag).toBe('"1"')
      return reply
    },
    404: missing(({ owner }, url, headers) => owner.patch(url, { label: 'Theirs' }, headers)),
    409: async (world) => {
      const second = await share(world, 'contractEnd')
      const { id } = await create(world)
      await refusesShared(world, second, () => world.owner.patch(`${path}/${id}`, { unique: true }))
      const plain = await fillSlots(world)
      await refused(world, 'too_many_filterable_fields', () =>
        world.owner.patch(`${path}/${plain}`, { filterable: true }),
      )
      expect((await world.owner.patch(`${path}/${id}`, { archived: true })).statusCode).toBe(200)
      await fill(world)
      return refused(world, 'too_many_custom_fields', () => world.owner.patch(`${path}/${id}`, { archived: false }))
    },
    412: async (world) => {
      const { id } = await create(world)
      return refused(world, 'version_mismatch', () =>
        world.owner.patch(`${path}/${id}`, { label: 'Late' }, { 'if-match': '"7"' }),
      )
    },
  },
} satisfies Cases<'custom-fields'>
