import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { codeMutations } from './prove/code.js'
import { contractMutations } from './prove/contract.js'
import type { Mutation } from './prove/mutation.js'
import { failedTests } from './prove/stages.js'
import type { Outcome } from './prove/worker.js'

const WORKER = join(import.meta.dirname, 'prove/worker.ts')

/**
 * Breaks the project in every way that we know of, one at a time, in copies, and fails unless each is stopped by what should
 * stop it. `--only <text>` takes the mutations whose name has the text, `--workers <number>` says how many are tried at once.
 */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', default: '' },
      workers: { type: 'string', default: String(Math.min(availableParallelism(), 4)) },
    },
  })
  const mutations = [...contractMutations, ...codeMutations].filter(({ name }) => name.includes(values.only))
  const counts = new Map<string, number>()
  const waiting = mutations.entries()
  const work = async () => {
    const worker = fork(WORKER, { serialization: 'advanced' })
    try {
      const { error } = await reply(worker)
      if (error) throw new Error(error)
      for (const [index, mutation] of waiting) {
        worker.send(mutation)
        const outcome = await reply(worker)
        const fault = faultOf(mutation, outcome)
        if (fault) process.exitCode = 1
        const by = fault ? 'NOT PROVEN' : mutation.stoppedBy
        counts.set(by, (counts.get(by) ?? 0) + 1)
        console.log(row(index + 1, mutation.name, by, fault ?? outcome.stop?.message ?? ''))
      }
    } finally {
      if (worker.connected) worker.disconnect()
    }
  }
  const length = Math.min(Number(values.workers), mutations.length)
  await Promise.all(Array.from({ length }, work))
  // A test that fails without the others of its file says nothing.
  const [unfounded] = await failedTests(process.cwd(), mutations)
  if (unfounded) throw new Error(`Without any mutation fails: ${unfounded}`)
  console.log(`\n${mutations.length} mutations: ${[...counts].map(([by, count]) => `${count} ${by}`).join(', ')}`)
}

/** What a worker says next. */
async function reply(worker: ChildProcess): Promise<Outcome> {
  const gone = new AbortController()
  const exited = () => gone.abort(new Error('a worker ended before it was done'))
  worker.once('exit', exited)
  try {
    const [outcome] = (await once(worker, 'message', { signal: gone.signal })) as [Outcome]
    return outcome
  } finally {
    worker.off('exit', exited)
  }
}

function faultOf({ stoppedBy, says }: Mutation, { stop, error }: Outcome): string | undefined {
  if (error) return error
  if (!stop) return `survives; ${stoppedBy} should have stopped it`
  if (stop.by !== stoppedBy) return `stopped by ${stop.by}, not by ${stoppedBy}: ${stop.message}`
  return stop.message.includes(says) ? undefined : `no word of "${says}": ${stop.message}`
}

function row(number: number, name: string, by: string, message: string): string {
  const text = message.length > 130 ? `${message.slice(0, 129)}…` : message
  return `${String(number).padStart(3)}  ${name.padEnd(66)}  ${by.padEnd(11)}  ${text}`
}

await main()
