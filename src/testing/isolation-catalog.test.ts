import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { must, newCustomField, newMerge, newRecord, newSegment, newView, recordKinds } from './access-world.js'
import { contentsOf } from './case.js'
import { type Caller, createHarness, type Harness } from './harness.js'

/** Tables that hold no rows of one tenant alone, and why. */
const SHARED: Record<string, string> = {
  crm_organizations: 'the tenants themselves; their own policy shows the current one',
  crm_users: 'a person belongs to several tenants; its own policy shows members and oneself',
  crm_signing_keys: 'belong to the installation',
}

const recordTables = ['crm_accounts', 'crm_contacts', 'crm_leads', 'crm_opportunities']

/** Foreign keys of tenant tables that leave the tenant, and why. */
const LEAVING: Record<string, string> = {
  'crm_memberships(user_id) -> crm_users': 'the membership is what ties a person to a tenant',
}

let harness: Harness
let mine: Caller
let foreign: Caller
let app: pg.Client
let tables: string[]

beforeAll(async () => {
  harness = await createHarness()
  mine = await harness.newOrganization()
  foreign = await harness.newOrganization()
  for (const owner of [mine, foreign]) {
    await harness.newTeam(owner.organizationId, [owner])
    for (const { collection } of recordKinds) await newRecord(owner, collection)
    await newCustomField(owner, { key: 'tier' })
    await newCustomField(owner, { object: 'contact', key: 'number', type: 'integer', options: [], unique: true })
    await newRecord(owner, '/api/v1/contacts', {
      customFields: { number: 1 },
      externalIds: [
        { system: 'erp', externalId: '1' },
        { system: 'erp', externalId: '2' },
      ],
    })
    await newView(owner, 'accounts')
    const merge = await newMerge(owner, '/api/v1/accounts')
    const loser = await newRecord(owner, '/api/v1/accounts')
    await newRecord(owner, '/api/v1/contacts', { accountId: loser.id })
    await must(owner.post('/api/v1/accounts/merge', { winnerId: merge.winnerId, loserIds: [loser.id] }))
    const { id } = await newSegment(owner, 'segments')
    const member = await newRecord(owner, '/api/v1/accounts')
    await owner.post(`/api/v1/segments/${id}/members`, { add: [member.id] })
    await owner.send('PUT', `/api/v1/accounts/${member.id}/followers/me`)
    await owner.post('/api/v1/invitations', { email: 'grace@example.com', role: 'member' })
    await owner.post('/api/v1/accounts', { name: 'Retried' }, { 'idempotency-key': randomUUID() })
  }
  tables = await tablesWith('organization_id')
  app = new pg.Client({ connectionString: harness.database.appUrl })
  await app.connect()
})

afterAll(async () => {
  await app.end()
  await harness.close()
})

type Row = { row: { organization_id: string; user_id: string; id: string } }

const rowsOf = async (text: string, values: unknown[] = []) =>
  (await harness.sql.query<Record<string, unknown>>(text, values)).rows

async function tablesWith(column: string): Promise<string[]> {
  const rows = await rowsOf(
    `select c.relname as name from pg_class c join pg_attribute a on a.attrelid = c.oid
     where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and a.attname = $1 and not a.attisdropped order by 1`,
    [column],
  )
  return rows.map(({ name }) => String(name))
}

