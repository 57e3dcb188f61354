import { randomBytes } from 'node:crypto'
import { inject } from 'vitest'
import { withClient } from '../db/client.js'
import { restrictDatabase } from '../db/embedded.js'

/** The PostgreSQL of this test run, made by global-setup.ts. The URLs name one of its databases for each role. */
export interface TestServer {
  readonly superuserUrl: string
  readonly ownerUrl: string
  readonly appUrl: string
  /** A migrated database that only serves to be copied; its name begins the name of every copy. */
  readonly template: string
}

export interface TestDatabase {
  /** As the role that serves requests. */
  readonly appUrl: string
  /** As the role that owns the schema. */
  readonly ownerUrl: string
  readonly superuserUrl: string
  /** Ends its connections and removes it. What a test forgets to drop goes at the end of the run. */
  drop(): Promise<void>
}

/** A fresh database with the schema of this release, for one test or one test file. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const { template } = inject('testServer')
  return createDatabase(`template ${template}`)
}

/** A fresh database that no migration has seen. */
export async function createEmptyDatabase(): Promise<TestDatabase> {
  return createDatabase(`template template0 encoding 'UTF8'`)
}

async function createDatabase(source: string): Promise<TestDatabase> {
  const server = inject('testServer')
  const name = `${server.template}_${randomBytes(6).toString('hex')}`
  await withClient(server.superuserUrl, async (client) => {
    await client.query(`create database ${name} owner zenith_owner ${source}`)
    await restrictDatabase(client, name)
  })
  return {
    appUrl: withDatabase(server.appUrl, name),
    ownerUrl: withDatabase(server.ownerUrl, name),
    superuserUrl: withDatabase(server.superuserUrl, name),
    async drop() {
      await withClient(server.superuserUrl, (client) => client.query(`drop database if exists ${name} with (force)`))
    },
  }
}

/** The same server and role, another database. */
export function withDatabase(url: string, name: string): string {
  return Object.assign(new URL(url), { pathname: `/${name}` }).href
}
