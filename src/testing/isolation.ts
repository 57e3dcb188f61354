import { randomUUID } from 'node:crypto'
import type { InjectOptions, LightMyRequestResponse } from 'fastify'
import postgres from 'postgres'
import { v7 as uuidv7 } from 'uuid'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type OperationFacts, type OperationId, operations, type Tag } from '../../generated/operations.js'
import { expandable, type IdPosition, idPositions, parametersOf, pathNames } from './access-contract.js'
import {
  must,
  newCustomField,
  newMerge,
  newRecord,
  newSegment,
  newTarget,
  newVariation,
  newView,
  operationAt,
  recordKinds,
  requestOf,
  type Variation,
  wire,
} from './access-world.js'
import { contentsOf, unchanged } from './case.js'
import { operationIds, requestExamples } from './examples.js'
import { type Caller, createHarness, type Harness } from './harness.js'

const facts = (id: OperationId): OperationFacts => operations[id]
const positions = operationIds.flatMap((id) =>
  idPositions(id).map((position) => ({
    id,
    position,
    label: `${id}, ${position.in === 'path' ? `/path/${position.name}` : position.pointer}`,
  })),
)
const lists = operationIds.filter((id) => operations[id].paginated)
const collections = lists.filter((id) => pathNames(id).length === 0)

/** Takes the second wall down. */
export async function dropRowSecurity({ sql }: Harness): Promise<void> {
  const { rows } = await sql.query<{ name: string }>(
    `select quote_ident(relname) as name from pg_class where relnamespace = 'public'::regnamespace and relrowsecurity`,
  )
  for (const { name } of rows) {
    await sql.query(`alter table ${name} no force row level security, disable row level security`)
  }
}

/** In every text of the foreign tenant. */
const CANARY = 'xylophone'

/**
 * What a hostile tenant tries on another one, through everything that the contract offers. Run with both walls up and with either
 * one taken down: each has to hold alone.
 *
 * @param sabotage takes a wall down
 */
