import { permissionOf } from './complete.js'
import {
  ContractError,
  type Document,
  isJson,
  isRef,
  type Located,
  operationsOf,
  type Parameter,
  problemOf,
  type Reply,
  type RequestBody,
  resolve,
  rewrite,
  type Schema,
} from './document.js'

/** On which records a permission holds. */
export const LEVELS: readonly string[] = ['own', 'team', 'all']
const IGNORED_HEADERS: readonly string[] = ['accept', 'content-type', 'authorization']
const REPLY_TYPES: readonly string[] = ['application/json', 'application/problem+json']
const WITHOUT_BODY: readonly string[] = ['204', '205', '304']

type Report = (violation: string) => void

/** Refuses what the conventions rule out, and what would be lost without a word on the way to the running server. */
export function checkRules(document: Document): void {
  const violations: string[] = []
  checkRoles(document, (violation) => violations.push(violation))
  checkNames(document, (violation) => violations.push(violation))
  for (const located of operationsOf(document)) {
    const report: Report = (violation) =>
      violations.push(`${located.method.toUpperCase()} ${located.path}: ${violation}`)
    checkOperation(document, located, report)
    checkPath(document, located, report)
    checkParameters(document, located, report)
    checkBody(document, located, report)
    checkReplies(document, located, report)
  }
  if (violations.length > 0) throw new ContractError(violations)
}

function checkRoles(document: Document, report: Report): void {
  const required = new Set(operationsOf(document).flatMap(({ operation }) => permissionOf(operation) ?? []))
  const roles = Object.entries(document['x-roles'] ?? {})
  const granted = new Set(roles.flatMap(([, grants]) => Object.keys(grants)))
  for (const scope of required) {
    if (!granted.has(scope)) report(`no role in x-roles grants ${scope}`)
  }
  for (const [role, grants] of roles) {
    for (const [scope, level] of Object.entries(grants)) {
      if (!required.has(scope)) report(`x-roles: ${role} grants ${scope}, which no operation requires`)
      if (!LEVELS.includes(level)) report(`x-roles: ${role} grants ${scope} at the unknown level ${level}`)
    }
  }
}

function checkNames(document: Document, report: Report): void {
  const ids = new Set<string>()
  const routes = new Set<string>()
  for (const { path, method, operation } of operationsOf(document)) {
    if (ids.has(operation.operationId)) report(`the operationId ${operation.operationId} is used twice`)
    const route = `${method} ${path.replaceAll(/\{[^}]*\}/g, '{}')}`
    if (routes.has(route)) report(`${method.toUpperCase()} ${path} is declared twice`)
    ids.add(operation.operationId)
    routes.add(route)
  }
}

function checkOperation(document: Document, { operation }: Located, report: Report): void {
  if (!/^[a-z][a-zA-Z0-9]*$/.test(operation.operationId ?? '')) report('operationId must be lowerCamelCase')
  if (!operation.summary) report('needs a summary')
  const [tag, ...others] = operation.tags ?? []
  if (tag === undefined || others.length > 0) report('needs exactly one tag')
  else if (!/^[a-z][a-z0-9-]*$/.test(tag)) report(`the tag ${tag} must be kebab-case`)
  else if (!document.tags?.some(({ name }) => name === tag)) report(`the tag ${tag} is not declared`)

  const { security } = operation
  if (security === undefined) {
    report('declare security: [] when public, else [{ bearerAuth: [scope] }]')
    return
  }
  const scopes = security[0]?.bearerAuth ?? []
  const names = security.flatMap((requirement) => Object.keys(requirement))
  if (security.length > 1 || names.some((name) => name !== 'bearerAuth') || scopes.length > 1)
    report('security takes bearerAuth with at most one scope')
  else if (security.length === 1 && names.length === 0)
    report('an empty security requirement would make the operation public')
}

