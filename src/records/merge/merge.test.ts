import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { operations } from '../../../generated/operations.js'
import { must } from '../../testing/access-world.js'
import { contentsOf, eventsOf, type Reply, refused, rowsOf, unchanged } from '../../testing/case.js'
import { type Caller, createHarness, type Harness } from '../../testing/harness.js'

type Stored = Record<string, unknown> & { id: string; version: number }
type Merge = { id: string; winnerId: string; loserIds: string[] }
type References = { object: string; property: string; count: number }[]
type Result = { merge: Merge; winner: Stored; losers: Stored[]; references: References; kept: string[] }

const accounts = operations.listAccounts.path
const contacts = operations.listContacts.path
const leads = operations.listLeads.path
const opportunities = operations.listOpportunities.path

let harness: Harness
let owner: Caller
beforeAll(async () => {
  harness = await createHarness()
})
beforeEach(async () => {
  owner = await harness.newOrganization()
})
afterAll(() => harness.close())

const world = () => ({ harness, owner })
const create = async (path: string, body: object, caller = owner): Promise<Stored> =>
  (await must(caller.post(path, body))).json()
const read = async (path: string, id: unknown): Promise<Stored> => (await must(owner.get(`${path}/${id}`))).json()

/** A custom field that refers to accounts. */
const accountField = (object: string, key: string, more: object = {}) => {
  const field = { object, key, label: key, type: 'reference', referenceObject: 'account', ...more }
  return must(owner.post(operations.createCustomField.path, field))
}
const newSegment = async (members: readonly Stored[], object = 'account'): Promise<Stored> => {
  const segment = await create(operations.listSegments.path, { object, name: 'S', kind: 'static' })
  if (members.length > 0) {
    const add = members.map(({ id }) => id)
    await must(owner.post(`${operations.listSegments.path}/${segment.id}/members`, { add }))
  }
  return segment
}
const followersOf = async (path: string, { id }: Stored): Promise<string[]> =>
  (await must(owner.get(`${path}/${id}/followers`)))
    .json<{ data: { userId: string }[] }>()
    .data.map(({ userId }) => userId)
const membersOf = async ({ id }: Stored): Promise<string[]> =>
  (await must(owner.get(`${operations.listSegments.path}/${id}/accounts`)))
    .json<{ data: Stored[] }>()
    .data.map((each) => each.id)
    .sort()

const send = (path: string, [winner, ...losers]: readonly { id: string }[], more: object = {}, caller = owner) =>
  caller.post(`${path}/merge`, { winnerId: winner?.id, loserIds: losers.map(({ id }) => id), ...more })
const merge = async (path: string, records: readonly { id: string }[], more: object = {}): Promise<Result> =>
  (await must(send(path, records, more))).json()
const undo = (path: string, { merge: { id } }: Result, caller = owner): Promise<Reply> =>
  caller.post(`${path.replace('/v1/', '/v1/merges/')}/${id}/undo`)

const refuses = async (act: () => Promise<Reply>, pointer: string, code: string) => {
  const reply = await refused(world(), 'invalid_request', act)
  expect(reply.json()).toMatchObject({ errors: [{ pointer, code }] })
  return reply
}

