import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, it, test } from 'vitest'
import { type Row, refused, rowsOf, unchanged } from '../testing/case.js'
import { type Caller, createHarness, type Harness } from '../testing/harness.js'

const path = '/api/v1/accounts'

type Account = Row & { id: string; version: number; name: string }
type Result = { index: number; status: number; etag?: string; body?: Account; problem?: Row }
type Item = { op: string; id?: string; body?: Row; ifMatch?: string }

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
const make = async (values: Row = {}, by = owner): Promise<Account> =>
  (await by.post(path, { name: 'Northwind', ...values })).json()
const send = (items: readonly Item[], { atomic = true, by = owner, headers = {} } = {}) =>
  by.post(`${path}/batch`, { atomic, items }, headers)
const resultsOf = async (items: readonly Item[], by = owner): Promise<Result[]> => {
  const reply = await send(items, { atomic: false, by })
  expect(reply.statusCode, reply.payload).toBe(200)
  return reply.json<{ results: Result[] }>().results
}
const statuses = (results: readonly Result[]) => results.map(({ status }) => status)
const live = () =>
  rowsOf(world(), 'crm_accounts t where organization_id = $1 and deleted_at is null', owner.organizationId)
const create = (values: Row = {}): Item => ({ op: 'create', body: { name: 'New', ...values } })

describe('all or nothing', () => {
  it('points at everything that is in the way, and changes nothing', async () => {
    const [kept, taken] = [await make(), await make({ domain: 'taken.example' })]
    const missing = randomUUID()
    const reply = await refused(world(), 'invalid_request', () =>
      send([
        create(),
        create({ parentAccountId: missing }),
        { op: 'update', id: missing, body: {} },
        { op: 'update', id: kept.id, body: { annualRevenue: { amount: '1.234', currency: 'EUR' } } },
        { op: 'delete', id: kept.id, ifMatch: '"9"' },
        create({ domain: 'TAKEN.example' }),
      ]),
    )
    expect(reply.statusCode).toBe(400)
    expect(reply.json<{ errors: Row[] }>().errors.map(({ pointer, code }) => [pointer, code])).toEqual([
      ['/items/1/body/parentAccountId', 'missing_reference'],
      ['/items/2/id', 'missing_reference'],
      ['/items/3/body/annualRevenue/amount', 'decimals'],
      ['/items/4/ifMatch', 'version_mismatch'],
      ['/items/5/body/domain', 'duplicate_value'],
    ])

    const conflict = await refused(world(), 'batch_rejected', () =>
      send([create(), create({ domain: 'taken.example' })]),
    )
    expect(conflict.json()).toMatchObject({
      errors: [{ pointer: '/items/1/body/domain', code: 'duplicate_value' }],
      conflicts: [{ object: 'account', id: taken.id, matchedOn: ['domain'] }],
    })
  })

  it('does not name a record that it has not made after all', async () => {
    const reply = await refused(world(), 'batch_rejected', () =>
      send([create({ domain: 'same.example' }), create({ domain: 'Same.example' })]),
    )
    expect(reply.json()).toMatchObject({ errors: [{ pointer: '/items/1/body/domain' }] })
    expect(reply.json()).not.toHaveProperty('conflicts')
  })

  it('is what happens unless the caller says otherwise', async () => {
    const items = [create(), create({ parentAccountId: randomUUID() })]
    await refused(world(), 'invalid_request', () => owner.post(`${path}/batch`, { items }))
  })

  it('leaves nothing half done when the connection dies between the items', async () => {
    const known = [await make(), await make()]
    await harness.sql.query(
      `create function die() returns trigger language plpgsql security definer as
         $$ begin if new.name = 'deadly' then perform pg_terminate_backend(pg_backend_pid()); perform pg_sleep(5); end if; return new; end $$;
       create trigger die before insert or update on crm_accounts for each row execute function die()`,
    )
    try {
      for (const atomic of [true, false]) {
        for (const deadly of [
          create({ name: 'deadly' }),
          { op: 'update', id: known[1]?.id as string, body: { name: 'deadly' } },
        ]) {
          const items = [
            create(),
            { op: 'update', id: known[0]?.id as string, body: { name: 'Changed' } },
            deadly,
            create(),
          ]
          const headers = { 'idempotency-key': randomUUID() }
          for (const attempt of [{ atomic }, { atomic, headers }]) {
            await refused(world(), 'service_unavailable', () => send(items, attempt))
          }
          // The key is free: the same request, when nothing kills it, has its effect once.
          await harness.sql.query('alter table crm_accounts disable trigger die')
          const before = (await live()).length
          const first = await send(items, { atomic, headers })
          expect(first.json()).toMatchObject({ outcome: 'completed' })
          const again = await unchanged(world(), () => send(items, { atomic, headers }))
          expect(again.payload).toBe(first.payload)
          expect(again.headers).toMatchObject({ 'idempotency-replayed': 'true' })
          expect((await live()).length).toBe(before + items.filter(({ op }) => op === 'create').length)
          await harness.sql.query('alter table crm_accounts enable trigger die')
          await owner.patch(`${path}/${known[1]?.id}`, { name: 'Alive' })
        }
      }
    } finally {
      await harness.sql.query('drop trigger die on crm_accounts; drop function die')
    }
  })
})

