import type { FastifyError } from 'fastify'
import { DatabaseUnavailable } from '../db/errors.js'
import { completeProblem, Forbidden, InvalidRequest, type ProblemReply, problem, TooManyRequests } from '../problem.js'

/** A reply before it is put on the wire. */
export type WireReply = { status: number; body?: unknown; headers?: Record<string, string> }

type Problem = ProblemReply<number, string> & { headers?: Record<string, string> }

/** Completes a problem per RFC 9457. */
export const toProblemBody = ({ body }: Pick<Problem, 'body'>, requestId: string): Record<string, unknown> =>
  completeProblem(body, requestId)

export const isProblem = (reply: WireReply): reply is Problem =>
  reply.status >= 400 && typeof reply.body === 'object' && reply.body !== null && 'code' in reply.body

const RETRY_AFTER_SECONDS = '2'

export const unavailable = (): Problem => ({
  ...problem(503, 'service_unavailable'),
  headers: { 'retry-after': RETRY_AFTER_SECONDS },
})

export const methodNotAllowed = (allow: string): Problem => ({
  ...problem(405, 'method_not_allowed'),
  headers: { allow },
})

export const unauthenticated = (): Problem => problem(401, 'unauthenticated')

/** RFC 9110, 15.5.2: every 401 names the scheme, also that of a login. */
export const challenge = { 'www-authenticate': 'Bearer realm="zenith"' }

/** The reply to an error; undefined for what nobody foresaw, which is a 500. */
export function replyTo(error: unknown): Problem | undefined {
  if (error instanceof InvalidRequest) return problem(400, 'invalid_request', { errors: error.errors })
  if (error instanceof Forbidden) return problem(403, 'forbidden')
  if (error instanceof DatabaseUnavailable) return unavailable()
  if (error instanceof TooManyRequests) {
    return { ...problem(429, 'too_many_requests'), headers: { 'retry-after': String(error.retryAfterSeconds) } }
  }
  const { code, statusCode = 500 } = error as Partial<FastifyError>
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return problem(413, 'payload_too_large')
  if (statusCode === 415) return problem(415, 'unsupported_media_type')
  if (statusCode === 503) return unavailable()
  if (statusCode >= 400 && statusCode < 500) return malformed('malformed_request', 'is not a valid HTTP request')
  return undefined
}

export const malformed = (code: string, message: string): Problem =>
  problem(400, 'invalid_request', { errors: [{ pointer: '', code, message }] })
