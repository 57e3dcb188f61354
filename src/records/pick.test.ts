import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { operations } from '../../generated/operations.js'
import { expectProblem, type Reply, unchanged } from '../testing/case.js'
import { namesOf, requestExamples } from '../testing/examples.js'
import { type Caller, createHarness, type Harness } from '../testing/harness.js'

type Json = Record<string, unknown> & { id: string }
type Page = { data: Json[]; page: { nextCursor: string | null; hasMore: boolean } }

const PARTIAL = 'application/vnd.zenith.partial+json; charset=utf-8'
const WHOLE = 'application/json; charset=utf-8'

let harness: Harness
let owner: Caller
beforeAll(async () => {
  harness = await createHarness()
})
afterAll(() => harness.close())
beforeEach(async () => {
  owner = await harness.newOrganization()
})

async function create(body: object): Promise<Json> {
  const reply = await owner.post('/api/v1/accounts', body)
  expect(reply.statusCode, reply.payload).toBe(201)
  return reply.json()
}

/** What a reply must hold of a record. */
const pick = (record: Json, names: readonly string[]) =>
  Object.fromEntries(Object.entries(record).filter(([name]) => ['id', 'version', 'expanded', ...names].includes(name)))

/** Reads a reply that must be a part, or whole. */
function read<Body>(reply: Reply, type = PARTIAL): Body {
  expect(reply.statusCode, reply.payload).toBe(200)
  expect(reply.headers['content-type']).toBe(type)
  return reply.json()
}

const post = (body: object) => owner.post('/api/v1/accounts/query', body)

describe('exactly what is named comes back, beside id and version', () => {
  const body = {
    name: 'Northwind',
    domain: 'northwind.example',
    annualRevenue: { amount: '5.00', currency: 'EUR' },
    billingAddress: { city: 'Hamburg' },
    tags: ['vip'],
    externalIds: [{ system: 'erp', externalId: '1' }],
  }
  const NAMES = ['website', 'name', 'annualRevenue', 'createdBy', 'tags', 'customFields']

  it('of one record, of lists and of queries, of what was deleted, and of what views and segments show', async () => {
    const account = await create(body)
    const part = pick(account, NAMES)
    expect(Object.keys(part).sort()).toEqual([...NAMES, 'id', 'version'].sort())
    const views = await owner.post('/api/v1/views', { object: 'account', name: 'All', columns: ['name'] })
    const segments = await owner.post('/api/v1/segments', { object: 'account', name: 'All', kind: 'dynamic' })
    const [view, segment] = [views.json<Json>(), segments.json<Json>()]

    expect(read(await owner.get(`/api/v1/accounts/${account.id}?fields=${NAMES}`))).toEqual(part)
    const page = { data: [part], page: { nextCursor: null, hasMore: false } }
    for (const path of ['accounts', `views/${view.id}/accounts`, `segments/${segment.id}/accounts`]) {
      expect(read(await owner.get(`/api/v1/${path}?fields=${NAMES}`))).toEqual(page)
    }
    expect(read(await post({ fields: NAMES }))).toEqual(page)
    await owner.delete(`/api/v1/accounts/${account.id}`)
    const deleted = read<Page>(await owner.get('/api/v1/recycle-bin/accounts?fields=deletedAt'))
    expect(deleted.data).toEqual([{ id: account.id, version: 2, deletedAt: expect.any(String) }])
  })

  it('is id and version alone when one of them is named, and leaves out what the record has no value of', async () => {
    const account = await create({ name: 'Northwind' })
    expect(account).not.toHaveProperty('externalIds')
    for (const names of ['id', 'version', 'id,version,externalIds']) {
      const reply = await owner.get(`/api/v1/accounts/${account.id}?fields=${names}`)
      expect(read(reply)).toEqual({ id: account.id, version: 1 })
    }
  })

  it('has what is expanded as well, also by references that are not named', async () => {
    const parent = await create({ name: 'Group' })
    const account = await create({ ...body, parentAccountId: parent.id })
    const url = `/api/v1/accounts/${account.id}`
    const shape = 'expand=parentAccount,parentAccount.owner&fields=name'
    const whole = read<Json>(await owner.get(`${url}?expand=parentAccount,parentAccount.owner`), WHOLE)
    const part = pick(whole, ['name'])
    expect(part).toMatchObject({ name: 'Northwind', expanded: { parentAccount: { name: 'Group', domain: null } } })
    expect(read(await owner.get(`${url}?${shape}`))).toEqual(part)
    expect(read<Page>(await owner.get(`/api/v1/accounts?limit=1&${shape}`)).data).toEqual([part])
    const asked = { limit: 1, expand: ['parentAccount.owner'], fields: ['name'] }
    expect(read<Page>(await post(asked)).data).toEqual([part])
  })

  it('of page after page, in an order by what is not named', async () => {
    const names = ['Delta', 'Alpha', 'Charlie', 'Bravo']
    const all = new Map<unknown, Json>()
    for (const name of names) all.set(name, await create({ name }))
    const walk = async (next: (cursor: string | null) => Promise<Reply>) => {
      const found: Json[] = []
      let cursor: string | null = null
      do {
        const { data, page }: Page = read(await next(cursor))
        expect(data.length).toBeLessThanOrEqual(3)
        found.push(...data)
        cursor = page.nextCursor
      } while (cursor)
      return found
    }
    const asked = { sort: ['-name'], fields: ['domain'], limit: 3 }
    const expected = [...names]
      .sort()
      .reverse()
      .map((name) => pick(all.get(name) as Json, ['domain']))
    const path = '/api/v1/accounts?sort=-name&fields=domain&limit=3'
    expect(await walk((cursor) => owner.get(cursor ? `${path}&cursor=${cursor}` : path))).toEqual(expected)
    expect(await walk((cursor) => post({ ...asked, ...(cursor && { cursor }) }))).toEqual(expected)

    // The next page may show something else of the records, and the way there does not forget what was named.
    const first = await owner.get(path)
    const { nextCursor } = read<Page>(first).page
    expect(String(first.headers.link)).toContain('fields=domain')
    const rest = read<Page>(await owner.get(`/api/v1/accounts?sort=-name&cursor=${nextCursor}`), WHOLE)
    expect(rest.data).toEqual([all.get('Alpha')])
  })

  it.each(Object.values(KINDS()))(
    'whatever is named of $plural: a part is what picking from the whole gives',
    async (kind) => {
      const reply = await owner.post(kind.path, kind.body)
      expect(reply.statusCode, reply.payload).toBe(201)
      const { id } = reply.json<Json>()
      expect(kind.names.length).toBeGreaterThan(25)
      await fc.assert(
        fc.asyncProperty(fc.shuffledSubarray(kind.names, { minLength: 1 }), fc.boolean(), async (names, expands) => {
          const more = expands ? '&expand=owner' : ''
          const whole = read<Json>(await owner.get(`${kind.path}/${id}?${more}`), WHOLE)
          const part = pick(whole, names)
          expect(read(await owner.get(`${kind.path}/${id}?fields=${names}${more}`))).toEqual(part)
          expect(read<Page>(await owner.get(`${kind.path}?fields=${names}${more}`)).data).toEqual([part])
          const asked = { fields: names, ...(expands && { expand: ['owner'] }) }
          expect(read<Page>(await owner.post(`${kind.path}/query`, asked)).data).toEqual([part])
        }),
        { seed: 15, numRuns: 25 },
      )
    },
  )
})

