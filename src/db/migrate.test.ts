import { createPostgresBackend, type Queue, type Worker, withBackend } from 'bullmq'
import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { StartupError } from '../config.js'
import { createEmptyDatabase, createTestDatabase, type TestDatabase } from '../testing/database.js'
import { withClient } from './client.js'
import { assertSafeAppRole, migrate, schemaIsCurrent } from './migrate.js'

async function query<Row extends pg.QueryResultRow>(url: string, text: string): Promise<Row[]> {
  return withClient(url, async (client) => (await client.query<Row>(text)).rows)
}

describe('migrate', () => {
  let database: TestDatabase
  beforeAll(async () => {
    database = await createEmptyDatabase()
  })
  afterAll(() => database.drop())

  test('of three migrators at once one works and the others find nothing to do', async () => {
    expect(await schemaIsCurrent(database.ownerUrl)).toBe(false)
    expect(await schemaIsCurrent(database.appUrl)).toBe(false)

    const reports = await Promise.all([1, 2, 3].map(() => migrate(database.ownerUrl)))

    const working = reports.filter((applied) => applied.length > 0)
    expect(working).toHaveLength(1)
    expect(working[0]?.[0]).toMatch(/^0000_/)
    expect(await schemaIsCurrent(database.ownerUrl)).toBe(true)
  })

  test('the app role can tell that a migration is pending', async () => {
    expect(await schemaIsCurrent(database.appUrl)).toBe(true)
    const ledger = 'drizzle.__drizzle_migrations'
    const [last] = await query<{ id: number; hash: string; created_at: string }>(
      database.ownerUrl,
      `delete from ${ledger} where id = (select max(id) from ${ledger}) returning *`,
    )
    expect(await schemaIsCurrent(database.appUrl)).toBe(false)
    await query(database.ownerUrl, `insert into ${ledger} values (${last?.id}, '${last?.hash}', ${last?.created_at})`)
    expect(await schemaIsCurrent(database.appUrl)).toBe(true)
  })

  test('a database of a newer release is current', async () => {
    await query(
      database.ownerUrl,
      `insert into drizzle.__drizzle_migrations (hash, created_at) values ('newer', 99999999999999)`,
    )
    expect(await schemaIsCurrent(database.appUrl)).toBe(true)
  })

  test('the app role owns nothing and creates nothing', async () => {
    await assertSafeAppRole(database.appUrl)
    for (const statement of [
      'create table public.t ()',
      'create table bullmq.t ()',
      'create schema s',
      'create temporary table t ()',
      'create role r',
      'set role zenith_owner',
      'delete from drizzle.__drizzle_migrations',
    ]) {
      await expect(query(database.appUrl, statement), statement).rejects.toThrow(/permission denied/)
    }
  })

  test('a server that does not answer is a clear error without the password', async () => {
    const url = 'postgres://zenith_owner:hunter2@127.0.0.1:1/zenith'
    const failure = await migrate(url).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(StartupError)
    expect(String(failure)).toMatch(/127\.0\.0\.1:1\/zenith.*ECONNREFUSED.*DATABASE_URL/)
    expect(String(failure)).not.toContain('hunter2')
  })
})

describe('a migrated database', () => {
  let database: TestDatabase
  beforeAll(async () => {
    database = await createTestDatabase()
  })
  afterAll(() => database.drop())

  test('lets the app role run jobs', async () => {
    const { Queue: PgQueue, Worker: PgWorker } = withBackend(createPostgresBackend)
    const connection = { connectionString: database.appUrl, schema: 'bullmq' }
    const queue: Pick<Queue, 'add' | 'close'> = new PgQueue('migrate-test', { connection })
    const done = new Promise((resolve) => {
      const worker: Pick<Worker, 'close'> = new PgWorker(
        'migrate-test',
        async (job) => {
          setImmediate(async () => {
            await worker.close()
            resolve(job.data)
          })
        },
        { connection },
      )
    })
    await queue.add('greet', { hello: 'world' }, { jobId: 'greet-1' })
    expect(await done).toEqual({ hello: 'world' })
    await queue.close()
  })

  test.each([
    ['SUPERUSER', 'alter role %r superuser', 'is a superuser'],
    ['BYPASSRLS', 'alter role %r bypassrls', 'has BYPASSRLS'],
    ['CREATEROLE', 'alter role %r createrole', 'has CREATEROLE'],
    ['REPLICATION', 'alter role %r replication', 'has REPLICATION'],
    ['the owner as a parent', 'grant zenith_owner to %r', 'is a member of "zenith_owner", which has CREATEROLE, owns'],
    [
      'file access',
      'grant pg_read_server_files to %r',
      'is a member of "pg_read_server_files", which reaches the files',
    ],
    ['a table of its own', 'create table own (); alter table own owner to %r', 'owns tables'],
  ])('%s is refused for the role that serves requests', async (_name, statement, reason) => {
    const role = new URL(database.appUrl).pathname.slice(1)
    await query(database.superuserUrl, `create role ${role} login password 'x' noinherit in role zenith_app`)
    const url = Object.assign(new URL(database.appUrl), { username: role, password: 'x' }).href
    try {
      await query(database.superuserUrl, `grant connect on database ${role} to ${role}`)
      await expect(assertSafeAppRole(url)).resolves.toBeUndefined()
      await query(database.superuserUrl, statement.replaceAll('%r', role))
      await expect(assertSafeAppRole(url)).rejects.toThrow(`DATABASE_URL connects as "${role}", which ${reason}`)
    } finally {
      await query(database.superuserUrl, `drop owned by ${role} cascade`)
      await query(database.superuserUrl, `drop role ${role}`)
    }
  })
})