export function isolationSuite(sabotage: (harness: Harness) => Promise<void> = async () => undefined): void {
  let harness: Harness
  let mine: Caller
  let foreign: Caller
  /** Ids of the foreign tenant, of every kind. */
  let foreignIds: string[]
  let foreignRecords: Furniture
  let before: unknown[]

  beforeAll(async () => {
    harness = await createHarness()
    mine = await harness.newOrganization()
    foreign = await harness.newOrganization()
    foreignRecords = await furnish(harness, foreign, CANARY)
    await furnish(harness, mine, 'mine')
    foreignIds = await everyId(harness, foreign.organizationId)
    await sabotage(harness)
    before = await contentsOf({ harness, owner: foreign })
  })

  afterAll(() => harness.close())

  /** Sends as the hostile tenant; nothing of the other one may come back. */
  async function send(request: InjectOptions): Promise<LightMyRequestResponse> {
    const reply = await harness.send(request)
    const text = `${JSON.stringify(reply.headers)}${reply.payload}`
    expect(text.toLowerCase()).not.toContain(CANARY)
    expect(foreignIds.filter((id) => text.includes(id))).toEqual([])
    return reply
  }

  const untouched = <Result>(act: () => Promise<Result>) => unchanged({ harness, owner: foreign }, act)

  describe('an id of another tenant is answered like one that does not exist', () => {
    test.each(positions)('$label', async ({ id, position }) => {
      const { idempotent, public: open } = facts(id)
      const own = position.in === 'path' ? {} : await newVariation(harness, mine, id)
      const theirs = position.in === 'path' ? await newTarget(harness, foreign, id) : undefined
      const attempt = (value: string, headers: Record<string, string>) =>
        send(
          requestOf(id, open ? undefined : mine.token, {
            ...place(id, position, value, own),
            headers: { 'x-request-id': 'same', ...headers },
          }),
        )
      // Wrong guesses at public operations are counted.
      const tried = [...(theirs ? [theirs] : []), ...(open ? foreignIds.slice(0, 3) : foreignIds)]
      await untouched(() =>
        unchanged({ harness, owner: mine }, async () => {
          const missing = await attempt(uuidv7(), {})
          if (position.in === 'path') expect(missing.statusCode).toBe(404)
          else if (!open) {
            expect(missing.statusCode).toBe(400)
            expect(missing.json()).toMatchObject({ errors: [{ pointer: position.pointer, code: 'missing_reference' }] })
          } else expect(missing.statusCode).toBeGreaterThanOrEqual(400)
          for (const foreignId of tried) expect(wire(await attempt(foreignId, {})), foreignId).toEqual(wire(missing))

          const [first = ''] = tried
          for (const headers of [
            () => ({ 'if-match': '"1"', 'if-none-match': '*' }),
            ...(idempotent ? [() => ({ 'idempotency-key': randomUUID() })] : []),
          ]) {
            expect(wire(await attempt(first, headers()))).toEqual(wire(missing))
          }
        }),
      )
    })

    test.each(lists)('a cursor in %s', async (id) => {
      const page = await must(foreign.get(`${await listOf(harness, foreign, id)}?limit=1`))
      const { nextCursor } = page.json<{ page: { nextCursor: string } }>().page
      expect(nextCursor).toBeTypeOf('string')
      const url = await listOf(harness, mine, id)
      const attempt = (cursor: string) =>
        send({
          method: 'GET',
          url: `${url}?limit=1&cursor=${cursor}`,
          headers: { authorization: `Bearer ${mine.token}`, 'x-request-id': 'same' },
        })
      const nonsense = await attempt('bm9uc2Vuc2U.bm9uc2Vuc2U')
      expect(nonsense.statusCode).toBe(400)
      expect(wire(await attempt(nextCursor))).toEqual(wire(nonsense))
    })
  })

  test('an idempotency key of another tenant is a new one', async () => {
    const key = randomUUID()
    const body = { name: `${CANARY} retried` }
    const { path } = operations.createAccount
    const theirs = await must(foreign.post(path, body, { 'idempotency-key': key }))
    before = await contentsOf({ harness, owner: foreign })
    foreignIds.push(theirs.json<{ id: string }>().id)
    await untouched(async () => {
      const other = await send(
        requestOf('createAccount', mine.token, { body: { name: 'Mine' }, headers: { 'idempotency-key': key } }),
      )
      expect(other.statusCode).toBe(201)
      expect(other.headers).not.toHaveProperty('idempotency-replayed')
    })
  })

  describe('lists', () => {
    test.each(lists)('%s shows rows of the caller only, on every page and in every order', async (id) => {
      const items = parametersOf(id).find(({ name }) => name === 'sort')?.schema.items as
        | { enum?: string[]; anyOf?: { enum?: string[] }[] }
        | undefined
      const named = items?.enum ?? items?.anyOf?.[0]?.enum ?? [undefined]
      const custom = id === 'listAccounts' ? ['customFields.tier', '-customFields.tier'] : []
      const url = await listOf(harness, mine, id)
      for (const sort of [...named, ...custom]) {
        const query = { limit: '1', ...(sort && { sort }) }
        let cursor: string | null = null
        let pages = 0
        do {
          const search = new URLSearchParams({ ...query, ...(cursor && { cursor }) })
          const reply: LightMyRequestResponse = await send({
            method: 'GET',
            url: `${url}?${search}`,
            headers: { authorization: `Bearer ${mine.token}` },
          })
          expect(reply.statusCode).toBe(200)
          cursor = reply.json<{ page: { nextCursor: string | null } }>().page.nextCursor
          pages += 1
        } while (cursor && pages < 50)
        expect(pages).toBeGreaterThan(1)
        expect(cursor).toBeNull()
      }
    })

    test.each(collections)('%s finds nothing by the values of another tenant', async (id) => {
      const theirs = foreignRecords[operations[id].tag] ?? {}
      const filters = parametersOf(id).filter(({ in: where, name }) => where === 'query' && theirs[name] != null)
      expect(filters.length).toBeGreaterThan(0)
      for (const { name } of filters) {
        const reply = await harness.send(requestOf(id, mine.token, { query: { [name]: String(theirs[name]) } }))
        expect(foreignIds.filter((each) => reply.payload.includes(each))).toEqual([])
        expect(reply.payload).not.toContain(CANARY)
      }
    })

    test('pipelines, the organization, the users and the caller are those of the caller', async () => {
      for (const id of [
        'listPipelines',
        'getOrganization',
        'getOrganizationOpenapi',
        'getOrganizationSchema',
        'getMe',
      ] as const) {
        expect((await send(requestOf(id, mine.token))).statusCode).toBe(200)
      }
    })
  })

  test.each(recordKinds)('an aggregation of $tag is about rows of the caller only', async ({ tag, collection }) => {
    const id = operationAt('POST', `${collection}/aggregate`) as OperationId
    const measures = [{ function: 'count', as: 'records' }]
    const line = async (body: object) => {
      const reply = await send(requestOf(id, mine.token, { body: { measures, ...body } }))
      expect(reply.statusCode).toBe(200)
      return reply.json<{ data: unknown[] }>().data
    }
    const page = await must(mine.get(`${collection}?limit=200`))
    const records = page.json<{ data: { id: string }[] }>().data
    expect(await line({})).toEqual([{ groups: {}, values: { records: records.length } }])
    const groupBy = ['id', 'ownerId', ...(tag === 'contacts' ? ['account.name'] : [])].map((field) => ({ field }))
    expect(await line({ groupBy, limit: 1000 })).toHaveLength(records.length)
  })

  describe('a search', () => {
    const texts = [CANARY, CANARY.slice(0, 3), `${CANARY.slice(0, -2)}xe`, 'name']
    const findsNothingForeign = async () => {
      for (const q of texts) {
        const all = await harness.send(requestOf('searchRecords', mine.token, { query: { q, limit: '50' } }))
        expect(all.statusCode).toBe(200)
        const lists = recordKinds.map(({ collection }) => operationAt('GET', collection) as OperationId)
        const replies = await Promise.all(
          lists.map((id) => harness.send(requestOf(id, mine.token, { query: { q, count: 'exact' } }))),
        )
        for (const reply of [all, ...replies]) {
          expect(reply.statusCode).toBe(200)
          expect(foreignIds.filter((each) => reply.payload.includes(each))).toEqual([])
          if (q !== CANARY) expect(reply.payload.toLowerCase()).not.toContain(CANARY)
        }
        if (q !== 'name')
          for (const reply of replies) expect(reply.json()).toMatchObject({ data: [], page: { total: 0 } })
      }
    }

    test('finds and counts nothing of another tenant', findsNothingForeign)

    test('nor does it when the function that finds records forgets the tenant', async () => {
      const { rows } = await harness.sql.query<{ definition: string }>(
        `select pg_get_functiondef('app.search(text, text, uuid, uuid[], integer)'::regprocedure) as definition`,
      )
      await harness.sql.query(
        `create or replace function app.search(object text, q text, owner uuid, teams uuid[], most integer)
         returns table (record_id uuid, score real) language sql stable security definer rows 100
         as $$ select d.record_id, 1::real from app.search_documents d where d.object = search.object $$`,
      )
      try {
        const everything = await harness.send(requestOf('searchRecords', mine.token, { query: { q: 'mine' } }))
        expect(everything.json<{ data: unknown[] }>().data.length).toBeGreaterThan(1)
        for (const { collection } of recordKinds) {
          const id = operationAt('GET', collection) as OperationId
          await send(requestOf(id, mine.token, { query: { q: 'anything', count: 'exact', limit: '200' } }))
        }
        await send(requestOf('searchRecords', mine.token, { query: { q: 'anything', limit: '50' } }))
      } finally {
        await harness.sql.query(String(rows[0]?.definition))
      }
    })
  })

  describe('a look for duplicates', () => {
    const findsNothingForeign = async () => {
      for (const { tag, collection } of recordKinds) {
        const id = operationAt('POST', `${collection}/duplicates`) as OperationId
        const example = requestExamples(id)[0]?.value as Record<string, unknown>
        const theirs = foreignRecords[tag] ?? {}
        // All that was given to the records of the other tenant, but for what belongs to it.
        const given = Object.keys(example).filter((name) => theirs[name] != null)
        const body = { ...example, ...Object.fromEntries(given.map((name) => [name, theirs[name]])) }
        expect(JSON.stringify(body)).toContain(CANARY)
        const reply = await send(requestOf(id, mine.token, { body, query: { limit: '20' } }))
        expect(reply.statusCode, reply.payload).toBe(200)
      }
    }

    test('finds nothing of another tenant', findsNothingForeign)

    test('nor does it when the function that finds similar names forgets the tenant', async () => {
      const { rows } = await harness.sql.query<{ definition: string }>(
        `select pg_get_functiondef('app.similar_records(text, text, real, integer)'::regprocedure) as definition`,
      )
      await harness.sql.query(
        `create or replace function app.similar_records(object text, name text, threshold real, max integer)
         returns table (record_id uuid, score real) language sql stable security definer rows 20
         as $$ select d.record_id, 1::real from app.search_documents d where d.object = similar_records.object $$`,
      )
      try {
        await findsNothingForeign()
      } finally {
        await harness.sql.query(String(rows[0]?.definition))
      }
    })
  })

  test('a unique value of another tenant is free', async () => {
    const { domain } = foreignRecords.accounts as { domain: string }
    const { email } = foreignRecords.contacts as { email: string }
    const { email: member } = foreignRecords.users as { email: string }
    await untouched(async () => {
      for (const [id, body] of [
        ['createAccount', { name: 'Mine', domain }],
        ['createContact', { lastName: 'Mine', email }],
        ['createInvitation', { email: member, role: 'member' }],
      ] as const) {
        const reply = await harness.send(requestOf(id, mine.token, { body }))
        expect(reply.statusCode, reply.payload).toBe(201)
        expect(foreignIds.filter((each) => reply.payload.includes(each))).toEqual([])
      }
    })
  })

  test('writes of one tenant reach its own rows only', async () => {
    await untouched(async () => {
      for (const id of operationIds.filter((each) => !operations[each].public && operations[each].method !== 'GET')) {
        const variation = await newVariation(harness, mine, id)
        // Each time somebody else: some of these end the session.
        const caller = await harness.newUser(mine.organizationId, 'owner')
        await send(requestOf(id, caller.token, variation))
      }
    })
    // As many requests as there are operations.
  }, 120_000)

  test('somebody who belongs to both tenants sees the one that the credential names', async () => {
    const { userId } = await harness.newUser(mine.organizationId, 'owner')
    await harness.sql.query(
      `insert into crm_memberships (organization_id, user_id, role, status, created_at, updated_at)
       values ($1, $2, 'owner', 'active', now(), now())`,
      [foreign.organizationId, userId],
    )
    const sessionId = uuidv7()
    await harness.sql.query(
      `insert into crm_sessions (organization_id, id, user_id, created_at, refreshed_at, expires_at)
       values ($1, $2, $3, now(), now(), now() + interval '1 day')`,
      [mine.organizationId, sessionId, userId],
    )
    const { kid, key } = await harness.resources.keys.signing()
    const sign = (organizationId: string, session: string) =>
      harness.app.jwt.sign({ userId, organizationId, sessionId: session }, { key, kid })
    before = await contentsOf({ harness, owner: foreign })

    await untouched(async () => {
      for (const { collection } of recordKinds) {
        const id = operationAt('GET', collection) as OperationId
        expect((await send(requestOf(id, sign(mine.organizationId, sessionId)))).statusCode).toBe(200)
        // A session holds in its own tenant only.
        expect((await send(requestOf(id, sign(foreign.organizationId, sessionId)))).statusCode).toBe(401)
        expect((await send(requestOf(id, sign(mine.organizationId, foreign.sessionId)))).statusCode).toBe(401)
      }
    })
  })

  test('a reference out of the tenant, which no foreign key would let be stored, leads nowhere', async () => {
    const kinds = recordKinds.flatMap(({ tag, collection }) => {
      const found = expandable(operationAt('GET', collection) as OperationId)
      return found ? [{ ...found, tag, collection, table: `crm_${tag.replaceAll('-', '_')}` }] : []
    })
    const { rows } = await harness.sql.query<{ id: string }>('select id from crm_stages where organization_id = $1', [
      foreign.organizationId,
    ])
    const theirs: Record<string, unknown> = {
      ...Object.fromEntries(kinds.map(({ record, tag }) => [record, foreignRecords[tag]?.id])),
      ...{ User: foreign.userId, Stage: rows[0]?.id },
    }
    for (const { table, collection, relations } of kinds) {
      await dropForeignKeys(harness, table)
      const { id } = await newRecord(mine, collection)
      for (const [name, schema] of Object.entries(relations)) {
        expect(theirs[schema], schema).toBeTypeOf('string')
        await harness.sql.query(`update ${table} set ${postgres.fromCamel(name)}_id = $2 where id = $1`, [
          id,
          theirs[schema],
        ])
      }
      const names = Object.keys(relations)
      const reply = await must(mine.get(`${collection}/${id}?expand=${names}`))
      expect(reply.json()).toMatchObject({ expanded: Object.fromEntries(names.map((name) => [name, null])) })
      expect(reply.payload.toLowerCase()).not.toContain(CANARY)
    }
  })

  test('a record of another tenant that refers into this one is in no timeline', async () => {
    const { id } = await newRecord(mine, operations.listAccounts.path)
    const theirs = foreignRecords.contacts?.id
    await dropForeignKeys(harness, 'crm_contacts')
    const refer = 'update crm_contacts set account_id = $2 where id = $1 returning account_id'
    const { rows } = await harness.sql.query<Record<string, unknown>>(refer.replace('$2', 'account_id'), [theirs])
    await harness.sql.query(refer, [theirs, id])
    try {
      const reply = await send(requestOf('listAccountTimeline', mine.token, { pathId: id }))
      expect(reply.json<{ data: unknown[] }>().data).toHaveLength(1)
    } finally {
      await harness.sql.query(refer, [theirs, rows[0]?.account_id])
    }
  })

  test('after all that the rows of the other tenant are as they were', async () => {
    expect(await contentsOf({ harness, owner: foreign })).toEqual(before)
  })
}

