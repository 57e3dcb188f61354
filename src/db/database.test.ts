import { randomUUID } from 'node:crypto'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { sql } from 'drizzle-orm'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../testing/database.js'
import { createTcpGate } from '../testing/tcp-gate.js'
import { type Claim, type Database, type DatabaseOptions, openDatabase } from './database.js'
import { DatabaseUnavailable, StaleClaim } from './errors.js'
import { type Plans, parameter, statement } from './statement.js'

type Note = { organizationId: string; id: string; text: string }

const readNotes = statement<Note>('notes.read', sql`select * from notes`)
const addNote = statement<{ id: string }>(
  'notes.add',
  sql`insert into notes (organization_id, id, text) values (${parameter('organizationId')}, ${parameter('id')}, ${parameter('text')}) returning id`,
)
const editNotes = statement('notes.edit', sql`update notes set text = ${parameter('text')}`)
const dropNotes = statement('notes.drop', sql`delete from notes`)
const fail = statement('notes.fail', sql`select 1 / (${parameter('zero')}::integer)`)
const sleep = statement('notes.sleep', sql`select pg_sleep(${parameter('seconds')}::float8)`)
const findNote = (plans: Plans) => {
  const name = `notes.find_${plans}`
  return statement<Note>(name, sql`select ${sql.raw(`'${name}'`)}, * from notes where id = ${parameter('id')}`, {
    plans,
  })
}
const countPlans = statement<{ name: string; once: boolean }>(
  'notes.plans',
  sql`select substring(statement from 'notes[.]find_[a-z]+') as name, generic_plans > 0 as once
        from pg_prepared_statements where statement like 'select ''notes.find%' order by name`,
)
const backend = statement<{ pid: number }>('notes.backend', sql`select pg_backend_pid() as pid`)

let testDatabase: TestDatabase
let superuser: pg.Pool
const opened: Database[] = []

function open(options: Partial<DatabaseOptions> = {}): Database {
  const database = openDatabase({
    url: testDatabase.appUrl,
    poolSize: 4,
    applicationName: 'database-test',
    ...options,
  })
  opened.push(database)
  return database
}

beforeAll(async () => {
  testDatabase = await createTestDatabase()
  superuser = new pg.Pool({ connectionString: testDatabase.superuserUrl, max: 3 }).on('error', () => undefined)
  await superuser.query(`
    create table notes (organization_id uuid not null, id uuid not null, text text not null, primary key (organization_id, id));
    alter table notes enable row level security, force row level security;
    create policy notes_tenant on notes for all to zenith_app
      using (organization_id = (select nullif(current_setting('app.organization_id', true), '')::uuid));
    grant all on notes to zenith_app`)
})

afterEach(async () => {
  await Promise.all(opened.splice(0).map((database) => database.close()))
  await superuser.query('truncate notes')
})

afterAll(async () => {
  await superuser.end()
  await testDatabase.drop()
})

const tenant = (organizationId: string): Claim => ({ kind: 'tenant', organizationId })

async function newPrincipal(): Promise<Extract<Claim, { kind: 'principal' }>> {
  const principal = {
    kind: 'principal' as const,
    organizationId: randomUUID(),
    userId: randomUUID(),
    sessionId: randomUUID(),
    version: 1,
  }
  const { organizationId, userId, sessionId } = principal
  await superuser.query(
    `insert into crm_organizations (id, name, created_at, updated_at) values ($1, 'Test', now(), now())`,
    [organizationId],
  )
  await superuser.query(
    `insert into crm_users (id, email, password_hash, created_at, updated_at) values ($1, $2, '', now(), now())`,
    [userId, `${userId}@example.com`],
  )
  await superuser.query(
    `insert into crm_memberships (organization_id, user_id, role, status, created_at, updated_at) values ($1, $2, 'owner', 'active', now(), now())`,
    [organizationId, userId],
  )
  await superuser.query(
    `insert into crm_sessions (organization_id, id, user_id, created_at, refreshed_at, expires_at) values ($1, $2, $3, now(), now(), now() + interval '1 day')`,
    [organizationId, sessionId, userId],
  )
  return principal
}