describe('each for itself', () => {
  it('answers each item as the operation for one record would', async () => {
    const [kept, taken] = [await make(), await make({ domain: 'taken.example' })]
    const missing = randomUUID()
    const results = await resultsOf([
      create({ domain: 'fresh.example' }),
      create({ parentAccountId: missing }),
      { op: 'update', id: kept.id, body: { domain: 'taken.example' } },
      { op: 'update', id: missing, body: { name: 'Nobody' } },
      { op: 'delete', id: kept.id, ifMatch: '"9"' },
      { op: 'delete', id: kept.id, ifMatch: '"1"' },
    ])
    expect(statuses(results)).toEqual([201, 400, 409, 404, 412, 204])
    const alone = [
      await owner.post(path, { name: 'New', parentAccountId: missing }, { 'x-request-id': 'same' }),
      await owner.patch(`${path}/${taken.id}`, { domain: 'fresh.example' }, { 'x-request-id': 'same' }),
      await owner.patch(`${path}/${missing}`, { name: 'Nobody' }, { 'x-request-id': 'same' }),
      await owner.delete(`${path}/${taken.id}`, { 'if-match': '"9"', 'x-request-id': 'same' }),
    ].map((reply) => reply.json<Row>())
    const given = results.slice(1, 5).map(({ problem }) => ({ ...problem, requestId: 'same' }))
    const [first, second] = [alone[0]?.errors as Row[], alone[1]?.errors as Row[]]
    expect(given).toEqual([
      { ...alone[0], errors: [{ ...first[0], pointer: '/items/1/body/parentAccountId' }] },
      {
        ...alone[1],
        errors: [{ ...second[0], pointer: '/items/2/body/domain' }],
        conflicts: [{ object: 'account', id: taken.id, matchedOn: ['domain'] }],
      },
      alone[2],
      alone[3],
    ])
    expect((await live()).map(({ domain }) => domain).sort()).toEqual(['fresh.example', 'taken.example'])
  })

  it('does the items in their order: what one frees or takes, the next one finds so', async () => {
    const [first, second] = [await make({ domain: 'one.example' }), await make({ domain: 'two.example' })]
    const results = await resultsOf([
      { op: 'delete', id: first.id },
      create({ domain: 'one.example' }),
      create({ domain: 'one.example' }),
      { op: 'update', id: second.id, body: { domain: 'three.example' } },
      create({ domain: 'two.example' }),
      { op: 'update', id: second.id, body: { name: 'Again' }, ifMatch: '"2"' },
      { op: 'update', id: second.id, body: { domain: 'one.example' } },
      { op: 'delete', id: second.id },
      { op: 'update', id: second.id, body: { name: 'Gone' } },
    ])
    expect(statuses(results)).toEqual([204, 201, 409, 200, 201, 200, 409, 204, 404])
    expect(results[2]?.problem).toMatchObject({ conflicts: [{ id: results[1]?.body?.id }] })
  })

  it('makes what can be made beside a change that takes a value that is taken', async () => {
    const [one, two, three] = [await make({ domain: 'one.example' }), await make(), await make()]
    const results = await resultsOf([
      { op: 'update', id: two.id, body: { name: 'Two' } },
      { op: 'update', id: three.id, body: { domain: 'one.example' } },
      { op: 'delete', id: one.id },
    ])
    expect(statuses(results)).toEqual([200, 409, 204])
    const [, ...told] = await rowsOf(world(), 'crm_events t where record_id = $1 order by version', two.id)
    expect(told).toMatchObject([{ version: 2, changes: { name: { from: 'Northwind', to: 'Two' } } }])
  })
})

