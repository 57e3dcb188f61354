import { createCompiler } from './compiler.js'
import type { Mutation } from './mutation.js'
import { attempt, type Stop } from './stages.js'
import { createWorkspace } from './workspace.js'

/** What came of a mutation: what stopped it, or why it could not be tried. */
export type Outcome = { stop?: Stop | undefined; error?: string }

/** Tries the mutations that the parent process sends, one at a time, in a copy of the project of its own. */
async function main(): Promise<void> {
  const workspace = await createWorkspace(process.cwd())
  process.once('disconnect', () => void workspace.remove())
  const compiler = createCompiler(workspace.root)
  const [error] = compiler.errors()
  const answer = (outcome: Outcome) => process.send?.(outcome)
  process.on('message', (mutation: Mutation) => {
    attempt(mutation, workspace, compiler).then(
      (stop) => answer({ stop }),
      ({ message }: Error) => answer({ error: message }),
    )
  })
  answer(error === undefined ? {} : { error: `The project itself does not compile: ${error}` })
}

await main()