const note = (organizationId: string, id = randomUUID(), text = 'new') => addNote({ organizationId, id, text })

async function stored(): Promise<Note[]> {
  const { rows } = await superuser.query('select organization_id as "organizationId", id, text from notes order by id')
  return rows
}

const outcome = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'done',
    (error: Error) => error.name,
  )

/** Ends backends, and waits until they are gone. */
async function kill(pids: readonly number[]): Promise<void> {
  await superuser.query('select pg_terminate_backend(pid, 5000) from unnest($1::integer[]) as pid', [pids])
}

async function backends(applicationName = 'database-test'): Promise<number[]> {
  const { rows } = await superuser.query<{ pid: number }>(
    'select pid from pg_stat_activity where application_name = $1 and datname = current_database()',
    [applicationName],
  )
  return rows.map(({ pid }) => pid)
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 500; attempt++) {
    if (await condition()) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error('waited in vain')
}

/** Uses every connection of a pool at the same time, and tells how many there are. */
async function fullWidth(database: Database, width: number): Promise<number> {
  let arrived = 0
  let open: () => void = () => undefined
  const gate = new Promise<void>((resolve) => {
    open = resolve
  })
  const pids = await Promise.all(
    Array.from({ length: width }, () =>
      database.as({ kind: 'maintenance' }).transaction(async (tx) => {
        const [row] = await tx.run(backend())
        if (++arrived === width) open()
        await gate
        return row?.pid
      }),
    ),
  )
  return new Set(pids).size
}

test('a claim does not leak into another checkout, whatever fails in between', async () => {
  const database = open({ poolSize: 3 })
  const principals = await Promise.all([newPrincipal(), newPrincipal(), newPrincipal()])
  const tenants = [...principals.map(({ organizationId }) => organizationId), ...Array.from({ length: 5 }, randomUUID)]
  const claims: Claim[] = [...principals, ...tenants.slice(3).map(tenant)]
  const added = new Map(tenants.map((organizationId) => [organizationId, new Set<string>()]))

  async function step(index: number): Promise<void> {
    const claim = claims[(index * 7) % claims.length] as Claim & { organizationId: string }
    const other = tenants[(index * 5 + 1) % tenants.length] as string
    const db = database.as(claim)
    const mine = added.get(claim.organizationId) as Set<string>
    const id = randomUUID()
    switch (index % 8) {
      case 0:
        for (const row of await db.run(readNotes())) expect(row.organizationId).toBe(claim.organizationId)
        return
      case 1:
        await db.run(note(claim.organizationId, id))
        mine.add(id)
        return
      case 2:
        await expect(db.all(readNotes(), fail({ zero: 0 }))).rejects.toThrow('division by zero')
        return
      case 3:
        await expect(
          db.transaction(async (tx) => {
            await tx.run(note(claim.organizationId, id))
            throw new Error('on purpose')
          }),
        ).rejects.toThrow('on purpose')
        return
      case 4:
        await db.transaction(async (tx) => {
          await tx.run(note(claim.organizationId, id))
          await tx
            .transaction((inner) => inner.run(fail({ zero: 0 })))
            .catch((error: Error) => expect(error.message).toBe('division by zero'))
          for (const row of await tx.run(readNotes())) expect(row.organizationId).toBe(claim.organizationId)
        })
        mine.add(id)
        return
      case 5:
        if (other !== claim.organizationId) {
          await expect(db.run(note(other))).rejects.toThrow('row-level security')
        }
        return
      case 6:
        expect(await database.as({ kind: 'identity', userId: randomUUID() }).run(readNotes())).toEqual([])
        expect(await database.as({ kind: 'maintenance' }).run(readNotes())).toEqual([])
        return
      case 7: {
        const stale = { ...(principals[index % 3] as (typeof principals)[0]), version: 2 }
        await expect(
          database.as(stale).all(editNotes({ text: 'leak' }), dropNotes(), readNotes()),
        ).rejects.toBeInstanceOf(StaleClaim)
      }
    }
  }
  const lanes = Array.from({ length: 12 }, async (_, lane) => {
    for (let index = lane; index < 1200; index += 12) await step(index)
  })
  await Promise.all(lanes)

  const rows = await stored()
  expect(rows.every(({ text }) => text === 'new')).toBe(true)
  for (const [organizationId, ids] of added) {
    expect(rows.filter((row) => row.organizationId === organizationId).map(({ id }) => id)).toEqual([...ids].sort())
  }
})

