import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify, stripVTControlCharacters } from 'node:util'
import { bundleContract } from '../generate/bundle.js'
import { render } from '../generate/render.js'
import type { Compiler } from './compiler.js'
import type { Edit, Mutation, Stopper } from './mutation.js'
import type { Workspace } from './workspace.js'

/** What stopped a mutation, and what it said about it. */
export type Stop = { by: Stopper; message: string }

/** Applies a mutation and takes it through the build as a developer would; undefined when nothing complains. */
export async function attempt(mutation: Mutation, workspace: Workspace, compiler: Compiler): Promise<Stop | undefined> {
  try {
    await workspace.apply(mutation.edits)
    if (mutation.stoppedBy === 'drift check') return await checkDrift(mutation, workspace)
    return (
      (await generate(mutation, workspace)) ??
      compile(mutation, compiler) ??
      (await lint(mutation, workspace)) ??
      (await runTest(mutation, workspace))
    )
  } finally {
    await workspace.mend()
  }
}

const isContract = ({ edits }: Mutation): boolean => edits.some(({ file }) => file.startsWith('openapi/'))

async function generate(mutation: Mutation, workspace: Workspace): Promise<Stop | undefined> {
  if (!isContract(mutation)) return undefined
  try {
    const files = await render(await bundleContract(join(workspace.root, 'openapi/openapi.yaml')))
    await workspace.apply([...files].map(([name, content]): Edit => ({ file: `generated/${name}`, content })))
    return undefined
  } catch (error) {
    return complaint('codegen', mutation, (error as Error).message.split('\n'))
  }
}

function compile(mutation: Mutation, compiler: Compiler): Stop | undefined {
  return complaint('tsc', mutation, compiler.errors(mutation.says))
}

/** The generated files are stale, or were edited by hand. */
async function checkDrift(mutation: Mutation, { root }: Workspace): Promise<Stop | undefined> {
  const output = await failureOf(root, 'tsx', 'scripts/generate.ts', '--check')
  return complaint('drift check', mutation, output)
}

async function lint(mutation: Mutation, { root }: Workspace): Promise<Stop | undefined> {
  if (mutation.stoppedBy !== 'lint') return undefined
  const files = mutation.edits.map(({ file }) => file)
  const output = await failureOf(root, 'biome', 'lint', '--colors=off', '--diagnostic-level=error', ...files)
  return complaint('lint', mutation, output)
}

async function runTest(mutation: Mutation, { root }: Workspace): Promise<Stop | undefined> {
  const failed = mutation.test ? await failedTests(root, [mutation]) : []
  return complaint('test', mutation, failed)
}

/** What fails of the tests that the mutations name. Where no test has such a name none fails, and the mutation survives. */
export async function failedTests(root: string, mutations: readonly Mutation[]): Promise<string[]> {
  const files = new Set(mutations.flatMap(({ test = [] }) => test))
  const names = new Set(mutations.filter(({ test }) => test).map(({ says, named = says }) => named))
  if (files.size === 0) return []
  const output = await failureOf(root, 'vitest', 'run', '--no-color', ...files, '-t', [...names].join('|'))
  return output.filter((line) => /^\s*(?:×|FAIL|\w*Error:)/.test(line))
}

/** The line that is about the mutation; when there is none, the first one. */
function complaint(by: Stopper, { says }: Mutation, lines: Iterable<string>): Stop | undefined {
  let first: string | undefined
  for (const line of lines) {
    const message = line.replaceAll('━', '').trim()
    if (message.includes(says)) return { by, message }
    if (message !== '') first ??= message
  }
  return first === undefined ? undefined : { by, message: first }
}

/** What a command of the project wrote when it failed; nothing when it succeeded. */
async function failureOf(cwd: string, command: string, ...args: string[]): Promise<string[]> {
  try {
    await promisify(execFile)(join(cwd, 'node_modules/.bin', command), args, { cwd, maxBuffer: 64 * 1024 * 1024 })
    return []
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
    return stripVTControlCharacters(`${stdout}\n${stderr}`).split('\n')
  }
}