describe('values', () => {
  test('the winner keeps its own and gets what it lacks from the first loser that has it', async () => {
    const [winner, first, second] = [
      await create(accounts, { name: 'W', industry: 'Logistics', tags: ['a', 'b'], customFields: { x: 1, y: null } }),
      await create(accounts, {
        ...{ name: 'A', industry: 'Retail', phone: '+491', source: '', tags: ['b', 'c'] },
        ...{ domain: 'a.example', customFields: { x: 2, y: 2, z: { deep: [1] } } },
      }),
      await create(accounts, {
        ...{
          name: 'B',
          phone: '+492',
          source: 'Fair',
          website: 'https://b.example/',
          annualRevenue: { amount: '1.50', currency: 'EUR' },
        },
        ...{ billingAddress: { city: 'Bremen' }, customFields: { z: 3, q: 4 } },
      }),
    ]
    const result = await merge(accounts, [winner, first, second])
    expect(result.winner).toEqual({
      ...winner,
      ...{ version: 2, updatedAt: expect.any(String), tags: ['a', 'b', 'c'], phone: '+491', source: 'Fair' },
      ...{ website: 'https://b.example/', annualRevenue: { amount: '1.50', currency: 'EUR' }, domain: 'a.example' },
      ...{ billingAddress: { city: 'Bremen' }, customFields: { x: 1, y: 2, z: { deep: [1] }, q: 4 } },
    })
    expect(await read(accounts, winner.id)).toEqual(result.winner)
  })

  test('a choice wins, also one for no value, and for each custom field', async () => {
    const [winner, loser] = [
      await create(contacts, {
        firstName: 'Ada',
        lastName: 'L',
        title: 'Dr',
        tags: ['w'],
        customFields: { a: 1, b: 1 },
      }),
      await create(contacts, {
        lastName: 'Lovelace',
        email: 'ada@x.example',
        tags: ['l'],
        customFields: { b: 2, c: 2 },
      }),
    ]
    const fields = {
      ...{ lastName: loser.id.toUpperCase(), title: loser.id, tags: loser.id },
      customFields: { a: loser.id, b: loser.id, c: winner.id },
    }
    const result = await merge(contacts, [winner, loser], { fields })
    expect(result.winner).toMatchObject({
      ...{ name: 'Ada Lovelace', title: null, tags: ['l'], email: 'ada@x.example', customFields: { b: 2 } },
    })
    expect(result.winner.customFields).toEqual({ b: 2 })
  })

  test('what the server writes goes with the property that it follows', async () => {
    const stages = (await owner.get(operations.listPipelines.path)).json<{ data: { stages: { id: string }[] }[] }>()
    const won = stages.data[0]?.stages.find((each) => (each as { type?: string }).type === 'won')
    const [open, closed] = [
      await create(opportunities, { name: 'Open' }),
      await create(opportunities, { name: 'Won', stageId: won?.id }),
    ]
    const plain = await merge(opportunities, [open, closed])
    expect(plain.winner).toEqual(open)
    await must(undo(opportunities, plain))
    harness.advance(5_000)
    const chosen = await merge(opportunities, [open, closed], { fields: { stageId: closed.id } })
    const { stageId, pipelineId, status, stageEnteredAt, closedAt } = closed
    expect(chosen.winner).toMatchObject({ stageId, pipelineId, status, stageEnteredAt, closedAt, name: 'Open' })
    await must(undo(opportunities, chosen))
    expect(await read(opportunities, open.id)).toMatchObject({ stageId: open.stageId, status: 'open', closedAt: null })
  })

  test('a converted lead hands on its conversion with its status only', async () => {
    const [open, other] = [await create(leads, { lastName: 'Open' }), await create(leads, { lastName: 'Converted' })]
    await must(owner.post(`${leads}/${other.id}/convert`, {}))
    const converted = await read(leads, other.id)
    const plain = await merge(leads, [open, converted])
    expect(plain.winner).toMatchObject({ status: 'open', convertedAt: null, convertedAccountId: null })
    await must(undo(leads, plain))
    const { convertedAt, convertedAccountId, convertedContactId } = converted
    expect((await merge(leads, [open, converted], { fields: { status: converted.id } })).winner).toMatchObject({
      ...{ status: 'converted', convertedAt, convertedAccountId, convertedContactId },
    })
  })

  test('the winner takes the ids in other systems, and gives back those that are not its own', async () => {
    const id = (externalId: string) => ({ system: 'erp', externalId })
    const [winner, loser] = [
      await create(accounts, { name: 'W', externalIds: [id('1')] }),
      await create(accounts, { name: 'L', externalIds: [id('2'), id('3')] }),
    ]
    const result = await merge(accounts, [winner, loser])
    expect(result.winner.externalIds).toEqual([id('1'), id('2'), id('3')])
    expect((await owner.get(`${accounts}/external/erp/2`)).json()).toMatchObject({ id: winner.id })
    await must(owner.patch(`${accounts}/${winner.id}`, { tags: ['new'], externalIds: [id('4'), id('3'), id('1')] }))
    const undone = (await must(undo(accounts, result))).json<Result>()
    expect(undone).toMatchObject({ kept: [], winner: { tags: ['new'], externalIds: [id('4'), id('1')] } })
    expect((await owner.get(`${accounts}/external/erp/2`)).json()).toMatchObject({ id: loser.id })
    expect((await owner.get(`${accounts}/external/erp/4`)).json()).toMatchObject({ id: winner.id })

    const ids = (word: string) => Array.from({ length: 11 }, (_, index) => id(`${word}${index}`))
    const many = [
      await create(accounts, { name: 'W', externalIds: ids('w') }),
      await create(accounts, { name: 'L', externalIds: ids('l') }),
    ]
    await refuses(() => send(accounts, many), '/fields/externalIds', 'max_items')
    const chosen = await merge(accounts, many, { fields: { externalIds: many[1]?.id } })
    expect(chosen.winner.externalIds).toEqual(ids('l'))
  })

  test('what records have already is not held to definitions that came later', async () => {
    const define = (values: object) =>
      must(owner.post(operations.createCustomField.path, { object: 'account', ...values }))
    await define({ key: 'number', label: 'Number', type: 'integer', unique: true })
    const field = (await define({ key: 'code', label: 'Code', type: 'text' })).json<{ id: string }>()
    const [winner, loser] = [
      await create(accounts, { name: 'W' }),
      await create(accounts, { name: 'L', customFields: { number: 7, code: 'x1' } }),
    ]
    await must(owner.patch(`${operations.listCustomFields.path}/${field.id}`, { archived: true }))
    const result = await merge(accounts, [winner, loser])
    expect(result.winner.customFields).toEqual({ number: 7, code: 'x1' })
    expect((await owner.post(accounts, { name: 'N', customFields: { number: 7 } })).statusCode).toBe(409)
    await must(undo(accounts, result))
    expect(await read(accounts, winner.id)).toMatchObject({ customFields: {} })
    expect(await read(accounts, loser.id)).toMatchObject({ customFields: { number: 7, code: 'x1' } })
    expect((await owner.post(accounts, { name: 'N', customFields: { number: 7 } })).statusCode).toBe(409)
  })
})