/** Lets references of a table lead anywhere. */
async function dropForeignKeys({ sql }: Harness, table: string): Promise<void> {
  const { rows } = await sql.query<{ name: string }>(
    `select quote_ident(conname) as name from pg_constraint where conrelid = $1::regclass and contype = 'f'`,
    [table],
  )
  for (const { name } of rows) await sql.query(`alter table ${table} drop constraint ${name}`)
}

/** The URL of a list; of one that belongs to a record, with a record that has more than one change. */
async function listOf(harness: Harness, owner: Caller, id: OperationId): Promise<string> {
  const target = await newTarget(harness, owner, id)
  const { path } = operations[id]
  if (!target) return path
  if (recordKinds.some(({ collection }) => path.startsWith(`${collection}/{`)))
    await must(owner.patch(path.replace(/\{\w+\}.*$/, target), { tags: ['changed'] }))
  return path.replace(/\{\w+\}/, target)
}

/** One record of each kind, by tag. */
type Furniture = { [Kind in Tag]?: Record<string, unknown> }

/** Fills a tenant with everything that there is; answers with one record of each kind. */
async function furnish(
  harness: Harness,
  owner: Caller,
  word: string,
): Promise<Record<string, Record<string, unknown>>> {
  const { organizationId } = owner
  const records: Furniture = {}
  await harness.sql.query('update crm_organizations set name = $2 where id = $1', [organizationId, word])
  await harness.sql.query('update crm_pipelines set name = $2 where organization_id = $1', [organizationId, word])
  const colleague = await harness.newUser(organizationId, 'member')
  const team = await harness.newTeam(organizationId, [owner, colleague])
  await harness.sql.query(
    `update crm_users set email = $2 || '-' || email where id in (select user_id from crm_memberships where organization_id = $1)`,
    [organizationId, word],
  )
  for (const { tag, collection } of recordKinds) {
    const create = operationAt('POST', collection) as OperationId
    const example = requestExamples(create)[0]?.value as Record<string, unknown>
    const names = Object.keys(example).filter((name) => /name$/i.test(name))
    const values = { ...Object.fromEntries(names.map((name) => [name, `${word} ${name}`])), teamId: team }
    const { id } = await newRecord(owner, collection, values)
    await newRecord(owner, collection, values)
    for (let count = 0; count < 2; count += 1) {
      const deleted = await newRecord(owner, collection, values)
      await must(owner.delete(`${collection}/${deleted.id}`))
    }
    await newMerge(owner, collection, values)
    const { winnerId } = await newMerge(owner, collection, values)
    const record = (await must(owner.get(`${collection}/${id}`))).json<Record<string, unknown>>()
    records[tag] = { ...record, winnerId }
  }
  const tier = requestExamples('createCustomField')[0]?.value as Record<string, unknown>
  const field = await newCustomField(owner, { ...tier, label: word })
  await newCustomField(owner, { label: word })
  records['custom-fields'] = (await must(owner.get(`${operations.listCustomFields.path}/${field.id}`))).json()
  await must(owner.post(operations.createInvitation.path, { email: `${word}@example.org`, role: 'member' }))
  const view = await newView(owner, 'accounts', { name: word, sharing: 'organization' })
  await newView(owner, 'contacts', { name: word, sharing: 'team', teamId: team })
  await must(owner.send('PUT', `${operations.listAccounts.path}/${records.accounts?.id}/followers/me`))
  for (const tag of [word, `${word} 2`]) {
    await must(owner.post(`${operations.listAccounts.path}/${records.accounts?.id}/tags`, { add: [tag] }))
  }
  records.tags = { startsWith: word }
  const segment = await newSegment(owner, 'accounts', { name: word })
  const chosen = await newSegment(owner, 'segments', { name: word })
  await must(owner.post(`${operations.listSegments.path}/${chosen.id}/members`, { add: [records.accounts?.id] }))
  records.segments = (await must(owner.get(`${operations.listSegments.path}/${segment.id}`))).json()
  records.views = (await must(owner.get(`${operations.listViews.path}/${view.id}`))).json()
  const users = (await must(owner.get(operations.listUsers.path))).json<{ data: Record<string, unknown>[] }>().data
  const user = users.find(({ id }) => id === colleague.userId)
  if (user) records.users = user
  return records
}

