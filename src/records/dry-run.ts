import type { Executor } from '../db/database.js'

/** Carries the result of a dry run out of the transaction that it undoes. */
class DryRun<Result> extends Error {
  readonly result: Result

  constructor(result: Result) {
    super('dry run')
    this.result = result
  }
}

/** Does something in a transaction; for a dry run does it all, answers with the result, and undoes it. */
export async function tentatively<Result>(
  db: Executor,
  dryRun: boolean,
  work: (tx: Executor) => Promise<Result>,
): Promise<Result> {
  try {
    return await db.transaction(async (tx) => {
      const result = await work(tx)
      if (dryRun) throw new DryRun(result)
      return result
    })
  } catch (error) {
    if (error instanceof DryRun) return error.result as Result
    throw error
  }
}
