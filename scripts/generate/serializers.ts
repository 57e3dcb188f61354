import fastJsonStringify from 'fast-json-stringify'
import { type Contract, jsonOf } from './contract.js'
import { rewrite, type Schema } from './document.js'
import { PARTIAL } from './picks.js'
import { BANNER, print } from './print.js'

const SCHEMAS = '#/components/schemas/'

/** `serializers.ts`: one function per distinct body of a reply, in one module so that they share those of the components. */
export function renderSerializers({ document, operations }: Contract): string {
  const module = new SerializerModule(document.components.schemas ?? {})
  const problem = module.add('problem', { $ref: `${SCHEMAS}Problem` })
  const rows = operations.map(({ id, replies }) => {
    const cells = replies.flatMap(({ status, reply }) => {
      const bodies = jsonOf(reply).map(([mediaType, schema]) => {
        const name = mediaType === PARTIAL ? `${id}_${status}_partial` : `${id}_${status}`
        return `${print(mediaType)}: ${module.add(name, schema)}`
      })
      return bodies.length > 0 ? [`${status}: { ${bodies.join(', ')} }`] : []
    })
    return cells.length > 0 ? `  ${id}: { ${cells.join(', ')} },\n` : `  ${id}: {},\n`
  })
  return `${BANNER}// @ts-nocheck
import { createRequire } from 'node:module'
import type { OperationId } from './operations.js'

/** Writes the declared properties of a body, and nothing else. */
export type Serializer = (body: unknown) => string

const require = createRequire(import.meta.url)

${module.render()}
/** Every problem has the same shape. */
export const serializeProblem: Serializer = ${problem}

/** By operation, status and media type; an empty reply has none, a problem has \`serializeProblem\`. */
export const serializers: Readonly<Record<OperationId, Readonly<Record<number, Readonly<Record<string, Serializer>>>>>> = {
${rows.join('')}}
`
}

/**
 * fast-json-stringify makes one function per schema, with copies of everything inside. Here the bodies are the
 * properties of one object, which it does compile with shared functions; the object itself is then taken apart.
 */
class SerializerModule {
  private readonly components: Record<string, Schema>
  private readonly bodies = new Map<string, { name: string; schema: Schema }>()

  constructor(components: Record<string, Schema>) {
    const nullable = new Set<string | undefined>()
    rewrite(components, (node) => {
      nullable.add(orNull(node)?.$ref)
      return node
    })
    this.components = Object.fromEntries(
      Object.entries(components).map(([name, schema]) => [
        name,
        // Beside a reference it would make a copy of everything behind that.
        nullable.has(SCHEMAS + name) ? { ...forSerializer(schema), nullable: true } : forSerializer(schema),
      ]),
    )
  }

  /** The expression for the serializer of a schema; equal schemas share one. */
  add(name: string, schema: Schema): string {
    const prepared = forSerializer(schema)
    const key = JSON.stringify(prepared)
    const known = this.bodies.get(key) ?? { name, schema: prepared }
    this.bodies.set(key, known)
    return `bodies.${known.name}`
  }

  render(): string {
    const bodies = [...this.bodies.values()]
    const names = bodies.map(({ name }) => name)
    const root = {
      $id: 'bodies',
      type: 'object',
      required: names,
      properties: Object.fromEntries(bodies.map(({ name, schema }) => [name, schema])),
    }
    const code = fastJsonStringify(root as fastJsonStringify.AnySchema, {
      schema: structuredClone(this.components) as Record<string, fastJsonStringify.Schema>,
      mode: 'standalone',
      inlineValidators: true,
    })
    const { setup, shared, main } = takeApart(stabilize(code))
    const functions = names.map(
      (name) => `  ${name}: (value) => {\n    let json = ''\n    ${bodyOf(main, name)}\n    return json\n  },\n`,
    )
    return `const bodies = (() => {\n${setup}\n${shared}\nreturn {\n${functions.join('')}}\n})()\n`
  }
}