describe('references', () => {
  test('whatever live record refers to a loser refers to the winner, each with its event, and back again', async () => {
    const [winner, first, second] = [
      await create(accounts, { name: 'W' }),
      await create(accounts, { name: 'A' }),
      await create(accounts, { name: 'B' }),
    ]
    const employee = await create(contacts, { lastName: 'E', accountId: first.id })
    const leaver = await create(contacts, { lastName: 'G', accountId: first.id })
    await must(owner.delete(`${contacts}/${leaver.id}`))
    const child = await create(accounts, { name: 'C', parentAccountId: second.id })
    const deal = await create(opportunities, { name: 'D', accountId: second.id, primaryContactId: employee.id })
    const lead = await create(leads, { lastName: 'Lead' })
    await must(owner.post(`${leads}/${lead.id}/convert`, { accountId: first.id, contactId: employee.id }))
    const before = new Map<string, Stored>()
    for (const [path, { id }] of [
      [contacts, employee],
      [accounts, child],
      [opportunities, deal],
      [leads, lead],
    ] as const)
      before.set(`${path}/${id}`, await read(path, id))

    const result = await merge(accounts, [winner, first, second])
    expect(new Set(result.references.map(({ object, property, count }) => `${object} ${property} ${count}`))).toEqual(
      new Set([
        'contact accountId 1',
        'account parentAccountId 1',
        'opportunity accountId 1',
        'lead convertedAccountId 1',
      ]),
    )
    expect(await read(contacts, employee.id)).toMatchObject({ accountId: winner.id, version: 2 })
    expect(await read(accounts, child.id)).toMatchObject({ parentAccountId: winner.id, version: 2 })
    expect(await read(opportunities, deal.id)).toMatchObject({ accountId: winner.id, version: 2 })
    expect(await read(leads, lead.id)).toMatchObject({ convertedAccountId: winner.id, version: 3 })
    expect((await eventsOf(world(), employee.id)).at(-1)).toMatchObject({
      ...{ type: 'contact.updated', cause: 'merge', version: 2, actor_id: owner.userId },
      changes: { accountId: { from: first.id, to: winner.id } },
    })
    expect(await rowsOf(world(), 'crm_contacts t where id = $1', leaver.id)).toMatchObject([{ account_id: first.id }])
    // Version 7, as all ids are.
    expect((await eventsOf(world(), employee.id)).at(-1)?.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab]/)

    const undone = (await must(undo(accounts, result))).json<Result>()
    expect(undone.references).toEqual(result.references)
    for (const [url, record] of before) {
      const now = (await owner.get(url)).json<Stored>()
      expect(now).toEqual({ ...record, version: record.version + 2, updatedAt: now.updatedAt })
    }
    expect(await rowsOf(world(), 'crm_merge_references t where merge_id = $1', result.merge.id)).toEqual([])
  })

  test('contacts and leads and deals hand on what refers to them, too', async () => {
    const [ada, twin] = [await create(contacts, { lastName: 'Ada' }), await create(contacts, { lastName: 'Ada' })]
    const report = await create(contacts, { lastName: 'R', reportsToId: twin.id })
    const deal = await create(opportunities, { name: 'D', primaryContactId: twin.id })
    await merge(contacts, [ada, twin])
    expect(await read(contacts, report.id)).toMatchObject({ reportsToId: ada.id })
    expect(await read(opportunities, deal.id)).toMatchObject({ primaryContactId: ada.id })

    const [lead, copy] = [await create(leads, { lastName: 'L' }), await create(leads, { lastName: 'L' })]
    const made = (await must(owner.post(`${leads}/${copy.id}/convert`, { opportunity: { name: 'Deal' } }))).json<{
      opportunity: { record: Stored }
    }>().opportunity.record
    await merge(leads, [lead, copy])
    expect(await read(opportunities, made.id)).toMatchObject({ originLeadId: lead.id })
    const kept = await create(opportunities, { name: 'Deal' })
    await merge(opportunities, [kept, made])
    expect(await rowsOf(world(), 'crm_leads t where id = $1', copy.id)).toMatchObject([
      { converted_opportunity_id: made.id },
    ])
  })

  test('in custom fields follow, found by their keys, as unique values or one by one, and go back as they were', async () => {
    const kinds = [{ filterable: true }, { unique: true }, {}]
    for (const [index, more] of kinds.entries()) await accountField('contact', `field${index}`, more)
    await accountField('account', 'partner', { filterable: true })
    await accountField('account', 'archived', { unique: true })
    const [winner, first, second] = [
      await create(accounts, { name: 'W' }),
      await create(accounts, { name: 'A' }),
      await create(accounts, { name: 'B' }),
    ]
    const customFields = { field0: first.id.toUpperCase(), field1: second.id, field2: first.id }
    const person = await create(contacts, { lastName: 'P', accountId: first.id, customFields })
    const gone = await create(contacts, { lastName: 'G', customFields: { field0: first.id, field2: first.id } })
    await must(owner.delete(`${contacts}/${gone.id}`))
    const partner = await create(accounts, { name: 'P', customFields: { partner: second.id, archived: second.id } })
    const own = await must(
      owner.patch(`${accounts}/${winner.id}`, { customFields: { partner: first.id, archived: partner.id } }),
    )
    const fields = (await owner.get(operations.listCustomFields.path)).json<{ data: Stored[] }>().data
    for (const { id, key } of fields) {
      if (key === 'archived') await must(owner.patch(`${operations.listCustomFields.path}/${id}`, { archived: true }))
    }

    const result = await merge(accounts, [winner, first, second])
    // A reference of the winner to itself counts as none.
    expect(result.winner.customFields).toEqual({ archived: partner.id })
    const told = result.references.map(({ object, property, count }) => `${object} ${property} ${count}`).sort()
    expect(told).toEqual([
      ...['account customFields.archived 1', 'account customFields.partner 1', 'contact accountId 1'],
      ...[0, 1, 2].map((index) => `contact customFields.field${index} 1`),
    ])
    const moved = { field0: winner.id, field1: winner.id, field2: winner.id }
    expect(await read(contacts, person.id)).toMatchObject({ customFields: moved, version: 3 })
    expect(await read(accounts, partner.id)).toMatchObject({
      customFields: { partner: winner.id, archived: winner.id },
    })
    expect((await eventsOf(world(), person.id)).at(-1)).toMatchObject({
      ...{ type: 'contact.updated', cause: 'merge', version: 3, actor_id: owner.userId },
      changes: { customFields: { from: customFields, to: moved } },
    })
    const filter = { field: 'customFields.field0', op: 'eq', value: winner.id }
    const found = (await must(owner.post(`${contacts}/query`, { filter }))).json<{ data: Stored[] }>()
    expect(found.data.map(({ id }) => id)).toEqual([person.id])
    const taken = await owner.post(contacts, { lastName: 'T', customFields: { field1: winner.id } })
    expect(taken.statusCode).toBe(409)
    expect(await rowsOf(world(), 'crm_contacts t where id = $1', gone.id)).toMatchObject([
      { custom_fields: gone.customFields },
    ])

    const undone = (await must(undo(accounts, result))).json<Result>()
    expect(undone.references.map(({ object, property, count }) => `${object} ${property} ${count}`).sort()).toEqual(
      told,
    )
    expect(await read(contacts, person.id)).toMatchObject({ customFields, accountId: first.id })
    expect(await read(accounts, partner.id)).toMatchObject({
      customFields: { partner: second.id, archived: second.id },
    })
    expect(await read(accounts, winner.id)).toMatchObject({ customFields: own.json<Stored>().customFields })
  })

  test('of a unique custom field stay where another record refers to the winner, and where somebody moved them since', async () => {
    await accountField('contact', 'sole', { unique: true })
    await accountField('contact', 'any')
    const group = [
      await create(accounts, { name: 'W' }),
      await create(accounts, { name: 'A' }),
      await create(accounts, { name: 'B' }),
    ] as const
    const [winner, first, second] = group
    const people: Stored[] = []
    for (const { id } of [first, second]) {
      people.push(await create(contacts, { lastName: 'P', customFields: { sole: id, any: id } }))
    }
    const [one, two] = people as [Stored, Stored]
    const result = await merge(accounts, group)
    const soles = async () => [(await read(contacts, one.id)).customFields, (await read(contacts, two.id)).customFields]
    expect(await soles()).toEqual([
      { sole: winner.id, any: winner.id },
      { sole: second.id, any: winner.id },
    ])
    const other = await create(accounts, { name: 'O' })
    await must(owner.patch(`${contacts}/${one.id}`, { customFields: { any: other.id } }))
    await must(undo(accounts, result))
    expect(await soles()).toEqual([
      { sole: first.id, any: other.id },
      { sole: second.id, any: second.id },
    ])
  })

  test('go by the definitions of now, also when another process has changed them', async () => {
    const [winner, loser] = [await create(accounts, { name: 'W' }), await create(accounts, { name: 'L' })]
    const field = (await accountField('contact', 'partner')).json<Stored>()
    const person = await create(contacts, { lastName: 'P', customFields: { partner: loser.id } })
    // As another process would: this one remembers the field as it was.
    await harness.sql.query(
      `update crm_custom_fields set filterable = true, slot = 3, index_state = 'ready' where id = $1`,
      [field.id],
    )
    await harness.sql.query('update crm_custom_field_revisions set revision = gen_random_uuid()')
    await harness.sql.query(`update crm_contacts set custom_key_3 = '=' || $2 where id = $1`, [person.id, loser.id])
    const result = await merge(accounts, [winner, loser])
    const key = async () => (await rowsOf(world(), 'crm_contacts t where id = $1', person.id))[0]?.custom_key_3
    expect(await key()).toBe(`=${winner.id}`)
    await must(undo(accounts, result))
    expect(await key()).toBe(`=${loser.id}`)
  })

  test('no record comes to stand above itself', async () => {
    const top = await create(accounts, { name: 'Top' })
    const loser = await create(accounts, { name: 'L', parentAccountId: top.id })
    const winner = await create(accounts, { name: 'W', parentAccountId: loser.id })
    const one = await merge(accounts, [winner, loser])
    expect(one.winner.parentAccountId).toBe(top.id)
    await must(undo(accounts, one))
    expect(await read(accounts, winner.id)).toMatchObject({ parentAccountId: loser.id })

    // A grandparent and its grandchild: the child in between would be above and below the winner.
    const middle = await create(accounts, { name: 'M', parentAccountId: loser.id })
    await must(owner.patch(`${accounts}/${winner.id}`, { parentAccountId: middle.id }))
    await must(owner.patch(`${accounts}/${loser.id}`, { parentAccountId: null }))
    const two = await merge(accounts, [winner, loser])
    expect(two.winner.parentAccountId).toBeNull()
    expect(await read(accounts, middle.id)).toMatchObject({ parentAccountId: winner.id })
    await must(undo(accounts, two))
    expect(await read(accounts, winner.id)).toMatchObject({ parentAccountId: middle.id })
    expect(await read(accounts, middle.id)).toMatchObject({ parentAccountId: loser.id })
  })

  test('more references than one merge may move are refused before anything is done', async () => {
    const [winner, loser] = [await create(accounts, { name: 'W' }), await create(accounts, { name: 'L' })]
    const { organizationId, userId } = owner
    const fill = (count: number) =>
      harness.sql.query(
        `insert into crm_contacts (organization_id, id, version, owner_id, tags, custom_fields, created_at, created_by_type, updated_at, updated_by_type,
           last_name, name, additional_emails, do_not_call, email_opt_out, account_id)
         select $1, gen_random_uuid(), 1, $2, '[]', '{}', now(), 'system', now(), 'system', 'N', 'N', '[]', false, false, $3 from generate_series(1, $4::integer)`,
        [organizationId, userId, loser.id, count],
      )
    await fill(10_001)
    const reply = await send(accounts, [winner, loser])
    expect(reply.json()).toMatchObject({ errors: [{ pointer: '/loserIds', code: 'too_many_references' }] })
    expect(await read(accounts, loser.id)).toMatchObject({ version: 1 })
    await harness.sql.query(
      'delete from crm_contacts where id in (select id from crm_contacts where organization_id = $1 limit 8001)',
      [organizationId],
    )
    const result = await merge(accounts, [winner, loser])
    expect(result.references).toEqual([{ object: 'contact', property: 'accountId', count: 2_000 }])
    expect((await must(undo(accounts, result))).json<Result>().references).toEqual(result.references)
  }, 60_000)
})

