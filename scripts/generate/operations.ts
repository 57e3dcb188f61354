import { type Contract, defaultedOf, listsOf } from './contract.js'
import { BANNER, print, printKey } from './print.js'
import { LEVELS } from './rules.js'

/** `operations.ts`: what the HTTP layer and the tests need to know about each operation, and the permissions of the roles. */
export function renderOperations({ document, operations, tags, roles }: Contract): string {
  const rows = operations.map((facts) => {
    const row = {
      method: facts.method,
      path: facts.path,
      tag: facts.tag,
      public: facts.public,
      permission: facts.permission,
      statuses: facts.replies.map(({ status }) => status),
      handlerStatuses: facts.handlerStatuses,
      mediaTypes: facts.body?.mediaTypes ?? [],
      bodyRequired: facts.body?.required ?? false,
      idempotent: facts.idempotent,
      paginated: facts.paginated,
      csv: listsOf(document, facts),
      defaulted: defaultedOf(document, facts),
    }
    return `  ${facts.id}: {\n${Object.entries(row)
      .map(([key, value]) => `    ${key}: ${print(value)},\n`)
      .join('')}  },\n`
  })
  const permissions = [...new Set(operations.flatMap(({ permission }) => permission ?? []))].sort()
  const grants = Object.entries(roles).map(
    ([role, granted]) =>
      `  ${printKey(role)}: {\n${Object.entries(granted)
        .map(([permission, level]) => `    ${printKey(permission)}: ${print(level)},\n`)
        .join('')}  },\n`,
  )
  return `${BANNER}
export type Tag = ${union(tags)}
export type Permission = ${union(permissions)}
export type Role = ${union(Object.keys(roles))}
/** On which records a permission holds. */
export type Level = ${union(LEVELS)}

export interface OperationFacts {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** The full path of the URL, with \`{name}\` for parameters. */
  readonly path: string
  readonly tag: Tag
  /** Anybody may call it, without a credential. */
  readonly public: boolean
  /** The scope that the caller needs; null when signing in is enough. */
  readonly permission: Permission | null
  /** Every status that the contract declares. */
  readonly statuses: readonly number[]
  /** The statuses that the path file declares: what the handler decides. */
  readonly handlerStatuses: readonly number[]
  /** The media types that the body may have; empty when there is no body. */
  readonly mediaTypes: readonly string[]
  readonly bodyRequired: boolean
  /** It takes an \`Idempotency-Key\`. */
  readonly idempotent: boolean
  /** It takes a \`cursor\`. */
  readonly paginated: boolean
  /** Query parameters that hold a comma-separated list. */
  readonly csv: readonly string[]
  /** Query parameters that have a default, so that a handler always sees them. */
  readonly defaulted: readonly string[]
}

export const operations = {
${rows.join('')}} as const satisfies Readonly<Record<string, OperationFacts>>

export type OperationId = keyof typeof operations

export const rolePermissions: Readonly<Record<Role, Readonly<Partial<Record<Permission, Level>>>>> = {
${grants.join('')}}
`
}

function union(members: readonly string[]): string {
  return members.map((member) => print(member)).join(' | ') || 'never'
}
