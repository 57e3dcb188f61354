import {
  ContractError,
  type Document,
  isRef,
  operationsOf,
  type Parameter,
  refsIn,
  resolve,
  rewrite,
  type Schema,
} from './document.js'

const ANNOTATIONS = new Set(['title', 'description', 'examples', 'deprecated', 'readOnly', 'writeOnly', '$comment'])
const COMPOSABLE = new Set([...ANNOTATIONS, 'type', 'properties', 'required', 'allOf'])

/**
 * Writes the contract in the plainest form that means the same, because the tools behind it each lose something else:
 * one drops the siblings of a `$ref`, one turns an alias into "anything", one replaces path-level parameters.
 */
export function normalize(source: Document): Document {
  const merged = mergeParameters(shortenAliases(source))
  const plain = rewrite(merged, (node) => (isRef(node) ? separateSiblings(merged, node) : node))
  return rewrite(plain, (node) => (isClosedComposition(node) ? flatten(plain, node) : node))
}

/** Points every reference at what is meant in the end, so that no component that is only a reference is in use. */
function shortenAliases(source: Document): Document {
  return rewrite(source, (node) => {
    if (!isRef(node)) return node
    let ref = node.$ref
    const seen = new Set<string>()
    for (;;) {
      if (seen.has(ref)) throw new ContractError([`${ref} refers to itself`])
      seen.add(ref)
      const target = peek(source, ref)
      if (!isRef(target) || Object.keys(target).length > 1) break
      ref = target.$ref
    }
    return { ...node, $ref: ref }
  })
}

function peek(document: Document, ref: string): unknown {
  const [section = '', name = ''] = ref.slice('#/components/'.length).split('/')
  const target = ref.startsWith('#/components/') ? document.components[section]?.[name] : undefined
  if (target === undefined) throw new ContractError([`${ref} leads nowhere; refer to a component`])
  return target
}

/** An operation has the parameters of its path, except those that it declares itself. */
function mergeParameters(source: Document): Document {
  const document = structuredClone(source)
  for (const { item, operation } of operationsOf(document)) {
    const own = operation.parameters ?? []
    const declared = new Set(own.map((parameter) => key(resolve<Parameter>(document, parameter))))
    const inherited = (item.parameters ?? []).filter(
      (parameter) => !declared.has(key(resolve<Parameter>(document, parameter))),
    )
    if (inherited.length + own.length > 0) operation.parameters = [...inherited, ...own]
  }
  for (const item of Object.values(document.paths)) delete item.parameters
  return document
}

function key(parameter: Parameter): string {
  return `${parameter.in} ${parameter.name}`
}

/** A `$ref` may only keep annotations beside it; a constraint or default moves next to an `allOf`. */
function separateSiblings(document: Document, node: { $ref: string; [sibling: string]: unknown }): unknown {
  const { $ref, ...siblings } = node
  const names = Object.keys(siblings)
  if (names.length === 0) return node
  if (!$ref.startsWith('#/components/schemas/')) return { ...structuredClone(resolve(document, { $ref })), ...siblings }
  return names.every((name) => ANNOTATIONS.has(name)) ? node : { allOf: [{ $ref }], ...siblings }
}

function isClosedComposition(node: Record<string, unknown>): node is Schema & { allOf: Schema[] } {
  return node.unevaluatedProperties === false && Array.isArray(node.allOf)
}

/**
 * A closed composition becomes one closed object: readers, types, validators and serializers all get simpler, and a
 * member that only adds `required` keeps its meaning in the types.
 */
function flatten(document: Document, schema: Schema & { allOf: Schema[] }): Schema {
  const { allOf, unevaluatedProperties: _closed, properties, required, ...rest } = schema
  const members = [
    ...allOf.flatMap((member) => objectsIn(document, member)),
    { properties: properties ?? {}, required: required ?? [] },
  ]
  const merged: Record<string, Schema> = {}
  for (const member of members) {
    for (const [name, property] of Object.entries(member.properties ?? {})) {
      merged[name] = name in merged ? narrow(name, merged[name] as Schema, property) : property
    }
  }
  const names = [...new Set(members.flatMap((member) => member.required ?? []))]
  const unknown = names.filter((name) => !(name in merged))
  if (unknown.length > 0)
    throw new ContractError([`a composition requires what it does not declare: ${unknown.join(', ')}`])
  return {
    ...rest,
    type: 'object',
    additionalProperties: false,
    ...(names.length > 0 && { required: names }),
    properties: merged,
  }
}

function objectsIn(document: Document, member: Schema): Schema[] {
  const schema = resolve<Schema>(document, member as Schema)
  const foreign = Object.keys(schema).filter((keyword) => !COMPOSABLE.has(keyword))
  if (foreign.length > 0 || (schema.type ?? 'object') !== 'object') {
    throw new ContractError([
      `a closed composition can hold plain, open objects only, not one with ${foreign.join(', ') || schema.type}`,
    ])
  }
  return [...(schema.allOf ?? []).flatMap((inner) => objectsIn(document, inner)), schema]
}

/** Both declarations of one property hold; where they disagree there is no single schema for it. */
function narrow(name: string, first: Schema, second: Schema): Schema {
  if (first.$ref !== second.$ref) return { allOf: [first, second] }
  const both: Schema = { ...first }
  for (const [keyword, value] of Object.entries(second)) {
    if (keyword in both && !ANNOTATIONS.has(keyword) && JSON.stringify(both[keyword]) !== JSON.stringify(value)) {
      throw new ContractError([`the members of a composition disagree about ${keyword} of ${name}`])
    }
    both[keyword] = value
  }
  return both
}

/** Removes the components that nothing refers to any more. */
export function prune(document: Document): Document {
  const { components, ...rest } = document
  const reached = new Set<string>()
  const queue = refsIn(rest)
  for (let ref = queue.pop(); ref !== undefined; ref = queue.pop()) {
    if (reached.has(ref)) continue
    reached.add(ref)
    queue.push(...refsIn(resolve(document, { $ref: ref })))
  }
  const kept = Object.entries(components).map(([section, entries]) => [
    section,
    section === 'securitySchemes'
      ? entries
      : Object.fromEntries(
          Object.entries(entries ?? {}).filter(([name]) => reached.has(`#/components/${section}/${name}`)),
        ),
  ])
  return {
    ...document,
    components: Object.fromEntries(kept.filter(([, entries]) => Object.keys(entries ?? {}).length > 0)),
  }
}