describe('refusals', () => {
  test('the records must be different ones that the caller sees', async () => {
    const [winner, loser] = [await create(accounts, { name: 'W' }), await create(accounts, { name: 'L' })]
    const gone = await create(accounts, { name: 'G' })
    await must(owner.delete(`${accounts}/${gone.id}`))
    const foreign = await create(accounts, { name: 'F' }, await harness.newOrganization())
    const contact = await create(contacts, { lastName: 'C' })
    const headers = { 'x-request-id': 'same' }
    const bodies = [gone, foreign, contact].map(({ id }) => ({ winnerId: winner.id, loserIds: [loser.id, id] }))
    const replies = await Promise.all(bodies.map((body) => owner.post(`${accounts}/merge`, body, headers)))
    expect(new Set(replies.map(({ payload }) => payload)).size).toBe(1)
    expect(replies[0]?.json()).toMatchObject({ errors: [{ pointer: '/loserIds/1', code: 'missing_reference' }] })
    await refuses(() => send(accounts, [gone, loser]), '/winnerId', 'missing_reference')
    await refuses(() => send(accounts, [winner, { id: winner.id.toUpperCase() }]), '/loserIds/0', 'repeated')
    await refuses(() => send(accounts, [winner, loser, { id: loser.id.toUpperCase() }]), '/loserIds/1', 'repeated')
    await refuses(() => send(accounts, [winner]), '/loserIds', 'min_items')
    const other = await create(accounts, { name: 'O' })
    for (const [fields, pointer, code] of [
      [{ name: other.id }, '/fields/name', 'missing_reference'],
      [{ customFields: { 'a/b': other.id } }, '/fields/customFields/a~1b', 'missing_reference'],
      [{ customFields: { nobody: loser.id } }, '/fields/customFields/nobody', 'unknown_custom_field'],
      [{ deletedAt: loser.id }, '/fields/deletedAt', 'additional_properties'],
      [{ name: 'x' }, '/fields/name', 'format'],
    ] as const) {
      await refuses(() => send(accounts, [winner, loser], { fields }), pointer, code)
    }
    await refuses(
      () => send(accounts, [winner, loser], { ifMatch: { [other.id]: '*' } }),
      `/ifMatch/${other.id}`,
      'missing_reference',
    )
  })

  test('what one record cannot hold must be chosen', async () => {
    const tags = (word: string) => Array.from({ length: 30 }, (_, index) => `${word}${index}`)
    const customFields = (word: string) => Object.fromEntries(tags(word).map((key) => [key, 'x'.repeat(600)]))
    const [winner, loser] = [
      await create(accounts, { name: 'W', tags: tags('w') }),
      await create(accounts, { name: 'L', tags: tags('l') }),
    ]
    await refuses(() => send(accounts, [winner, loser]), '/fields/tags', 'max_items')
    expect((await merge(accounts, [winner, loser], { fields: { tags: winner.id } })).winner.tags).toEqual(winner.tags)
    const big = [
      await create(accounts, { name: 'W', customFields: customFields('w') }),
      await create(accounts, { name: 'L', customFields: customFields('l') }),
    ]
    await refuses(() => send(accounts, big), '/fields/customFields', 'max_bytes')
    const keys = (word: string) => Object.fromEntries(Array.from({ length: 101 }, (_, index) => [`${word}${index}`, 1]))
    const many = [
      await create(accounts, { name: 'W', customFields: keys('w') }),
      await create(accounts, { name: 'L', customFields: keys('l') }),
    ]
    await refuses(() => send(accounts, many), '/fields/customFields', 'max_properties')
    const lead = [await create(leads, { lastName: 'W' }), await create(leads, { email: 'l@x.example' })]
    const fields = { lastName: lead[1]?.id, email: lead[0]?.id }
    await refuses(() => send(leads, lead, { fields }), '/fields', 'lead_identity')
  })

  test('the levels of update and delete reach each record, also to undo', async () => {
    const { organizationId } = owner
    const member = await harness.newUser(organizationId, 'member')
    const mate = await harness.newUser(organizationId, 'member')
    const manager = await harness.newUser(organizationId, 'manager')
    const reader = await harness.newUser(organizationId, 'read_only')
    const teamId = await harness.newTeam(organizationId, [member, mate, manager])
    const [own, mates, strangers] = [
      await create(accounts, { name: 'Own', ownerId: member.userId, teamId }),
      await create(accounts, { name: 'Mate', ownerId: mate.userId, teamId }),
      await create(accounts, { name: 'Stranger' }),
    ]
    const forbidden = (records: Stored[], caller: Caller) =>
      refused(world(), 'forbidden', () => send(accounts, records, {}, caller))
    await forbidden([own, mates], member)
    await forbidden([mates, own], member)
    await forbidden([own, mates], reader)
    await forbidden([mates, strangers], manager)
    await refuses(() => send(accounts, [own, strangers], {}, member), '/loserIds/0', 'missing_reference')
    const result = (await must(send(accounts, [mates, own], {}, manager))).json<Result>()

    // The loser leads to the winner whoever may read the winner.
    expect((await member.get(`${accounts}/${own.id}`)).statusCode).toBe(308)
    await refused(world(), 'forbidden', () => undo(accounts, result, member))
    await refused(world(), 'forbidden', () => undo(accounts, result, reader))
    await must(owner.patch(`${accounts}/${mates.id}`, { teamId: null, ownerId: owner.userId }))
    expect((await member.get(`${accounts}/${own.id}`)).statusCode).toBe(404)
    await refused(world(), 'not_found', () => undo(accounts, result, member))
    expect((await owner.get(`${accounts}/${own.id}`)).statusCode).toBe(308)
    await must(undo(accounts, result))
  })

  test('references that the caller cannot see follow, and are not told', async () => {
    const member = await harness.newUser(owner.organizationId, 'member')
    const [winner, loser] = [
      await create(accounts, { name: 'W', ownerId: member.userId }),
      await create(accounts, { name: 'L', ownerId: member.userId }),
    ]
    const hidden = await create(contacts, { lastName: 'H', accountId: loser.id })
    const seen = await create(contacts, { lastName: 'S', accountId: loser.id, ownerId: member.userId })
    const result = (await must(send(accounts, [winner, loser], {}, member))).json<Result>()
    expect(result.references).toEqual([{ object: 'contact', property: 'accountId', count: 1 }])
    for (const { id } of [hidden, seen]) expect(await read(contacts, id)).toMatchObject({ accountId: winner.id })
  })
})

