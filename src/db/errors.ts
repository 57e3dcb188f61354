import postgres from 'postgres'

/** The database cannot be asked right now: it is down, restarting or overloaded. Nothing was acknowledged. */
export class DatabaseUnavailable extends Error {
  override name = 'DatabaseUnavailable'
}

/** The claim that the caller was authenticated with no longer holds: the session has ended or the rights have changed. */
export class StaleClaim extends Error {
  override name = 'StaleClaim'
}

/** The name of the unique constraint that a statement violated, if that is why it failed. */
export function violatedUnique(error: unknown): string | undefined {
  return error instanceof postgres.PostgresError && error.code === '23505' ? error.constraint_name : undefined
}

/** Whether a statement failed because a row would refer to one that is not there. */
export const violatedReference = (error: unknown): boolean =>
  error instanceof postgres.PostgresError && error.code === '23503'

/** Whether a statement failed because PostgreSQL does not know a value that only it can judge, such as the name of a time zone. */
export const invalidParameter = (error: unknown): error is Error =>
  error instanceof postgres.PostgresError && error.code === '22023'

// Class 08 connection exceptions, 53 insufficient resources, 57P0x shutdown and start-up, 55P03 lock timeout,
// 57014 statement timeout, 40001 and 40P01 a transaction that gave way to another one, 25006 a demoted primary; and the driver's
// own codes.
const UNAVAILABLE =
  /^(08|53|57P0|55P03$|57014$|40001$|40P01$|25006$|CONNECT|ECONN|EHOSTUNREACH|ENOTFOUND|EPIPE|ETIMEDOUT)/

/** Turns errors of an absent or overloaded database into `DatabaseUnavailable`; leaves the rest alone. */
export function translate(error: unknown): unknown {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' && UNAVAILABLE.test(code)
    ? new DatabaseUnavailable(`the database is not available (${code})`, { cause: error })
    : error
}
