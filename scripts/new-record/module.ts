import { bodyOf, changeOf, isSortable } from './contract.js'
import { capitalized, type Names } from './names.js'
import { columnsOf, type Property, relationsOf, snakeCase, titleOf } from './properties.js'

/** The files of the module, by name. */
export const moduleFiles = (
  handlers: string,
  names: Names,
  properties: readonly Property[],
): Record<string, string> => ({
  'table.ts': tableFile(names, properties),
  'repository.ts': repositoryFile(names, properties),
  'handlers.ts': handlersFile(handlers, names),
  'cases.ts': casesFile(names, properties),
})

function tableFile(names: Names, properties: readonly Property[]): string {
  const references = referencesOf(properties)
  const sorts = properties.filter(isSortable).map(({ name }) => `${snakeCase(name)}: t.${name}`)
  const filters = references.map(({ name }) => `${snakeCase(name)}: t.${name}`)
  const options = [...entry('sorts', sorts), ...entry('filters', filters)]
  const keys = references.map(({ name, tag }) => {
    const key = `${names.table}_${snakeCase(name).replace(/_id$/, '')}_fk`
    return `...referenceWithin('${key}', [t.organizationId, t.${name}], ${tableOf(tag)}),`
  })
  const body = `export const ${tableOf(names.tag)} = pgTable('${names.table}', {
    ...recordColumns(),
    ${properties
      .flatMap(columnsOf)
      .map(([name, column]) => `${name}: ${column},`)
      .join('\n')}
  },
  (t) => [
    ...recordConstraints('${names.table}', t, { ${options.join(', ')} }),
    ${keys.join('\n')}
  ],
)
`
  return [
    used(body, ['boolean', 'date', 'integer', 'pgTable', 'text', 'uuid'], 'drizzle-orm/pg-core'),
    used(body, ['int64'], '../../db/columns.js'),
    used(body, ['recordColumns', 'recordConstraints', 'referenceWithin'], '../../records/table.js'),
    ...tagsOf(references).map((tag) => `import { ${tableOf(tag)} } from '../${tag}/table.js'\n`),
    `\n${body}`,
  ].join('')
}

function repositoryFile(
  { tag, plural, singular, words, type, types, object }: Names,
  properties: readonly Property[],
): string {
  const references = referencesOf(properties)
  const relations = relationsOf(properties)
  const fields = properties.map((property) => `${property.name}: ${fieldOf(property)},`)
  const defaults = properties.filter(({ kind }) => !kind.optional && !kind.required).map(({ name }) => `${name}: false`)
  const sorts = properties.filter(isSortable).map(({ name }) => `${name}: sortBy(t.${name})`)
  const body = `type ${type} = components['schemas']['${type}']

/** A live ${words}, as other records refer to it. */
export const ${singular}Target = recordTarget(() => t, '${tag}:read')

export const ${plural} = defineRecord<${type}>()({
  object: '${object}',
  plural: '${tag}',
  path: operations.list${types}.path,
  table: t,
  title: t.${titleOf(properties)?.name ?? 'id'},
  fields: {
    ${fields.join('\n')}
  },
  defaults: { ${defaults.join(', ')} },
  sorts: { ${sorts.join(', ')} },
  unique: {},
  relations: {
    owner: { by: t.ownerId, to: () => users },
    ${relations.map(({ name, by, tag: to }) => `${name}: { by: t.${by}, to: () => ${camelCase(to)} },`).join('\n')}
  },
})
`
  return [
    `import { operations } from '../../../generated/operations.js'\n`,
    `import type { components } from '../../../generated/types.js'\n`,
    used(body, ['column', 'money', 'reference'], '../../records/fields.js'),
    used(body, ['defineRecord', 'recordTarget', 'sortBy'], '../../records/record-type.js'),
    ...references
      .filter(({ singular: target }, index) => references.findIndex((other) => other.singular === target) === index)
      .map(({ singular: to, tag: from }) => {
        const names = [`${to}Target`, ...(relations.some((relation) => relation.tag === from) ? [camelCase(from)] : [])]
        return `import { ${names.join(', ')} } from '../${from}/repository.js'\n`
      }),
    `import { users } from '../users/repository.js'\n`,
    `import { ${tableOf(tag)} as t } from './table.js'\n\n${body}`,
  ].join('')
}