describe('static segments and followers', () => {
  test('are those of both, without duplicates, and undoing leaves the winner what it had and what came since', async () => {
    const mate = await harness.newUser(owner.organizationId, 'admin')
    const [winner, first, second] = [
      await create(accounts, { name: 'W' }),
      await create(accounts, { name: 'A' }),
      await create(accounts, { name: 'B' }),
    ]
    const [both, losers, none, late] = [
      await newSegment([winner, first]),
      await newSegment([first, second]),
      await newSegment([]),
      await newSegment([second]),
    ]
    const follow = (caller: Caller, { id }: Stored) => must(caller.send('PUT', `${accounts}/${id}/followers/me`))
    await follow(owner, winner)
    for (const caller of [owner, mate]) await follow(caller, first)
    await follow(mate, second)

    const ids = [winner, first, second].map(({ id }) => id)
    const body = { winnerId: ids[0], loserIds: ids.slice(1) }
    const told = [
      { object: 'segment', property: 'members', count: 2 },
      { object: 'user', property: 'follows', count: 1 },
    ]
    const preview = await unchanged(world(), () => owner.post(`${accounts}/merge?dryRun=true`, body))
    expect(preview.json()).toMatchObject({ references: told })

    harness.advance(1_000)
    const result = await merge(accounts, [winner, first, second])
    expect(result.references).toEqual(told)
    for (const segment of [both, losers, late]) expect(await membersOf(segment)).toEqual([winner.id])
    expect(await membersOf(none)).toEqual([])
    expect(await followersOf(accounts, winner)).toEqual([owner.userId, mate.userId])
    expect((await eventsOf(world(), losers.id)).at(-1)).toMatchObject({
      ...{ type: 'segment.members_changed', cause: 'merge', changes: { members: { from: [], to: [winner.id] } } },
    })

    // What somebody takes away and gives again is theirs from then on.
    harness.advance(1_000)
    const members = `${operations.listSegments.path}/${late.id}/members`
    await must(owner.post(members, { remove: [winner.id] }))
    await must(owner.post(members, { add: [winner.id] }))
    const undone = (await must(undo(accounts, result))).json<Result>()
    expect(undone.references).toEqual([{ object: 'segment', property: 'members', count: 1 }, told[1]])
    expect(await membersOf(both)).toEqual([winner.id, first.id].sort())
    expect(await membersOf(losers)).toEqual([first.id, second.id].sort())
    expect(await membersOf(late)).toEqual([winner.id, second.id].sort())
    expect(await followersOf(accounts, winner)).toEqual([owner.userId])
    expect((await followersOf(accounts, first)).sort()).toEqual([owner.userId, mate.userId].sort())
    expect(await followersOf(accounts, second)).toEqual([mate.userId])
    expect((await eventsOf(world(), losers.id)).at(-1)).toMatchObject({
      ...{ type: 'segment.members_changed', cause: 'unmerge', changes: { members: { from: [winner.id], to: [] } } },
    })
  })

  test('of whom there are too many, those come who have followed longest', async () => {
    const [winner, loser] = [await create(accounts, { name: 'W' }), await create(accounts, { name: 'L' })]
    const { organizationId } = owner
    const mates = await Promise.all(Array.from({ length: 3 }, () => harness.newUser(organizationId, 'admin')))
    for (const mate of mates) {
      harness.advance(1_000)
      await must(mate.send('PUT', `${accounts}/${loser.id}/followers/me`))
    }
    await must(owner.send('PUT', `${accounts}/${winner.id}/followers/me`))
    await harness.sql.query(
      `with made as (
         insert into crm_users (id, email, password_hash, created_at, updated_at)
         select gen_random_uuid(), gen_random_uuid() || '@example.com', 'none', now(), now() from generate_series(2, 198)
         returning id),
       joined as (
         insert into crm_memberships (organization_id, user_id, role, status, created_at, updated_at)
         select $1, id, 'member', 'active', now(), now() from made returning user_id)
       insert into crm_followers select f.organization_id, f.record_id, j.user_id, f.object, now() from crm_followers f, joined j where f.record_id = $2`,
      [organizationId, winner.id],
    )
    const result = await merge(accounts, [winner, loser])
    expect(result.references).toEqual([{ object: 'user', property: 'follows', count: 2 }])
    const following = await followersOf(accounts, winner)
    expect(mates.map(({ userId }) => following.includes(userId))).toEqual([true, true, false])
    await must(undo(accounts, result))
    expect(await followersOf(accounts, winner)).toHaveLength(198)
    expect(await followersOf(accounts, loser)).toHaveLength(3)
  })
})

