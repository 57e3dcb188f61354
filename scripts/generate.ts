import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { bundleContract } from './generate/bundle.js'
import { ContractError } from './generate/document.js'
import { render } from './generate/render.js'

const TARGET = 'generated'
/** What a build of the SDK leaves behind is not ours. */
const FOREIGN = /^sdk\/(?:node_modules|dist)\/|\.tgz$/

/** Writes `generated/` from `openapi/`, or with `--check` only tells what differs. */
async function main(): Promise<void> {
  const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } })
  const files = await render(await bundleContract())
  const stale: string[] = []
  for (const [name, content] of files) {
    const path = join(TARGET, name)
    if ((await readFile(path, 'utf8').catch(() => null)) === content) continue
    stale.push(name)
    if (values.check) continue
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, content)
  }
  for (const name of await filesIn(TARGET)) {
    if (files.has(name) || FOREIGN.test(name)) continue
    stale.push(name)
    if (!values.check) await rm(join(TARGET, name))
  }
  if (!values.check || stale.length === 0) return
  console.error(
    `generated/ does not match openapi/; run "npm run generate":\n${stale.map((name) => `  ${name}`).join('\n')}`,
  )
  process.exitCode = 1
}

async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) =>
      join(entry.parentPath, entry.name)
        .slice(folder.length + 1)
        .replaceAll('\\', '/'),
    )
}

try {
  await main()
} catch (error) {
  if (!(error instanceof ContractError)) throw error
  console.error(error.message)
  process.exitCode = 1
}
