import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import type { FastifyInstance } from 'fastify'
import { pino } from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildApp } from '../app.js'
import { type Database, openDatabase } from '../db/database.js'
import { KeyRing } from '../modules/auth/keys.js'
import { type Caller, createHarness, type Harness } from '../testing/harness.js'
import { createTcpGate, type TcpGate } from '../testing/tcp-gate.js'
import { createQueryObserver } from './metrics.js'

// A client sends one write after the other, and each as often as it takes to get an answer, while connections to the database break
// and backends die at any point. Beside it a model in JavaScript does every write once: in the end the two must tell the same.

/** How many sequences are tried; raise it by hand to look for what is rare. */
const RUNS = 15
const SEED = 20261125

const PATH = '/api/v1/accounts'

let harness: Harness
let gate: TcpGate
let database: Database
let app: FastifyInstance
beforeAll(async () => {
  harness = await createHarness()
  gate = await createTcpGate(harness.database.appUrl)
  gate.open()
  database = openDatabase({ url: gate.url, poolSize: 3, applicationName: 'behind-the-gate' })
  const { services, signer } = harness.resources
  app = await buildApp({
    services: { ...services, database },
    keys: new KeyRing(database, signer, services.clock),
    log: pino({ level: 'silent' }),
    metrics: { queries: createQueryObserver(), queueCounts: async () => undefined },
    maxEventLoopDelayMs: 0,
  })
  await app.ready()
})
afterAll(async () => {
  await app.close()
  await database.close()
  await gate.close()
  await harness.close()
})

// ---- the model

/** What happened to a record, and what is left of it. */
type Model = {
  name: string
  domain: string | null
  /** In another system. */
  externalId: string | null
  deleted: boolean
  purged: boolean
  events: string[]
}

class World {
  readonly records: Model[] = []
  /** The ids of the records, as the service gave them. */
  readonly ids: string[] = []

  live = (index: number): Model | undefined => {
    const record = this.records[index]
    return record && !record.deleted && !record.purged ? record : undefined
  }

  holder = (domain: string | null): number =>
    this.records.findIndex((record, index) => domain !== null && record.domain === domain && this.live(index))

  create(name: string, domain: string | null, externalId: string | null = null): number {
    if (this.holder(domain) >= 0) return 409
    this.records.push({ name, domain, externalId, deleted: false, purged: false, events: ['created'] })
    return 201
  }

  put(name: string, externalId: string): number {
    const holder = this.records.findIndex((record, index) => record.externalId === externalId && this.live(index))
    return holder >= 0 ? this.update(holder, name) : this.create(name, externalId, externalId)
  }

  update(index: number, name: string): number {
    const record = this.live(index)
    if (!record) return 404
    record.name = name
    record.events.push('updated')
    return 200
  }

  upsert(name: string, domain: string): number {
    const holder = this.holder(domain)
    return holder >= 0 ? this.update(holder, name) : this.create(name, domain)
  }

  remove(index: number): number {
    const record = this.live(index)
    if (!record) return 404
    record.deleted = true
    record.events.push('deleted')
    return 204
  }

  restore(index: number): number {
    const record = this.records[index]
    if (!record || record.purged) return 404
    if (!record.deleted) return 200
    if (this.holder(record.domain) >= 0) return 409
    record.deleted = false
    record.events.push('restored')
    return 200
  }

  purge(index: number): number {
    const record = this.records[index]
    if (!record || record.purged) return 404
    if (!record.deleted) return 409
    record.purged = true
    record.events.push('purged')
    return 200
  }
}

// ---- the client

/** What goes wrong with one attempt. */
type Fault =
  | { kind: 'cut'; from: 'client' | 'server'; chunks: number }
  | { kind: 'kill'; afterMs: number }
  /** The client gives up at once and sends it again, so that two are under way. */
  | { kind: 'twins' }

type Write = {
  verb: 'create' | 'update' | 'updateVersion' | 'upsert' | 'put' | 'remove' | 'restore' | 'purge' | 'batch'
  /** Which of the records, counted from the newest. */
  pick: number
  domain: string | null
  faults: Fault[]
}

/** What the client went through, all in all. */
const troubles = { failed: 0, replayed: 0 }

type Reply = {
  status: number
  body: { id?: string; code?: string; version?: number; name?: string } & Record<string, unknown>
}
type Request = {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  url: string
  payload?: object
  headers?: Record<string, string>
}

