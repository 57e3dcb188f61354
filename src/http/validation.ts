import type { FastifyRequest } from 'fastify'
import { type OperationId, operations } from '../../generated/operations.js'
import { validators } from '../../generated/validators.js'
import { type Fault, InvalidRequest } from '../problem.js'

type AjvError = { instancePath: string; keyword: string; message?: string; params: Record<string, unknown> }

/** A request part, where faults in it point to, and its validator. */
const PARTS = [
  ['params', '/path'],
  ['query', '/query'],
  ['headers', '/headers'],
  ['body', ''],
] as const

/**
 * Holds a request against the contract with the generated validators.
 * @throws InvalidRequest
 */
export function validate(id: OperationId, request: FastifyRequest): void {
  const { csv, bodyRequired } = operations[id]
  assertDecodable(request.raw.url ?? '')
  for (const name of csv) splitList(request.query as Record<string, unknown>, name)
  const given = { ...(request.query as Record<string, unknown>) }
  for (const [part, prefix] of PARTS) {
    const validator = validators[id][part]
    if (!validator) continue
    if (part === 'body' && request.body === undefined) {
      if (bodyRequired) throw new InvalidRequest({ pointer: '', code: 'required', message: 'must have a body' })
      continue
    }
    if (!validator(request[part])) {
      // What a step of a filter leads to is said by the error below it.
      const errors = ((validator.errors ?? []) as AjvError[]).filter(({ keyword }) => keyword !== 'if')
      throw new InvalidRequest(...errors.map((error) => toFault(error, prefix)))
    }
  }
  assertPlainNumbers(given, request.query as Record<string, unknown>)
}

/** The validator takes every text that JavaScript makes a number of: `0x10`, ` 1`, and `1e400`, which it does not check then. */
function assertPlainNumbers(given: Record<string, unknown>, query: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(query)) {
    if (typeof value === 'number' && name in given && String(value) !== given[name]) {
      throw new InvalidRequest({ pointer: `/query/${name}`, code: 'type', message: 'must be a number in plain digits' })
    }
  }
}

/** Percent-encoding that is not UTF-8, and NUL, which PostgreSQL cannot store. */
function assertDecodable(url: string): void {
  if (!url.includes('%')) return
  try {
    if (!decodeURIComponent(url).includes('\0')) return
  } catch {
    // Falls through to the refusal.
  }
  throw new InvalidRequest({
    pointer: '/query',
    code: 'encoding',
    message: 'must be percent-encoded UTF-8 without NUL',
  })
}

/** `sort=-createdAt,name` is one parameter with a list in it. */
function splitList(query: Record<string, unknown>, name: string): void {
  const value = query[name]
  if (typeof value === 'string') query[name] = value.split(',')
  else if (Array.isArray(value)) {
    throw new InvalidRequest({ pointer: `/query/${name}`, code: 'repeated', message: 'must be given once' })
  }
}

function toFault({ instancePath, keyword, params, message = 'is not valid' }: AjvError, prefix: string): Fault {
  const name = params.additionalProperty ?? params.unevaluatedProperty ?? params.missingProperty ?? params.tag
  const pointer = `${prefix}${instancePath}${typeof name === 'string' ? `/${escapePointer(name)}` : ''}`
  return { pointer: pointer.slice(0, 512), code: snakeCase(keyword), message: message.slice(0, 512) }
}

const escapePointer = (name: string): string =>
  name.replaceAll('~', '~0').replaceAll('/', '~1').replaceAll('\0', '\uFFFD')

const snakeCase = (text: string): string => text.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