describe('rights', () => {
  it('are those for the verb of each item, at their level', async () => {
    const member = await harness.newUser(owner.organizationId, 'member')
    const team = await harness.newTeam(owner.organizationId, [member, owner])
    const [own, ofTeam, hidden] = [await make({}, member), await make({ teamId: team }), await make()]
    const item = (id: string): Item => ({ op: 'update', id, body: { name: 'Changed' } })
    const results = await resultsOf(
      [item(own.id), item(ofTeam.id), item(hidden.id), create({ parentAccountId: hidden.id })],
      member,
    )
    expect(statuses(results)).toEqual([200, 403, 404, 400])
    expect({ ...results[2]?.problem, requestId: '' }).toEqual({
      ...(await resultsOf([item(randomUUID())], member))[0]?.problem,
      requestId: '',
    })

    const reply = await refused(world(), 'forbidden', () =>
      send([create(), item(ofTeam.id), item(hidden.id)], { by: member }),
    )
    expect(reply.statusCode).toBe(403)
    expect(reply.json()).toMatchObject({
      errors: [
        { pointer: '/items/1', code: 'forbidden' },
        { pointer: '/items/2/id', code: 'missing_reference' },
      ],
    })
  })

  it('end for what an item before has given away', async () => {
    const member = await harness.newUser(owner.organizationId, 'member')
    const mine = await make({}, member)
    const results = await resultsOf(
      [
        { op: 'update', id: mine.id, body: { ownerId: owner.userId } },
        { op: 'update', id: mine.id, body: { name: 'Still mine?' } },
      ],
      member,
    )
    expect(statuses(results)).toEqual([200, 404])
  })

  it('do not reach another tenant, whose ids look like none', async () => {
    const stranger = await harness.newOrganization()
    const theirs = await make({}, stranger)
    const items = (id: string): Item[] => [
      { op: 'update', id, body: { name: 'Mine' } },
      { op: 'delete', id },
      create({ parentAccountId: id }),
      create({ ownerId: stranger.userId }),
    ]
    await unchanged({ harness, owner: stranger }, async () => {
      expect(statuses(await resultsOf(items(theirs.id)))).toEqual([404, 404, 400, 400])
      const [foreign, missing] = await Promise.all(
        [theirs.id, randomUUID()].map((id) => send(items(id), { headers: { 'x-request-id': 'same' } })),
      )
      expect(foreign?.payload).toBe(missing?.payload)
    })
  })
})

describe('what the contract refuses', () => {
  test.each<[string, Item, string, string]>([
    ['a read-only property', create({ version: 7 }), '/items/1/body/version', 'additional_properties'],
    ['the id of a new record', create({ id: randomUUID() }), '/items/1/body/id', 'additional_properties'],
    ['a missing name', { op: 'create', body: {} }, '/items/1/body/name', 'required'],
    ['a wrong value', create({ name: 7 }), '/items/1/body/name', 'type'],
    ['an unknown verb', { op: 'upset', body: {} }, '/items/1/op', 'discriminator'],
    ['a change without an id', { op: 'update', body: {} }, '/items/1/id', 'required'],
    [
      'a read-only property of a change',
      { op: 'update', id: randomUUID(), body: { deletedAt: null } },
      '/items/1/body/deletedAt',
      'additional_properties',
    ],
    ['a body of a delete', { op: 'delete', id: randomUUID(), body: {} }, '/items/1/body', 'additional_properties'],
  ])('%s, with the whole request and in either mode', async (_name, item, pointer, code) => {
    for (const atomic of [true, false]) {
      const reply = await refused(world(), 'invalid_request', () => send([create(), item], { atomic }))
      expect(reply.json()).toMatchObject({ errors: [{ pointer, code }] })
    }
  })

  it('what is not an item', async () => {
    for (const nothing of [null, 'create', 7, true, [], {}]) {
      const reply = await refused(world(), 'invalid_request', () =>
        owner.post(`${path}/batch`, { items: [create(), nothing] }),
      )
      expect(reply.json<{ errors: Row[] }>().errors[0]?.pointer).toMatch(/^\/items\/1/)
    }
  })

  it('more than 200 items, or none', async () => {
    for (const items of [Array.from({ length: 201 }, () => create()), []]) {
      await refused(world(), 'invalid_request', () => send(items))
    }
    const most = await send(
      Array.from({ length: 200 }, (_, index) => create({ name: `No ${index}`, domain: `d${index}.example` })),
    )
    expect(most.json<{ results: Result[] }>().results.map(({ body }) => body?.name)).toEqual(
      Array.from({ length: 200 }, (_, index) => `No ${index}`),
    )
    const told = await rowsOf(world(), 'crm_events t where organization_id = $1 order by id', owner.organizationId)
    expect(told.map(({ changes }) => (changes as { name: Row }).name.to)).toEqual(
      Array.from({ length: 200 }, (_, index) => `No ${index}`),
    )
  })
})