describe('the ids of losers', () => {
  test('lead along chains, for as long as the merges hold', async () => {
    const [a, b, c] = [
      await create(accounts, { name: 'A' }),
      await create(accounts, { name: 'B' }),
      await create(accounts, { name: 'C' }),
    ]
    const at = async (id: string) => {
      const { statusCode, headers } = await owner.get(`${accounts}/${id}`)
      return statusCode === 308 ? headers.location : statusCode
    }
    const first = await merge(accounts, [b, a])
    const second = await merge(accounts, [c, b])
    expect([await at(a.id), await at(b.id)]).toEqual([`${accounts}/${c.id}`, `${accounts}/${c.id}`])
    // A write does not follow: the client has to know whom it changes.
    await refused(world(), 'not_found', () => owner.patch(`${accounts}/${a.id}`, { name: 'X' }))
    await refuses(() => owner.post(contacts, { lastName: 'C', accountId: a.id }), '/accountId', 'missing_reference')
    const early = await refused(world(), 'merge_outdated', () => undo(accounts, first))
    expect(early.json()).toMatchObject({ conflicts: [{ object: 'account', id: b.id, matchedOn: ['deletedAt'] }] })

    await must(owner.delete(`${accounts}/${c.id}`))
    expect([await at(a.id), await at(b.id)]).toEqual([404, 404])
    await must(owner.post(`${accounts}/${c.id}/restore`))
    await must(undo(accounts, second))
    expect([await at(a.id), await at(b.id)]).toEqual([`${accounts}/${b.id}`, 200])
    await must(owner.post(`${accounts}/${a.id}/restore`))
    harness.advance(1_000)
    await must(owner.delete(`${accounts}/${a.id}`))
    expect(await at(a.id)).toBe(404)
  })
})

