import type { ProblemCode } from './operations.js'
import type { components } from './types.js'

/** The body of an error reply, per RFC 9457. */
export type Problem = components['schemas']['Problem']

/** A reply of 400 or above. Act on `code`; the texts may change. */
export class ZenithProblem extends Error {
  override readonly name = 'ZenithProblem'
  readonly status: number
  /** A code of the contract; `unknown` when something in between answered, such as a proxy. */
  readonly code: ProblemCode | 'unknown' | (string & Record<never, never>)
  /** The body, when it is a problem of this API. */
  readonly problem: Problem | undefined
  readonly response: Response

  constructor(response: Response, problem: Problem | undefined) {
    super(problem ? `${problem.title} (${problem.code})` : `The server answered ${response.status}`)
    this.status = response.status
    this.code = problem?.code ?? 'unknown'
    this.problem = problem
    this.response = response
  }

  /** What is wrong where, for a request that was not valid. */
  get errors(): NonNullable<Problem['errors']> {
    return this.problem?.errors ?? []
  }

  /** The records that stand in the way. */
  get conflicts(): NonNullable<Problem['conflicts']> {
    return this.problem?.conflicts ?? []
  }

  /** Quote it when you report a problem. */
  get requestId(): string | undefined {
    return this.problem?.requestId ?? this.response.headers.get('x-request-id') ?? undefined
  }

  /** @internal */
  static async from(response: Response): Promise<ZenithProblem> {
    const isProblem = response.headers.get('content-type')?.startsWith('application/problem+json')
    const body: unknown = isProblem ? await response.json().catch(() => undefined) : undefined
    return new ZenithProblem(response, body as Problem | undefined)
  }
}
