import { randomUUID } from 'node:crypto'
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify'
import pg from 'pg'
import { pino } from 'pino'
import { v7 as uuidv7 } from 'uuid'
import type { Role } from '../../generated/operations.js'
import { buildApp } from '../app.js'
import { type Config, loadConfig } from '../config.js'
import type { Database, Executor } from '../db/database.js'
import { createSharedCache } from '../http/snapshot-cache.js'
import { openResources, type Resources } from '../process.js'
import { createTestDatabase, type TestDatabase } from './database.js'
import { type Sighting, watchContract } from './watcher.js'

/** Somebody who is signed in. */
export type Caller = {
  readonly organizationId: string
  readonly userId: string
  readonly sessionId: string
  readonly role: Role
  readonly token: string
  send(
    method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    url: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<LightMyRequestResponse>
  get(url: string, headers?: Record<string, string>): Promise<LightMyRequestResponse>
  post(url: string, body?: unknown, headers?: Record<string, string>): Promise<LightMyRequestResponse>
  /** Sends a merge patch. */
  patch(url: string, body: unknown, headers?: Record<string, string>): Promise<LightMyRequestResponse>
  delete(url: string, headers?: Record<string, string>): Promise<LightMyRequestResponse>
}

export type Harness = {
  readonly app: FastifyInstance
  readonly config: Config
  readonly database: TestDatabase
  readonly resources: Resources
  /** Looks at, or prepares, the database as its superuser: no row-level security. */
  readonly sql: pg.Pool
  /** Everything that was answered so far. */
  readonly sightings: readonly Sighting[]
  /** Sends a request and fails when its reply breaks the contract. */
  send(request: InjectOptions): Promise<LightMyRequestResponse>
  /** A new organization with its pipeline, and its owner. */
  newOrganization(): Promise<Caller>
  /** Another user of the organization, with a session of their own. */
  newUser(organizationId: string, role: Role): Promise<Caller>
  /** A team of the organization with these members. */
  newTeam(organizationId: string, members: readonly Caller[]): Promise<string>
  /** While set, every use of the database by the app fails with it. */
  setDatabaseFault(error: Error | undefined): void
  /** Puts the app's clock forward. */
  advance(milliseconds: number): void
  close(): Promise<void>
}

const SECRET = 'k7Qv2mX9cB4nL8wR5tY1uI6oP3aS0dFg'

/** One application on a database of its own: test files run in parallel. */
export async function createHarness(env: Record<string, string> = {}): Promise<Harness> {
  const database = await createTestDatabase()
  const config = loadConfig({
    NODE_ENV: 'test',
    LOG_LEVEL: 'silent',
    RATE_LIMIT_PER_MINUTE: '0',
    DATABASE_URL: database.appUrl,
    DATABASE_POOL_SIZE: '4',
    ...env,
  })
  const log = pino({ level: config.logLevel })
  let ahead = 0
  let fault: Error | undefined
  const opened = openResources(config, database.appUrl, SECRET, log, 'zenith-test')
  const faulty = withFault(opened.database, () => fault)
  const clock = () => new Date(Date.now() + ahead)
  const resources: Resources = { ...opened, services: { ...opened.services, database: faulty, clock } }
  const sightings: Sighting[] = []
  const violations: string[] = []
  const app = await buildApp({
    services: resources.services,
    keys: resources.keys,
    log,
    metrics: { queries: resources.queries, queueCounts: async () => undefined },
    snapshots: createSharedCache(opened.redis),
    // Test machines are busy; shedding has a test of its own.
    maxEventLoopDelayMs: 0,
    extend: (instance) => watchContract(instance, sightings, violations),
  })
  await app.ready()
  const sql = new pg.Pool({ connectionString: database.superuserUrl, max: 2 })
  sql.on('error', () => undefined)

  const send: Harness['send'] = async (request) => {
    const reply = await app.inject(request)
    if (violations.length > 0) throw new Error(violations.splice(0).join('\n'))
    return reply
  }

  async function signIn(organizationId: string, userId: string, role: Role): Promise<Caller> {
    const sessionId = uuidv7()
    await sql.query(
      `insert into crm_sessions (organization_id, id, user_id, created_at, refreshed_at, expires_at)
       values ($1, $2, $3, now(), now(), now() + interval '1 day')`,
      [organizationId, sessionId, userId],
    )
    const { kid, key } = await resources.keys.signing()
    const token = app.jwt.sign({ userId, organizationId, sessionId }, { key, kid })
    const call: Caller['send'] = (method, url, body, headers = {}) =>
      send({
        method,
        url,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body !== undefined && { payload: JSON.stringify(body) }),
      })
    return {
      organizationId,
      userId,
      sessionId,
      role,
      token,
      send: call,
      get: (url, headers) => call('GET', url, undefined, headers),
      post: (url, body, headers) => call('POST', url, body, headers),
      patch: (url, body, headers) =>
        call('PATCH', url, body, { 'content-type': 'application/merge-patch+json', ...headers }),
      delete: (url, headers) => call('DELETE', url, undefined, headers),
    }
  }

  const newUser: Harness['newUser'] = async (organizationId, role) => {
    const userId = uuidv7()
    await sql.query(
      `insert into crm_users (id, email, password_hash, created_at, updated_at) values ($1, $2, 'none', now(), now())`,
      [userId, `${role}-${randomUUID()}@example.com`],
    )
    await sql.query(
      `insert into crm_memberships (organization_id, user_id, role, status, created_at, updated_at)
       values ($1, $2, $3, 'active', now(), now())`,
      [organizationId, userId, role],
    )
    return signIn(organizationId, userId, role)
  }

  return {
    app,
    config,
    database,
    resources,
    sql,
    sightings,
    send,
    newUser,
    async newOrganization() {
      const organizationId = uuidv7()
      await sql.query(
        `insert into crm_organizations (id, name, created_at, updated_at) values ($1, 'Test', now(), now())`,
        [organizationId],
      )
      await addPipeline(sql, organizationId)
      return newUser(organizationId, 'owner')
    },
    async newTeam(organizationId, members) {
      const id = uuidv7()
      await sql.query(`insert into crm_teams (organization_id, id, name, created_at) values ($1, $2, 'Team', now())`, [
        organizationId,
        id,
      ])
      for (const { userId } of members) {
        await sql.query(`insert into crm_team_members (organization_id, team_id, user_id) values ($1, $2, $3)`, [
          organizationId,
          id,
          userId,
        ])
        // Rights have changed, as whoever will manage teams has to say.
        await sql.query(
          `update crm_memberships set version = version + 1 where organization_id = $1 and user_id = $2`,
          [organizationId, userId],
        )
      }
      return id
    },
    setDatabaseFault(error) {
      fault = error
    },
    advance(milliseconds) {
      ahead += milliseconds
    },
    async close() {
      await app.close()
      await opened.close()
      await sql.end()
      await database.drop()
    },
  }
}