/** The kinds of records, each with a body that creates one, and the names of all its properties. */
function KINDS() {
  const creating = { listAccounts: 'createAccount', listContacts: 'createContact', listLeads: 'createLead' } as const
  const all = { ...creating, listOpportunities: 'createOpportunity' } as const
  return Object.entries(all).map(([id, create]) => {
    const { path, tag } = operations[id as keyof typeof all]
    return {
      plural: tag,
      path,
      body: requestExamples(create)[0]?.value as object,
      names: namesOf(id as keyof typeof all),
    }
  })
}

describe('without names', () => {
  it('nothing is as it was not: the same type and bytes, also for a client that knows the other form', async () => {
    const account = await create({ name: 'Northwind' })
    const url = `/api/v1/accounts/${account.id}`
    const plain = await owner.get(url)
    expect(read(plain, WHOLE)).toEqual(account)
    expect(plain.headers.etag).toBe('"1"')
    for (const accept of ['application/vnd.zenith.partial+json', 'application/*', '*/*', 'application/json']) {
      const reply = await owner.get(url, { accept })
      expect([reply.headers['content-type'], reply.payload]).toEqual([WHOLE, plain.payload])
    }
    expect(read<Page>(await owner.get('/api/v1/accounts'), WHOLE).data).toEqual([account])
    expect(read<Page>(await post({}), WHOLE).data).toEqual([account])
  })
})

describe('a part', () => {
  it.each(['application/json', 'application/vnd.zenith.partial+json', 'application/*', '*/*', 'text/html, */*;q=0.1'])(
    'is sent to who accepts %s',
    async (accept) => {
      await create({ name: 'Northwind' })
      read(await owner.get('/api/v1/accounts?fields=name', { accept }))
    },
  )

  it('is sent to nobody who accepts none of them', async () => {
    const reply = await owner.get('/api/v1/accounts?fields=name', { accept: 'text/html' })
    expectProblem(reply, 'not_acceptable')
  })

  it('has no body for HEAD, and the headers', async () => {
    const account = await create({ name: 'Northwind' })
    const url = `/api/v1/accounts/${account.id}?fields=name`
    const [get, head] = [await owner.get(url), await owner.send('HEAD', url)]
    expect(head.payload).toBe('')
    for (const name of ['content-type', 'etag']) expect(head.headers[name]).toBe(get.headers[name])
  })
})

