import { randomUUID } from 'node:crypto'
import type { LightMyRequestResponse } from 'fastify'
import { expect } from 'vitest'
import { operations } from '../../generated/operations.js'
import type { components } from '../../generated/types.js'
import type { Caller, Harness } from './harness.js'

/** What a case starts from: an application, a fresh organization, and its owner. */
export type World = { harness: Harness; owner: Caller }

/** An organization, whoever asks. */
export type Tenant = { harness: Harness; owner: Pick<Caller, 'organizationId'> }

export type Reply = LightMyRequestResponse

/** Brings one operation to one status, asserts what that must have done, and answers with the reply. */
export type Case = (world: World) => Promise<Reply>

/** A row in JSON: column names as they are, instants and dates as text. */
export type Row = Record<string, unknown>

/** Looks into the database. The query calls the table `t`: `rowsOf(world, 'crm_accounts t where id = $1', id)`. */
export async function rowsOf({ harness }: World, from: string, ...values: unknown[]): Promise<Row[]> {
  const { rows } = await harness.sql.query<{ row: Row }>(`select to_jsonb(t) as row from ${from}`, values)
  return rows.map(({ row }) => row)
}

/** What the events of a record tell, the oldest first. */
export const eventsOf = (world: World, recordId: unknown): Promise<Row[]> =>
  rowsOf(world, 'crm_events t where record_id = $1 order by version, id', recordId)

/** Every row of the organization, in whatever table, and of its people. */
export async function contentsOf({ harness: { sql }, owner }: Tenant): Promise<unknown[]> {
  contents ??= await compileContents(sql)
  const { rows } = await sql.query(contents, [owner.organizationId])
  return rows
}

let contents: string | undefined

async function compileContents(sql: Harness['sql']): Promise<string> {
  const { rows: tables } = await sql.query<{ name: string }>(
    `select table_name as name from information_schema.columns
     where table_schema = 'public' and column_name = 'organization_id' order by 1`,
  )
  const parts = [
    ...tables.map(
      ({ name }) => `select '${name}' as name, to_jsonb(t) as row from ${name} t where organization_id = $1`,
    ),
    `select 'search_documents', to_jsonb(t) from app.search_documents t where organization_id = $1`,
    `select 'crm_organizations', to_jsonb(t) from crm_organizations t where id = $1`,
    `select 'crm_users', to_jsonb(t) from crm_users t where id in (select user_id from crm_memberships where organization_id = $1)`,
  ]
  return `${parts.join(' union all ')} order by 1, 2`
}

/** Does something that must leave the organization as it is. */
export async function unchanged<Result>(tenant: Tenant, act: () => Promise<Result>): Promise<Result> {
  const before = await contentsOf(tenant)
  const result = await act()
  expect(await contentsOf(tenant)).toEqual(before)
  return result
}

/** Sends a request that must be refused with this problem, and must leave everything as it is. */
export async function refused(tenant: Tenant, code: string, send: () => Promise<Reply>): Promise<Reply> {
  const reply = await unchanged(tenant, send)
  expectProblem(reply, code)
  return reply
}

/** Makes sure that a reply is this problem, per RFC 9457, with nothing of a success about it. */
export function expectProblem(reply: Reply, code: string): void {
  expect(reply.json()).toMatchObject({
    type: `urn:zenith:problem:${code}`,
    status: reply.statusCode,
    code,
    requestId: reply.headers['x-request-id'],
  })
  expect(reply.headers).toMatchObject({
    'content-type': 'application/problem+json; charset=utf-8',
    'cache-control': 'no-store',
  })
  for (const name of ['etag', 'location', 'link', 'idempotency-replayed'])
    expect(reply.headers).not.toHaveProperty(name)
}

/** Makes sure that a reply is this part of a record, or a page of such parts, and says that it is not the whole. */
export function expectPart(reply: Reply, part: object): void {
  expect(reply.statusCode, reply.payload).toBe(200)
  expect(reply.headers['content-type']).toBe('application/vnd.zenith.partial+json; charset=utf-8')
  expect(reply.json()).toEqual(part)
}

export const PASSWORD = 'correct horse battery staple'

/** Registers somebody with an address that nobody has and `PASSWORD`, in an organization of their own. */
export async function signUp({
  harness,
}: World): Promise<{ email: string; session: components['schemas']['Session'] }> {
  const email = `ada-${randomUUID()}@example.com`
  const payload = { email, password: PASSWORD, organizationName: 'Northwind Sales' }
  const reply = await harness.send({ method: 'POST', url: operations.register.path, payload })
  expect(reply.statusCode).toBe(201)
  return { email, session: reply.json() }
}