async function addPipeline(sql: pg.Pool, organizationId: string): Promise<void> {
  const pipelineId = uuidv7()
  await sql.query(
    `insert into crm_pipelines (organization_id, id, name, is_default, position) values ($1, $2, 'Sales', true, 0)`,
    [organizationId, pipelineId],
  )
  const stages = [
    ['prospecting', 'open', 10],
    ['won', 'won', 100],
    ['lost', 'lost', 0],
  ] as const
  for (const [position, [key, type, probability]] of stages.entries()) {
    await sql.query(
      `insert into crm_stages (organization_id, pipeline_id, id, key, name, position, type, probability, forecast_category)
       values ($1, $2, $3, $4, $4, $5, $6, $7, 'pipeline')`,
      [organizationId, pipelineId, uuidv7(), key, position, type, probability],
    )
  }
}

function withFault(database: Database, fault: () => Error | undefined): Database {
  const guard = (executor: Executor): Executor => ({
    run: (bound) => refuse() ?? executor.run(bound),
    all: (...bounds) => refuse() ?? executor.all(...bounds),
    transaction: (work) => refuse() ?? executor.transaction(work),
  })
  const refuse = (): Promise<never> | undefined => {
    const error = fault()
    return error && Promise.reject(error)
  }
  return { as: (claim) => guard(database.as(claim)), close: () => database.close() }
}
