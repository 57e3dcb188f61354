import { drift, lint, type Mutation, remove, replace, test, tsc, write } from './mutation.js'

const handlers = (tag: string): string => `src/modules/${tag}/handlers.ts`
const cases = (tag: string): string => `src/modules/${tag}/cases.ts`
const table = (tag: string): string => `src/modules/${tag}/table.ts`
const repository = (tag: string): string => `src/modules/${tag}/repository.ts`

const RESTORE_ACCOUNT =
  "  restoreAccount: ({ params, headers }, { scope }) => restore(scope, accounts, params.accountId, headers['if-match']),\n"

/** The code changes, and the contract does not. */
export const codeMutations: readonly Mutation[] = [
  // Handlers
  tsc('a handler is deleted', handlers('accounts'), replace(handlers('accounts'), RESTORE_ACCOUNT, '')),
  tsc(
    'a handler answers an operation that there is not',
    handlers('accounts'),
    replace(
      handlers('accounts'),
      RESTORE_ACCOUNT,
      `${RESTORE_ACCOUNT}${RESTORE_ACCOUNT.replace('restore', 'archive')}`,
    ),
  ),
  tsc(
    'a surplus handler hides from the type of its module',
    'generated/handlers.ts',
    replace(
      handlers('health'),
      'export const handlers: HealthHandlers = {',
      'export const handlers = {\n  getVersion: async () => ({ status: 200 as const }),',
    ),
    replace(handlers('health'), "import type { HealthHandlers } from '../../../generated/handlers.js'\n", ''),
    replace(
      handlers('health'),
      'getHealth: async (_request, context) =>',
      'getHealth: async (_request: unknown, context: Services) =>',
    ),
  ),
  tsc('the handlers of a tag are deleted', 'generated/handlers.ts', remove(handlers('pipelines'))),
  tsc(
    'a handler answers with an undeclared status',
    handlers('health'),
    replace(handlers('health'), 'getLiveness: async () => ({ status: 200,', 'getLiveness: async () => ({ status: 202,'),
  ),
  tsc(
    'a handler answers with the code of another problem',
    handlers('auth'),
    replace(
      handlers('auth'),
      "if (!user || !organization) return problem(401, 'invalid_credentials')",
      "if (!user || !organization) return problem(401, 'invalid_refresh_token')",
    ),
  ),
  tsc(
    'a handler answers with a misspelt code',
    handlers('auth'),
    replace(handlers('auth'), "problem(409, 'email_taken')", "problem(409, 'email_in_use')"),
  ),
  tsc(
    'a handler answers with a status of the HTTP layer',
    handlers('auth'),
    replace(handlers('auth'), "problem(401, 'invalid_refresh_token')", "problem(401, 'unauthenticated')"),
  ),
  tsc(
    'a handler answers without a body',
    handlers('health'),
    replace(handlers('health'), "({ status: 200, body: { status: 'up' } })", '({ status: 200 })'),
  ),
  tsc(
    'a handler answers with a body where there is none',
    handlers('auth'),
    replace(
      handlers('auth'),
      'await endSession(scope)\n    return { status: 204 }',
      'await endSession(scope)\n    return { status: 204, body: {} }',
    ),
  ),
  tsc(
    'a handler answers with a property of the wrong type',
    handlers('pipelines'),
    replace(handlers('pipelines'), 'await listPipelines(scope)', '[await listPipelines(scope)]'),
  ),
  tsc(
    'a handler forgets a header',
    handlers('auth'),
    replace(handlers('auth'), "headers: { Location: '/api/v1/me' }, ", ''),
  ),
  tsc(
    'a handler sends an undeclared header',
    handlers('pipelines'),
    replace(handlers('pipelines'), '{ status: 200, body', '{ status: 200, headers: { ETag: \'"1"\' }, body'),
  ),
  tsc(
    'a part of a record is answered as the whole',
    handlers('accounts'),
    replace('src/records/pick.ts', '(Cut & { headers: typeof PARTIAL })', 'Cut'),
  ),
  tsc(
    'a handler answers with a part of what the contract shows whole',
    handlers('users'),
    replace(handlers('users'), "headers['if-none-match'])", "headers['if-none-match'], { fields: ['email'] })"),
  ),
  tsc(
    'a handler answers in a form that nobody knows',
    handlers('leads'),
    replace('src/records/pick.ts', "vnd.zenith.partial+json'", "vnd.zenith.part+json'"),
  ),
  test(
    'src/records/pick.test.ts',
    'a part of a record has the entity tag of the whole',
    'entity tag',
    replace('src/records/read.ts', 'etagOf(record, shape.fields)', 'etagOf(record)'),
  ),
  test(
    'src/records/pick.test.ts',
    'what was named is not looked at',
    'exactly what is named',
    replace('src/records/read.ts', 'totalOf(counted, count)) }, fields)', 'totalOf(counted, count)) }, undefined)'),
  ),
  tsc(
    'a handler works without the scope of the caller',
    handlers('accounts'),
    replace(handlers('accounts'), 'list(scope, accounts, query)', 'list(accounts, query)'),
  ),
  tsc(
    'a handler of a public operation uses a scope',
    handlers('auth'),
    replace(
      handlers('auth'),
      'getJwks: async (_request, { publishedKeys })',
      'getJwks: async (_request, { publishedKeys, scope: _ })',
    ),
  ),
  tsc(
    'a handler takes the parameter of another operation',
    handlers('accounts'),
    replace(handlers('accounts'), 'get(scope, accounts, params.accountId', 'get(scope, accounts, params.contactId'),
  ),
  tsc(
    'a handler calls the verb of another operation',
    handlers('contacts'),
    replace(handlers('contacts'), 'remove(scope, contacts', 'restore(scope, contacts'),
  ),
  tsc(
    'a handler works on another kind of record',
    handlers('contacts'),
    replace(handlers('contacts'), 'create(scope, contacts, body)', 'create(scope, accounts, body)'),
    replace(
      handlers('contacts'),
      "import { contacts } from './repository.js'",
      "import { accounts } from '../accounts/repository.js'\nimport { contacts } from './repository.js'",
    ),
  ),

  // Tests that must be there
  tsc(
    'the case of a status is deleted',
    cases('accounts'),
    replace(cases('accounts'), '{ ...verbs.create, 409: duplicate.create }', 'verbs.create'),
  ),
  tsc(
    'the case of an operation is deleted',
    cases('contacts'),
    replace(cases('contacts'), '  listContacts: verbs.list,\n', ''),
  ),
  tsc('the cases of a tag are deleted', 'generated/cases.ts', remove(cases('contacts'))),
  tsc(
    'a case is for a status that is not declared',
    cases('contacts'),
    replace(cases('contacts'), '...verbs.get, ...verbs.moved }', '...verbs.get, ...verbs.moved, 410: verbs.get[404] }'),
  ),

  // Tables
  tsc(
    'a column changes its type',
    repository('accounts'),
    replace(table('accounts'), "legalName: text('legal_name')", "legalName: integer('legal_name')"),
  ),
  tsc(
    'a column can be null, its property cannot',
    repository('accounts'),
    replace(table('accounts'), "name: text('name').notNull()", "name: text('name')"),
  ),
  tsc(
    'a column cannot be null, its property can',
    repository('accounts'),
    replace(table('accounts'), "industry: text('industry')", "industry: text('industry').notNull()"),
  ),
  tsc(
    'a column forgets the values of its enum',
    repository('accounts'),
    replace(table('accounts'), "text('type').$type<NonNullable<Account['type']>>()", "text('type')"),
  ),
  tsc(
    'a column is dropped',
    repository('leads'),
    replace(table('leads'), "    sourceDetail: text('source_detail'),\n", ''),
  ),
  tsc(
    'a record table lacks the columns of every record',
    'src/modules/accounts/',
    replace(
      table('accounts'),
      '    ...recordColumns(),\n',
      '    ...(({ ownerId: _, ...rest }) => rest)(recordColumns()),\n',
    ),
  ),
  tsc(
    'a role of the contract is missing in the database',
    'src/',
    replace(
      'src/db/table.ts',
      "enum: ['owner', 'admin', 'manager', 'member', 'read_only']",
      "enum: ['owner', 'admin', 'manager', 'member', 'guest']",
    ),
  ),

  // Record types and repositories
  tsc(
    'a record type lacks a property',
    repository('accounts'),
    replace(repository('accounts'), '    taxId: column(t.taxId),\n', ''),
  ),
  tsc(
    'a record type leaks a column that is no property',
    repository('contacts'),
    replace(
      repository('contacts'),
      '    name: column(t.name),\n',
      '    name: column(t.name),\n    emailKey: column(t.emailKey),\n',
    ),
  ),
  tsc(
    'a property is read from a column of another type',
    repository('accounts'),
    replace(repository('accounts'), 'taxId: column(t.taxId)', 'taxId: column(t.numberOfEmployees)'),
  ),
  tsc(
    'money is read as a number of cents',
    repository('accounts'),
    replace(
      repository('accounts'),
      'money(t.annualRevenueMinor, t.annualRevenueCurrency)',
      'column(t.annualRevenueMinor)',
    ),
  ),
  tsc(
    'a property defaults to a value that it cannot have',
    repository('leads'),
    replace(repository('leads'), "status: 'open'", "status: 'new'"),
  ),
  tsc(
    'a computed property has the wrong type',
    repository('leads'),
    replace(repository('leads'), 'name: displayName(lead)', 'name: lead.score'),
  ),
  tsc(
    'a record type can be sorted no longer by what the contract lists',
    handlers('accounts'),
    replace(repository('accounts'), 'sorts: { name: sortBy(t.name) }', 'sorts: {}'),
  ),
  tsc(
    'a record type is sorted by a property that it lacks',
    repository('accounts'),
    replace(repository('accounts'), 'sorts: { name: sortBy(t.name) }', 'sorts: { title: sortBy(t.name) }'),
  ),
  tsc(
    'custom fields can be unique, and the contract knows no conflict',
    handlers('leads'),
    replace('openapi/paths/leads.yaml', "    '409':\n      $ref: ../components/responses/DuplicateValue.yaml\n", ''),
  ),
  tsc(
    'a record type has a name that no permission has',
    repository('accounts'),
    replace(repository('accounts'), "plural: 'accounts'", "plural: 'companies'"),
  ),
  tsc(
    'a repository asks for an unknown permission',
    repository('pipelines'),
    replace(repository('pipelines'), "requireLevel(scope, 'pipelines:read')", "requireLevel(scope, 'pipelines:list')"),
  ),
  tsc(
    'a query reads a column less than the contract needs',
    repository('organization'),
    replace(repository('organization'), '  locale: t.locale,\n', ''),
  ),
  tsc(
    'a mapper adds what is not in the contract',
    repository('organization'),
    replace(
      repository('organization'),
      '  createdAt: toRfc3339(row.createdAt),\n',
      '  plan: "trial",\n  createdAt: toRfc3339(row.createdAt),\n',
    ),
  ),
  tsc(
    'a session comes without its refresh token',
    repository('auth'),
    replace(
      repository('auth'),
      "    refreshToken: services.signer.sign('refresh',",
      "    refresh: services.signer.sign('refresh',",
    ),
  ),
  {
    ...test(
      'src/testing/coverage.test.ts',
      'an instant leaves in the form of PostgreSQL',
      'getOrganization 200: data/createdAt must match',
      replace(repository('organization'), '  createdAt: toRfc3339(row.createdAt),\n', ''),
    ),
    named: 'getOrganization 200',
  },
  test(
    'src/testing/coverage.test.ts',
    'a write leaves no event',
    'createAccount 201',
    replace('src/records/write.ts', 'from: sql`written`', 'from: sql`written where false`'),
  ),

  test(
    'src/testing/isolation-without-row-security.test.ts',
    'a query forgets the tenant',
    'listAccounts shows rows of the caller only',
    replace('src/records/scope.ts', /= \S+scopeOrganizationId'\)\}/, 'is not null'),
  ),
  test(
    'src/testing/access-matrix.test.ts',
    'every record is one’s own',
    'updateAccount reaches what the level',
    replace('src/records/scope.ts', 'record.ownerId === scope.principal.userId', 'record.ownerId !== undefined'),
  ),

  // Tags
  test(
    'src/records/tags/change.test.ts',
    'a tag that is renamed takes the others of the record along',
    'it is renamed afterwards',
    replace('src/records/tags/change.ts', ' else given.tag end as tag', ' end as tag'),
  ),
  test(
    'src/records/tags/change.test.ts',
    'a change of a tag forgets the tenant',
    'the records of other organizations stay as they are',
    replace('src/records/tags/change.ts', /\$\{sameOrganization\(t\)\} and (?=\$\{t\.tag\})/, ''),
  ),
  test(
    'src/records/tags/change.test.ts',
    'a tag is changed by whoever may manage tags',
    'whoever may not change all records',
    replace('src/records/tags/change.ts', "!== 'all')", '=== undefined)'),
  ),
  test(
    'src/records/tags/change.test.ts',
    'a tag is renamed past those who are putting it on records',
    'is renamed there, too',
    replace('src/records/tags/change.ts', 'select app.await_tagging(', 'select ('),
  ),
  test(
    'src/records/tags/change.test.ts',
    'a rename of a tag holds up those whose records it waits for',
    'it is renamed afterwards',
    replace('migrations/0019_tag-changes.sql', "  RAISE EXCEPTION USING ERRCODE = 'ZC001';\n", ''),
  ),
  test(
    'src/records/tags/uses.test.ts',
    'deleted records count among those that have a tag',
    'through the life of every',
    replace('migrations/0019_tag-changes.sql', ' AND NEW.deleted_at IS NULL THEN', ' THEN'),
  ),
  test(
    'src/testing/isolation-without-row-security.test.ts',
    'the list of tags forgets the tenant',
    'listTags',
    replace('src/records/tags/tags.ts', 'within(t, level) }', "within(t, level).append(sql.raw(' or true')) }"),
  ),
  test(
    'src/testing/coverage.test.ts',
    'a tag that is added takes the place of the others',
    'changeAccountTags 200',
    replace('src/records/tags/record-tags.ts', '[...before.tags, ...add]', 'add'),
  ),

  // Searchable custom fields
  test(
    'src/modules/custom-fields/searchable.test.ts',
    'what one organization does not search nobody finds',
    'of its kind of record and organization alone',
    replace('migrations/0018_searchable-custom-fields.sql', 'u.organization_id = %%1$s.organization_id AND ', ''),
  ),
  test(
    'src/modules/custom-fields/searchable.test.ts',
    'the documents of old records keep what is not searched any more',
    'once a job has been through all records',
    replace(
      'src/records/custom-fields/backfill.ts',
      'if (isChanging(field.searchState))',
      'if (field.searchState === undefined)',
    ),
  ),
  test(
    'src/testing/isolation-catalog.test.ts',
    'documents of all tenants can be forged',
    'a document is made anew for a record of the tenant',
    replace(
      'migrations/0018_searchable-custom-fields.sql',
      "r.organization_id = nullif(current_setting('app.organization_id', true), '')::uuid AND ",
      '',
    ),
  ),

  // References in custom fields, when records are merged
  test(
    'src/records/merge/merge.test.ts',
    'a merge leaves the keys of custom fields behind',
    'in custom fields follow',
    replace('src/records/merge/custom-references.ts', 'sql.join(keys)', 'sql.join(keys.slice(1))'),
  ),
  test(
    'src/records/merge/merge.test.ts',
    'a merge leaves unique values of custom fields to the losers',
    'in custom fields follow',
    replace('src/records/merge/custom-references.ts', 'uniqueFields.length > 0', 'uniqueFields.length > 9'),
  ),
  test(
    'src/records/merge/merge.test.ts',
    'undoing a merge spells references in custom fields anew',
    'go back as they were',
    replace('src/records/merge/custom-references.ts', /written: sql`[^`]*`/, 'written: LOSER'),
  ),
  test(
    'src/records/merge/merge.test.ts',
    'undoing a merge takes references in custom fields from where somebody has led them',
    'somebody moved them since',
    replace('src/records/merge/custom-references.ts', / = (?=\S+previous\}\n)/, " is not null or '' = "),
  ),

  // Generated files
  drift(
    'a permission is lifted in the generated table',
    'operations.ts',
    replace('generated/operations.ts', "permission: 'leads:convert'", 'permission: null'),
  ),
  drift('a generated file is deleted', 'routes.ts', remove('generated/routes.ts')),
  drift('a file is added to the generated ones', 'extra.ts', write('generated/extra.ts', 'export {}\n')),

  // Direction of imports
  lint(
    'the record engine imports a module',
    'lint/style/noRestrictedImports',
    replace(
      'src/records/cursor.ts',
      "from 'node:crypto'\n",
      "from 'node:crypto'\nimport '../modules/accounts/repository.js'\n",
    ),
  ),
  lint(
    'the HTTP layer imports a module',
    'lint/style/noRestrictedImports',
    replace('src/http/problems.ts', /^/, "import '../modules/accounts/repository.js'\n"),
  ),
  lint(
    'the database layer imports the record engine',
    'lint/style/noRestrictedImports',
    replace('src/db/columns.ts', /^/, "import '../records/scope.js'\n"),
  ),
  lint(
    'a module imports the application',
    'lint/style/noRestrictedImports',
    replace(handlers('health'), /^/, "import '../../app.js'\n"),
  ),
  lint(
    'two files of a module import each other',
    'lint/suspicious/noImportCycles',
    replace(table('accounts'), /^/, "import './repository.js'\n"),
  ),
]
