import { parseDocument } from 'yaml'
import type { Names } from './names.js'
import type { Property } from './properties.js'

const SCHEMAS = 'openapi/components/schemas'

/** The files of the contract that say what can be viewed, and how each is told of the new record type. */
export function viewFiles(names: Names, properties: readonly Property[]): Record<string, (source: string) => string> {
  const { object, type } = names
  const union = (kind: string) => (source: string) =>
    source
      .replace(/^discriminator:$/m, `  - $ref: ${type}${kind}.yaml\n$&`)
      .replace(/\n*$/, `\n    ${object}: ${type}${kind}.yaml\n`)
  return {
    [`${SCHEMAS}/RecordObject.yaml`]: (source) => source.replace(/^(enum: \[.*)\]$/m, `$1, ${object}]`),
    ...Object.fromEntries(['View', 'ViewCreate', 'ViewUpdate'].map((kind) => [`${SCHEMAS}/${kind}.yaml`, union(kind)])),
    'openapi/paths/views.yaml': (source) => withExamples(source, names, properties),
  }
}

/** The examples of a view with one of the new records. */
function withExamples(source: string, { object, tag, manyWords }: Names, properties: readonly Property[]): string {
  const document = parseDocument(source)
  const examples = (...path: string[]) => ['post', ...path, 'content', 'application/json', 'examples', tag, 'value']
  const shown = { name: `All ${manyWords}`, columns: properties.map(({ name }) => name), sort: ['-createdAt'] }
  const reply = document.toJS().post.responses['201'].content['application/json'].examples.accounts.value as object
  document.setIn(examples('requestBody'), document.createNode({ object, ...shown }))
  document.setIn(examples('responses', '201'), document.createNode({ ...reply, ...shown, object, filter: null }))
  return document.toString({ lineWidth: 0, flowCollectionPadding: false })
}
