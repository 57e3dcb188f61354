import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { must } from '../testing/access-world.js'
import { eventsOf, type Reply, type Row, refused, rowsOf, unchanged } from '../testing/case.js'
import { type Caller, createHarness, type Harness } from '../testing/harness.js'
import { recordTypes } from './record-type.js'

const accounts = '/api/v1/accounts'
const contacts = '/api/v1/contacts'

type Stored = Row & { id: string; version: number }
type Result = { status: number; body?: Stored; problem?: Row }

let harness: Harness
let owner: Caller
beforeAll(async () => {
  harness = await createHarness({ DATABASE_POOL_SIZE: '8' })
})
beforeEach(async () => {
  owner = await harness.newOrganization()
})
afterAll(() => harness.close())

const world = () => ({ harness, owner })
const times = <Result>(count: number, act: (index: number) => Promise<Result>): Promise<Result[]> =>
  Promise.all(Array.from({ length: count }, (_, index) => act(index)))
const statuses = (replies: readonly { statusCode: number }[]) => replies.map(({ statusCode }) => statusCode).sort()
const erp = (externalId: string) => ({ system: 'erp', externalId })
const put = (externalId: string, body: Row, by = owner, headers = {}): Promise<Reply> =>
  by.send('PUT', `${accounts}/external/erp/${encodeURIComponent(externalId)}`, body, headers)
const upsert = (path: string, matchOn: string, record: Row, by = owner, headers = {}): Promise<Reply> =>
  by.post(`${path}/upsert`, { matchOn, record }, headers)
const live = (table: string) =>
  rowsOf(world(), `${table} t where organization_id = $1 and deleted_at is null`, owner.organizationId)
const idRows = () => rowsOf(world(), 'crm_external_ids t where organization_id = $1', owner.organizationId)
const uniqueField = (object: string, key: string, type = 'text') =>
  must(owner.post('/api/v1/custom-fields', { object, key, type, label: key, unique: true }))

/** One record, one creation, and a change for each version after that. */
async function expectOne(table: string, replies: readonly Reply[]): Promise<void> {
  expect(statuses(replies).filter((status) => status === 201)).toHaveLength(1)
  const rows = await live(table)
  expect(rows).toHaveLength(1)
  const events = await eventsOf(world(), rows[0]?.id)
  expect(events.map(({ version }) => version)).toEqual(events.map((_, index) => index + 1))
  expect(events).toHaveLength(Number(rows[0]?.version))
}

/** As many as there are connections: nobody has to wait for one. */
const AT_ONCE = 8
const oneCreated = [...Array.from({ length: AT_ONCE - 1 }, () => 200), 201]

describe('of many at once one creates, and the others find what it made', () => {
  it('by an external id', async () => {
    const replies = await times(AT_ONCE, (index) => put('1', { name: `N${index}` }))
    expect(statuses(replies)).toEqual(oneCreated)
    await expectOne('crm_accounts', replies)
    expect(await idRows()).toHaveLength(1)
  })

  it('by a property', async () => {
    const replies = await times(AT_ONCE, (index) =>
      upsert(contacts, 'email', { lastName: `N${index}`, email: index % 2 ? 'ada@example.com' : 'ADA@example.com' }),
    )
    expect(statuses(replies)).toEqual(oneCreated)
    await expectOne('crm_contacts', replies)
  })

  it('by a unique custom field, in whatever case where its type does not tell', async () => {
    await uniqueField('lead', 'login', 'email')
    const replies = await times(AT_ONCE, (index) => {
      const customFields = { login: index % 2 ? 'ada@example.com' : 'Ada@Example.com' }
      return upsert('/api/v1/leads', 'customFields.login', { lastName: `N${index}`, customFields })
    })
    expect(statuses(replies)).toEqual(oneCreated)
    await expectOne('crm_leads', replies)
  })

  it('whichever way they come, alone, in a batch or with a key', async () => {
    for (let round = 0; round < 2; round++) {
      owner = await harness.newOrganization()
      const record = (index: number) => ({ name: `N${index}`, externalIds: [erp('1')] })
      const replies = await times(AT_ONCE, async (index) => {
        if (index % 3 === 0) return put('1', { name: `N${index}` })
        if (index % 3 === 1) {
          return upsert(accounts, 'externalIds.erp', record(index), owner, { 'idempotency-key': randomUUID() })
        }
        const items = [{ op: 'upsert', matchOn: 'externalIds.erp', body: record(index) }]
        const reply = await owner.post(`${accounts}/batch`, { items })
        const [{ status } = { status: 0 }] = reply.json<{ results: Result[] }>().results
        return Object.assign(reply, { statusCode: status })
      })
      expect(statuses(replies)).toEqual(oneCreated)
      await expectOne('crm_accounts', replies)
    }
  })

  it('batches with the same values in different orders', async () => {
    const items = (shift: number) =>
      Array.from({ length: 20 }, (_, index) => {
        const number = (index * 7 + shift * 3) % 20
        return {
          ...{ op: 'upsert', matchOn: 'domain' },
          body: { name: `N${shift}`, domain: `${number}.example`, externalIds: [erp(`${number}`)] },
        }
      })
    const replies = await times(6, (shift) => owner.post(`${accounts}/batch`, { items: items(shift) }))
    expect(statuses(replies)).toEqual(Array.from({ length: 6 }, () => 200))
    expect(await live('crm_accounts')).toHaveLength(20)
    expect(await idRows()).toHaveLength(20)
  })
})

