import { STATUS_CODES } from 'node:http'
import { problemTitles } from '../generated/problems.js'

/** One fault of a request: where it is, what it is called, and a sentence for people. */
export type Fault = { pointer: string; code: string; message: string }

/** A record that stands in the way of a change. */
export type Conflict = { object: string; id: string; matchedOn: string[] }

export type ProblemReply<Status extends number, Code extends string> = {
  status: Status
  body: { status: Status; code: Code; detail?: string; errors?: Fault[]; conflicts?: Conflict[] }
}

/**
 * An error reply per RFC 9457. The literal status and code are held against the contract by the compiler; the HTTP layer adds
 * `type`, `title` and `requestId`.
 */
export function problem<Status extends number, Code extends string>(
  status: Status,
  code: Code,
  more: { detail?: string; errors?: Fault[]; conflicts?: Conflict[] } = {},
): ProblemReply<Status, Code> {
  return { status, body: { status, code, ...more } }
}

/** A problem as it goes over the wire, per RFC 9457. */
export function completeProblem<Body extends { status: number; code: string }>(body: Body, requestId: string) {
  const title = problemTitles[body.code] ?? STATUS_CODES[body.status] ?? 'Error'
  return { type: `urn:zenith:problem:${body.code}`, title, ...body, requestId }
}

/** Thrown where a request turns out not to be valid after its schema was met; answered with 400. */
export class InvalidRequest extends Error {
  override name = 'InvalidRequest'
  readonly errors: Fault[]

  constructor(...errors: Fault[]) {
    super(errors.map((fault) => `${fault.pointer}: ${fault.message}`).join('; '))
    this.errors = errors
  }
}

/** Thrown where the caller may see but not do; answered with 403. */
export class Forbidden extends Error {
  override name = 'Forbidden'
}

/** Thrown where a quota of its own is used up, such as failed logins; answered with 429. */
export class TooManyRequests extends Error {
  override name = 'TooManyRequests'
  readonly retryAfterSeconds: number

  constructor(retryAfterSeconds: number) {
    super('too many requests')
    this.retryAfterSeconds = retryAfterSeconds
  }
}