const fieldOf = ({ name, kind, reference }: Property): string => {
  if (kind.field === 'money') return `money(t.${name}Minor, t.${name}Currency)`
  return reference ? `reference(t.${name}, ${reference.singular}Target)` : `column(t.${name})`
}

/** The handlers of the accounts under other names. */
const handlersFile = (accounts: string, { tag, singular, plural, type, types }: Names): string =>
  accounts
    .replaceAll('AccountsHandlers', `${capitalized(camelCase(tag))}Handlers`)
    .replaceAll('Accounts', types)
    .replaceAll('Account', type)
    .replaceAll('accounts', plural)
    .replaceAll('account', singular)

const casesFile = ({ object, singular, table, tag, type, types }: Names, properties: readonly Property[]): string =>
  `import { operations } from '../../../generated/operations.js'
import type { Cases } from '../../http/contract.js'
import { batchCases } from '../../testing/batch-cases.js'
import { likenessCases } from '../../testing/likeness-cases.js'
import { mergeCases } from '../../testing/merge-cases.js'
import { recordCases } from '../../testing/record-cases.js'
import { recoveryCases } from '../../testing/recovery-cases.js'
import { externalIdCases, upsertCases } from '../../testing/upsert-cases.js'

const ${singular} = {
  object: '${object}',
  table: '${table}',
  path: operations.list${types}.path,
  body: ${JSON.stringify(bodyOf(properties))},
  patch: ${JSON.stringify(changeOf(properties))},
}

const verbs = { ...recordCases(${singular}), ...recoveryCases(${singular}), ...upsertCases(${singular}), ...mergeCases(${singular}), ...likenessCases(${singular}) }
const duplicate = externalIdCases(${singular})

export const cases = {
  list${types}: verbs.list,
  query${types}: verbs.query,
  listView${types}: verbs.view,
  aggregate${types}: verbs.aggregate,
  listSegment${types}: verbs.segment,
  find${type}Duplicates: verbs.findDuplicates,
  create${type}: { ...verbs.create, 409: duplicate.create },
  batch${types}: batchCases(${singular}),
  upsert${type}: verbs.upsert,
  get${type}ByExternalId: verbs.getByExternalId,
  put${type}ByExternalId: verbs.putByExternalId,
  get${type}: { ...verbs.get, ...verbs.moved },
  update${type}: { ...verbs.update, 409: duplicate.update },
  delete${type}: verbs.remove,
  restore${type}: { ...verbs.restore, 409: duplicate.restore },
  list${type}Followers: verbs.followers,
  follow${type}: verbs.follow,
  unfollow${type}: verbs.unfollow,
  change${type}Tags: verbs.changeTags,
  list${type}History: verbs.history,
  list${type}Timeline: verbs.timeline,
  list${type}Duplicates: verbs.listDuplicates,
  listDeleted${types}: verbs.bin,
  purge${type}: verbs.purge,
  merge${types}: verbs.merge,
  list${type}Merges: verbs.listMerges,
  get${type}Merge: verbs.getMerge,
  undo${type}Merge: verbs.undoMerge,
} satisfies Cases<'${tag}'>
`

const referencesOf = (properties: readonly Property[]) =>
  properties.flatMap(({ name, reference }) => (reference ? [{ name, ...reference }] : []))

const tagsOf = (references: readonly { tag: string }[]): string[] => [...new Set(references.map(({ tag }) => tag))]

const camelCase = (tag: string): string => tag.replaceAll(/-(\w)/g, (_, letter: string) => letter.toUpperCase())

const tableOf = (tag: string): string => `crm${capitalized(camelCase(tag))}`

const entry = (name: string, members: readonly string[]): string[] =>
  members.length > 0 ? [`${name}: { ${members.join(', ')} }`] : []

/** The import of those functions that the code calls, if any. */
function used(code: string, functions: readonly string[], from: string): string {
  const called = functions.filter((name) => new RegExp(`\\b${name}[(<]`).test(code))
  return called.length > 0 ? `import { ${called.join(', ')} } from '${from}'\n` : ''
}