describe('an external id', () => {
  it('belongs to one kind of record, of one organization', async () => {
    const other = await harness.newOrganization()
    const replies = [await put('1', { name: 'A' }), await put('1', { name: 'A' }, other)]
    replies.push(await owner.send('PUT', `${contacts}/external/erp/1`, { lastName: 'A' }))
    expect(statuses(replies)).toEqual([201, 201, 201])
  })

  it.each([
    '/',
    '..a',
    'a/../b',
    '%2F',
    'ä\u{1F600}',
    ' ',
    '?x=1#y',
    "'; drop table crm_accounts; --",
    'x'.repeat(255),
  ])('can be %j', async (externalId) => {
    const { id, ...made } = (await must(put(externalId, { name: 'A' }))).json<Stored>()
    expect(made.externalIds).toEqual([erp(externalId)])
    const found = await owner.get(`${accounts}/external/erp/${encodeURIComponent(externalId)}`)
    expect(found.json<Stored>().id).toBe(id)
    expect((await put(externalId, { name: 'B' })).json()).toMatchObject({ id, name: 'B', version: 2 })
  })

  it.each(['..', '.', 'a\nb', 'x'.repeat(256), '\u007f'])('cannot be %j', async (externalId) => {
    const reply = await refused(world(), 'invalid_request', () =>
      owner.post(accounts, { name: 'A', externalIds: [erp(externalId)] }),
    )
    expect(reply.json()).toMatchObject({ errors: [{ pointer: '/externalIds/0/externalId' }] })
  })

  it('goes with its record to the recycle bin and to the grave, and may come back', async () => {
    const { id } = (await put('1', { name: 'A' })).json<Stored>()
    await must(owner.delete(`${accounts}/${id}`))
    expect(await idRows()).toEqual([])
    expect((await owner.get(`${accounts}/external/erp/1`)).statusCode).toBe(404)
    await must(owner.post(`${accounts}/${id}/restore`))
    expect((await owner.get(`${accounts}/external/erp/1`)).json()).toMatchObject({ id, externalIds: [erp('1')] })
    await must(owner.delete(`${accounts}/${id}`))
    expect((await put('1', { name: 'B' })).statusCode).toBe(201)
    await must(owner.post(`${accounts}/${id}/purge`))
    expect((await owner.get(`${accounts}/external/erp/1`)).json()).toMatchObject({ name: 'B' })
    expect(JSON.stringify(await eventsOf(world(), id))).not.toContain('erp')
  })

  it('is added by whoever uses it, and taken away only by a patch', async () => {
    const shop = { system: 'shop', externalId: '7' }
    const { id } = (await put('1', { name: 'A', externalIds: [shop] })).json<Stored>()
    const after = await put('1', { name: 'A', externalIds: [erp('2')] })
    expect(after.json()).toMatchObject({ id, externalIds: [shop, erp('1'), erp('2')] })
    for (const externalId of ['1', '2']) {
      expect((await owner.get(`${accounts}/external/erp/${externalId}`)).json()).toMatchObject({ id })
    }
    await must(owner.patch(`${accounts}/${id}`, { externalIds: [erp('2')] }))
    expect((await owner.get(`${accounts}/external/erp/1`)).statusCode).toBe(404)
    const many = Array.from({ length: 20 }, (_, index) => erp(`more ${index}`))
    const reply = await refused(world(), 'invalid_request', () => put('2', { name: 'A', externalIds: many }))
    expect(reply.json()).toMatchObject({ errors: [{ pointer: '/externalIds', code: 'max_items' }] })
  })

  it('that another record has in the same system is refused, although the body is matched on that system', async () => {
    const { id } = (await must(put('1', { name: 'First' }))).json<Stored>()
    for (const mine of ['2', '3']) {
      const reply = await refused(world(), 'duplicate_value', () =>
        put(mine, { name: 'Second', externalIds: [erp('1')] }),
      )
      expect(reply.json()).toMatchObject({ conflicts: [{ object: 'account', id, matchedOn: ['externalIds.erp'] }] })
      if (mine === '2') await must(put('3', { name: 'Third' }))
    }
  })

  it('that another record has is refused where the caller gave it', async () => {
    const shop = { system: 'shop', externalId: '7' }
    const { id } = (await must(owner.post(accounts, { name: 'A', externalIds: [shop] }))).json<Stored>()
    const reply = await refused(world(), 'duplicate_value', () => put('1', { name: 'B', externalIds: [shop] }))
    expect(reply.json()).toMatchObject({
      errors: [{ pointer: '/externalIds/0' }],
      conflicts: [{ object: 'account', id, matchedOn: ['externalIds.shop'] }],
    })
  })

  it('that another record has is refused where the caller gave it, also of a record that has ids already', async () => {
    const taken = { system: 'shop', externalId: '7' }
    await must(owner.post(accounts, { name: 'A', externalIds: [taken] }))
    const mine = Array.from({ length: 3 }, (_, index) => erp(`${index}`))
    await must(owner.post(accounts, { name: 'B', externalIds: mine, domain: 'b.example' }))
    const free = { system: 'shop', externalId: '8' }
    for (const externalIds of [
      [taken],
      [free, taken],
      [erp('1'), free, taken],
      [erp('0'), erp('1'), erp('2'), taken],
    ]) {
      const pointer = `/externalIds/${externalIds.length - 1}`
      const record = { name: 'B', domain: 'b.example', externalIds }
      for (const [send, from] of [
        [() => put('1', record), ''],
        [() => upsert(accounts, 'domain', record), '/record'],
        [
          () =>
            owner.post(`${accounts}/batch`, {
              atomic: true,
              items: [{ op: 'upsert', matchOn: 'domain', body: record }],
            }),
          '/items/0/body',
        ],
      ] as const) {
        const { errors } = (await unchanged(world(), send)).json<{ errors: Row[] }>()
        expect(errors).toMatchObject([{ pointer: from + pointer, code: 'duplicate_value' }])
      }
    }
  })

  it('of the path is refused there, also when the body names it, when the caller cannot see who has it', async () => {
    const member = await harness.newUser(owner.organizationId, 'member')
    await must(put('1', { name: 'Hidden' }))
    for (const externalIds of [[], [erp('1')], [erp('2'), erp('1')]]) {
      const reply = await refused(world(), 'duplicate_value', () => put('1', { name: 'B', externalIds }, member))
      expect(reply.json<{ errors: Row[] }>().errors.map(({ pointer }) => pointer)).toEqual(['/path/externalId'])
    }
  })
})