describe('undoing', () => {
  test('what was changed since stays, and is named', async () => {
    const [winner, loser] = [
      await create(contacts, { firstName: 'Ada', lastName: 'L', customFields: { a: 1 } }),
      await create(contacts, {
        lastName: 'M',
        phone: '+491',
        title: 'Dr',
        email: 'm@x.example',
        customFields: { b: 1, c: 1 },
      }),
    ]
    const [employee, mover] = [
      await create(contacts, { lastName: 'E', reportsToId: loser.id }),
      await create(contacts, { lastName: 'F', reportsToId: loser.id }),
    ]
    const result = await merge(contacts, [winner, loser], { fields: { lastName: loser.id } })
    await must(owner.patch(`${contacts}/${winner.id}`, { title: 'Prof', firstName: 'Augusta', customFields: { b: 2 } }))
    await must(owner.patch(`${contacts}/${mover.id}`, { reportsToId: employee.id }))
    const undone = (await must(undo(contacts, result))).json<Result>()
    expect(undone.kept.sort()).toEqual(['customFields.b', 'title'])
    expect(undone.winner).toMatchObject({
      ...{ name: 'Augusta L', title: 'Prof', phone: null, email: null, customFields: { a: 1, b: 2 } },
    })
    expect(undone.losers[0]).toMatchObject({ title: 'Dr', email: 'm@x.example' })
    expect(undone.references).toEqual([{ object: 'contact', property: 'reportsToId', count: 1 }])
    expect(await read(contacts, employee.id)).toMatchObject({ reportsToId: loser.id })
    expect(await read(contacts, mover.id)).toMatchObject({ reportsToId: employee.id })
  })

  test('is refused when a loser is gone, or somebody else has a unique value of one by now', async () => {
    const [winner, loser] = [
      await create(accounts, { name: 'W', domain: 'w.example' }),
      await create(accounts, { name: 'L', domain: 'l.example' }),
    ]
    const result = await merge(accounts, [winner, loser])
    const taken = await create(accounts, { name: 'N', domain: 'l.example' })
    const reply = await refused(world(), 'merge_outdated', () => undo(accounts, result))
    expect(reply.json()).toMatchObject({ conflicts: [{ object: 'account', id: taken.id, matchedOn: ['domain'] }] })
    await must(owner.patch(`${accounts}/${taken.id}`, { domain: null }))
    await must(owner.post(`${accounts}/${loser.id}/purge`))
    const gone = await refused(world(), 'merge_outdated', () => undo(accounts, result))
    expect(gone.json()).toMatchObject({ conflicts: [{ object: 'account', id: loser.id, matchedOn: ['id'] }] })
    expect((await owner.get(`${accounts}/${loser.id}`)).statusCode).toBe(404)
  })

  test('is refused when the winner would refer to what was purged, or be no record', async () => {
    const [before, after] = [await create(accounts, { name: 'Before' }), await create(accounts, { name: 'After' })]
    const people = [
      await create(contacts, { lastName: 'W', accountId: before.id }),
      await create(contacts, { lastName: 'L', accountId: after.id }),
    ]
    const result = await merge(contacts, people, { fields: { accountId: people[1]?.id } })
    await must(owner.delete(`${accounts}/${before.id}`))
    await must(owner.post(`${accounts}/${before.id}/purge`))
    await refused(world(), 'merge_outdated', () => undo(contacts, result))

    const nameless = [await create(leads, { email: 'w@x.example' }), await create(leads, { lastName: 'L' })]
    const merged = await merge(leads, nameless)
    await must(owner.patch(`${leads}/${nameless[0]?.id}`, { email: null }))
    await refused(world(), 'merge_outdated', () => undo(leads, merged))
  })

  test('a retry with the same key has one effect', async () => {
    const [winner, loser] = [await create(accounts, { name: 'W' }), await create(accounts, { name: 'L' })]
    const body = { winnerId: winner.id, loserIds: [loser.id] }
    const key = { 'idempotency-key': 'merge' }
    const first = await must(owner.post(`${accounts}/merge`, body, key))
    const again = await unchanged(world(), () => owner.post(`${accounts}/merge`, body, key))
    expect(again.payload).toBe(first.payload)
    const url = `${accounts.replace('/v1/', '/v1/merges/')}/${first.json<Result>().merge.id}/undo`
    const undone = await must(owner.post(url, undefined, { 'idempotency-key': 'undo' }))
    const once = await unchanged(world(), () => owner.post(url, undefined, { 'idempotency-key': 'undo' }))
    expect(once.payload).toBe(undone.payload)
  })
})

test('of merges that overlap one goes through, and the others find its losers gone', async () => {
  const records = await Promise.all(Array.from({ length: 4 }, (_, index) => create(accounts, { name: `A${index}` })))
  for (const { id } of records) await create(contacts, { lastName: 'C', accountId: id })
  const [a, b, c, d] = records as [Stored, Stored, Stored, Stored]
  const replies = await Promise.all([
    send(accounts, [a, b, c]),
    send(accounts, [b, a]),
    send(accounts, [c, b]),
    send(accounts, [b, c, a]),
    send(accounts, [d, a]),
  ])
  expect(replies.map(({ statusCode }) => statusCode).every((status) => status === 200 || status === 400)).toBe(true)
  expect(replies.some(({ statusCode }) => statusCode === 200)).toBe(true)
  for (const reply of replies.filter(({ statusCode }) => statusCode === 400)) {
    expect(reply.json<{ errors: { code: string }[] }>().errors.map(({ code }) => code)).toContain('missing_reference')
  }
  const live = await rowsOf(
    world(),
    'crm_accounts t where organization_id = $1 and deleted_at is null',
    owner.organizationId,
  )
  const ids = new Set(live.map(({ id }) => id))
  for (const { account_id } of await rowsOf(world(), 'crm_contacts t where organization_id = $1', owner.organizationId))
    expect(ids.has(account_id)).toBe(true)
})