async function inject(caller: Caller, { method, url, payload, headers }: Request): Promise<Reply> {
  const reply = await app.inject({
    ...{ method, url, headers: { authorization: `Bearer ${caller.token}`, ...headers } },
    ...(payload && { payload }),
  })
  if (reply.statusCode === 503) troubles.failed += 1
  if (reply.headers['idempotency-replayed']) troubles.replayed += 1
  return { status: reply.statusCode, body: reply.payload === '' ? {} : reply.json() }
}

/** Neither a fault of the moment nor "somebody is at it". */
const isAnswer = ({ status, body }: Reply) => status < 500 && body.code !== 'idempotency_key_in_use'

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

async function attempt(caller: Caller, request: Request, fault: Fault | undefined): Promise<Reply> {
  if (fault?.kind === 'cut') gate.cutAfter(fault.chunks, fault.from)
  try {
    const first = inject(caller, request)
    if (fault?.kind === 'twins') {
      const replies = await Promise.all([first, inject(caller, request)])
      // Of an update that is sent twice without a key, one finds what the other did.
      return replies.filter(isAnswer).sort((a, b) => a.status - b.status)[0] ?? replies[0]
    }
    if (fault?.kind === 'kill') {
      await pause(fault.afterMs)
      await harness.sql.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'behind-the-gate' and datname = current_database()`,
      )
    }
    return await first
  } finally {
    gate.cutAfter(Number.POSITIVE_INFINITY)
  }
}

/** Sends until there is an answer, and tells whether an attempt before that may have had its effect. */
async function insist(
  caller: Caller,
  request: Request,
  faults: readonly Fault[],
): Promise<Reply & { unsure: boolean }> {
  let unsure = false
  for (let count = 0; count < 200; count++) {
    const reply = await attempt(caller, request, faults[count])
    if (isAnswer(reply)) return { ...reply, unsure: unsure || faults[count]?.kind === 'twins' }
    unsure ||= reply.status >= 500
    expect([409, 503]).toContain(reply.status)
    await pause(5)
  }
  throw new Error('no answer')
}

/** Does a write in the service and in the model, and compares the answers. */
async function perform(
  caller: Caller,
  world: World,
  { verb, pick, domain, faults }: Write,
  step: number,
): Promise<void> {
  const index = world.records.length - 1 - pick
  const id = world.ids[index] ?? randomUUID()
  const name = `step ${step}`
  const keyed = { 'idempotency-key': randomUUID() }
  const post = (url: string, payload?: object): Request => ({
    ...{ method: 'POST', url, headers: keyed },
    ...(payload && { payload }),
  })
  const send = (request: Request) => insist(caller, request, faults)
  const learn = (ids: (string | undefined)[]) => {
    for (const each of ids) if (each && !world.ids.includes(each)) world.ids.push(each)
  }

  switch (verb) {
    case 'create': {
      const reply = await send(post(PATH, { name, domain }))
      expect(reply.status).toBe(world.create(name, domain))
      if (reply.status === 201) learn([reply.body.id])
      return
    }
    case 'upsert':
    case 'put': {
      const known = domain ?? 'd.example'
      const request: Request =
        verb === 'upsert'
          ? post(`${PATH}/upsert`, { matchOn: 'domain', record: { name, domain: known } })
          : { method: 'PUT', url: `${PATH}/external/erp/${known}`, payload: { name, domain: known } }
      const reply = await send(request)
      const expected = verb === 'upsert' ? world.upsert(name, known) : world.put(name, known)
      // Sent again without a key, what was created is changed, to the same.
      const allowed = verb === 'put' && expected === 201 && reply.unsure ? [200, 201] : [expected]
      expect(allowed).toContain(reply.status)
      if (expected === 201) learn([reply.body.id])
      return
    }
    case 'update': {
      const reply = await send({ method: 'PATCH', url: `${PATH}/${id}`, payload: { name } })
      expect(reply.status).toBe(world.update(index, name))
      return
    }
    case 'updateVersion': {
      const version = world.records[index]?.events.length ?? 1
      const headers = { 'if-match': `"${version}"` }
      const reply = await send({ method: 'PATCH', url: `${PATH}/${id}`, payload: { name }, headers })
      const expected = world.update(index, name)
      if (reply.status === 412) {
        // Whoever is told that the version is another one looks whether it is their own.
        expect(reply.unsure).toBe(true)
        const now = await insist(caller, { method: 'GET', url: `${PATH}/${id}` }, [])
        expect(now.body).toMatchObject({ name, version: version + 1 })
      } else expect(reply.status).toBe(expected)
      return
    }
    case 'remove': {
      const reply = await send({ method: 'DELETE', url: `${PATH}/${id}` })
      const expected = world.remove(index)
      expect(expected === 204 && reply.unsure ? [204, 404] : [expected]).toContain(reply.status)
      return
    }
    case 'restore': {
      const reply = await send(post(`${PATH}/${id}/restore`))
      expect(reply.status).toBe(world.restore(index))
      return
    }
    case 'purge': {
      const reply = await send(post(`${PATH}/${id}/purge`))
      expect(reply.status).toBe(world.purge(index))
      return
    }
    case 'batch': {
      const items = [
        { op: 'create', body: { name, domain } },
        { op: 'upsert', matchOn: 'domain', body: { name: `${name} again`, domain: domain ?? 'd.example' } },
        { op: 'update', id, body: { name: `${name} at last` } },
        { op: 'delete', id },
      ]
      const reply = await send(post(`${PATH}/batch`, { atomic: false, items }))
      expect(reply.status).toBe(200)
      const results = reply.body.results as { status: number; body?: { id: string } }[]
      expect(results.map(({ status }) => status)).toEqual([
        world.create(name, domain),
        world.upsert(`${name} again`, domain ?? 'd.example'),
        world.update(index, `${name} at last`),
        world.remove(index),
      ])
      learn(results.filter(({ status }) => status === 201).map(({ body }) => body?.id))
    }
  }
}

/** What the database holds, told like the model. */
async function stored(caller: Caller, { ids }: World): Promise<Model[]> {
  const of = [caller.organizationId]
  const { rows } = await harness.sql.query('select * from crm_accounts where organization_id = $1', of)
  const { rows: events } = await harness.sql.query(
    'select * from crm_events where organization_id = $1 order by version, id',
    of,
  )
  const { rows: externalIds } = await harness.sql.query('select * from crm_external_ids where organization_id = $1', of)
  const strangers = [...rows.map(({ id }) => id), ...events.map((event) => event.record_id)].filter(
    (id) => !ids.includes(id),
  )
  expect(strangers).toEqual([])
  return ids.map((id) => {
    const row = rows.find((each) => each.id === id)
    const own = events.filter((event) => event.record_id === id)
    expect(own.map(({ version }) => version)).toEqual(own.map((_, at) => at + 1))
    if (row) expect(row.version).toBe(own.length)
    const [known] = (row?.external_ids ?? []) as { externalId: string }[]
    const taken = externalIds.filter((each) => each.record_id === id).map((each) => each.external_id)
    expect(taken).toEqual(row && known && row.deleted_at === null ? [known.externalId] : [])
    return {
      ...{ name: row?.name, domain: row?.domain, externalId: known?.externalId ?? null },
      ...{
        deleted: row?.deleted_at !== null,
        purged: !row,
        events: own.map(({ type }) => type.replace('account.', '')),
      },
    }
  })
}

const cut = fc.record({
  ...{ kind: fc.constant('cut' as const), from: fc.constantFrom('client' as const, 'server' as const) },
  chunks: fc.integer({ min: 1, max: 6 }),
})
const kill = fc.record({ kind: fc.constant('kill' as const), afterMs: fc.integer({ min: 0, max: 8 }) })
const twins = fc.record({ kind: fc.constant('twins' as const) })
const fault: fc.Arbitrary<Fault> = fc.oneof({ arbitrary: cut, weight: 3 }, kill, twins)

const write: fc.Arbitrary<Write> = fc.record({
  verb: fc.constantFrom(
    ...(['create', 'update', 'updateVersion', 'upsert', 'put', 'remove', 'restore', 'purge', 'batch'] as const),
  ),
  pick: fc.integer({ min: 0, max: 2 }),
  domain: fc.constantFrom('a.example', 'b.example', null),
  faults: fc.array(fault, { maxLength: 3 }),
})

test('whatever breaks, each write that was answered is there, and has its effect and its event once', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(write, { minLength: 5, maxLength: 12 }), async (writes) => {
      const caller = await harness.newOrganization()
      const world = new World()
      for (const [step, each] of writes.entries()) await perform(caller, world, each, step)
      const purged = { name: undefined, domain: undefined, externalId: null, deleted: true }
      expect(await stored(caller, world)).toEqual(
        world.records.map((record) => (record.purged ? { ...record, ...purged } : record)),
      )
    }),
    { numRuns: RUNS, seed: SEED },
  )
  // Something did break, also after the effect.
  expect(troubles.failed).toBeGreaterThan(RUNS)
  expect(troubles.replayed).toBeGreaterThan(0)
}, 120_000)
