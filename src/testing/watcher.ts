import { readFileSync } from 'node:fs'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import ajvFormats from 'ajv-formats'
import type { FastifyInstance } from 'fastify'
import { type OperationId, operations } from '../../generated/operations.js'

/** A reply that was seen. */
export type Sighting = { operation: OperationId; status: number; body: unknown; headers: Record<string, unknown> }

type Node = { $ref?: string; [name: string]: unknown }
type Reply = { content?: Record<string, { schema: object }>; headers?: Record<string, Node> }

const contract = JSON.parse(readFileSync(new URL('../../generated/openapi.json', import.meta.url), 'utf8')) as Node
const ajv = new Ajv2020({ strict: false, allErrors: true })
ajvFormats.default(ajv)
ajv.addSchema(contract, 'contract')
const compiled = new Map<string, ValidateFunction>()

/**
 * Holds every reply against the published document: status, media type, body and headers.
 *
 * @param sightings receives every reply of an operation
 * @param violations receives a sentence for each breach
 */
export function watchContract(app: FastifyInstance, sightings: Sighting[], violations: string[]): void {
  app.addHook('onSend', async (request, reply, payload) => {
    const operation = request.routeOptions.config?.operationId
    if (!operation) return payload
    const headers = reply.getHeaders()
    const text = payload === undefined || payload === null ? '' : String(payload)
    const body: unknown = text === '' ? undefined : JSON.parse(text)
    sightings.push({ operation, status: reply.statusCode, body, headers })
    const violation = check(operation, reply.statusCode, body, headers)
    if (violation) violations.push(`${operation} ${reply.statusCode}: ${violation}`)
    return payload
  })
}

function check(
  operation: OperationId,
  status: number,
  body: unknown,
  headers: Record<string, unknown>,
): string | undefined {
  const { path, method } = operations[operation]
  const documented = Object.entries(contract.paths as Record<string, Node>).find(
    ([name]) => path.endsWith(name) && path.length - name.length <= '/api/v1'.length,
  )
  const at = `/paths/${escapePointer(documented?.[0] ?? '')}/${method.toLowerCase()}/responses/${status}`
  const declared = resolve(at)
  if (!declared) return 'the contract does not declare this status'
  const { pointer, node } = declared
  const { content = {}, headers: declaredHeaders = {} } = node as Reply
  const missing = Object.entries(declaredHeaders).find(
    ([name, header]) => isRequired(header) && headers[name.toLowerCase()] === undefined,
  )
  if (missing) return `lacks the header ${missing[0]}`
  const types = Object.keys(content)
  if (types.length === 0) return body === undefined ? undefined : 'has a body, and the contract declares none'
  const type = String(headers['content-type'] ?? '').split(';')[0] ?? ''
  if (!types.includes(type)) return `is ${type || 'without a media type'}, not ${types.join(' or ')}`
  const schema = `contract#${pointer}/content/${escapePointer(type)}/schema`
  const validate = compiled.get(schema) ?? ajv.compile({ $ref: encodeURI(schema) })
  compiled.set(schema, validate)
  return validate(body) ? undefined : ajv.errorsText(validate.errors)
}

/** The node at a pointer, behind its `$ref`s, and its own pointer. */
function resolve(pointer: string): { pointer: string; node: Node } | undefined {
  let node: Node | undefined = contract
  for (const segment of pointer.split('/').slice(1)) {
    node = node?.[segment.replaceAll('~1', '/').replaceAll('~0', '~')] as Node | undefined
  }
  if (node?.$ref) return resolve(node.$ref.slice(1))
  return node && { pointer, node }
}

const isRequired = (header: Node): boolean =>
  (header.$ref ? resolve(header.$ref.slice(1))?.node.required : header.required) === true

const escapePointer = (name: string): string => name.replaceAll('~', '~0').replaceAll('/', '~1')
