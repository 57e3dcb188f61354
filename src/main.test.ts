import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

type Run = { process: ChildProcess; url: string; output: () => string }

// Whole servers start here, on machines that are busy with other tests.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 60_000 })

let dataDir: string
const runs: ChildProcess[] = []
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'zenith-main-'))
})
afterEach(async () => {
  for (const run of runs.splice(0)) await stop(run, 'SIGKILL')
  await postgresGone()
  await rm(dataDir, { recursive: true, force: true })
})

/** Starts the API as `npm start` does, from the sources. */
async function start(env: Record<string, string> = {}): Promise<Run> {
  const port = env.PORT ?? String(await freePort())
  const child = spawn(process.execPath, ['--import', 'tsx', 'src/main.ts'], {
    env: { PATH: process.env.PATH ?? '', HOME: dataDir, DATA_DIR: dataDir, LOG_LEVEL: 'warn', PORT: port, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  runs.push(child)
  let text = ''
  child.stdout.on('data', (chunk) => {
    text += chunk
  })
  child.stderr.on('data', (chunk) => {
    text += chunk
  })
  return { process: child, url: `http://127.0.0.1:${port}`, output: () => text }
}

async function healthy({ process: child, url, output }: Run): Promise<void> {
  while (child.exitCode === null) {
    if (
      await fetch(`${url}/healthz`).then(
        (reply) => reply.ok,
        () => false,
      )
    )
      return
    await sleep(100)
  }
  throw new Error(`the server ended: ${output()}`)
}

async function stop(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) {
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
  }
  return child.exitCode
}

/** Waits until the embedded server of the data directory has ended, too. */
async function postgresGone(): Promise<void> {
  while (existsSync(join(dataDir, 'postgres', 'cluster', 'postmaster.pid'))) await sleep(50)
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}

async function post(
  url: string,
  body: object,
  token?: string,
): Promise<{ status: number; json: Record<string, string> }> {
  const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) }
  const reply = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
  return { status: reply.status, json: (await reply.json()) as Record<string, string> }
}

const REGISTER = { email: 'ada@example.com', password: 'correct horse battery staple', organizationName: 'N' }

describe('npm start on embedded defaults', () => {
  it('the printed curl lines work as printed, and Ctrl-C leaves no process behind', async () => {
    const run = await start()
    await healthy(run)
    while (!run.output().includes('/accounts')) await sleep(50)
    const lines = run
      .output()
      .split('\n')
      .filter((line) => /^\s+(curl|TOKEN=)/.test(line))
    expect(lines).toHaveLength(3)
    const script = lines.join('\n').replaceAll(/http:\/\/localhost:\d+/g, run.url)
    const { stdout } = await promisify(execFile)('sh', ['-c', script])
    expect(stdout).toContain('"accessToken"')
    expect(stdout).toContain('"name":"Northwind Traders"')
    expect(await stop(run.process, 'SIGINT')).toBe(0)
    expect(existsSync(join(dataDir, 'postgres', 'cluster', 'postmaster.pid'))).toBe(false)
  })

  it('a server killed under load has kept everything that it acknowledged', async () => {
    const run = await start({ RATE_LIMIT_PER_MINUTE: '0' })
    await healthy(run)
    const token = (await post(`${run.url}/api/v1/auth/register`, REGISTER)).json.accessToken ?? ''
    const acknowledged: string[] = []
    const load = async () => {
      for (;;) {
        const reply = await post(`${run.url}/api/v1/accounts`, { name: 'Kept' }, token).catch(() => undefined)
        if (!reply) return
        if (reply.status === 201) acknowledged.push(reply.json.id ?? '')
      }
    }
    const loads = [load(), load(), load(), load()]
    while (acknowledged.length < 200) await sleep(20)
    await stop(run.process, 'SIGKILL')
    await Promise.all(loads)
    await postgresGone()

    const again = await start({ RATE_LIMIT_PER_MINUTE: '0' })
    await healthy(again)
    const { json } = await post(`${again.url}/api/v1/auth/login`, {
      email: REGISTER.email,
      password: REGISTER.password,
    })
    for (const id of acknowledged) {
      const reply = await fetch(`${again.url}/api/v1/accounts/${id}`, {
        headers: { authorization: `Bearer ${json.accessToken}` },
      })
      expect(reply.status).toBe(200)
    }
    expect(await stop(again.process, 'SIGTERM')).toBe(0)
  })

  it('a second start in the same folder, and one on a busy port, end with a sentence that says what to do', async () => {
    const run = await start()
    await healthy(run)
    const same = await start()
    await once(same.process, 'exit')
    expect(same.process.exitCode).toBe(1)
    expect(same.output()).toMatch(/Another Zenith is using DATA_DIR .*set another DATA_DIR/s)

    const other = await mkdtemp(join(tmpdir(), 'zenith-main-other-'))
    const busy = await start({ PORT: new URL(run.url).port, DATA_DIR: other })
    await once(busy.process, 'exit')
    expect(busy.process.exitCode).toBe(1)
    expect(busy.output()).toMatch(/Port \d+ on 127\.0\.0\.1 is in use/)
    await rm(other, { recursive: true, force: true })
  })
})

describe("a server of one's own", () => {
  it('a wrong DATABASE_URL, and production without its settings, end with a sentence that says what to do', async () => {
    const wrong = await start({ DATABASE_URL: 'postgres://zenith_app:no@127.0.0.1:1/zenith' })
    await once(wrong.process, 'exit')
    expect(wrong.process.exitCode).toBe(1)
    expect(wrong.output()).toMatch(/127\.0\.0\.1:1\/zenith refuses the connection.*check DATABASE_URL/)

    const production = await start({ NODE_ENV: 'production', APP_SECRET: 'changeme' })
    await once(production.process, 'exit')
    expect(production.process.exitCode).toBe(1)
    expect(production.output()).toMatch(/DATABASE_URL is required in production[\s\S]*APP_SECRET must/)
    expect(production.output()).not.toContain('changeme')
  })

  it('the worker refuses the embedded database, which one process serves and works on', async () => {
    const child = spawn(process.execPath, ['--import', 'tsx', 'src/worker.ts'], {
      env: { PATH: process.env.PATH ?? '', DATA_DIR: dataDir },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    runs.push(child)
    let text = ''
    child.stderr.on('data', (chunk) => {
      text += chunk
    })
    await once(child, 'exit')
    expect(child.exitCode).toBe(1)
    expect(text).toContain('DATABASE_URL is required')
  })
})