describe('the catalog', () => {
  test('every table belongs to a tenant, or has a reason not to', async () => {
    const all = await rowsOf(
      `select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v', 'm', 'f') order by 1`,
    )
    expect(all.map(({ name }) => name)).toEqual([...tables, ...Object.keys(SHARED)].sort())
  })

  test('row-level security is on, forced and has policies for the role of the application only', async () => {
    const rows = await rowsOf(
      `select c.relname as name, c.relrowsecurity as on, c.relforcerowsecurity as forced,
         array(select distinct r::text from pg_policies p, unnest(p.roles) r where p.tablename = c.relname)::text[] as roles,
         (select bool_and(p.permissive = 'PERMISSIVE' and p.qual like '%current_setting(''app.%' and p.with_check is not null)
            from pg_policies p where p.tablename = c.relname) as claimed
       from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and c.relname <> 'crm_signing_keys'`,
    )
    expect(rows).toHaveLength(tables.length + 2)
    for (const row of rows) expect(row).toMatchObject({ on: true, forced: true, roles: ['zenith_app'], claimed: true })
  })

  test('every primary key begins with the tenant, and every unique key holds it', async () => {
    const rows = await rowsOf(
      `select i.indexrelid::regclass::text as key, i.indisprimary as primary,
         array(select a.attname::text from unnest(i.indkey) with ordinality k(n, at) left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.n order by k.at) as columns
       from pg_index i where i.indisunique and i.indrelid::regclass::text = any($1)`,
      [tables],
    )
    expect(rows.filter(({ primary }) => primary)).toHaveLength(tables.length)
    for (const { key, columns } of rows) expect((columns as string[])[0], String(key)).toBe('organization_id')
  })

  test('no foreign key leaves the tenant', async () => {
    const rows = await rowsOf(
      `select conrelid::regclass::text as from, confrelid::regclass::text as to,
         array(select a.attname::text from unnest(conkey) with ordinality k(n, at) join pg_attribute a on a.attrelid = conrelid and a.attnum = k.n order by at) as columns,
         array(select a.attname::text from unnest(confkey) with ordinality k(n, at) join pg_attribute a on a.attrelid = confrelid and a.attnum = k.n order by at) as targets
       from pg_constraint where contype = 'f' and connamespace = 'public'::regnamespace`,
    )
    expect(rows.length).toBeGreaterThan(10)
    for (const { from, to, columns, targets } of rows as {
      from: string
      to: string
      columns: string[]
      targets: string[]
    }[]) {
      const name = `${from}(${columns.join()}) -> ${to}`
      if (LEAVING[name]) continue
      expect(columns[0], name).toBe('organization_id')
      expect(targets[0], name).toBe(to === 'crm_organizations' ? 'id' : 'organization_id')
    }
  })

  test('the role of the application can do no more than use rows', async () => {
    expect(
      await rowsOf(
        `select rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication,
           exists (select from pg_auth_members m where m.member = r.oid) as member
         from pg_roles r where rolname = 'zenith_app'`,
      ),
    ).toEqual([
      {
        rolsuper: false,
        rolbypassrls: false,
        rolcreaterole: false,
        rolcreatedb: false,
        rolreplication: false,
        member: false,
      },
    ])
    expect(
      await rowsOf(
        `select classid::regclass::text, objid from pg_shdepend
         where refobjid = 'zenith_app'::regrole and deptype = 'o' and dbid in (0, (select oid from pg_database where datname = current_database()))`,
      ),
    ).toEqual([])
    expect(
      await rowsOf(
        `select nspname from pg_namespace where has_schema_privilege('zenith_app', oid, 'create') and nspname !~ '^pg_temp'
         union all select datname from pg_database where datname = current_database() and has_database_privilege('zenith_app', oid, 'create')`,
      ),
    ).toEqual([])
    expect(
      await rowsOf(
        `select c.oid::regclass::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where c.relkind in ('r', 'p') and n.nspname = 'public'
           and has_table_privilege('zenith_app', c.oid, 'truncate, references, trigger')`,
      ),
    ).toEqual([])
  })

  test('functions with the rights of the owner are those of search, and the role of the application may call those that go by its claim', async () => {
    const functions = await rowsOf(
      `select oid::regprocedure::text as name, prosrc as source, has_function_privilege('zenith_app', oid, 'execute') as callable,
         (select setting from unnest(proconfig) setting where setting like 'search_path=%') as path
       from pg_proc where prosecdef and pronamespace in ('public'::regnamespace, 'app'::regnamespace) order by 1`,
    )
    for (const { path } of functions) expect(path).toBe('search_path=pg_catalog, public, pg_temp')
    const callable = functions.filter((each) => each.callable)
    const again = recordTables.map((table) => `app.search_again_${table}(${table})`)
    expect(callable.map(({ name }) => name)).toEqual([
      'app.search(text,text,uuid,uuid[],integer)',
      ...again,
      'app.similar_records(text,text,real,integer)',
    ])
    for (const { name, source } of callable) {
      if (again.includes(String(name))) continue
      // The tenant is that of the claim, and every look at the documents is bound to it.
      expect(source).toContain(`organization uuid := nullif(current_setting('app.organization_id', true), '')::uuid`)
      const looks = String(source).split('FROM app.search_documents').slice(1)
      for (const look of looks) expect(look).toMatch(/^ (\w)\s+WHERE [^;]*?\b\1\.organization_id = organization\b/)
    }
    const triggers = functions.filter((each) => !each.callable).map(({ name }) => name)
    expect(triggers).toEqual(['app.note_searchable()', ...recordTables.map((table) => `app.search_${table}()`)])
  })

  test.each(recordTables)('a document is made anew for a record of the tenant of the claim only: %s', async (table) => {
    const client = await harness.sql.connect()
    const record = `(select r from ${table} r where organization_id = $1 and deleted_at is null limit 1)`
    try {
      for (const [name, value, isMade] of [
        ['organization_id', foreign.organizationId, true],
        ['organization_id', mine.organizationId, false],
        ['organization_id', '', false],
        ['maintenance', 'on', false],
      ] as const) {
        await client.query('begin')
        const { rows } = await client.query(`select to_jsonb(${record}) as row`, [foreign.organizationId])
        await client.query('set local role zenith_app')
        await client.query(`select set_config('app.${name}', $1, true)`, [value])
        await client.query(`select app.search_again_${table}(jsonb_populate_record(null::${table}, $1))`, [
          { ...rows[0].row, name: 'Forged' },
        ])
        await client.query('reset role')
        const documents = await client.query(`select title from app.search_documents where record_id = $1`, [
          rows[0].row.id,
        ])
        expect(documents.rows.map(({ title }) => title === 'forged')).toEqual([isMade])
        await client.query('rollback')
      }
    } finally {
      await client.query('rollback')
      client.release()
    }
  })

  test.each([
    'update crm_events set type = type',
    "update crm_events set changes = '{}'",
    'update crm_events set changes = changes',
    'delete from crm_events',
    'truncate crm_events',
  ])('events stay as they were written: %s', async (text) => {
    await expect(claim({ organization_id: mine.organizationId }, () => app.query(text))).rejects.toThrow(
      'permission denied',
    )
  })

  test.each([
    'select from app.search_documents',
    'select from app.unsearched_keys',
    'delete from app.unsearched_keys',
    'delete from app.search_documents',
    `insert into app.search_documents values (gen_random_uuid(), 'account', gen_random_uuid(), 'x', 'x')`,
    `select app.search_in('crm_accounts', 'account')`,
    'select app.search_records()',
    'select app.tag_records(true)',
    'alter table crm_accounts disable trigger search_insert',
    'alter table crm_accounts disable row level security',
    'drop policy crm_accounts_tenant on crm_accounts',
    'create table public.mine ()',
    'create function app.enter(uuid) returns boolean language sql as $$ select true $$',
    'set role zenith_owner',
    'set session authorization postgres',
    'set row_security = off; select from crm_accounts',
    "copy crm_accounts to program 'cat'",
    'create extension dblink',
  ])('the role of the application may not: %s', async (text) => {
    await expect(claim({ organization_id: mine.organizationId }, () => app.query(text))).rejects.toThrow()
  })
})

