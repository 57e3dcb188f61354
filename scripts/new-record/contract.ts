import { isMap, isNode, isPair, isScalar, isSeq, parseDocument, visit } from 'yaml'
import { capitalized, type Names, wordsOf } from './names.js'
import { type Property, relationsOf, samplesOf, schemaOf, titleOf } from './properties.js'

type Json = Record<string, unknown>

/** A path or link file of the accounts, told of the new record type. */
export function retold(source: string, names: Names, properties: readonly Property[]): string {
  const document = parseDocument(source)
  // What is neither shared nor the order of a list is about accounts.
  const isGeneral = (item: unknown) => isMap(item) && (item.has('$ref') || item.get('name') === 'sort')
  const parameters = document.getIn(['get', 'parameters'])
  if (isSeq(parameters)) parameters.items = parameters.items.filter(isGeneral)
  visit(document, {
    Pair(_, pair) {
      const key = isScalar(pair.key) ? pair.key.value : undefined
      if (key === 'enum' && isSeq(pair.value)) {
        pair.value = parseDocument(sortsOf(properties)).contents
        return visit.SKIP
      }
      if (key === 'value' && isNode(pair.value)) {
        const value = document.createNode(example(pair.value.toJS(document), names, properties))
        visit(value, {
          Collection(__, node, path) {
            node.flow = path.some(isValueOfProperty)
          },
        })
        pair.value = value
        return visit.SKIP
      }
      if (!isScalar(pair.value) || typeof pair.value.value !== 'string') return undefined
      if (key === 'summary' || key === 'description') pair.value.value = textAbout(names, pair.value.value)
      return undefined
    },
    Scalar(_, node) {
      if (typeof node.value === 'string') node.value = renamed(names, node.value)
    },
  })
  if (isSeq(parameters) && parameters.items.some((item) => isMap(item) && item.has('name'))) {
    for (const { name, reference } of properties) if (reference) parameters.items.push(filterBy(name, names))
  }
  return document.toString({
    lineWidth: 0,
    flowCollectionPadding: false,
    defaultKeyType: 'PLAIN',
    defaultStringType: 'QUOTE_DOUBLE',
  })
}

const sortsOf = (properties: readonly Property[]): string => {
  const sorts = ['createdAt', 'updatedAt', ...properties.filter(isSortable).map(({ name }) => name)]
  return `[${sorts.map((sort) => `${sort}, '-${sort}'`).join(', ')}]`
}

/** Objects and lists that are the value of a property stand on one line. */
const isValueOfProperty = (node: unknown): boolean =>
  isPair(node) && isScalar(node.key) && !['data', 'page', 'event'].includes(String(node.key.value))

export const isSortable = ({ name, required }: Property): boolean => name === 'name' && required

function filterBy(name: string, names: Names) {
  return parseDocument(
    [
      `name: ${name}`,
      'in: query',
      `description: Only ${names.manyWords} with this ${wordsOf(name).replace(/ id$/, '')}.`,
      'schema:',
      '  $ref: ../components/schemas/Id.yaml',
    ].join('\n'),
  ).contents
}

/** What the example of a change of tags adds. */
const ADDED_TAG = 'vip'
const OWNER = '01935f39-1b2c-7d4e-8f60-718293a4b5c6'