function checkPath(document: Document, { path, operation }: Located, report: Report): void {
  if (path.includes(':')) report('the router takes ":" for a parameter')
  const names = [...path.matchAll(/\{([^}]*)\}/g)].map(([, name]) => name ?? '')
  for (const name of names) {
    if (!/^\w+$/.test(name)) report(`the router cannot match the path parameter ${name}`)
  }
  const declared = (operation.parameters ?? [])
    .map((entry) => resolve<Parameter>(document, entry))
    .filter((parameter) => parameter.in === 'path')
  for (const name of names) {
    if (!declared.some((parameter) => parameter.name === name)) report(`the path parameter ${name} is not declared`)
  }
  for (const { name, required } of declared) {
    if (!names.includes(name)) report(`the path has no parameter ${name}`)
    if (required !== true) report(`the path parameter ${name} must be required`)
  }
}

function checkParameters(document: Document, { operation }: Located, report: Report): void {
  for (const entry of operation.parameters ?? []) {
    const parameter = resolve<Parameter>(document, entry)
    const { name } = parameter
    if (parameter.schema === undefined) {
      report(`the parameter ${name} needs a schema`)
      continue
    }
    const type = resolve<Schema>(document, parameter.schema as Schema).type
    if (!['path', 'query', 'header'].includes(parameter.in))
      report(`parameters in ${parameter.in} are not supported: ${name}`)
    if (parameter.style === 'deepObject' || type === 'object')
      report(`the parameter ${name} must be a scalar or a comma-separated list`)
    if (
      type === 'array' &&
      (parameter.in !== 'query' || (parameter.style ?? 'form') !== 'form' || parameter.explode !== false)
    ) {
      report(`the list ${name} must be in the query with style form and explode false`)
    }
    if (parameter.in === 'header' && IGNORED_HEADERS.includes(name.toLowerCase()))
      report(`OpenAPI ignores a parameter named ${name}`)
  }
}

function checkBody(document: Document, { operation }: Located, report: Report): void {
  if (operation.requestBody === undefined) return
  const { content } = resolve<RequestBody>(document, operation.requestBody)
  const json = Object.entries(content).filter(([mediaType]) => isJson(mediaType))
  if (json.length === 0) report('the body needs a JSON media type')
  if (new Set(json.map(([, { schema }]) => JSON.stringify(schema))).size > 1)
    report('the JSON media types of a body must share one schema')
  for (const [mediaType, { examples }] of Object.entries(content)) {
    if (isEmpty(examples)) report(`the body needs examples for ${mediaType}`)
  }
  const patch = content['application/merge-patch+json']
  if (patch && hasDefault(document, patch.schema))
    report('a default in a merge patch would change what the patch leaves out')
}

function hasDefault(document: Document, tree: Schema, seen = new Set<string>()): boolean {
  let found = false
  rewrite(tree, (node) => {
    if ('default' in node) found = true
    if (isRef(node) && !seen.has(node.$ref)) {
      seen.add(node.$ref)
      if (hasDefault(document, resolve<Schema>(document, { $ref: node.$ref }), seen)) found = true
    }
    return node
  })
  return found
}

function checkReplies(document: Document, { operation }: Located, report: Report): void {
  for (const [status, entry] of Object.entries(operation.responses)) {
    if (!/^[1-5]\d\d$/.test(status)) {
      report(`the reply ${status} must be one status; a default would let anything through`)
      continue
    }
    const reply = resolve<Reply>(document, entry)
    const content = Object.entries(reply.content ?? {})
    if (content.length > 1) report(`the reply ${status} must have one media type`)
    if (content.length > 0 && WITHOUT_BODY.includes(status)) report(`the reply ${status} cannot have a body`)
    // A health check answers 503 with its report.
    if (Number(status) >= 400 && status !== '503' && problemOf(reply) === undefined)
      report(`the reply ${status} must be a problem`)
    for (const [mediaType, { examples }] of content) {
      if (!REPLY_TYPES.includes(mediaType)) report(`the reply ${status} cannot be sent as ${mediaType}`)
      if (isEmpty(examples)) report(`the reply ${status} needs examples for ${mediaType}`)
    }
  }
}

function isEmpty(examples: Record<string, unknown> | undefined): boolean {
  return Object.keys(examples ?? {}).length === 0
}
