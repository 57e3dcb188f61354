import type { Contract } from './contract.js'
import { BANNER, camelCase, pascalCase, print, printKey } from './print.js'

/** `handlers.ts`: an interface per tag, and the registry of `src/modules/<tag>/handlers.ts`. */
export function renderHandlers({ operations, tags }: Contract): string {
  const interfaces = tags.map((tag) => {
    const members = operations
      .filter((facts) => facts.tag === tag)
      .map(({ id, summary, method, path }) => `  /** ${summary}. \`${method} ${path}\` */\n  ${id}: Handler<'${id}'>\n`)
    return `export interface ${pascalCase(tag)}Handlers {\n${members.join('')}}\n`
  })
  const modules = tags.map(
    (tag) =>
      `const ${camelCase(tag)}Handlers: Exactly<typeof ${camelCase(tag)}, ${pascalCase(tag)}Handlers> = ${camelCase(tag)}\n`,
  )
  return `${BANNER}
import type { Handler } from '../src/http/contract.js'
${tags.map((tag) => `import { handlers as ${camelCase(tag)} } from '../src/modules/${tag}/handlers.js'\n`).join('')}
${interfaces.join('\n')}
export interface Handlers extends ${tags.map((tag) => `${pascalCase(tag)}Handlers`).join(', ')} {}

/** Refuses a module that lacks a handler, or has one that the contract does not declare. */
type Exactly<Module extends Declared, Declared> =
  Exclude<keyof Module, keyof Declared> extends never ? Declared : \`not in the contract: \${Exclude<keyof Module, keyof Declared> & string}\`

${modules.join('')}
/** Every handler of the API by operationId. */
export const handlers: Handlers = {
${tags.map((tag) => `  ...${camelCase(tag)}Handlers,\n`).join('')}}
`
}

/** `cases.ts`: the registry of `src/modules/<tag>/cases.ts`, a test case for each status that a handler decides. */
export function renderCases({ tags }: Contract): string {
  const modules = tags.map(
    (tag) =>
      `const ${camelCase(tag)}Cases: Exactly<typeof ${camelCase(tag)}, Cases<${print(tag)}>> = ${camelCase(tag)}\n`,
  )
  return `${BANNER}
import type { Cases } from '../src/http/contract.js'
${tags.map((tag) => `import { cases as ${camelCase(tag)} } from '../src/modules/${tag}/cases.js'\n`).join('')}
type Surplus<Actual, Declared> = { [Id in keyof Actual]: Id extends keyof Declared ? Exclude<keyof Actual[Id], keyof Declared[Id]> : Id }[keyof Actual]

/** Refuses a module that lacks a case, or has one that the contract does not declare. */
type Exactly<Module extends Declared, Declared> =
  Surplus<Module, Declared> extends never ? Declared : \`not in the contract: \${Surplus<Module, Declared> & (string | number)}\`

${modules.join('')}
/** Every test case by tag, operationId and status. */
export const cases = {
${tags.map((tag) => `  ${printKey(tag)}: ${camelCase(tag)}Cases,\n`).join('')}}
`
}

/** `routes.ts`: just enough of the document for fastify-openapi-glue to register the routes. */
export function renderRoutes({ document, operations }: Contract): string {
  const paths = new Map<string, string[]>()
  for (const { id, method, path } of operations) {
    const route = `${method.toLowerCase()}: { operationId: ${print(id)} }`
    paths.set(path, [...(paths.get(path) ?? []), route])
  }
  return `${BANNER}
/** The routes without their schemas: validators and serializers are compiled ahead, and the glue validates what it gets at each start. */
export const routes = {
  openapi: '3.1.0',
  info: { title: ${print(document.info.title)}, version: ${print(document.info.version)} },
  paths: {
${[...paths].map(([path, entries]) => `    ${print(path)}: { ${entries.join(', ')} },\n`).join('')}  },
}
`
}