describe('custom fields', () => {
  const define = (values: Row) =>
    owner.post('/api/v1/custom-fields', { object: 'account', label: 'Code', key: 'code', type: 'text', ...values })

  it('are held against their definitions item by item, defaults filled in', async () => {
    await define({ defaultValue: 'none', maxLength: 4 })
    const results = await resultsOf([
      create({ customFields: { code: 'long one' } }),
      create({ customFields: { other: 1 } }),
      create(),
    ])
    expect(statuses(results)).toEqual([400, 400, 201])
    expect(results[0]?.problem).toMatchObject({ errors: [{ pointer: '/items/0/body/customFields/code' }] })
    expect(results[2]?.body).toMatchObject({ customFields: { code: 'none' } })
    await refused(world(), 'invalid_request', () => send([create(), create({ customFields: { other: 1 } })]))
  })

  it('stay unique, within a batch as well', async () => {
    await define({ unique: true })
    const kept = await make({ customFields: { code: 'A' } })
    const coded = (code: string) => create({ customFields: { code } })
    const results = await resultsOf([
      coded('A'),
      coded('B'),
      coded('B'),
      { op: 'update', id: kept.id, body: { customFields: { code: 'B' } } },
      { op: 'delete', id: kept.id },
      coded('A'),
    ])
    expect(statuses(results)).toEqual([409, 201, 409, 409, 204, 201])
    expect(results[0]?.problem).toMatchObject({ conflicts: [{ id: kept.id }] })
    await refused(world(), 'batch_rejected', () => send([coded('C'), coded('B')]))
    expect(statuses(await resultsOf([coded('C')]))).toEqual([201])
  })
})

describe('at once', () => {
  it('twenty batches that take the same values make one record of each', async () => {
    const domains = Array.from({ length: 10 }, (_, index) => `d${index}.example`)
    const shuffled = (by: number) => domains.map((_, index) => domains[(index * 3 + by) % 10] as string)
    const replies = await Promise.all(
      Array.from({ length: 20 }, (_, by) => resultsOf(shuffled(by).map((domain) => create({ domain })))),
    )
    const made = replies.flat().filter(({ status }) => status === 201)
    expect(made.length).toBe(10)
    expect(replies.flat().every(({ status }) => status === 201 || status === 409)).toBe(true)
    expect((await live()).map(({ domain }) => domain).sort()).toEqual(domains)
  })

  it('twenty batches that change the same records in any order lose no change and wait for each other, never both', async () => {
    const records = await Promise.all(Array.from({ length: 5 }, () => make()))
    await Promise.all(
      // As many as get their turn on a slow machine, too: each waits for those before it, and not for ever.
      Array.from({ length: 20 }, async (_, by) => {
        const items = records.map((_, index) => records[(index * 2 + by) % 5] as Account)
        const reply = await send(
          items.map(({ id }) => ({ op: 'update', id, body: { customFields: { [`by${by}`]: by } } })),
        )
        expect(reply.json()).toMatchObject({ outcome: 'completed' })
      }),
    )
    for (const { version, custom_fields } of await live()) {
      expect(version).toBe(21)
      expect(Object.keys(custom_fields as object).length).toBe(20)
    }
  })

  it('one key sent fifty times has its effect once', async () => {
    const headers = { 'idempotency-key': randomUUID() }
    const replies = await Promise.all(Array.from({ length: 50 }, () => send([create(), create()], { headers })))
    expect(replies.every(({ statusCode }) => statusCode === 200 || statusCode === 409)).toBe(true)
    expect((await live()).length).toBe(2)
  })
})