/** A default would make up values that the handler did not send, and free JSON must come out exactly as it went in. */
function forSerializer(schema: Schema): Schema {
  return rewrite(schema, (node) => {
    const { default: _default, description: _description, examples: _examples, $ref, ...rest } = node
    if (typeof $ref === 'string') return { $ref: `${$ref.replace(SCHEMAS, '')}#`, ...rest }
    // A filter was valid when it was kept, and is given back as it is.
    if ('x-filter-of' in rest || isFreeJson(rest)) return {}
    return orNull(rest) ?? byDiscriminator(rest)
  })
}

/** The reference in what may also be null: fast-json-stringify would find out by validation which of the two it is. */
function orNull({ oneOf, ...rest }: Schema): Schema | undefined {
  const [target, none, ...others] = (oneOf ?? []) as Schema[]
  const isNullable = target?.$ref !== undefined && none?.type === 'null' && others.length === 0
  return isNullable && Object.keys(rest).length === 0 ? target : undefined
}

/** Of several shapes the discriminator says which one it is; otherwise each would be tried with a validator of its own. */
function byDiscriminator(schema: Schema): Schema {
  const { oneOf, discriminator, ...rest } = schema as Schema & {
    oneOf?: Schema[]
    discriminator?: { propertyName: string; mapping?: Record<string, string> }
  }
  if (!oneOf || !discriminator?.mapping) return schema
  const { propertyName, mapping } = discriminator
  const shapes = Object.entries(mapping).map(([value, target]) => ({
    if: { type: 'object', properties: { [propertyName]: { const: value } } },
    // biome-ignore lint/suspicious/noThenProperty: the keyword of JSON Schema
    then: { $ref: `${target.replace(SCHEMAS, '')}#` },
  }))
  return { ...rest, ...shapes.reduceRight<Schema>((otherwise, shape) => ({ ...shape, else: otherwise }) as Schema, {}) }
}

function isFreeJson({ type, properties, patternProperties, additionalProperties = true }: Schema): boolean {
  const types = Array.isArray(type) ? type : [type]
  return (
    types.includes('object') &&
    properties === undefined &&
    patternProperties === undefined &&
    additionalProperties === true
  )
}

/** The output must not depend on the Node.js that generates it, nor on what the process compiled before. */
function stabilize(code: string): string {
  const merged = new Map<string, string>()
  return code
    .replaceAll(/__fjs_merged_\d+/g, (id) => {
      merged.set(id, merged.get(id) ?? `merged_${merged.size}`)
      return merged.get(id) ?? id
    })
    .replaceAll(/(typeof (\w+) === 'number' && \2 >= )\d+/g, '$1128')
}

const FACTORY = 'module.exports = function anonymous(validator,serializer\n) {'
const MAIN = 'function anonymous0 (input) {'

function takeApart(code: string): { setup: string; shared: string; main: string } {
  const factory = code.indexOf(FACTORY)
  const main = code.indexOf(MAIN)
  if (factory < 0 || main < factory)
    throw new Error('fast-json-stringify writes its output in another form; adapt takeApart')
  return {
    setup: code.slice(0, factory).replace("'use strict'", ''),
    shared: code.slice(factory + FACTORY.length, main),
    main: code.slice(main),
  }
}

function bodyOf(main: string, name: string): string {
  const pattern = new RegExp(
    `const (value_${name}_\\d+) = obj\\["${name}"\\]\\s+if \\(\\1 !== undefined\\) \\{\\s+json \\+= "[{,]\\\\"${name}\\\\":"\\s+([\\s\\S]*?)\\s+\\} else \\{\\s+throw new Error\\('"${name}" is required!'\\)`,
  )
  const [, variable, code] = pattern.exec(main) ?? []
  if (variable === undefined || code === undefined)
    throw new Error('fast-json-stringify writes its output in another form; adapt bodyOf')
  return code.replaceAll(variable, 'value')
}
