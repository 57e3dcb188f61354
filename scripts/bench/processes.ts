import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** Linux counts CPU time in hundredths of a second. */
const MICROSECONDS_PER_TICK = 10_000

async function statOf(pid: number): Promise<string[]> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  // The name of the process is in brackets and may contain anything; the fields behind it start with the third.
  return text === undefined ? [] : ['', '', '', ...text.slice(text.lastIndexOf(')') + 2).split(' ')]
}

const ticks = (stat: string[], ...fields: number[]): number =>
  fields.reduce((sum, field) => sum + Number(stat[field] ?? 0), 0)

/** CPU microseconds of a process, user and system, so far. */
export const cpuOf = async (pid: number): Promise<number> => ticks(await statOf(pid), 14, 15) * MICROSECONDS_PER_TICK

/** CPU microseconds of a process, of its children and of those children that have ended. */
export async function cpuOfFamily(pid: number): Promise<number> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number)
  const stats = await Promise.all(pids.map(statOf))
  const children = stats.filter((stat) => Number(stat[4]) === pid)
  const own = ticks(await statOf(pid), 14, 15, 16, 17)
  return (own + children.reduce((sum, stat) => sum + ticks(stat, 14, 15), 0)) * MICROSECONDS_PER_TICK
}

/** Resident memory of a process in MB: now, and the most that it ever was. */
export async function memoryOf(pid: number): Promise<{ now: number; peak: number }> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8')
  const read = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0) / 1024
  return { now: read('VmRSS'), peak: read('VmHWM') }
}

/** A server that the benchmark runs. */
export type RunningServer = {
  pid: number
  port: number
  /** From spawning the process to its first answer, and the CPU time up to then. */
  start: { milliseconds: number; cpu: number }
  stop(): Promise<void>
}

/** Starts a server on a free port and waits for its first 200 from `GET /healthz`. */
export async function startServer(file: string, env: Record<string, string>, logFile: string): Promise<RunningServer> {
  const port = await freePort()
  const log = openSync(logFile, 'a')
  const started = performance.now()
  const child = spawn(process.execPath, [file], {
    env: { PATH: process.env.PATH, ...env, PORT: String(port) },
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  const ended = once(child, 'exit')
  const url = `http://127.0.0.1:${port}/healthz`
  while (!(await answers(url))) {
    if (child.exitCode !== null) throw new Error(`${file} ended with ${child.exitCode}: see ${logFile}`)
    if (performance.now() - started > 60_000) throw new Error(`${file} does not answer: see ${logFile}`)
    await sleep(2)
  }
  const milliseconds = performance.now() - started
  const pid = child.pid as number
  return {
    pid,
    port,
    start: { milliseconds, cpu: await cpuOf(pid) },
    async stop() {
      child.kill('SIGTERM')
      await ended
    },
  }
}

async function answers(url: string): Promise<boolean> {
  try {
    const reply = await fetch(url, { headers: { connection: 'close' } })
    await reply.arrayBuffer()
    return reply.status === 200
  } catch {
    return false
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}
