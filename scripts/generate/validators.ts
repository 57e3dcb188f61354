import { Ajv } from 'ajv'
import standalone from 'ajv/dist/standalone/index.js'
import formats from 'ajv-formats'
import { stepwiseAggregate } from './aggregates.js'
import type { Contract, OperationFacts } from './contract.js'
import { stepwiseSort } from './custom-fields.js'
import { type Parameter, rewrite, type Schema } from './document.js'
import { stepwiseFilter } from './filters.js'
import { BANNER } from './print.js'

const SCHEMAS = '#/components/schemas/'
const DOCUMENTATION = ['title', 'description', 'examples', 'deprecated', 'readOnly', 'writeOnly', '$comment']

/**
 * `validators.ts`: one function per distinct part of a request. Everything outside the body arrives as text and is
 * coerced; a body is taken as it is. Nothing is ever removed.
 */
export function renderValidators({ document, operations }: Contract): string {
  const schemas = Object.entries(document.components.schemas ?? {})
  const text = new ValidatorModule('fromText', schemas, { coerceTypes: true })
  const json = new ValidatorModule('fromJson', schemas, { coerceTypes: false })
  const rows = operations.map((facts) => {
    const cells = [
      ['params', text, partSchema(facts, 'path', { additionalProperties: false })],
      ['query', text, querySchema(facts)],
      ['headers', text, partSchema(facts, 'header', {})],
      ['body', json, facts.body?.schema],
    ] as const
    const printed = cells.flatMap(([part, module, schema]) =>
      schema ? [`${part}: ${module.add(`${facts.id}_${part}`, schema)}`] : [],
    )
    return `  ${facts.id}: { ${printed.join(', ')} },\n`
  })
  return `${BANNER}// @ts-nocheck
import { createRequire } from 'node:module'
import type { ErrorObject } from 'ajv'
import type { OperationId } from './operations.js'

/** Tells whether a part of a request is valid, fills in defaults and, outside the body, turns text into numbers and booleans. */
export interface Validator {
  (data: unknown): boolean
  errors?: ErrorObject[] | null
}

const require = createRequire(import.meta.url)

${text.render()}
${json.render()}
export const validators: Readonly<Record<OperationId, { params?: Validator; query?: Validator; headers?: Validator; body?: Validator }>> = {
${rows.join('')}}
`
}

/** Unknown query parameters are refused, so that a misspelt filter cannot silently list everything. */
function querySchema(facts: OperationFacts): Schema {
  return partSchema(facts, 'query', { additionalProperties: false }) ?? { type: 'object', additionalProperties: false }
}

function partSchema({ parameters }: OperationFacts, part: string, base: Schema): Schema | undefined {
  const declared = parameters.filter((parameter) => parameter.in === part)
  if (declared.length === 0) return undefined
  const required = declared.filter((parameter) => parameter.required === true).map(wireName)
  return {
    type: 'object',
    ...base,
    ...(required.length > 0 && { required }),
    properties: Object.fromEntries(declared.map((parameter) => [wireName(parameter), parameter.schema ?? {}])),
  }
}

/** Node.js lower-cases the names of headers. */
function wireName(parameter: Parameter): string {
  return parameter.in === 'header' ? parameter.name.toLowerCase() : parameter.name
}

/** Several validators in one module, so that they share the functions of the components. */
class ValidatorModule {
  private readonly ajv: Ajv
  private readonly names = new Map<string, string>()

  private readonly name: string

  constructor(name: string, components: [string, Schema][], options: { coerceTypes: boolean }) {
    this.name = name
    // Not the 2020-12 dialect: it tracks evaluated properties everywhere. Strict mode refuses the few keywords that only it has.
    this.ajv = new Ajv({
      ...options,
      code: { source: true, lines: true },
      useDefaults: true,
      removeAdditional: false,
      allErrors: false,
      strict: true,
      strictTypes: false,
      strictRequired: false,
      allowUnionTypes: true,
      // Of several shapes only the one that is meant is looked at, so that faults point to where they are.
      discriminator: true,
      // A component becomes a function of its own; copies of it would be most of the file.
      inlineRefs: false,
    })
    formats.default(this.ajv, { mode: 'full' })
    for (const [component, schema] of components) this.ajv.addSchema(forAjv(schema), component)
  }

  /** The expression for the validator of a schema; equal schemas share one. */
  add(name: string, schema: Schema): string {
    const prepared = forAjv(schema)
    const key = JSON.stringify(prepared)
    const known = this.names.get(key)
    if (known === undefined) {
      this.names.set(key, name)
      this.ajv.addSchema(prepared, name)
    }
    return `${this.name}.${known ?? name}`
  }

  render(): string {
    const names = [...this.names.values()]
    const code = standalone.default(this.ajv, Object.fromEntries(names.map((name) => [name, name])))
    return `const ${this.name} = (() => {\nconst exports = {}\n${withoutUnusedSchemas(code)}\nreturn exports\n})()\n`
  }
}

function forAjv(schema: Schema): Schema {
  return rewrite(schema, (node) => {
    const kept = Object.entries(stepwiseAggregate(stepwiseFilter(stepwiseSort(node)))).filter(
      ([keyword]) => !DOCUMENTATION.includes(keyword) && !keyword.startsWith('x-'),
    )
    const { $ref, ...rest } = orNull(Object.fromEntries(kept))
    if (isDiscriminator(rest.discriminator)) {
      // Ajv reads from the shapes themselves which is which, and looks at none of them for what is not an object.
      const { propertyName } = rest.discriminator
      Object.assign(rest, { type: 'object', required: [propertyName], discriminator: { propertyName } })
    }
    return typeof $ref === 'string' ? { $ref: $ref.replace(SCHEMAS, ''), ...rest } : rest
  })
}

/** What may be null is held against its own schema unless it is, so that a fault in it points to where it is. */
function orNull({ oneOf, ...rest }: Record<string, unknown>): Record<string, unknown> {
  const [shape, nothing, ...others] = (oneOf ?? []) as Schema[]
  if (!shape || nothing?.type !== 'null' || others.length > 0) return oneOf === undefined ? rest : { oneOf, ...rest }
  return { ...rest, if: { type: 'null' }, else: shape }
}

const isDiscriminator = (value: unknown): value is { propertyName: string } =>
  typeof value === 'object' && value !== null && 'propertyName' in value && typeof value.propertyName === 'string'

/** Ajv writes every schema into its output, although only a few keywords read theirs at run time. */
function withoutUnusedSchemas(code: string): string {
  return code.replaceAll(/^const (schema\d+) = .*$\n?/gm, (line, name: string) =>
    code.split(new RegExp(`\\b${name}\\b`)).length > 2 ? line : '',
  )
}