describe('an upsert', () => {
  it('needs to create and to change', async () => {
    const caller = await harness.newUser(owner.organizationId, 'read_only')
    for (const send of [
      () => put('1', { name: 'A' }, caller),
      () => upsert(accounts, 'domain', { name: 'A', domain: 'a.example' }, caller),
    ]) {
      await refused(world(), 'forbidden', send)
    }
  })

  it('says that it may not change what the caller sees, and no more than create does of what the caller does not see', async () => {
    const [member, mate] = [
      await harness.newUser(owner.organizationId, 'member'),
      await harness.newUser(owner.organizationId, 'member'),
    ]
    const teamId = await harness.newTeam(owner.organizationId, [member, mate])
    const record = { name: 'A', domain: 'a.example', ownerId: mate.userId }
    const { id } = (await must(upsert(accounts, 'domain', { ...record, teamId }))).json<Stored>()
    await refused(world(), 'forbidden', () => upsert(accounts, 'domain', { ...record, name: 'B' }, member))
    await must(owner.patch(`${accounts}/${id}`, { teamId: null }))
    const hidden = await refused(world(), 'duplicate_value', () =>
      upsert(accounts, 'domain', { ...record, name: 'B' }, member),
    )
    expect(hidden.json()).toMatchObject({ errors: [{ pointer: '/record/domain', code: 'duplicate_value' }] })
    expect(hidden.json()).not.toHaveProperty('conflicts')
  })

  it.each([
    ['email', { lastName: 'A' }, '/record/email', 'missing_value'],
    ['email', { lastName: 'A', email: null }, '/record/email', 'missing_value'],
    ['customFields.nothing', { lastName: 'A' }, '/matchOn', 'not_unique'],
    ['customFields.plain', { lastName: 'A', customFields: { plain: 'x' } }, '/matchOn', 'not_unique'],
    ['customFields.number', { lastName: 'A' }, '/record/customFields/number', 'missing_value'],
    ['customFields.number', { lastName: 'A', customFields: { number: 'x' } }, '/record/customFields/number', 'type'],
    ['externalIds.erp', { lastName: 'A' }, '/record/externalIds', 'missing_value'],
    ['externalIds.erp', { lastName: 'A', externalIds: [erp('1'), erp('2')] }, '/record/externalIds', 'ambiguous'],
    ['lastName', { lastName: 'A' }, '/matchOn', 'pattern'],
    ['email', { lastName: 'A', email: 'a@example.com', ownerId: randomUUID() }, '/record/ownerId', 'missing_reference'],
  ])('by %s of %j is refused', async (matchOn, record, pointer, code) => {
    await uniqueField('contact', 'number', 'integer')
    await must(owner.post('/api/v1/custom-fields', { object: 'contact', key: 'plain', type: 'text', label: 'Plain' }))
    const reply = await refused(world(), 'invalid_request', () => upsert(contacts, matchOn, record))
    expect(reply.json()).toMatchObject({ errors: [{ pointer, code }] })
  })

  it('holds the patch against the rules of custom fields, and keeps what is not mentioned', async () => {
    await uniqueField('account', 'number', 'integer')
    const record = { name: 'A', customFields: { number: 7 }, billingAddress: { city: 'Hamburg', countryCode: 'DE' } }
    const { id } = (await must(upsert(accounts, 'customFields.number', record))).json<Stored>()
    const after = await upsert(accounts, 'customFields.number', {
      ...{ name: 'B', customFields: { number: 7 }, billingAddress: { city: 'Bremen' } },
    })
    expect(after.json()).toMatchObject({ id, name: 'B', billingAddress: { city: 'Bremen', countryCode: 'DE' } })
  })

  it('goes by the rules of now when a field ceases to be unique elsewhere', async () => {
    const { id } = (await uniqueField('account', 'number', 'integer')).json<{ id: string }>()
    const record = { name: 'A', customFields: { number: 7 } }
    await must(upsert(accounts, 'customFields.number', record))
    // As another process would: this one remembers the field as it was.
    await harness.sql.query('update crm_custom_fields set is_unique = false where id = $1', [id])
    await harness.sql.query('update crm_custom_field_revisions set revision = gen_random_uuid()')
    await harness.sql.query('delete from crm_custom_field_values')
    const reply = await refused(world(), 'invalid_request', () => upsert(accounts, 'customFields.number', record))
    expect(reply.json()).toMatchObject({ errors: [{ pointer: '/matchOn', code: 'not_unique' }] })
  })

  it('can be by every property that is unique, and says so in the contract', async () => {
    const bodies: Record<string, Row> = {
      accounts: { name: 'A', domain: 'a.example' },
      contacts: { lastName: 'A', email: 'a@example.com' },
    }
    for (const { plural, path, unique } of recordTypes) {
      for (const property of Object.keys(unique)) {
        expect((await upsert(path, property, bodies[plural] ?? {})).statusCode).toBe(201)
        expect((await upsert(path, property, bodies[plural] ?? {})).statusCode).toBe(200)
      }
    }
  })
})

