import { parseDocument } from 'yaml'
import type { Names } from './names.js'
import type { Property } from './properties.js'

const SCHEMAS = 'openapi/components/schemas'

/** The files of the contract that say what there can be views and segments of, and how each is told of the new record type. */
export function assetFiles(names: Names, properties: readonly Property[]): Record<string, (source: string) => string> {
  const { object, type } = names
  const union = (kind: string) => (source: string) =>
    source
      .replace(/^discriminator:$/m, `  - $ref: ${type}${kind}.yaml\n$&`)
      .replace(/\n*$/, `\n    ${object}: ${type}${kind}.yaml\n`)
  const all = `All ${names.manyWords}`
  const view = { name: all, columns: properties.map(({ name }) => name), sort: ['-createdAt'] }
  return {
    [`${SCHEMAS}/RecordObject.yaml`]: (source) => source.replace(/^(enum: \[.*)\]$/m, `$1, ${object}]`),
    ...Object.fromEntries(ASSET_SCHEMAS.map((kind) => [`${SCHEMAS}/${kind}.yaml`, union(kind)])),
    'openapi/paths/views.yaml': (source) => withExamples(source, names, view),
    'openapi/paths/segments.yaml': (source) => withExamples(source, names, { name: all, kind: 'dynamic' }),
  }
}

/** The schemas that have a variant for each kind of record. */
export const ASSET_SCHEMAS = ['', 'Create', 'Update'].flatMap((part) => [`View${part}`, `Segment${part}`])

/** The examples of a view or a segment of the new records. */
function withExamples(source: string, { object, tag }: Names, shown: object): string {
  const document = parseDocument(source)
  const examples = (...path: string[]) => ['post', ...path, 'content', 'application/json', 'examples', tag, 'value']
  const reply = document.toJS().post.responses['201'].content['application/json'].examples.accounts.value as object
  document.setIn(examples('requestBody'), document.createNode({ object, ...shown }))
  document.setIn(examples('responses', '201'), document.createNode({ ...reply, ...shown, object, filter: null }))
  return document.toString({ lineWidth: 0, flowCollectionPadding: false })
}