/** One id from every column that holds some, in every table of the tenant; of records also a deleted one. */
async function everyId(harness: Harness, organizationId: string): Promise<string[]> {
  const { rows: columns } = await harness.sql.query<{ table: string; column: string; bin: boolean }>(
    `select c.table_name as table, c.column_name as column,
       exists (select from information_schema.columns d where d.table_name = c.table_name and d.column_name = 'deleted_at') as bin
     from information_schema.columns c
     where c.table_schema = 'public' and c.data_type = 'uuid' and c.table_name in
       (select table_name from information_schema.columns where column_name = 'organization_id' and table_schema = 'public')`,
  )
  const ids = new Set([organizationId])
  for (const { table, column, bin } of columns) {
    for (const condition of bin ? ['deleted_at is null', 'deleted_at is not null'] : ['true']) {
      const { rows } = await harness.sql.query<{ id: string }>(
        `select ${column} as id from ${table} where organization_id = $1 and ${column} is not null and ${condition} limit 1`,
        [organizationId],
      )
      for (const { id } of rows) ids.add(id)
    }
  }
  return [...ids]
}

/** The variation of a request that puts an id in a position. */
function place(id: OperationId, position: IdPosition, value: string, own: Variation): Variation {
  if (position.in === 'path') return { pathId: value }
  if (position.in === 'query') return { ...own, query: { [position.name]: value } }
  const body = structuredClone(own.body ?? exampleWith(id, position.path)) as Record<string, unknown>
  const last = position.path.at(-1) as string
  let object = body
  for (const name of position.path.slice(0, -1)) {
    object[name] ??= {}
    object = object[name] as Record<string, unknown>
  }
  object[last] = value
  return { ...own, body }
}

/** The body that the contract shows; of a batch, with the one item that has the property. */
function exampleWith(id: OperationId, [list = '', , property = '']: readonly string[]): unknown {
  const bodies = requestExamples(id).map(({ value }) => value as Record<string, unknown>)
  for (const body of bodies) {
    const items = body[list]
    if (!Array.isArray(items) || property === '') continue
    const item = (items as Record<string, unknown>[]).find((each) => property in each)
    if (item) return { ...body, atomic: true, [list]: [item] }
  }
  return bodies.find((body) => list in body) ?? bodies[0] ?? {}
}
