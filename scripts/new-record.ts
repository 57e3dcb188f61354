import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { ASSET_SCHEMAS, assetFiles } from './new-record/assets.js'
import { componentFiles, oneAssetText, renamedText, retold, rootFile } from './new-record/contract.js'
import { moduleFiles } from './new-record/module.js'
import { namesOf } from './new-record/names.js'
import { parseProperty } from './new-record/properties.js'

const USAGE = 'Usage: npm run new:record -- <singular> <plural> <property>:<kind>[!] ...'
const ROOT = 'openapi/openapi.yaml'

/** Writes the contract and the module of a record type; what it starts from is how accounts are written. */
async function main([singular = '', plural = '', ...given]: string[]): Promise<void> {
  const root = await readFile(ROOT, 'utf8')
  const records = [...root.matchAll(/^ {2}\/([\w-]+)\/\{(\w+)Id\}\/restore:$/gm)]
  const known = records.map(([, tag = '', name = '']) => ({ tag, singular: name }))
  const names = namesOf(singular, plural)
  const properties = given.map((argument) => parseProperty(argument, known))
  if (!properties.some(({ kind }) => kind.samples)) throw new Error('a record needs a property that is not a reference')
  if (new Set(properties.map(({ name }) => name)).size < properties.length) throw new Error('a property is named twice')

  const files: Record<string, string> = {}
  for (const file of [
    ...['accounts', 'accounts_query', 'accounts_aggregate', 'accounts_batch', 'accounts_{accountId}'],
    ...['accounts_duplicates', 'accounts_{accountId}_duplicates'],
    ...[
      'accounts_{accountId}_restore',
      'accounts_{accountId}_history',
      'accounts_{accountId}_timeline',
      'accounts_{accountId}_purge',
      'accounts_{accountId}_followers',
      'accounts_{accountId}_followers_me',
      'accounts_{accountId}_tags',
      'recycle-bin_accounts',
      'views_{viewId}_accounts',
      'segments_{segmentId}_accounts',
    ],
    ...['accounts_upsert', 'accounts_external_{system}_{externalId}'],
    ...['accounts_merge', 'merges_accounts', 'merges_accounts_{mergeId}', 'merges_accounts_{mergeId}_undo'],
  ]) {
    const source = await readFile(`openapi/paths/${file}.yaml`, 'utf8')
    const path = `openapi/paths/${file.replace('accounts', names.tag).replace('account', singular)}.yaml`
    files[path] = retold(source, names, properties)
  }
  for (const verb of ['Get', 'Update', 'Delete', 'Restore']) {
    const source = await readFile(`openapi/components/links/${verb}Account.yaml`, 'utf8')
    files[`openapi/components/links/${verb}${names.type}.yaml`] = retold(source, names, properties)
  }
  const batch = ['', 'Create', 'Item', 'Result', 'Update', 'Upsert'].map((part) => `Batch${part}`)
  const own = [
    'MatchOn',
    'Upsert',
    'Aggregation',
    'Measure',
    'Merge',
    'MergeFields',
    'MergeResult',
    'UnmergeResult',
    'Duplicates',
  ]
  for (const part of [...batch, ...own]) {
    const source = await readFile(`openapi/components/schemas/Account${part}.yaml`, 'utf8')
    files[`openapi/components/schemas/${names.type}${part}.yaml`] = renamedText(source, names)
  }
  for (const section of ['parameters', 'schemas']) {
    for (const name of ['Expand', 'Pick']) {
      const source = await readFile(`openapi/components/${section}/Account${name}.yaml`, 'utf8')
      files[`openapi/components/${section}/${names.type}${name}.yaml`] = renamedText(source, names)
    }
  }
  for (const [name, content] of Object.entries(componentFiles(names, properties))) {
    files[`openapi/components/${name}`] = content
  }
  for (const kind of ASSET_SCHEMAS) {
    const source = await readFile(`openapi/components/schemas/Account${kind}.yaml`, 'utf8')
    files[`openapi/components/schemas/${names.type}${kind}.yaml`] = oneAssetText(source, names)
  }
  const handlers = await readFile('src/modules/accounts/handlers.ts', 'utf8')
  const folder = `src/modules/${names.tag}`
  for (const [name, content] of Object.entries(moduleFiles(handlers, names, properties))) {
    files[`${folder}/${name}`] = content
  }

  const taken = Object.keys(files).filter((path) => existsSync(path))
  if (taken.length > 0) throw new Error(`already there: ${taken.join(', ')}`)
  files[ROOT] = rootFile(root, names)
  for (const [path, tell] of Object.entries(assetFiles(names, properties))) {
    files[path] = tell(await readFile(path, 'utf8'))
  }
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, content)
  }
  execFileSync(process.execPath, ['node_modules/@biomejs/biome/bin/biome', 'check', '--write', folder], {
    stdio: 'pipe',
  })

  const next = ['npm run generate', `npm run db:generate -- --name add-${names.tag}`, 'npx tsc --noEmit', 'npm test']
  console.log([...Object.keys(files), '', 'Next:', ...next.map((command) => `  ${command}`)].join('\n'))
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  console.error(`${error instanceof Error ? error.message : error}\n${USAGE}`)
  process.exitCode = 1
}
