/** Proves the packed SDK from the outside: packs it, installs it into a separate strict project, compiles it and runs it against a real server. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { packageRoot } from '../src/package-root.js'

const START_SECONDS = 120
const STOP_SECONDS = 30

const interrupted = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interrupted.abort(new Error(name)))

const work = await mkdtemp(join(tmpdir(), 'zenith-consumer-'))
const dataDir = join(work, 'data')
const project = join(work, 'project')
const env = {
  PATH: [join(packageRoot, 'node_modules', '.bin'), process.env.PATH].join(delimiter),
  HOME: work,
  npm_config_update_notifier: 'false',
}

/** Runs a command to its end and gives what it printed; a failure carries that, too. */
async function run(cwd: string, command: string, ...args: string[]): Promise<string> {
  const options = { cwd, env, signal: interrupted.signal }
  const { stdout } = await promisify(execFile)(command, args, options).catch((error) => {
    throw new Error([`${command} ${args.join(' ')}: ${error.message}`, error.stdout].join('\n'))
  })
  return stdout
}

/** Packs a copy, so that the package holds a fresh build and the sources stay as they are. */
async function pack(): Promise<string> {
  const source = join(work, 'sdk')
  const stale = new Set(['dist', 'node_modules'])
  await cp(join(packageRoot, 'generated', 'sdk'), source, {
    recursive: true,
    filter: (path) => !stale.has(basename(path)),
  })
  await run(source, 'npm', 'pack', '--pack-destination', work)
  const tarball = (await readdir(work)).find((name) => name.endsWith('.tgz'))
  if (tarball === undefined) throw new Error('npm pack made no tarball')
  return join(work, tarball)
}

async function install(tarball: string): Promise<void> {
  await mkdir(project)
  for (const file of ['package.json', 'tsconfig.json', 'index.ts']) {
    await cp(join(packageRoot, 'scripts', 'consumer', file), join(project, file))
  }
  await run(project, 'npm', 'install', '--offline', '--no-audit', '--no-fund', '--ignore-scripts', tarball)
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}

function startServer(port: number): ChildProcess {
  return spawn(process.execPath, ['--import', 'tsx', 'src/main.ts'], {
    cwd: packageRoot,
    env: { ...env, DATA_DIR: dataDir, PORT: String(port), RATE_LIMIT_PER_MINUTE: '0', LOG_LEVEL: 'warn' },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
}

async function healthy(url: string, server: ChildProcess): Promise<void> {
  const deadline = Date.now() + START_SECONDS * 1000
  while (server.exitCode === null && server.signalCode === null && Date.now() < deadline) {
    const reply = await fetch(`${url}/healthz`).catch(() => undefined)
    if (reply?.ok) return
    await sleep(200, undefined, { signal: interrupted.signal })
  }
  throw new Error('the server did not become healthy')
}

/** Ends the server, and waits until its embedded PostgreSQL has ended, too. */
async function stop(server: ChildProcess): Promise<void> {
  const postmaster = join(dataDir, 'postgres', 'cluster', 'postmaster.pid')
  const running = () => (server.exitCode ?? server.signalCode) === null
  server.kill('SIGTERM')
  for (let waited = 0; running() || existsSync(postmaster); waited += 0.1) {
    if (waited > STOP_SECONDS) {
      server.kill('SIGKILL')
      throw new Error(`the server did not stop within ${STOP_SECONDS} s; its data is in ${dataDir}`)
    }
    await sleep(100)
  }
}

let server: ChildProcess | undefined
try {
  const tarball = await pack()
  console.log(`packed     ${basename(tarball)}`)
  await install(tarball)
  console.log('installed  into an empty project, offline')
  await run(project, 'tsc', '-p', 'tsconfig.json')
  console.log('compiled   strict, declarations of the package included')
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  server = startServer(port)
  await healthy(url, server)
  console.log(`running    against ${url}`)
  process.stdout.write(await run(project, process.execPath, 'dist/index.js', url))
  console.log('The packed SDK works.')
} catch (error) {
  process.exitCode = 1
  console.error(error instanceof Error ? error.message : error)
} finally {
  if (server) await stop(server)
  await rm(work, { recursive: true, force: true })
}