type Claims = { organization_id?: string; user_id?: string; email?: string; maintenance?: string }

/** Does something as the role of the application under a claim, and takes it back. */
async function claim<Result>(claims: Claims, act: () => Promise<Result>): Promise<Result> {
  await app.query('begin')
  try {
    for (const [name, value] of Object.entries(claims))
      await app.query(`select set_config('app.${name}', $1, true)`, [value])
    return await act()
  } finally {
    await app.query('rollback')
  }
}

async function seen(table: string): Promise<Row['row'][]> {
  return (await app.query<Row>(`select to_jsonb(t) as row from ${table} t`)).rows.map(({ row }) => row)
}

describe('as the role of the application', () => {
  test('there is something to see in every table', async () => {
    for (const table of [...tables, 'crm_organizations', 'crm_users']) {
      expect((await harness.sql.query(`select from ${table}`)).rowCount, table).toBeGreaterThan(1)
    }
  })

  test('without a claim there is nothing', async () => {
    const claims: Claims[] = [
      {},
      { organization_id: '' },
      { user_id: '', email: '', maintenance: '' },
      { maintenance: 'off' },
    ]
    for (const table of [...tables, 'crm_organizations', 'crm_users']) {
      for (const each of [
        ...claims,
        { organization_id: randomUUID() },
        { user_id: randomUUID() },
        { email: 'nobody@example.com' },
      ]) {
        expect(await claim(each, () => seen(table)), table).toEqual([])
      }
    }
  })

  test('with the claim of a tenant there are its rows, and nothing else can be written', async () => {
    const before = await contentsOf({ harness, owner: foreign })
    const claims = { organization_id: mine.organizationId }
    for (const table of tables) {
      const rows = await claim(claims, () => seen(table))
      expect(new Set(rows.map((row) => row.organization_id)), table).toEqual(new Set([mine.organizationId]))
      const columns = await writable(table)
      const [theirs] = await rowsOf(`select to_jsonb(t) as row from ${table} t where organization_id = $1 limit 1`, [
        foreign.organizationId,
      ])
      const insert = `insert into ${table} (${columns.join()}) select ${columns.join()} from jsonb_populate_record(null::${table}, $1)`
      await expect(
        claim(claims, () => app.query(insert, [JSON.stringify(theirs?.row)])),
        table,
      ).rejects.toThrow('row-level security')
      if (table === 'crm_events') continue
      const changed = await claim(claims, () => app.query(`update ${table} set organization_id = organization_id`))
      expect(changed.rowCount, table).toBe(rows.length)
      await expect(
        claim(claims, () => app.query(`update ${table} set organization_id = $1`, [foreign.organizationId])),
        table,
      ).rejects.toThrow('row-level security')
    }
    expect(await contentsOf({ harness, owner: foreign })).toEqual(before)
  })

  test('nobody joins another tenant by themselves', async () => {
    const join = `insert into crm_memberships (organization_id, user_id, role, status, created_at, updated_at) values ($1, $2, 'owner', 'active', now(), now())`
    for (const claims of [
      { organization_id: mine.organizationId },
      { organization_id: mine.organizationId, user_id: mine.userId },
      { user_id: mine.userId },
      { maintenance: 'on' },
    ]) {
      await expect(claim(claims, () => app.query(join, [foreign.organizationId, mine.userId]))).rejects.toThrow(
        'row-level security',
      )
    }
  })

  test('a person without a tenant reads who they are, and changes no more than themselves and their sessions', async () => {
    const person = await harness.newUser(mine.organizationId, 'member')
    await harness.sql.query(
      `insert into crm_memberships (organization_id, user_id, role, status, created_at, updated_at) values ($1, $2, 'member', 'active', now(), now())`,
      [foreign.organizationId, person.userId],
    )
    await harness.sql.query('delete from crm_sessions where user_id = $1', [person.userId])
    const claims = { user_id: person.userId }
    expect((await claim(claims, () => seen('crm_users'))).map(({ id }) => id)).toEqual([person.userId])
    expect((await claim(claims, () => seen('crm_memberships'))).map((row) => row.user_id)).toEqual([
      person.userId,
      person.userId,
    ])
    for (const table of tables.filter((name) => !['crm_memberships', 'crm_sessions'].includes(name))) {
      expect(await claim(claims, () => seen(table)), table).toEqual([])
    }
    for (const text of [
      `update crm_memberships set role = 'owner'`,
      'update crm_memberships set version = version + 1',
      `update crm_organizations set name = 'taken'`,
      'delete from crm_memberships',
      'delete from crm_organizations',
      'delete from crm_users',
    ]) {
      const result = await claim(claims, () => app.query(text)).then(
        ({ rowCount }) => rowCount,
        () => 0,
      )
      expect(result, text).toBe(0)
    }
  })

  test('maintenance sees what is due, and writes nothing', async () => {
    await harness.sql.query(`update crm_sessions set expires_at = now() - interval '1 hour' where id = $1`, [
      (await harness.newUser(foreign.organizationId, 'member')).sessionId,
    ])
    const claims = { maintenance: 'on' }
    const rows: Record<string, number> = {}
    for (const table of [...tables, 'crm_organizations', 'crm_users'])
      rows[table] = (await claim(claims, () => seen(table))).length
    const { crm_sessions: sessions, crm_invitations: invitations, ...others } = rows
    expect({ sessions, invitations }).toEqual({ sessions: 1, invitations: 2 })
    expect(Object.values(others).every((count) => count === 0)).toBe(true)
    await expect(claim(claims, () => app.query('update crm_invitations set mailed_at = now()'))).rejects.toThrow(
      'row-level security',
    )
    await expect(claim(claims, () => app.query('update crm_sessions set expires_at = expires_at'))).rejects.toThrow(
      'row-level security',
    )
  })
})

/** The columns of a table that are not computed. */
async function writable(table: string): Promise<string[]> {
  const rows = await rowsOf(
    `select quote_ident(attname) as name from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped and attgenerated = ''`,
    [table],
  )
  return rows.map(({ name }) => String(name))
}