test('a principal that does not hold sees and changes nothing', async () => {
  const database = open({ poolSize: 1 })
  const good = await newPrincipal()
  const { organizationId } = good
  await database.as(good).run(note(organizationId))
  const before = await stored()
  const stranger = await newPrincipal()
  const ended = await newPrincipal()
  await superuser.query('update crm_sessions set revoked = true where id = $1', [ended.sessionId])
  const expired = await newPrincipal()
  await superuser.query(`update crm_sessions set expires_at = now() - interval '1 second' where id = $1`, [
    expired.sessionId,
  ])
  const deactivated = await newPrincipal()
  await superuser.query(`update crm_memberships set status = 'deactivated' where user_id = $1`, [deactivated.userId])
  const claims: Claim[] = [
    { ...good, version: 2 },
    { ...good, sessionId: randomUUID() },
    { ...good, sessionId: stranger.sessionId },
    { ...good, userId: stranger.userId },
    { ...stranger, organizationId },
    ended,
    expired,
    deactivated,
  ]
  for (const claim of claims) {
    // The connection has the claim of the tenant itself from before.
    expect(await database.as(good).run(readNotes())).toHaveLength(1)
    const db = database.as(claim)
    const own = 'organizationId' in claim ? claim.organizationId : ''
    await expect(db.run(readNotes())).rejects.toBeInstanceOf(StaleClaim)
    await expect(db.all(editNotes({ text: 'changed' }), dropNotes(), note(own))).rejects.toBeInstanceOf(StaleClaim)
    await expect(
      db.transaction((tx) => tx.all(editNotes({ text: 'changed' }), dropNotes(), note(own))),
    ).rejects.toBeInstanceOf(StaleClaim)
    await expect(db.transaction(async () => 'nothing read')).rejects.toBeInstanceOf(StaleClaim)
  }
  expect(await stored()).toEqual(before)
})

test('a claim whose check fails does not leave the one before in force', async () => {
  const database = open({ poolSize: 1 })
  const victim = await newPrincipal()
  const caller = await newPrincipal()
  await database.as(caller).run(readNotes())
  await database.as(victim).run(note(victim.organizationId))
  const before = await stored()

  const blocker = await superuser.connect()
  try {
    await blocker.query('begin')
    await blocker.query('lock table crm_memberships in access exclusive mode')
    const attempt = outcome(
      database.as(caller).all(editNotes({ text: 'leak' }), note(victim.organizationId), dropNotes()),
    )
    await until(async () => {
      const { rowCount } = await superuser.query(
        `select pg_cancel_backend(pid) from pg_stat_activity where application_name = 'database-test' and wait_event_type = 'Lock'`,
      )
      return rowCount === 1
    })
    expect(await attempt).not.toBe('done')
  } finally {
    await blocker.query('rollback')
    blocker.release()
  }
  expect(await stored()).toEqual(before)
  expect(await database.as(victim).run(readNotes())).toHaveLength(1)
  expect(await database.as(caller).run(readNotes())).toEqual([])
})

