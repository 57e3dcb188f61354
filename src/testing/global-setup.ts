import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestProject } from 'vitest/node'
import { withClient } from '../db/client.js'
import { createRoles, restrictDatabase, startEmbeddedPostgres } from '../db/embedded.js'
import { removeAbandoned } from '../db/embedded-binaries.js'
import { migrate } from '../db/migrate.js'
import { type TestServer, withDatabase } from './database.js'

declare module 'vitest' {
  export interface ProvidedContext {
    testServer: TestServer
  }
}

type RoleUrls = Pick<TestServer, 'superuserUrl' | 'ownerUrl' | 'appUrl'>

/**
 * Gives the tests one PostgreSQL with a migrated template database: the embedded one, or a throw-away server of
 * another release whose superuser TEST_DATABASE_URL names.
 */
export default async function setup({ provide }: TestProject): Promise<() => Promise<void>> {
  const { urls, stop } = process.env.TEST_DATABASE_URL
    ? await useServer(process.env.TEST_DATABASE_URL)
    : await startServer()
  const template = `zenith_test_${randomBytes(4).toString('hex')}`
  const teardown = async () => {
    try {
      await dropDatabases(urls.superuserUrl, template)
    } finally {
      await stop()
    }
  }
  try {
    await withClient(urls.superuserUrl, async (client) => {
      await client.query(`create database ${template} owner zenith_owner template template0 encoding 'UTF8'`)
      await restrictDatabase(client, template)
    })
    await migrate(withDatabase(urls.ownerUrl, template))
    // Nobody may be connected to a database that is being cloned.
    await withClient(urls.superuserUrl, (client) => client.query(`alter database ${template} allow_connections false`))
    provide('testServer', { ...urls, template })
  } catch (error) {
    await teardown()
    throw error
  }
  return teardown
}

async function startServer(): Promise<{ urls: RoleUrls; stop: () => Promise<void> }> {
  await removeAbandoned(tmpdir(), 'zenith-test-')
  const dataDir = await mkdtemp(join(tmpdir(), `zenith-test-${process.pid}-`))
  const remove = () => rm(dataDir, { recursive: true, force: true })
  try {
    const server = await startEmbeddedPostgres({ dataDir, log: () => undefined, fast: true })
    const stop = async () => {
      await server.stop()
      await remove()
    }
    const { superuserUrl, ownerUrl, appUrl } = server
    return { urls: { superuserUrl, ownerUrl, appUrl }, stop }
  } catch (error) {
    await remove()
    throw error
  }
}

async function useServer(superuserUrl: string): Promise<{ urls: RoleUrls; stop: () => Promise<void> }> {
  const password = 'zenith-test'
  await withClient(superuserUrl, async (client) => {
    await createRoles(client, { owner: password, app: password })
    await client.query(`alter role zenith_owner password '${password}'; alter role zenith_app password '${password}'`)
  })
  const as = (role: string) => Object.assign(new URL(superuserUrl), { username: role, password }).href
  // The roles stay: they belong to the whole server, where other test runs may be under way.
  return {
    urls: { superuserUrl, ownerUrl: as('zenith_owner'), appUrl: as('zenith_app') },
    stop: async () => undefined,
  }
}

async function dropDatabases(superuserUrl: string, template: string): Promise<void> {
  await withClient(superuserUrl, async (client) => {
    const { rows } = await client.query<{ datname: string }>(
      'select datname from pg_database where starts_with(datname, $1)',
      [template],
    )
    for (const { datname } of rows) await client.query(`drop database ${datname} with (force)`)
  })
}