/** An example of the accounts with the properties of the new record type: a page, a query, an aggregation, a record, a body, or else a patch. */
function example(value: Json, names: Names, properties: readonly Property[]): Json {
  const before = Object.fromEntries(properties.map((property) => [property.name, samplesOf(property)[0]]))
  const change = changeOf(properties)
  if ('reasons' in value) return { ...value, record: example(value.record as Json, names, properties), ...LIKE }
  if (isOfDuplicates(value) && !properties.some(({ name }) => name === 'name')) return { data: [] }
  if (Array.isArray(value.data))
    return { ...value, data: value.data.map((item: Json) => example(item, names, properties)) }
  if (Array.isArray(value.items))
    return { ...value, items: value.items.map((item: Json) => itemExample(item, properties)) }
  if (Array.isArray(value.results))
    return { ...value, results: value.results.map((result: Json) => resultExample(result, names, properties)) }
  if ('matchOn' in value) {
    const { externalIds } = value.record as Json
    return { ...value, record: { ...bodyOf(properties), externalIds } }
  }
  if ('measures' in value) return { groupBy: [{ field: 'ownerId' }], measures: [{ function: 'count', as: 'records' }] }
  if ('groups' in value) return { groups: { ownerId: OWNER }, values: { records: 1 } }
  if ('loserIds' in value) return mergeExample(value, names, properties)
  if ('winner' in value) return mergeResultExample(value, names, properties)
  if ('filter' in value) return { filter: { field: 'version', op: 'gte', value: 1 }, limit: 50, count: 'exact' }
  if ('followedAt' in value || 'add' in value) return value
  if ('dryRun' in value) return { ...value, object: names.object }
  if ('event' in value) {
    const title = titleOf(properties)
    return {
      event: example(value.event as Json, names, properties),
      title: title ? (before[title.name] ?? null) : null,
    }
  }
  if ('changes' in value) {
    const to: Json = { ownerId: (value.actor as Json).id, tags: [], customFields: {}, ...bodyOf(properties) }
    const changes = Object.fromEntries(Object.entries(to).map(([name, after]) => [name, { from: null, to: after }]))
    return { ...value, type: `${names.object}.created`, object: names.object, changes }
  }
  if ('id' in value) {
    const shared = [
      'id',
      'version',
      'createdAt',
      'createdBy',
      'updatedAt',
      'updatedBy',
      'deletedAt',
      'ownerId',
      'teamId',
    ]
    const meta = Object.fromEntries(shared.map((name) => [name, value[name]]))
    const isTagged = Array.isArray(value.tags) && value.tags.includes(ADDED_TAG)
    return {
      ...meta,
      tags: isTagged ? [ADDED_TAG] : [],
      customFields: {},
      ...('externalIds' in value && { externalIds: value.externalIds }),
      ...before,
      ...(value.version === 2 && value.deletedAt === null && !isTagged && change),
    }
  }
  return 'name' in value ? bodyOf(properties) : change
}

/** What tells that two records with the same name are alike. */
const LIKE = { score: 0.7, reasons: [{ rule: 'name', fields: ['name'] }] }

const isOfDuplicates = ({ data }: Json): boolean => Array.isArray(data) && data.some((item: Json) => 'reasons' in item)

/** A merge, or what is to be merged. */
function mergeExample(value: Json, names: Names, properties: readonly Property[]): Json {
  if ('object' in value) return { ...value, object: names.object }
  const [property] = Object.keys(changeOf(properties))
  return { ...value, fields: property ? { [property]: (value.loserIds as string[])[0] } : {} }
}

/** What became of a merge: two records that are alike, so that the winner stays as it is. */
function mergeResultExample(value: Json, names: Names, properties: readonly Property[]): Json {
  const record = (of: unknown, version: number) => ({
    ...example(of as Json, names, properties),
    ...bodyOf(properties),
    version,
  })
  return {
    ...value,
    merge: mergeExample(value.merge as Json, names, properties),
    winner: record(value.winner, 1),
    losers: (value.losers as Json[]).map((loser) => record(loser, Number(loser.version))),
  }
}

/** An item of a batch. */
function itemExample(item: Json, properties: readonly Property[]): Json {
  if (!('body' in item)) return item
  const { externalIds } = item.body as Json
  if (externalIds) return { ...item, body: { ...bodyOf(properties), externalIds } }
  return { ...item, body: item.op === 'create' ? bodyOf(properties) : changeOf(properties) }
}

/** What became of an item of a batch. */
function resultExample(result: Json, names: Names, properties: readonly Property[]): Json {
  return 'body' in result ? { ...result, body: example(result.body as Json, names, properties) } : result
}

/** What a caller gives. */
export const bodyOf = (properties: readonly Property[]): Json =>
  Object.fromEntries(
    properties.map((property) => [property.name, samplesOf(property)[0]]).filter(([, sample]) => sample !== null),
  )

/** A change of the first property that has a sample. */
export function changeOf(properties: readonly Property[]): Json {
  const first = properties.find(({ kind }) => kind.samples)
  return first ? { [first.name]: samplesOf(first)[1] } : {}
}

/** A schema of the accounts that names no property, told of the new record type. */
export const renamedText = (source: string, names: Names): string =>
  renamed(names, textAbout(names, source.replace(' `domain`,', '').replace('domain|', '')))

/** A schema of the views or segments of accounts, told of those of the new record type. */
export const oneAssetText = (source: string, names: Names): string =>
  renamedText(source, names).replace(`enum: [${names.words}]`, `enum: [${names.object}]`)

/** `an account` is `a product`. */
const textAbout = (names: Names, text: string): string =>
  text
    .replace(/ Its contacts.*$/, '')
    .replaceAll(/\baccount\.(?=[a-z])/g, `${names.object}.`)
    .replaceAll(/\b([Aa])n account\b/g, (_, a) => (a === 'A' ? capitalized(names.oneWords) : names.oneWords))
    .replaceAll(/\baccounts\b/g, names.manyWords)
    .replaceAll(/\baccount\b/g, names.words)
    .replaceAll('restoreAccount', `restore${names.type}`)

