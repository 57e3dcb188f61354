import { cp, mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Edit } from './mutation.js'

const CONTENT = [
  ...['openapi', 'generated', 'src', 'scripts', 'migrations'],
  ...['package.json', 'tsconfig.json', 'vitest.config.ts', 'biome.json', 'drizzle.config.ts'],
]

/** A copy of the project in which anything may be broken, and is mended afterwards. */
export type Workspace = {
  readonly root: string
  /** Applies edits; what they replace is kept until `mend`. */
  apply(edits: readonly Edit[]): Promise<void>
  /** Puts everything back. */
  mend(): Promise<void>
  remove(): Promise<void>
}

/** Copies the project, as it is on disk, to a temporary folder; the packages are shared with it. */
export async function createWorkspace(project: string): Promise<Workspace> {
  const root = await realpath(await mkdtemp(join(tmpdir(), 'zenith-prove-')))
  for (const name of CONTENT) await cp(join(project, name), join(root, name), { recursive: true })
  await symlink(join(project, 'node_modules'), join(root, 'node_modules'), 'junction')
  const originals = new Map<string, string | null>()

  return {
    root,
    async apply(edits) {
      for (const edit of edits) {
        const path = join(root, edit.file)
        const before = await readFile(path, 'utf8').catch(() => null)
        const after = 'content' in edit ? edit.content : replaceIn(before, edit)
        if (after === before) continue
        if (!originals.has(path)) originals.set(path, before)
        await put(path, after)
      }
    },
    async mend() {
      for (const [path, content] of originals) await put(path, content)
      originals.clear()
    },
    remove: () => rm(root, { recursive: true, force: true }),
  }
}

function replaceIn(content: string | null, { file, replace, by }: Exclude<Edit, { content: unknown }>): string {
  const isClear = typeof replace !== 'string' || content?.indexOf(replace) === content?.lastIndexOf(replace)
  const after = content?.replace(replace, () => by)
  if (after === undefined || after === content || !isClear) {
    throw new Error(`the mutation does not fit: ${file} must have, once, ${replace}`)
  }
  return after
}

async function put(path: string, content: string | null): Promise<void> {
  if (content === null) return rm(path, { force: true })
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, content)
}