describe('any sequence of batches', () => {
  const item = fc.oneof(
    fc.record({ op: fc.constant('create'), domain: fc.option(fc.integer({ min: 0, max: 3 })) }),
    fc.record({
      op: fc.constant('update'),
      which: fc.nat(5),
      domain: fc.option(fc.integer({ min: 0, max: 3 })),
      version: fc.option(fc.integer({ min: 1, max: 3 })),
    }),
    fc.record({ op: fc.constant('delete'), which: fc.nat(5) }),
  )

  it('does what the operations for one record do one by one, and with retries each of it once', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.record({
            atomic: fc.boolean(),
            items: fc.array(item, { minLength: 1, maxLength: 6 }),
            retries: fc.nat(2),
          }),
          { minLength: 1, maxLength: 4 },
        ),
        async (batches) => {
          // One organization gets batches, each sent once and again; the other one the operations for one record.
          const [together, alone] = [await harness.newOrganization(), await harness.newOrganization()]
          const ids: [string, string][] = []
          for (let index = 0; index < 4; index++) ids.push([(await make({}, together)).id, (await make({}, alone)).id])
          for (const { atomic, items, retries } of batches) {
            const body = ({ domain }: { domain: number | null }) =>
              domain === null ? {} : { domain: `d${domain}.example` }
            const sent = items.map((each): Item => {
              if (!('which' in each)) return create(body(each))
              const id = ids[each.which % ids.length]?.[0] as string
              if (!('domain' in each)) return { op: each.op, id }
              const ifMatch = each.version === null ? {} : { ifMatch: `"${each.version}"` }
              return { op: each.op, id, body: { ...body(each), name: `v${each.version}` }, ...ifMatch }
            })
            const headers = { 'idempotency-key': randomUUID() }
            const reply = await send(sent, { atomic, by: together, headers })
            for (let retry = 0; retry < retries; retry++) {
              const again = await send(sent, { atomic, by: together, headers })
              expect({ ...again.json<Row>(), requestId: '' }).toEqual({ ...reply.json<Row>(), requestId: '' })
            }
            // A refused batch has done nothing, so neither does the other organization.
            if (reply.statusCode !== 200) continue
            const { results } = reply.json<{ results: Result[] }>()
            for (const [index, { op, id, body: values, ifMatch }] of sent.entries()) {
              const other = ids.find(([one]) => one === id)?.[1]
              const condition: Record<string, string> = ifMatch ? { 'if-match': ifMatch } : {}
              const single =
                op === 'create'
                  ? await alone.post(path, values)
                  : op === 'update'
                    ? await alone.patch(`${path}/${other}`, values, condition)
                    : await alone.delete(`${path}/${other}`, condition)
              expect(results[index]?.status).toBe(single.statusCode)
              if (single.statusCode === 201) ids.push([results[index]?.body?.id as string, single.json<Account>().id])
            }
          }
          const state = async (tenant: Caller, side: 0 | 1) => {
            const { rows } = await harness.sql.query<Row>(
              `select id, version, name, domain, deleted_at is null as live,
                 (select array_agg(type || version order by version) from crm_events e where e.organization_id = t.organization_id and record_id = t.id) as told
               from crm_accounts t where organization_id = $1`,
              [tenant.organizationId],
            )
            return rows
              .map(({ id, ...rest }) => ({ nth: ids.findIndex((pair) => pair[side] === id), ...rest }))
              .sort((a, b) => a.nth - b.nth)
          }
          expect(await state(together, 0)).toEqual(await state(alone, 1))
        },
      ),
      { numRuns: 15, seed: 7 },
    )
  })
})