describe('upserts in a batch', () => {
  type Item = { op: string; id?: string; matchOn?: string; body?: Row }
  const send = (items: readonly Item[], atomic = false): Promise<Reply> =>
    owner.post(`${accounts}/batch`, { atomic, items })
  const resultsOf = async (items: readonly Item[]): Promise<Result[]> =>
    (await must(send(items))).json<{ results: Result[] }>().results

  it('do what they would do one after the other', async () => {
    const domains = ['a.example', 'b.example', 'c.example']
    const ids = ['1', '2', '3']
    const body = fc.record(
      {
        domain: fc.constantFrom(...domains, null),
        externalIds: fc.uniqueArray(fc.constantFrom(...ids).map(erp), {
          maxLength: 2,
          selector: (id) => id.externalId,
        }),
        industry: fc.constantFrom('x', 'y', null),
        parentAccountId: fc.constantFrom(null, randomUUID()),
      },
      { requiredKeys: [] },
    )
    const item = fc.record({ op: fc.constant('upsert'), matchOn: fc.constantFrom('domain', 'externalIds.erp'), body })
    const strip = (reply: unknown) =>
      JSON.parse(
        JSON.stringify(reply, (name, value: unknown) =>
          ['id', 'createdAt', 'updatedAt', 'requestId', 'ownerId', 'createdBy', 'updatedBy', 'index', 'etag'].includes(
            name,
          )
            ? undefined
            : value,
        ).replaceAll(/\/items\/\d+\/body|\/record/g, ''),
      ) as Row
    await fc.assert(
      fc.asyncProperty(fc.array(item, { minLength: 1, maxLength: 6 }), async (items) => {
        const named = items.map((each, index) => ({ ...each, body: { name: `N${index}`, ...each.body } }))
        owner = await harness.newOrganization()
        const alone: unknown[] = []
        for (const { matchOn, body: record } of named) {
          const reply = await upsert(accounts, matchOn, record)
          alone.push({ status: reply.statusCode, [reply.statusCode < 300 ? 'body' : 'problem']: reply.json() })
        }
        const rowsAlone = await live('crm_accounts')
        owner = await harness.newOrganization()
        const together = await resultsOf(named)
        expect(strip(together)).toEqual(strip(alone))
        const rowsTogether = await live('crm_accounts')
        const key = ({ name, domain, version, external_ids: list }: Row) =>
          JSON.stringify([name, domain, version, list])
        expect(rowsTogether.map(key).sort()).toEqual(rowsAlone.map(key).sort())
      }),
      { numRuns: 25, seed: 20261125 },
    )
  }, 60_000)

  it('are all made or none', async () => {
    const { id } = (await put('1', { name: 'A' })).json<Stored>()
    const hidden = await unchanged(world(), () =>
      send(
        [
          { op: 'upsert', matchOn: 'externalIds.erp', body: { name: 'B', externalIds: [erp('1')] } },
          { op: 'upsert', matchOn: 'externalIds.erp', body: { name: 'C', externalIds: [erp('2'), erp('1')] } },
          { op: 'upsert', matchOn: 'customFields.nothing', body: { name: 'D' } },
        ],
        true,
      ),
    )
    expect(hidden.statusCode).toBe(400)
    expect(hidden.json<{ errors: Row[] }>().errors.map(({ pointer, code }) => [pointer, code])).toEqual([
      ['/items/1/body/externalIds', 'ambiguous'],
      ['/items/2/matchOn', 'not_unique'],
    ])
    expect((await owner.get(`${accounts}/${id}`)).json()).toMatchObject({ name: 'A', version: 1 })
  })

  it('see what items before them did, and are seen by those after', async () => {
    const { id } = (await put('1', { name: 'A' })).json<Stored>()
    const results = await resultsOf([
      { op: 'update', id, body: { industry: 'x' } },
      { op: 'upsert', matchOn: 'externalIds.erp', body: { name: 'B', externalIds: [erp('1')] } },
      { op: 'update', id, body: { industry: 'y' } },
      { op: 'delete', id },
      { op: 'upsert', matchOn: 'externalIds.erp', body: { name: 'C', externalIds: [erp('1')] } },
    ])
    expect(results.map(({ status, body }) => [status, body?.version])).toEqual([
      [200, 2],
      [200, 3],
      [200, 4],
      [204, undefined],
      [201, 1],
    ])
    expect(results[2]?.body).toMatchObject({ name: 'B', industry: 'y' })
  })
})