/** `AccountList.yaml` is `ProductList.yaml`, `accounts:read` is `products:read`. */
const renamed = (names: Names, name: string): string =>
  name
    .replaceAll('Accounts', names.types)
    .replaceAll('Account', names.type)
    .replaceAll('accounts', names.tag)
    .replaceAll('account', names.singular)

/** The schema and parameter files, by name. */
export function componentFiles(names: Names, properties: readonly Property[]): Record<string, string> {
  const { type, singular, words, manyWords, oneWords } = names
  const required = properties.filter((property) => property.required).map(({ name }) => name)
  const fields = properties.flatMap((property) => [
    `${property.name}:`,
    ...schemaOf(property).map((line) => `  ${line}`),
  ])
  const file = (...lines: string[]) => `${lines.join('\n')}\n`
  return {
    [`parameters/${type}Field.yaml`]: file(
      'name: field',
      'in: query',
      'description: Only changes of this property.',
      'schema:',
      '  type: string',
      '  enum:',
      ...['ownerId', 'teamId', 'tags', 'customFields', 'externalIds', ...properties.map(({ name }) => name)].map(
        (name) => `    - ${name}`,
      ),
    ),
    [`parameters/${type}Id.yaml`]: file(
      `name: ${singular}Id`,
      'in: path',
      'required: true',
      `description: The id of the ${words}.`,
      'schema:',
      '  $ref: ../schemas/Id.yaml',
    ),
    [`schemas/${type}.yaml`]: file(
      `description: ${capitalized(oneWords)}.`,
      'x-expandable:',
      '  owner: User',
      ...relationsOf(properties).map(({ name, singular: target }) => `  ${name}: ${capitalized(target)}`),
      'allOf:',
      '  - $ref: RecordMeta.yaml',
      '  - $ref: RecordFields.yaml',
      `  - $ref: ${type}Fields.yaml`,
      '  - type: object',
      '    required:',
      ...properties.map(({ name }) => `      - ${name}`),
      'unevaluatedProperties: false',
    ),
    [`schemas/${type}Fields.yaml`]: file(
      `description: The writable fields of ${oneWords}.`,
      'type: object',
      'properties:',
      ...fields.map((line) => `  ${line}`),
    ),
    [`schemas/${type}Create.yaml`]: file(
      `description: ${capitalized(oneWords)} to create.`,
      'allOf:',
      '  - $ref: RecordFields.yaml',
      `  - $ref: ${type}Fields.yaml`,
      ...(required.length > 0 ? ['  - type: object', `    required: [${required.join(', ')}]`] : []),
      'unevaluatedProperties: false',
    ),
    [`schemas/${type}Update.yaml`]: file(
      `description: A merge patch (RFC 7396) of ${oneWords}; what is absent stays as it is.`,
      'allOf:',
      '  - $ref: RecordFields.yaml',
      `  - $ref: ${type}Fields.yaml`,
      'unevaluatedProperties: false',
    ),
    [`schemas/${type}Filter.yaml`]: file(
      'description: >-',
      `  Which ${manyWords} are meant: at most 100 conditions, 5 levels deep. Every condition holds or does not: where a field has no`,
      '  value, `ne`, `notIn` and `not` hold, and every other comparison does not. `followers` are the users who follow the record,',
      '  `segments` the static segments that it is in.',
      `x-filter-of: ${type}`,
    ),
    [`schemas/${type}Query.yaml`]: file(
      `description: What to look for among the ${manyWords}, and how to answer.`,
      'type: object',
      'additionalProperties: false',
      'properties:',
      '  q:',
      '    $ref: SearchText.yaml',
      '  filter:',
      `    $ref: ${type}Filter.yaml`,
      '  sort:',
      '    description: The order; `-` turns a field round. The id breaks ties; after a custom field, the creation does first.',
      '    type: array',
      '    minItems: 1',
      '    maxItems: 2',
      '    uniqueItems: true',
      "    default: ['-createdAt']",
      '    items:',
      '      type: string',
      `      enum: ${sortsOf(properties)}`,
      `      x-custom-fields-of: ${type}`,
      '  limit:',
      '    $ref: PageSize.yaml',
      '    default: 50',
      '  cursor:',
      '    $ref: PageCursor.yaml',
      '  count:',
      '    $ref: CountMode.yaml',
      '  expand:',
      `    $ref: ${type}Expand.yaml`,
      '  fields:',
      `    $ref: ${type}Pick.yaml`,
    ),
    [`schemas/${type}SegmentFields.yaml`]: file(
      `description: Which ${manyWords} are in a dynamic segment.`,
      'type: object',
      'properties:',
      '  filter:',
      `    description: Which ${manyWords} are in a dynamic segment, or null for all of them; null in a static one.`,
      '    oneOf:',
      `      - $ref: ${type}Filter.yaml`,
      "      - type: 'null'",
    ),
    [`schemas/${type}ViewFields.yaml`]: file(
      `description: Which ${manyWords} a view shows, and in what order.`,
      'type: object',
      'properties:',
      '  filter:',
      `    description: Which ${manyWords} the view shows, or null for all of them.`,
      '    oneOf:',
      `      - $ref: ${type}Filter.yaml`,
      "      - type: 'null'",
      '  sort:',
      '    description: The order; `-` turns a field round. The id breaks ties.',
      '    type: array',
      '    minItems: 1',
      '    maxItems: 2',
      '    uniqueItems: true',
      '    items:',
      '      type: string',
      `      enum: ${sortsOf(properties)}`,
    ),
    [`schemas/${type}Group.yaml`]: file(
      'description: >-',
      `  A field that the ${manyWords} are grouped by: by its value, null for those without one, or by periods, which are answered as`,
      '  their first day, in a time zone if it is an instant: UTC unless given. Weeks begin on Monday. Texts group as filters compare them.',
      `x-group-of: ${type}`,
    ),
    [`schemas/${type}List.yaml`]: file(
      `description: A page of ${manyWords}.`,
      'type: object',
      'additionalProperties: false',
      'required: [data, page]',
      'properties:',
      '  data:',
      '    type: array',
      '    maxItems: 200',
      '    items:',
      `      $ref: ${type}.yaml`,
      '  page:',
      '    $ref: Page.yaml',
    ),
  }
}

