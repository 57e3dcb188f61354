import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { v7 as uuidv7 } from 'uuid'
import { problem } from '../problem.js'
import { send } from './mount.js'
import { malformed, replyTo, toProblemBody } from './problems.js'

/** Turns every error and every unknown route into a problem. */
export function registerErrors(app: FastifyInstance): void {
  app.setErrorHandler(answer)
  app.setNotFoundHandler((request, reply) => send(request, reply, problem(404, 'not_found')))
}

/** The reply to whatever was thrown. */
export function answer(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const known = replyTo(error)
  if (!known) request.log.error({ err: error }, 'unforeseen error')
  else if (known.status >= 500) request.log.warn({ err: error }, 'unavailable')
  return send(request, reply, known ?? problem(500, 'internal_error'))
}

/** What Node's HTTP parser refuses never becomes a request; it is answered here, as a problem like any other. */
export function answerParserErrors(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const reply =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? problem(431, 'header_fields_too_large')
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? problem(408, 'request_timeout')
        : malformed('malformed_request', 'is not a valid HTTP request')
  const requestId = uuidv7()
  const body = JSON.stringify(toProblemBody(reply, requestId))
  socket.end(
    `HTTP/1.1 ${reply.status} ${STATUS_CODES[reply.status]}\r\ncontent-type: application/problem+json; charset=utf-8\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nx-request-id: ${requestId}\r\nconnection: close\r\n\r\n${body}`,
  )
}
