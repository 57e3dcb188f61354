import { parseArgs } from 'node:util'
import { codeMutations } from './prove/code.js'
import { createCompiler } from './prove/compiler.js'
import { contractMutations } from './prove/contract.js'
import type { Mutation } from './prove/mutation.js'
import { attempt, type Stop } from './prove/stages.js'
import { createWorkspace } from './prove/workspace.js'

/**
 * Breaks the project in every way that we know of, one at a time, in a copy, and fails unless each is stopped by what should
 * stop it. `--only <text>` takes the mutations whose name has the text.
 */
async function main(): Promise<void> {
  const { values } = parseArgs({ options: { only: { type: 'string', default: '' } } })
  const mutations = [...contractMutations, ...codeMutations].filter(({ name }) => name.includes(values.only))
  const workspace = await createWorkspace(process.cwd())
  try {
    const compiler = createCompiler(workspace.root)
    const baseline = [...compiler.errors()]
    if (baseline.length > 0) {
      console.error(`The project itself does not compile:\n${baseline.join('\n')}`)
      process.exitCode = 1
      return
    }
    const counts = new Map<string, number>()
    let failed = false
    for (const [index, mutation] of mutations.entries()) {
      const outcome = await attempt(mutation, workspace, compiler).catch((error: Error) => error)
      const fault = faultOf(mutation, outcome)
      failed ||= fault !== undefined
      const by = fault ? 'NOT PROVEN' : mutation.stoppedBy
      counts.set(by, (counts.get(by) ?? 0) + 1)
      console.log(row(index + 1, mutation.name, by, fault ?? outcome?.message ?? ''))
    }
    console.log(`\n${mutations.length} mutations: ${[...counts].map(([by, count]) => `${count} ${by}`).join(', ')}`)
    if (failed) process.exitCode = 1
  } finally {
    await workspace.remove()
  }
}

function faultOf({ stoppedBy, says }: Mutation, stop: Stop | Error | undefined): string | undefined {
  if (stop instanceof Error) return stop.message
  if (!stop) return `survives; ${stoppedBy} should have stopped it`
  if (stop.by !== stoppedBy) return `stopped by ${stop.by}, not by ${stoppedBy}: ${stop.message}`
  return stop.message.includes(says) ? undefined : `no word of "${says}": ${stop.message}`
}

function row(number: number, name: string, by: string, message: string): string {
  const text = message.length > 130 ? `${message.slice(0, 129)}…` : message
  return `${String(number).padStart(3)}  ${name.padEnd(66)}  ${by.padEnd(11)}  ${text}`
}

await main()
