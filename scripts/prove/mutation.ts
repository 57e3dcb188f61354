/** What stops a mutation, in the order in which it meets them. */
export type Stopper = 'codegen' | 'tsc' | 'drift check' | 'lint' | 'test'

/** A change to one file: a text that occurs once, or a match, becomes another; or the whole content does, null for none. */
export type Edit = { file: string; replace: string | RegExp; by: string } | { file: string; content: string | null }

/** One way in which contract and code drift apart. */
export type Mutation = {
  name: string
  stoppedBy: Stopper
  /** Part of the complaint, so that no mutation counts as stopped by something that is not about it. */
  says: string
  edits: readonly Edit[]
  /** The test file that complains, where nothing before it does; those of its tests are run whose name has what the complaint says. */
  test?: string
  /** A part of their names, where what the complaint says is none. */
  named?: string
}

type Make = (name: string, says: string, ...edits: Edit[]) => Mutation

export const codegen: Make = (name, says, ...edits) => ({ name, says, edits, stoppedBy: 'codegen' })
export const tsc: Make = (name, says, ...edits) => ({ name, says, edits, stoppedBy: 'tsc' })
export const drift: Make = (name, says, ...edits) => ({ name, says, edits, stoppedBy: 'drift check' })
export const lint: Make = (name, says, ...edits) => ({ name, says, edits, stoppedBy: 'lint' })
export const test = (file: string, ...[name, says, ...edits]: Parameters<Make>): Mutation => ({
  ...{ name, says, edits, test: file },
  stoppedBy: 'test',
})

export const replace = (file: string, from: string | RegExp, by: string): Edit => ({ file, replace: from, by })
export const write = (file: string, content: string): Edit => ({ file, content })
export const remove = (file: string): Edit => ({ file, content: null })