/** The root of the contract with the tag, the permissions and the paths; every other line stays as it is. */
export function rootFile(source: string, names: Names): string {
  const { tag, singular, manyWords } = names
  const label = capitalized(manyWords)
  const path = `/${tag}/{${singular}Id}`
  const file = `paths/${tag}_{${singular}Id}`
  const tagged = insert(
    source,
    /(?=^ {2}- name: health\n)/m,
    `  - name: ${tag}\n    x-displayName: ${label}\n    description: ${label}.\n`,
  )
  const routed = insert(
    tagged,
    /(?=^ {2}\/pipelines:\n)/m,
    [
      ...[`/${tag}:`, `  $ref: paths/${tag}.yaml`, `/${tag}/query:`, `  $ref: paths/${tag}_query.yaml`],
      ...[`/${tag}/aggregate:`, `  $ref: paths/${tag}_aggregate.yaml`],
      ...[`/${tag}/duplicates:`, `  $ref: paths/${tag}_duplicates.yaml`],
      ...[`/${tag}/upsert:`, `  $ref: paths/${tag}_upsert.yaml`],
      ...[`/${tag}/external/{system}/{externalId}:`, `  $ref: paths/${tag}_external_{system}_{externalId}.yaml`],
      ...[`/${tag}/batch:`, `  $ref: paths/${tag}_batch.yaml`],
      ...[`${path}:`, `  $ref: ${file}.yaml`],
      ...['restore', 'history', 'timeline', 'duplicates', 'purge', 'followers', 'followers/me', 'tags'].flatMap(
        (verb) => [`${path}/${verb}:`, `  $ref: ${file}_${verb.replace('/', '_')}.yaml`],
      ),
      ...[`/recycle-bin/${tag}:`, `  $ref: paths/recycle-bin_${tag}.yaml`],
      ...[`/views/{viewId}/${tag}:`, `  $ref: paths/views_{viewId}_${tag}.yaml`],
      ...[`/${tag}/merge:`, `  $ref: paths/${tag}_merge.yaml`, `/merges/${tag}:`, `  $ref: paths/merges_${tag}.yaml`],
      ...['', '/undo'].flatMap((verb) => [
        `/merges/${tag}/{mergeId}${verb}:`,
        `  $ref: paths/merges_${tag}_{mergeId}${verb.replace('/', '_')}.yaml`,
      ]),
      ...[`/segments/{segmentId}/${tag}:`, `  $ref: paths/segments_{segmentId}_${tag}.yaml`],
    ]
      .map((line) => `  ${line}\n`)
      .join(''),
  )
  // Every role may do with the new records what it may do with accounts.
  return routed.replaceAll(/(?:^ {4}'accounts:\w+': \w+\n)+/gm, (grants) => grants + grants.replaceAll('accounts', tag))
}

function insert(source: string, at: RegExp, text: string): string {
  if (!at.test(source)) throw new Error(`openapi.yaml has no ${at}`)
  return source.replace(at, () => text)
}
