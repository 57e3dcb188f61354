/**
 * Work found in the database. The row is the truth: `due` names the rows that still need this job, and the
 * relay puts them into the queue. `wake` only makes it start sooner.
 */
export interface RowJob<Services> {
  readonly name: string
  readonly every?: undefined
  /** Ids of rows that need this job now, oldest first, at most a few hundred: the next sweep finds the rest. */
  readonly due: (services: Services) => Promise<readonly string[]>
  /** Runs at least once per due row, so it checks the row first and makes its effect and "done" one transaction. */
  readonly run: (id: string, services: Services) => Promise<void>
}

/** Work that repeats, in one process at a time. A run lasting longer than `every` skips the turns it overlaps. */
export interface ScheduledJob<Services> {
  readonly name: string
  /** Seconds from one start to the next; a sweep late at most. */
  readonly every: number
  readonly due?: undefined
  readonly run: (id: undefined, services: Services) => Promise<void>
}

export type Job<Services> = RowJob<Services> | ScheduledJob<Services>

/** Declares a job; it runs once its module hands it to `startWorker`. */
export function defineJob<Services>(job: RowJob<Services>): RowJob<Services>
export function defineJob<Services>(job: ScheduledJob<Services>): ScheduledJob<Services>
export function defineJob<Services>(job: Job<Services>): Job<Services> {
  if (!/^[a-z][a-z0-9-]*$/.test(job.name)) throw new Error(`job name must be kebab-case: ${job.name}`)
  return job
}
