import { readdir, readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { codesOf } from './complete.js'
import type { Contract, OperationFacts } from './contract.js'
import { problemOf } from './document.js'
import { BANNER, print } from './print.js'
import { renderClientTypes } from './types.js'

const TEMPLATE = fileURLToPath(new URL('sdk', import.meta.url))

/** The files of the npm package `@zenith-crm/sdk`: what is written by hand, and what follows from the contract. */
export async function renderSdk(contract: Contract): Promise<Map<string, string>> {
  const files = new Map<string, string>()
  for (const entry of await readdir(TEMPLATE, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const file = join(entry.parentPath, entry.name)
    files.set(relative(TEMPLATE, file).replaceAll('\\', '/'), await readFile(file, 'utf8'))
  }
  files.set('package.json', renderPackage(contract))
  files.set('src/types.ts', await renderClientTypes(contract.document))
  files.set('src/operations.ts', renderFunctions(contract))
  return new Map([...files].sort(([first], [second]) => (first < second ? -1 : 1)))
}

function renderPackage({ document }: Contract): string {
  const manifest = {
    name: '@zenith-crm/sdk',
    version: document.info.version,
    description: `The typed client of the ${document.info.title}.`,
    license: 'Apache-2.0',
    type: 'module',
    sideEffects: false,
    exports: { '.': { types: './dist/index.d.ts', default: './dist/index.js' } },
    files: ['dist'],
    engines: { node: '>=20' },
    scripts: { build: 'tsc -p tsconfig.json', prepack: 'npm run build' },
    devDependencies: { typescript: '^5.9.3' },
  }
  return `${JSON.stringify(manifest, null, 2)}\n`
}

function renderFunctions({ document, operations }: Contract): string {
  const codes = operations.flatMap(({ replies }) =>
    replies.flatMap(({ reply }) => {
      const problem = problemOf(reply)
      return problem ? codesOf(problem) : []
    }),
  )
  return `${BANNER}
import { call, type Expand, type Fields, type Options, type PartialOptions, type PartialResult, type Result, type WholeOptions } from './call.js'
import type { Client, Input } from './client.js'

/** Every code that a problem of version ${document.info.version} can have. */
export type ProblemCode = ${[...new Set(codes)].sort().map(print).join(' | ')}

${operations.map(renderFunction).join('\n')}`
}

function renderFunction(facts: OperationFacts): string {
  const { id, summary, method, path, parameters, body } = facts
  const spec = {
    method,
    path,
    ...(body && { mediaType: body.mediaTypes[0] }),
    ...(facts.public && { public: true }),
    ...(facts.idempotent && { idempotent: true }),
  }
  const needed = body?.required === true || parameters.some(({ required }) => required === true)
  const options = `options${needed ? '' : '?'}`
  const signature = facts.pick
    ? `(client: Client, ${options}: Input): Promise<unknown>`
    : `(client: Client, ${options}: Options<'${id}'>): Promise<Result<'${id}'>>`
  const overloads = renderOverloads(facts, needed)
  return `/** ${summary}. \`${method} ${path}\` */
${overloads.map((overload) => `export function ${id}${overload}\n`).join('')}export function ${id}${signature} {
  return call(client, ${print(spec)}, options)
}
`
}

/**
 * Only a caller who sends `If-None-Match` has to reckon with a reply that has no data, and only one who names `fields` with parts of
 * records. The last one is what `paginate` goes by.
 */
function renderOverloads({ id, handlerStatuses, pick }: OperationFacts, needed: boolean): string[] {
  const isConditional = handlerStatuses.includes(304)
  if (!isConditional && !pick) return []
  const replies = [
    ...(isConditional
      ? [
          {
            more: " & { headers?: { 'If-None-Match'?: never } }",
            status: `, Exclude<Result<'${id}'>['status'], 304>`,
          },
        ]
      : []),
    { more: '', status: '' },
  ]
  const place = pick && `'${id}', '${pick.place}'`
  const partial = place
    ? replies.map(
        ({ more, status }) =>
          `<const Names extends Fields<${place}> | undefined, Related extends Expand<${place}> | undefined = undefined>(client: Client, options: PartialOptions<${place}, Names, Related>${more}): Promise<PartialResult<'${id}', Names, Related${status}>>`,
      )
    : []
  const options = `options${needed ? '' : '?'}: ${place ? `WholeOptions<${place}>` : `Options<'${id}'>`}`
  return [
    ...partial,
    ...replies.map(({ more, status }) => `(client: Client, ${options}${more}): Promise<Result<'${id}'${status}>>`),
  ]
}
