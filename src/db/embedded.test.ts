import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, unlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { withClient } from './client.js'
import { startEmbeddedPostgres } from './embedded.js'
import { exists, isAlive, packagedBinaries, prepareBinaries, serverUser } from './embedded-binaries.js'

let folder: string
let dataDir: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zenith-embedded-'))
  dataDir = join(folder, 'data')
})
afterAll(() => rm(folder, { recursive: true }))

const start = (dir = dataDir) => startEmbeddedPostgres({ dataDir: dir, log: () => undefined, fast: true })
const lockFile = () => join(dataDir, 'postgres', 'cluster', 'postmaster.pid')
const postmaster = async () => Number((await readFile(lockFile(), 'utf8')).split('\n')[0])

async function rows(url: string, text: string): Promise<unknown[]> {
  return withClient(url, async (client) => (await client.query({ text, rowMode: 'array' })).rows)
}

describe('startEmbeddedPostgres', () => {
  test('an interrupted first start is cleaned up and repeated, in private folders', async () => {
    const leftover = join(dataDir, 'postgres.new-999999999-abc')
    await mkdir(join(leftover, 'cluster', 'base'), { recursive: true })

    const server = await start()
    await rows(server.ownerUrl, 'create table kept (x int); grant select on kept to zenith_app')
    await server.stop()

    expect(await readdir(dataDir)).toEqual(['postgres'])
    for (const file of ['cluster', 'credentials.json', 'server.log']) {
      expect((await stat(join(dataDir, 'postgres', file))).mode & 0o077, file).toBe(0)
    }
  })

  test('the next start has the same data, port and passwords; the roles have no more rights than needed', async () => {
    const first = await start()
    await first.stop()
    const server = await start()
    expect({ ...server, stop: undefined }).toEqual({ ...first, stop: undefined })
    expect(server.port).toBeLessThan(32_768)

    expect(await rows(server.appUrl, 'select count(*)::int from kept')).toEqual([[0]])
    await expect(rows(server.appUrl, 'create table t ()')).rejects.toThrow(/permission denied/)
    await expect(rows(server.appUrl.replace(/:[^:@]*@/, ':wrong@'), 'select 1')).rejects.toThrow(/password/)
    const roles = await rows(
      server.superuserUrl,
      `select rolname, rolsuper, rolbypassrls, rolcreaterole, rolinherit from pg_roles where rolname ~ '^zenith_' order by 1`,
    )
    expect(roles).toEqual([
      ['zenith_app', false, false, false, false],
      ['zenith_owner', false, false, true, true],
    ])
    expect(
      await rows(
        server.superuserUrl,
        `select pg_encoding_to_char(encoding), datlocprovider, datlocale, r.rolname from pg_database d join pg_roles r on r.oid = datdba where datname = 'zenith'`,
      ),
    ).toEqual([['UTF8', 'b', 'C.UTF-8', 'zenith_owner']])
    await server.stop()
    await server.stop()
    expect(await exists(lockFile())).toBe(false)
  })

  test('a second instance on the same data is refused and leaves the first alone', async () => {
    const server = await start()
    await expect(start()).rejects.toThrow(/Another Zenith is using DATA_DIR .* set another DATA_DIR/)
    expect(await rows(server.appUrl, 'select 1')).toEqual([[1]])
    await server.stop()
  })

  test('of two instances that start together one wins', async () => {
    const results = await Promise.allSettled([start(), start()])
    const servers = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
    const reasons = results.flatMap((result) => (result.status === 'rejected' ? [String(result.reason)] : []))
    try {
      expect(reasons).toEqual([expect.stringMatching(/Another Zenith is using DATA_DIR/)])
      expect(await rows(servers[0]?.appUrl ?? '', 'select 1')).toEqual([[1]])
    } finally {
      for (const server of servers) await server.stop()
    }
  })

  test('a lock file left by a crash does not matter, even when its process id is in use again', async () => {
    const lockOf = (pid: number) => `${pid}\n/proc/self/cwd\n1\n20000\n\n127.0.0.1\n1 1\nready   \n`
    for (const lock of [lockOf(999_999_999), lockOf(process.pid), '']) {
      await writeFile(lockFile(), lock)
      const server = await start()
      expect(await rows(server.appUrl, 'select 1')).toEqual([[1]])
      await server.stop()
    }
  })

  test('a taken port is replaced by another', async () => {
    const before = Number(await readFile(join(dataDir, 'postgres', 'port'), 'utf8'))
    const other = createServer().listen(before, '127.0.0.1')
    await once(other, 'listening')
    const server = await start()
    expect(server.port).not.toBe(before)
    expect(await rows(server.appUrl, 'select 1')).toEqual([[1]])
    await server.stop()
    other.close()
  })

  test('when its owner is killed the server shuts down, and the next start waits for that', async () => {
    const script = `
      import { startEmbeddedPostgres } from ${JSON.stringify(join(import.meta.dirname, 'embedded.ts'))}
      await startEmbeddedPostgres({ dataDir: ${JSON.stringify(dataDir)}, log: () => undefined, fast: true })
      console.log('started')`
    const owner = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(owner.stdout, 'data')
    const orphan = await postmaster()
    owner.kill('SIGKILL')

    const server = await start()
    expect(await postmaster()).not.toBe(orphan)
    expect(await rows(server.appUrl, 'select count(*)::int from kept')).toEqual([[0]])
    await server.stop()
    expect(isAlive(orphan)).toBe(false)
  })

  test('a server that crashes is told in the log', async () => {
    const messages: string[] = []
    const server = await startEmbeddedPostgres({ dataDir, log: (message) => messages.push(message), fast: true })
    process.kill(await postmaster(), 'SIGQUIT')
    while (messages.length === 0) await sleep(10)
    expect(messages).toEqual([expect.stringMatching(/stopped unexpectedly: see .*server\.log/)])
    await server.stop()
  })

  test('an unreadable or foreign data folder is a clear error', async () => {
    const file = join(folder, 'file')
    await writeFile(file, '')
    await expect(start(file)).rejects.toThrow(/DATA_DIR .*file is not a folder that this user can write/)
    await mkdir(join(folder, 'foreign', 'postgres', 'cluster'), { recursive: true })
    await expect(start(join(folder, 'foreign'))).rejects.toThrow(/credentials\.json cannot be read: .* DATA_DIR/)
  })
})

describe('prepareBinaries', () => {
  test('works after `npm ci --ignore-scripts`, in a folder that the server user cannot enter', async () => {
    const native = join(folder, 'package', 'native')
    await cp(packagedBinaries(), native, { recursive: true, verbatimSymlinks: true })
    const links = JSON.parse(await readFile(join(native, 'pg-symlinks.json'), 'utf8')) as { target: string }[]
    for (const { target } of links) await unlink(join(native, '..', target))

    const user = await serverUser(join(folder, 'none'))
    const binaries = await prepareBinaries(native, user)
    expect(binaries.bin.startsWith(native)).toBe(user === undefined)
    await binaries.remove()
    expect(await exists(join(binaries.bin, 'postgres'))).toBe(user === undefined)
    for (const { target } of links) expect(await exists(join(native, '..', target)), target).toBe(true)
  })
})