describe('names', () => {
  it.each([
    ['unknown', 'name,boss', '/1'],
    ['of a related record', 'parentAccount.name', '/0'],
    ['of what expand adds', 'expanded', '/0'],
    ['of a part of a property', 'billingAddress.city', '/0'],
    ['of a custom field', 'customFields.tier', '/0'],
    ['of a column', 'organizationId', '/0'],
    ['of another kind of record', 'firstName', '/0'],
    ['of the prototype', 'constructor', '/0'],
    ['that are nothing', '', '/0'],
    ['in another case', 'Name', '/0'],
    ['with a gap', 'name,,domain', '/1'],
    ['twice', 'name,domain,name', ''],
  ])('%s: refused, and the pointer says where', async (_what, names, at) => {
    const account = await create({ name: 'Northwind' })
    await unchanged({ harness, owner }, async () => {
      for (const path of ['accounts', `accounts/${account.id}`, 'recycle-bin/accounts']) {
        const reply = await owner.get(`/api/v1/${path}?fields=${names}`)
        expectProblem(reply, 'invalid_request')
        expect(reply.json()).toMatchObject({ errors: [{ pointer: `/query/fields${at}` }] })
      }
      const reply = await post({ fields: names.split(',') })
      expectProblem(reply, 'invalid_request')
      expect(reply.json()).toMatchObject({ errors: [{ pointer: `/fields${at}` }] })
    })
  })

  it('that are an empty list, or no list: refused', async () => {
    for (const fields of [[], null, 'name', {}, [1]]) {
      const reply = await post({ fields })
      expectProblem(reply, 'invalid_request')
      expect(reply.json<{ errors: { pointer: string }[] }>().errors[0]?.pointer).toMatch(/^\/fields/)
    }
    const twice = await owner.get('/api/v1/accounts?fields=name&fields=domain')
    expect(twice.json()).toMatchObject({ status: 400, errors: [{ pointer: '/query/fields', code: 'repeated' }] })
  })

  it.each(['users', 'pipelines', 'views'])('are no parameter of %s', async (path) => {
    const reply = await owner.get(`/api/v1/${path}?fields=name`)
    expect(reply.json()).toMatchObject({ status: 400, errors: [{ pointer: '/query/fields' }] })
  })
})

describe('the entity tag of a part', () => {
  it('is another one than that of the whole and of other parts, whatever the order of the names', async () => {
    const account = await create({ name: 'Northwind' })
    const tagOf = async (query: string) =>
      String((await owner.get(`/api/v1/accounts/${account.id}?${query}`)).headers.etag)
    const all = ['', 'fields=name', 'fields=name,domain', 'fields=name&expand=owner', 'expand=owner']
    const tags = await Promise.all(all.map(tagOf))
    expect(new Set(tags).size).toBe(all.length)
    for (const tag of tags.slice(1)) expect(tag).toMatch(/^"1-[\w-]{22}"$/)
    const turned = await owner.get(`/api/v1/accounts/${account.id}?fields=domain,name`)
    expect(turned.headers.etag).toBe(tags[2])
    expect(turned.payload).toBe((await owner.get(`/api/v1/accounts/${account.id}?fields=name,domain`)).payload)
  })

  it('saves sending the same part again, and no other', async () => {
    const account = await create({ name: 'Northwind' })
    const url = `/api/v1/accounts/${account.id}`
    const tag = String((await owner.get(`${url}?fields=name`)).headers.etag)
    const get = (query: string, known: string) => owner.get(`${url}?${query}`, { 'if-none-match': known })
    const same = await get('fields=name', tag)
    expect([same.statusCode, same.payload, same.headers.etag]).toEqual([304, '', tag])
    for (const query of ['', 'fields=domain', 'fields=name,domain', 'fields=name&expand=owner']) {
      expect((await get(query, tag)).statusCode, query).toBe(200)
    }
    expect((await get('fields=name', '"1"')).statusCode).toBe(200)
    await owner.patch(url, { industry: 'Wholesale' })
    expect((await get('fields=name', tag)).statusCode).toBe(200)
  })

  it('lets a change through as long as the record is of that version', async () => {
    const account = await create({ name: 'Northwind' })
    const url = `/api/v1/accounts/${account.id}`
    const tag = String((await owner.get(`${url}?fields=name`)).headers.etag)
    const changed = await owner.patch(url, { name: 'Southwind' }, { 'if-match': tag })
    expect([changed.statusCode, changed.headers.etag]).toEqual([200, '"2"'])
    expectProblem(await owner.patch(url, { name: 'Eastwind' }, { 'if-match': tag }), 'version_mismatch')
    expectProblem(await owner.delete(url, { 'if-match': tag }), 'version_mismatch')
  })
})
