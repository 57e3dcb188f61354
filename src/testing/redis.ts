import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'

/** A redis-server of the test's own, without persistence, to be treated badly. */
export interface TestRedis {
  readonly url: string
  /** Ends the process at once; everything in it is gone. */
  kill(): Promise<void>
  /** Starts it on the same port. */
  start(): Promise<void>
  /** The process keeps its sockets and answers nothing. */
  freeze(): void
  thaw(): void
  flush(): Promise<void>
  stop(): Promise<void>
}

/** Starts the `redis-server` of the machine on a free port. */
export async function startTestRedis(): Promise<TestRedis> {
  const directory = await mkdtemp(join(tmpdir(), 'zenith-redis-'))
  const port = await freePort()
  const url = `redis://127.0.0.1:${port}`
  let server: ChildProcess | undefined

  const start = async () => {
    const options = ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', directory]
    server = spawn('redis-server', options, { stdio: 'ignore' })
    const failed = once(server, 'error').then(([error]) => Promise.reject(error))
    await Promise.race([answers(url), failed])
  }
  const kill = async () => {
    if (!server || server.exitCode !== null || server.signalCode !== null) return
    const exited = once(server, 'exit')
    server.kill('SIGKILL')
    await exited
  }
  process.once('exit', () => server?.kill('SIGKILL'))
  await start()
  return {
    url,
    start,
    kill,
    freeze: () => server?.kill('SIGSTOP'),
    thaw: () => server?.kill('SIGCONT'),
    async flush() {
      const client = new Redis(url)
      await client.flushall()
      client.disconnect()
    },
    async stop() {
      await kill()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

async function answers(url: string): Promise<void> {
  for (;;) {
    const client = new Redis(url, { retryStrategy: () => null, lazyConnect: true }).on('error', () => undefined)
    try {
      await client.connect()
      await client.ping()
      return
    } catch {
      await sleep(20)
    } finally {
      client.disconnect()
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