describe('whatever the records are like', () => {
  const maybe = <Value>(value: fc.Arbitrary<Value>) => fc.option(value, { nil: null })
  const word = fc.constantFrom('', 'a', 'b', 'Ä', '😀')
  const json = fc.jsonValue({ maxDepth: 2 }).filter((value) => !JSON.stringify(value).includes('__proto__'))
  const tags = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { maxLength: 4 })
  const customFields = fc.dictionary(fc.constantFrom('p', 'q', 'r', 'constructor'), json, { maxKeys: 4 })
  const account = fc.record({
    ...{ tags, customFields, name: fc.constantFrom('a', 'b'), industry: maybe(word), legalName: maybe(word) },
    numberOfEmployees: maybe(fc.nat(5)),
    annualRevenue: maybe(
      fc.record({ amount: fc.constantFrom('1.00', '2.50'), currency: fc.constantFrom('EUR', 'USD') }),
    ),
    billingAddress: maybe(fc.record({ city: word, countryCode: fc.constantFrom('DE', 'FR') }, { requiredKeys: [] })),
    domain: fc.boolean(),
    parent: maybe(fc.nat(4)),
    partner: maybe(fc.nat(4)),
    segments: fc.subarray([0, 1]),
    followers: fc.subarray([0, 1]),
  })
  const contact = fc.record({
    ...{ account: maybe(fc.nat(4)), reportsTo: maybe(fc.nat(3)), deleted: fc.boolean(), shouts: fc.boolean() },
    fields: fc.record({ indexed: maybe(fc.nat(4)), sole: maybe(fc.nat(4)), any: maybe(fc.nat(4)) }),
  })
  const scene = fc.record({
    records: fc.array(account, { minLength: 5, maxLength: 5 }),
    others: fc.array(contact, { minLength: 4, maxLength: 4 }),
    losers: fc.integer({ min: 1, max: 3 }),
    choices: fc.dictionary(
      fc.constantFrom(
        'name',
        'industry',
        'legalName',
        'annualRevenue',
        'billingAddress',
        'domain',
        'tags',
        'parentAccountId',
      ),
      fc.nat(3),
    ),
  })
  let round = 0

  /** All records of the organization without what a change always changes, and what hangs on them. */
  const contents = async () => {
    const all = (table: string, order: string) =>
      rowsOf(world(), `${table} t where organization_id = $1 order by ${order}`, owner.organizationId)
    const rows = [
      ...(await all('crm_accounts', 'id')),
      ...(await all('crm_contacts', 'id')),
      ...(await all('crm_segment_members', 'segment_id, record_id')),
      ...(await all('crm_followers', 'record_id, user_id')),
      ...(await all('crm_custom_field_values', 'field_id, value_hash')),
      ...(await all('crm_merge_references', 'record_id')),
    ]
    return rows.map(({ version: _v, updated_at: _a, updated_by_type: _t, updated_by_id: _i, ...rest }) => rest)
  }

  /** Every live record is what its events tell. */
  const assertTold = async () => {
    for (const path of [accounts, contacts]) {
      for (const record of (await owner.get(`${path}?limit=200`)).json<{ data: Stored[] }>().data) {
        const told: Record<string, unknown> = {}
        const events = await eventsOf(world(), record.id)
        for (const { changes } of events) {
          for (const [name, change] of Object.entries(changes as Record<string, { from: unknown; to: unknown }>)) {
            expect(told[name] ?? null).toEqual(change.from)
            told[name] = change.to
          }
        }
        expect(events.map(({ version }) => version)).toEqual(events.map((_, index) => index + 1))
        expect(record.version).toBe(events.length)
        for (const name of Object.keys(told)) expect([name, record[name] ?? null]).toEqual([name, told[name]])
      }
    }
  }

  test('merging and undoing it restores every record exactly, and events tell every step', async () => {
    await fc.assert(
      fc.asyncProperty(scene, async ({ records, others, losers, choices }) => {
        owner = await harness.newOrganization()
        round += 1
        const made: Stored[] = []
        for (const [
          index,
          { domain, parent, partner: _p, segments: _s, followers: _f, ...body },
        ] of records.entries()) {
          const unique = domain ? { domain: `d${index}.r${round}.example` } : {}
          made.push(
            await create(accounts, {
              ...body,
              ...unique,
              ...(made[parent ?? -1] && { parentAccountId: made[parent ?? -1]?.id }),
            }),
          )
        }
        // Also upwards, so that there are ways round.
        for (const [index, { parent }] of records.entries()) {
          if (parent !== null && parent > index)
            await must(owner.patch(`${accounts}/${made[index]?.id}`, { parentAccountId: made[parent]?.id }))
        }
        // After the accounts: what they have already may be anything.
        await accountField('account', 'partner', { filterable: true })
        for (const [index, { partner }] of records.entries()) {
          if (partner !== null)
            await must(owner.patch(`${accounts}/${made[index]?.id}`, { customFields: { partner: made[partner]?.id } }))
        }
        const mate = await harness.newUser(owner.organizationId, 'admin')
        for (const number of [0, 1])
          await newSegment(made.filter((_, index) => records[index]?.segments.includes(number)))
        for (const [index, { followers }] of records.entries()) {
          for (const number of followers)
            await must((number === 0 ? owner : mate).send('PUT', `${accounts}/${made[index]?.id}/followers/me`))
        }
        await accountField('contact', 'indexed', { filterable: true })
        await accountField('contact', 'sole', { unique: true })
        await accountField('contact', 'any')
        const people: Stored[] = []
        const soles = new Set<unknown>()
        for (const { account, reportsTo, shouts, fields: values } of others) {
          const ids = Object.entries(values).flatMap(([key, index]) => {
            const id = made[index ?? -1]?.id
            if (!id || (key === 'sole' && soles.has(id))) return []
            if (key === 'sole') soles.add(id)
            return [[key, shouts ? id.toUpperCase() : id]]
          })
          people.push(
            await create(contacts, {
              ...{ lastName: 'P', accountId: account === null ? null : made[account]?.id },
              customFields: Object.fromEntries(ids),
              ...(people[reportsTo ?? -1] && { reportsToId: people[reportsTo ?? -1]?.id }),
            }),
          )
        }
        for (const [index, { deleted }] of others.entries()) {
          if (deleted) await must(owner.delete(`${contacts}/${people[index]?.id}`))
        }
        const group = made.slice(0, losers + 1)
        const fields = Object.fromEntries(
          Object.entries(choices).map(([name, index]) => [name, group[index % group.length]?.id]),
        )
        const before = await contents()

        const result = await merge(accounts, group, { fields })
        for (const [name, id] of Object.entries(fields)) {
          if (name === 'parentAccountId') continue
          expect([name, result.winner[name]]).toEqual([name, group.find((each) => each.id === id)?.[name]])
        }
        const live = await rowsOf(
          world(),
          'crm_accounts t where organization_id = $1 and deleted_at is null',
          owner.organizationId,
        )
        const dead = new Set(result.merge.loserIds)
        expect(live.some(({ parent_account_id }) => dead.has(String(parent_account_id)))).toBe(false)
        const referring = await rowsOf(
          world(),
          'crm_contacts t where organization_id = $1 and deleted_at is null',
          owner.organizationId,
        )
        for (const { custom_fields } of [...live, ...referring]) {
          const { partner, indexed, any } = custom_fields as Record<string, unknown>
          expect([partner, indexed, any].some((id) => dead.has(String(id).toLowerCase()))).toBe(false)
        }
        expect(result.winner.customFields).not.toMatchObject({ partner: result.winner.id })
        const united = (members: 'segments' | 'followers') =>
          new Set(records.slice(0, losers + 1).flatMap((each) => each[members])).size
        const winning = (table: string) => rowsOf(world(), `${table} t where record_id = $1`, result.winner.id)
        expect(await winning('crm_segment_members')).toHaveLength(united('segments'))
        expect(await winning('crm_followers')).toHaveLength(united('followers'))
        expect(result.winner.parentAccountId).not.toBe(result.winner.id)
        await assertTold()

        const undone = (await must(undo(accounts, result))).json<Result>()
        expect(undone.kept).toEqual([])
        expect(await contents()).toEqual(before)
        await assertTold()
      }),
      { numRuns: 25 },
    )
  }, 120_000)
})

test('nothing of it shows to, or is done by, another tenant', async () => {
  const [winner, loser] = [await create(accounts, { name: 'W' }), await create(accounts, { name: 'L' })]
  const result = await merge(accounts, [winner, loser])
  const stranger = await harness.newOrganization()
  const before = await contentsOf(world())
  expect((await undo(accounts, result, stranger)).statusCode).toBe(404)
  expect((await undo(contacts, result)).statusCode).toBe(404)
  expect((await stranger.get(`${accounts}/${loser.id}`)).statusCode).toBe(404)
  expect(await contentsOf(world())).toEqual(before)
})