test('killed backends under load cost requests at most a refusal, and nothing that was acknowledged', async () => {
  const database = open({ poolSize: 4 })
  const organizationId = randomUUID()
  const db = database.as(tenant(organizationId))
  const acknowledged: string[] = []
  const refused: string[] = []
  const outcomes = { done: 0, refused: 0 }
  let running = true

  async function lane(index: number): Promise<void> {
    for (let round = 0; running; round++) {
      const id = randomUUID()
      const kind = (index + round) % 4
      try {
        if (kind === 0) await db.all(readNotes(), sleep({ seconds: 0.002 }), backend())
        else if (kind === 1) await db.run(note(organizationId, id))
        else {
          await db.transaction(async (tx) => {
            await tx.run(note(organizationId, id))
            if (kind === 3) await tx.transaction((inner) => inner.run(sleep({ seconds: 0.002 })))
            await new Promise((resolve) => setTimeout(resolve, round % 3))
          })
        }
        if (kind > 0) acknowledged.push(id)
        outcomes.done++
      } catch (error) {
        expect(error).toBeInstanceOf(DatabaseUnavailable)
        if (kind >= 2) refused.push(id)
        outcomes.refused++
      }
    }
  }
  const lanes = Array.from({ length: 10 }, (_, index) => lane(index))
  for (let round = 0; round < 30; round++) {
    await superuser.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'database-test'`,
    )
    await new Promise((resolve) => setTimeout(resolve, (round * 7) % 40))
  }
  running = false
  await Promise.all(lanes)

  expect(outcomes.refused).toBeGreaterThan(0)
  expect(outcomes.done).toBeGreaterThan(0)
  const ids = new Set((await stored()).map(({ id }) => id))
  expect(acknowledged.filter((id) => !ids.has(id))).toEqual([])
  expect(await fullWidth(database, 4)).toBe(4)
})

test('a transaction whose connection dies between two statements is refused as a whole', async () => {
  const database = open({ poolSize: 2 })
  const organizationId = randomUUID()
  const db = database.as(tenant(organizationId))
  for (const then of ['statement', 'savepoint', 'commit'] as const) {
    const result = outcome(
      db.transaction(async (tx) => {
        await tx.run(note(organizationId))
        const [row] = await tx.run(backend())
        await kill([row?.pid ?? 0])
        if (then === 'statement') await tx.run(note(organizationId))
        if (then === 'savepoint') await tx.transaction((inner) => inner.run(note(organizationId)))
      }),
    )
    expect(await result, then).toBe('DatabaseUnavailable')
  }
  expect(await stored()).toEqual([])
  expect(await fullWidth(database, 2)).toBe(2)
})

test('statements that wait on a connection that dies are all answered', async () => {
  const database = open({ poolSize: 1 })
  const organizationId = randomUUID()
  const db = database.as(tenant(organizationId))
  await db.run(backend())
  // The first one is new to the connection, so the driver holds the others back until it is prepared.
  const slow = outcome(db.all(sleep({ seconds: 5 }), note(organizationId), readNotes()))
  await until(async () => {
    const { rowCount } = await superuser.query(
      `select from pg_stat_activity where application_name = 'database-test' and wait_event = 'PgSleep'`,
    )
    return rowCount === 1
  })
  await kill(await backends())
  expect(await slow).toBe('DatabaseUnavailable')
  expect(await fullWidth(database, 1)).toBe(1)
  expect(await stored()).toEqual([])
})

test('connections that died while nobody used them are replaced', async () => {
  const database = open({ poolSize: 3 })
  for (let round = 0; round < 3; round++) {
    expect(await fullWidth(database, 3)).toBe(3)
    await kill(await backends())
    await until(async () => (await outcome(database.as({ kind: 'maintenance' }).run(backend()))) === 'done')
  }
  expect(await fullWidth(database, 3)).toBe(3)
})

test('connections that the server refuses are not lost to the pool', async () => {
  const database = open({ poolSize: 8, applicationName: 'refused-test' })
  const name = new URL(testDatabase.appUrl).pathname.slice(1)
  const attempts = () =>
    Promise.all(
      Array.from({ length: 16 }, () => outcome(database.as({ kind: 'maintenance' }).run(sleep({ seconds: 0.02 })))),
    )
  try {
    for (let round = 0; round < 3; round++) {
      // The superuser's connections count, but are never refused.
      await superuser.query(`alter database ${name} connection limit 5`)
      await kill(await backends('refused-test'))
      const outcomes = await attempts()
      expect(outcomes.every((each) => each === 'done' || each === 'DatabaseUnavailable')).toBe(true)
      await superuser.query(`alter database ${name} connection limit -1`)
    }
  } finally {
    await superuser.query(`alter database ${name} connection limit -1`)
  }
  await until(async () => (await attempts()).every((each) => each === 'done'))
  expect(await fullWidth(database, 8)).toBe(8)
})

test('a full pool refuses after the time that it may wait, and serves again afterwards', async () => {
  const database = open({ poolSize: 1, acquireTimeoutMs: 50 })
  const db = database.as({ kind: 'maintenance' })
  let leave: () => void = () => undefined
  const holding = new Promise<void>((resolve) => {
    leave = resolve
  })
  const holder = db.transaction(async (tx) => {
    await tx.run(backend())
    await holding
  })
  const refused = await Promise.all([db.run(backend()), db.run(backend())].map(outcome))
  expect(refused).toEqual(['DatabaseUnavailable', 'DatabaseUnavailable'])
  leave()
  await holder
  expect(await fullWidth(database, 1)).toBe(1)
})

test('who waits is served in turn', async () => {
  const database = open({ poolSize: 1 })
  const order: number[] = []
  await Promise.all(
    [0, 1, 2, 3, 4].map(async (index) => {
      await database.as({ kind: 'maintenance' }).run(backend())
      order.push(index)
    }),
  )
  expect(order).toEqual([0, 1, 2, 3, 4])
})

test('a server that refuses, hangs up or stays silent is an answer, and its return is noticed', async () => {
  const gate = await createTcpGate(testDatabase.appUrl)
  const silent = createServer((socket) => socket.resume())
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  try {
    const silentUrl = Object.assign(new URL(testDatabase.appUrl), {
      port: String((silent.address() as AddressInfo).port),
    })
    const refusing = open({ url: 'postgres://zenith_app@127.0.0.1:1/none', poolSize: 2 })
    const mute = open({ url: silentUrl.href, poolSize: 2, connectTimeoutMs: 100 })
    const away = open({ url: gate.url, poolSize: 2 })
    for (const database of [refusing, mute, away]) {
      const results = await Promise.all(
        [1, 2, 3].map(() => outcome(database.as(tenant(randomUUID())).transaction((tx) => tx.run(backend())))),
      )
      expect(results).toEqual(['DatabaseUnavailable', 'DatabaseUnavailable', 'DatabaseUnavailable'])
    }
    gate.open()
    expect(await fullWidth(away, 2)).toBe(2)
    gate.shut()
    await until(async () => (await outcome(away.as(tenant(randomUUID())).run(backend()))) === 'DatabaseUnavailable')
    gate.open()
    await until(async () => (await outcome(away.as(tenant(randomUUID())).run(backend()))) === 'done')
    expect(await fullWidth(away, 2)).toBe(2)
  } finally {
    await gate.close()
    await new Promise((resolve) => silent.close(resolve))
  }
})

test('a network that swallows the answer does not keep the connection for ever', async () => {
  const { hostname, port } = new URL(testDatabase.appUrl)
  const sockets: Socket[] = []
  const proxy = createServer((client) => {
    const upstream = connect(Number(port), hostname)
    sockets.push(
      client.on('error', () => undefined),
      upstream.on('error', () => undefined),
    )
    client.pipe(upstream)
    upstream.pipe(client)
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  const url = Object.assign(new URL(testDatabase.appUrl), { port: String((proxy.address() as AddressInfo).port) }).href
  try {
    const database = open({ url, poolSize: 1, answerTimeoutMs: 200 })
    const db = database.as(tenant(randomUUID()))
    await db.run(backend())
    for (const socket of sockets) socket.unpipe().pause()
    expect(await outcome(db.transaction((tx) => tx.run(backend())))).toBe('DatabaseUnavailable')
    expect(await outcome(db.run(backend()))).toBe('done')
  } finally {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => proxy.close(resolve))
  }
})

test('a savepoint takes back its own part only', async () => {
  const db = open().as(tenant('00000000-0000-7000-8000-000000000001'))
  const organizationId = '00000000-0000-7000-8000-000000000001'
  await db.transaction(async (tx) => {
    await tx.run(note(organizationId, '00000000-0000-7000-8000-00000000000a'))
    await tx.transaction(async (outer) => {
      await outer.run(note(organizationId, '00000000-0000-7000-8000-00000000000b'))
      await expect(
        outer.transaction(async (inner) => {
          await inner.run(note(organizationId, '00000000-0000-7000-8000-00000000000c'))
          await inner.run(fail({ zero: 0 }))
        }),
      ).rejects.toThrow('division by zero')
    })
    await expect(
      tx.transaction(async (inner) => {
        await inner.run(note(organizationId, '00000000-0000-7000-8000-00000000000d'))
        throw new Error('on purpose')
      }),
    ).rejects.toThrow('on purpose')
  })
  expect((await stored()).map(({ id }) => id.at(-1))).toEqual(['a', 'b'])
})

test('a transaction that goes on after a failed statement is not taken for stored', async () => {
  const organizationId = randomUUID()
  const db = open().as(tenant(organizationId))
  const result = db.transaction(async (tx) => {
    await tx.run(note(organizationId))
    await tx.run(fail({ zero: 0 })).catch(() => undefined)
    return 'stored'
  })
  await expect(result).rejects.toThrow()
  expect(await stored()).toEqual([])
})

test('who waits too long for a lock, or works too long, is refused', async () => {
  const organizationId = randomUUID()
  const url = `${testDatabase.appUrl}?lock_timeout=100&statement_timeout=400`
  const db = open({ url, poolSize: 2 }).as(tenant(organizationId))
  await db.run(note(organizationId))
  await db.transaction(async (tx) => {
    await tx.run(editNotes({ text: 'first' }))
    expect(await outcome(db.run(editNotes({ text: 'second' })))).toBe('DatabaseUnavailable')
    expect(await outcome(db.transaction((other) => other.run(editNotes({ text: 'third' }))))).toBe(
      'DatabaseUnavailable',
    )
  })
  expect(await outcome(db.run(sleep({ seconds: 5 })))).toBe('DatabaseUnavailable')
  expect((await stored()).map(({ text }) => text)).toEqual(['first'])
})

test('callers who ask in ever new ways do not fill the server’s memory', async () => {
  const db = open({ poolSize: 1 }).as({ kind: 'maintenance' })
  const kept = statement<{ count: string }>('notes.kept', sql`select count(*) from pg_prepared_statements`)
  let most = 0
  for (let index = 0; index < 1200; index++) {
    const other = statement('notes.other', sql`select ${parameter('value')}::integer + ${sql.raw(String(index))}`)
    await db.run(other({ value: 1 }))
    if (index % 50 === 0) most = Math.max(most, Number((await db.run(kept()))[0]?.count))
  }
  expect(most).toBeGreaterThan(100)
  expect(most).toBeLessThan(600)
})

test('a closed pool refuses', async () => {
  const database = open()
  const db = database.as({ kind: 'maintenance' })
  await db.run(backend())
  await database.close()
  expect(await outcome(db.run(backend()))).toBe('DatabaseUnavailable')
  await until(async () => (await backends()).length === 0)
})

test('every statement runs as the role that row-level security holds, whoever the URL names', async () => {
  const whoami = statement<{ role: string }>('notes.role', sql`select current_user as role`)
  const database = open({ url: testDatabase.superuserUrl, poolSize: 1 })
  expect(await database.as({ kind: 'maintenance' }).run(whoami())).toEqual([{ role: 'zenith_app' }])
  await database.as(tenant(randomUUID())).run(readNotes())
  expect(await database.as(tenant(randomUUID())).run(readNotes())).toEqual([])
})

test('a statement whose values differ much is planned for them each time, the others are not', async () => {
  const db = open({ poolSize: 1 }).as(await newPrincipal())
  const [once, always] = [findNote('once'), findNote('always')]
  for (let run = 0; run < 8; run++) {
    await db.run(always({ id: randomUUID() }))
    await db.run(once({ id: randomUUID() }))
  }
  expect(await db.run(countPlans())).toEqual([
    { name: 'notes.find_always', once: false },
    { name: 'notes.find_once', once: true },
  ])
})

test('no session reads a whole table where an index leads to the rows', async () => {
  const scans = statement<{ scans: string }>('notes.scans', sql`select current_setting('enable_seqscan') as scans`)
  expect(
    await open({ poolSize: 1 })
      .as(await newPrincipal())
      .run(scans()),
  ).toEqual([{ scans: 'off' }])
})
