import { codegen, drift, type Edit, type Mutation, replace, test, tsc } from './mutation.js'

const ROOT = 'openapi/openapi.yaml'
const path = (name: string): string => `openapi/paths/${name}.yaml`
const schema = (name: string): string => `openapi/components/schemas/${name}.yaml`
const response = (name: string): string => `openapi/components/responses/${name}.yaml`
const parameter = (name: string): string => `openapi/components/parameters/${name}.yaml`
const handlers = (tag: string): string => `src/modules/${tag}/handlers.ts`
const repository = (tag: string): string => `src/modules/${tag}/repository.ts`

const OPEN = 'security:\n    - bearerAuth: []'
const ref = (section: string, name: string): string => `$ref: ../components/${section}/${name}.yaml`
const parameterRef = (name: string): string => `    - ${ref('parameters', name)}\n`
const problem = (status: number, name: string): string => `    '${status}':\n      ${ref('responses', name)}\n`
const header = (name: string, file = name): string => `        ${name}:\n          ${ref('headers', file)}\n`
const both = (file: string, ...pairs: [from: string, by: string][]): Edit[] =>
  pairs.map(([from, by]) => replace(file, from, by))

/** The contract changes, and the code does not. */
export const contractMutations: readonly Mutation[] = [
  // Operations
  tsc(
    'an operation is added',
    handlers('pipelines'),
    replace(
      path('pipelines'),
      'get:\n',
      `delete:
  operationId: deletePipelines
  summary: Delete pipelines
  tags: [pipelines]
  security:
    - bearerAuth: ['pipelines:read']
  responses:
    '204':
      description: The pipelines were deleted.
get:
`,
    ),
  ),
  tsc(
    'an operation is removed',
    handlers('accounts'),
    replace(ROOT, '  /accounts/{accountId}/restore:\n    $ref: paths/accounts_{accountId}_restore.yaml\n', ''),
  ),
  tsc(
    'an operationId is renamed',
    handlers('accounts'),
    replace(path('accounts_{accountId}'), 'operationId: getAccount', 'operationId: readAccount'),
  ),
  codegen(
    'an operationId is used twice',
    'createAccount is used twice',
    replace(path('accounts'), 'operationId: listAccounts', 'operationId: createAccount'),
  ),
  codegen(
    'an operationId is missing',
    'operationId must be lowerCamelCase',
    replace(path('livez'), '  operationId: getLiveness\n', ''),
  ),
  tsc(
    'an operation moves to another tag',
    handlers('accounts'),
    replace(path('accounts_{accountId}_restore'), 'tags: [accounts]', 'tags: [contacts]'),
  ),
  tsc(
    'a tag is renamed',
    'generated/handlers.ts',
    replace(path('pipelines'), 'tags: [pipelines]', 'tags: [stages]'),
    replace(ROOT, '- name: pipelines', '- name: stages'),
  ),
  codegen(
    'a tag is not declared',
    'the tag stages is not declared',
    replace(path('pipelines'), 'tags: [pipelines]', 'tags: [stages]'),
  ),
  codegen(
    'an operation has two tags',
    'exactly one tag',
    replace(path('pipelines'), 'tags: [pipelines]', 'tags: [pipelines, opportunities]'),
  ),
  codegen('a summary is missing', 'needs a summary', replace(path('me'), '  summary: Get the caller\n', '')),
  test(
    'src/testing/coverage.test.ts',
    'a method changes',
    'restoreAccount 200',
    replace(path('accounts_{accountId}_restore'), 'post:\n', 'put:\n'),
  ),

  // Access
  codegen(
    'an operation says nothing about access',
    'declare security',
    replace(path('accounts_{accountId}_restore'), "  security:\n    - bearerAuth: ['accounts:delete']\n", ''),
  ),
  codegen(
    'an operation needs a scope that no role has',
    'no role in x-roles grants accounts:restore',
    replace(path('accounts_{accountId}_restore'), "'accounts:delete'", "'accounts:restore'"),
  ),
  codegen(
    'a role grants a scope that no operation needs',
    'read_only grants accounts:archive',
    replace(ROOT, '  read_only:\n', "  read_only:\n    'accounts:archive': all\n"),
  ),
  codegen(
    'a role grants at an unknown level',
    'unknown level mine',
    replace(ROOT, "'accounts:update': own", "'accounts:update': mine"),
  ),
  codegen(
    'a scope is needed no longer, and still granted',
    'grants leads:convert',
    replace(path('leads_{leadId}_convert'), "'leads:convert'", "'leads:update'"),
  ),
  codegen(
    'an operation needs two scopes',
    'at most one scope',
    replace(path('pipelines'), "'pipelines:read'", "'pipelines:read', 'leads:read'"),
  ),
  codegen(
    'an empty requirement makes an operation public',
    'would make the operation public',
    replace(path('auth_logout'), OPEN, 'security:\n    - {}'),
  ),
  tsc(
    'an operation of the caller becomes public',
    handlers('auth'),
    replace(path('auth_logout'), OPEN, 'security: []'),
  ),
  tsc('a role is renamed', 'src/', replace(ROOT, '  read_only:\n', '  viewer:\n')),
  tsc(
    'a role can be given that has no permissions',
    'src/modules/users/',
    replace(schema('Role'), 'read_only]', 'read_only, guest]'),
  ),
  tsc(
    'a kind of record lacks the scope of a verb',
    repository('contacts'),
    replace(path('contacts_{contactId}'), "'contacts:delete'", "'contacts:update'"),
    replace(path('contacts_{contactId}_restore'), "'contacts:delete'", "'contacts:update'"),
    replace(path('recycle-bin_contacts'), "'contacts:delete'", "'contacts:update'"),
    replace(ROOT, / {4}'contacts:delete': \w+\n/g, ''),
  ),

  test(
    'src/testing/access-matrix.test.ts',
    'an operation asks for less than its record type',
    'deleteAccount',
    replace(path('accounts_{accountId}'), "'accounts:delete'", "'accounts:read'"),
  ),

  // Parameters
  codegen(
    'a path parameter is renamed in its own file only',
    'the path has no parameter id',
    replace(parameter('AccountId'), 'name: accountId', 'name: id'),
  ),
  tsc(
    'a path parameter is renamed everywhere',
    handlers('accounts'),
    replace(parameter('AccountId'), 'name: accountId', 'name: id'),
    replace(ROOT, /\/accounts\/\{accountId\}(?=[/:])/g, '/accounts/{id}'),
  ),
  codegen(
    'a path parameter is optional',
    'must be required',
    replace(parameter('AccountId'), 'required: true', 'required: false'),
  ),
  tsc('a default is dropped', handlers('accounts'), replace(parameter('Limit'), '  default: 50\n', '')),
  tsc(
    'a query parameter changes its type',
    handlers('accounts'),
    replace(parameter('Limit'), 'type: integer\n  format: int32', 'type: string'),
    replace(parameter('Limit'), '  minimum: 1\n  maximum: 200\n', ''),
    replace(parameter('Limit'), 'default: 50', "default: '50'"),
  ),
  tsc(
    'a query parameter that a handler reads is dropped',
    handlers('leads'),
    replace(path('leads_{leadId}_convert'), parameterRef('DryRun'), ''),
  ),
  tsc(
    'a list can be sorted by what the records cannot',
    handlers('accounts'),
    replace(path('accounts'), "name, '-name']", "name, '-name', domain, '-domain']"),
  ),
  tsc(
    'a reference can be expanded that the record type does not know',
    repository('contacts'),
    replace(schema('Contact'), '  reportsTo: Contact\n', '  reportsTo: Contact\n  team: Account\n'),
  ),
  tsc(
    'a reference expands to another kind of record',
    repository('contacts'),
    replace(schema('Contact'), '  account: Account\n', '  account: Lead\n'),
  ),
  codegen(
    'what can be expanded is no reference',
    'Contact has no managerId',
    replace(schema('Contact'), '  reportsTo: Contact\n', '  manager: Contact\n'),
  ),
  codegen(
    'the names of properties are those of nothing',
    'Acount has no id and version',
    replace(schema('AccountPick'), 'Account', 'Acount'),
  ),
  codegen(
    'properties are named of another kind of record than the reply holds',
    'ContactList holds no Account',
    replace(path('contacts'), parameterRef('ContactPick'), parameterRef('AccountPick')),
  ),
  codegen(
    'a part of a record is declared by hand',
    'must have one media type',
    replace(
      path('recycle-bin_leads'),
      '        application/json:\n',
      '        application/vnd.zenith.partial+json:\n          schema: {}\n        application/json:\n',
    ),
  ),
  test(
    'src/testing/examples.test.ts',
    'a record comes whole although the contract lets callers name its properties',
    'getAccountByExternalId',
    replace(
      path('accounts_external_{system}_{externalId}'),
      parameterRef('IfNoneMatch'),
      `${parameterRef('IfNoneMatch')}${parameterRef('AccountPick')}`,
    ),
  ),
  tsc(
    'a list can be filtered by what the records lack',
    handlers('accounts'),
    replace(path('accounts'), '- name: industry\n', '- name: sector\n'),
  ),
  tsc(
    'a list can be filtered by what cannot be compared',
    handlers('accounts'),
    replace(path('accounts'), '- name: industry\n', '- name: annualRevenue\n'),
  ),
  tsc(
    'a list can be filtered with an unknown operator',
    handlers('opportunities'),
    replace(path('opportunities'), '- name: expectedCloseDate[lt]', '- name: expectedCloseDate[before]'),
  ),
  tsc(
    'a filter takes a value that no record has',
    handlers('accounts'),
    replace(path('accounts'), 'competitor, other]', 'competitor, reseller, other]'),
  ),
  tsc(
    'a filter changes its type',
    handlers('accounts'),
    replace(parameter('OwnerIdFilter'), '$ref: ../schemas/Id.yaml', 'type: integer\n  format: int32'),
  ),
  tsc(
    'a header parameter is dropped',
    handlers('leads'),
    replace(path('leads_{leadId}_restore'), parameterRef('IfMatch'), ''),
  ),
  tsc(
    'a header parameter is renamed',
    handlers('accounts'),
    replace(parameter('IfNoneMatch'), 'name: If-None-Match', 'name: If-Modified-Since'),
  ),
  codegen(
    'a header parameter has a name that OpenAPI ignores',
    'OpenAPI ignores',
    replace(parameter('IfNoneMatch'), 'name: If-None-Match', 'name: Authorization'),
  ),
  codegen(
    'a list parameter is sent in several pieces',
    'style form and explode false',
    replace(path('accounts'), 'explode: false', 'explode: true'),
  ),
  codegen(
    'a parameter travels in a cookie',
    'parameters in cookie',
    replace(parameter('DryRun'), 'in: query', 'in: cookie'),
  ),

  // Request bodies
  tsc(
    'a property of a body is renamed',
    'src/modules/auth/register.ts',
    ...both(schema('RegisterRequest'), ['organizationName]', 'company]'], ['  organizationName:', '  company:']),
  ),
  tsc(
    'a property of a body changes its type',
    'src/modules/leads/convert.ts',
    replace(
      schema('LeadConversion'),
      'made from the company name.\n    $ref: Id.yaml',
      'made from the company name.\n    type: boolean',
    ),
  ),
  tsc(
    'a property of a body becomes optional',
    handlers('auth'),
    replace(schema('RegisterRequest'), '[email, password, organizationName]', '[password, organizationName]'),
  ),
  tsc(
    'a property of a body is dropped',
    handlers('auth'),
    replace(schema('LoginRequest'), '  organizationId:\n', '  organization:\n'),
  ),
  tsc(
    'a body takes a property that the record lacks',
    handlers('accounts'),
    replace(
      schema('AccountCreate'),
      'required: [name]',
      'required: [name]\n    properties:\n      nickname:\n        $ref: Name.yaml',
    ),
  ),
  tsc(
    'a merge patch takes a property that the user lacks',
    repository('users'),
    replace(schema('UserUpdate'), '  title:\n', '  jobTitle:\n'),
  ),
  tsc(
    'a body becomes optional',
    handlers('auth'),
    replace(path('auth_password'), 'requestBody:\n    required: true', 'requestBody:\n    required: false'),
  ),
  codegen(
    'a merge patch has a default',
    'a default in a merge patch',
    replace(schema('UserUpdate'), '    $ref: Role.yaml', '    $ref: Role.yaml\n    default: member'),
  ),
  codegen(
    'the media types of a body disagree',
    'must share one schema',
    replace(
      path('organization'),
      `application/json:\n        schema:\n          ${ref('schemas', 'OrganizationUpdate')}`,
      `application/json:\n        schema:\n          ${ref('schemas', 'UserUpdate')}`,
    ),
  ),
  codegen(
    'a body is not JSON',
    'needs a JSON media type',
    replace(path('auth_password'), 'application/json:', 'text/plain:'),
  ),
  codegen(
    'a body has no example',
    'the body needs examples',
    replace(path('auth_password'), 'examples:', 'x-examples:'),
  ),

  // Replies
  tsc('a status changes', handlers('accounts'), replace(path('accounts'), "'201':", "'202':")),
  tsc(
    'a 404 is dropped',
    handlers('contacts'),
    replace(path('contacts_{contactId}_restore'), problem(404, 'NotFound'), ''),
  ),
  tsc('a 409 is dropped', handlers('accounts'), replace(path('accounts'), problem(409, 'DuplicateValue'), '')),
  tsc(
    'a 412 is dropped',
    handlers('users'),
    replace(path('users_{userId}_deactivate'), problem(412, 'PreconditionFailed'), ''),
  ),
  tsc('a 304 is dropped', handlers('organization'), replace(path('organization'), "'304':", "'302':")),
  tsc('a 503 is dropped', handlers('health'), replace(path('healthz'), "'503':", "'203':")),
  tsc(
    'a status is declared that has no test',
    'src/modules/auth/cases.ts',
    replace(path('auth_logout'), '  responses:\n', `  responses:\n${problem(404, 'NotFound')}`),
  ),
  tsc(
    'the code of a shared problem is renamed',
    handlers('leads'),
    replace(response('NotFound'), 'const: not_found', 'const: unknown_id'),
  ),
  tsc(
    'one of the codes of a problem is dropped',
    handlers('leads'),
    replace(response('LeadConflict'), 'enum: [already_converted, duplicate_value]', 'const: already_converted'),
  ),
  codegen(
    'a problem does not say which code it has',
    'must pin its code',
    replace(response('InvalidCredentials'), 'const: invalid_credentials', 'type: string'),
  ),
  codegen(
    'an error is not a problem',
    'must be a problem',
    replace(response('EmailTaken'), 'application/problem+json', 'application/json'),
  ),
  codegen(
    'a reply by default lets anything through',
    'must be one status',
    replace(path('auth_logout'), "'204':", 'default:'),
  ),
  codegen('a 204 has a body', '204 cannot have a body', replace(path('pipelines'), "'200':", "'204':")),
  codegen(
    'a reply has a media type that is not sent',
    'cannot be sent as text/csv',
    replace(path('pipelines'), 'application/json:', 'text/csv:'),
  ),
  codegen('a reply has no example', 'needs examples', replace(path('pipelines'), 'examples:', 'x-examples:')),
  tsc('an ETag is dropped', handlers('leads'), replace(path('leads_{leadId}_restore'), header('ETag'), '')),
  tsc('a Location is dropped', handlers('auth'), replace(path('auth_register'), header('Location'), '')),
  tsc(
    'a reply needs another header',
    handlers('leads'),
    replace(
      path('leads_{leadId}_convert'),
      header('Idempotency-Replayed'),
      `${header('Idempotency-Replayed')}${header('ETag')}`,
    ),
  ),

  // Schemas of resources
  tsc(
    'a property of a record is renamed',
    repository('accounts'),
    replace(schema('AccountFields'), '  legalName:', '  officialName:'),
    replace(schema('Account'), '- legalName', '- officialName'),
  ),
  codegen(
    'a property of a record is renamed in one of two files',
    'legalName',
    replace(schema('AccountFields'), '  legalName:', '  officialName:'),
  ),
  tsc(
    'a property of a record changes its type',
    repository('accounts'),
    replace(
      schema('AccountFields'),
      'numberOfEmployees:\n    $ref: OptionalCount.yaml',
      'numberOfEmployees:\n    $ref: OptionalText.yaml',
    ),
  ),
  tsc(
    'a property of a record can no longer be null',
    repository('accounts'),
    replace(schema('AccountFields'), 'legalName:\n    $ref: OptionalText.yaml', 'legalName:\n    $ref: Name.yaml'),
  ),
  tsc(
    'a property of a record can be null, its column cannot',
    repository('contacts'),
    replace(schema('ContactFields'), 'lastName:\n    $ref: Name.yaml', 'lastName:\n    $ref: OptionalText.yaml'),
  ),
  tsc(
    'a property of a record becomes money',
    repository('opportunities'),
    replace(
      schema('OpportunityFields'),
      'nextStep:\n    $ref: OptionalText.yaml',
      'nextStep:\n    $ref: OptionalMoney.yaml',
    ),
  ),
  tsc(
    'a property of a record is dropped',
    repository('leads'),
    replace(schema('LeadFields'), '  sourceDetail:\n    $ref: OptionalText.yaml\n', ''),
    replace(schema('Lead'), '      - sourceDetail\n', ''),
  ),
  tsc(
    'a record gets a property',
    repository('opportunities'),
    replace(schema('OpportunityFields'), '  competitor:\n', '  region:\n    $ref: OptionalText.yaml\n  competitor:\n'),
    replace(schema('Opportunity'), '      - competitor\n', '      - competitor\n      - region\n'),
  ),
  tsc(
    'a record gets an optional property',
    repository('accounts'),
    replace(schema('AccountFields'), '  legalName:\n', '  nickname:\n    $ref: OptionalText.yaml\n  legalName:\n'),
  ),
  tsc(
    'a value of an enum is dropped that a filter still takes',
    handlers('accounts'),
    replace(schema('AccountFields'), 'competitor, other, null]', 'other, null]'),
  ),
  tsc(
    'a value of an enum is renamed that the code writes',
    'src/modules/leads/convert.ts',
    replace(schema('Lead'), 'unqualified, converted]', 'unqualified, won]'),
    replace(path('leads'), 'unqualified, converted]', 'unqualified, won]'),
  ),
  tsc(
    'a value of an enum is added that flows into another',
    repository('opportunities'),
    replace(schema('Stage'), 'enum: [open, won, lost]', 'enum: [open, won, lost, paused]'),
  ),
  tsc('a constant changes', repository('auth'), replace(schema('Session'), 'const: Bearer', 'const: DPoP')),
  tsc(
    'the version of every record becomes text',
    'src/records/',
    replace(schema('Version'), 'type: integer\nformat: int32', 'type: string'),
  ),
  tsc(
    'the envelope of every list changes',
    handlers('accounts'),
    ...both(schema('Page'), ['nextCursor, hasMore]', 'nextCursor, more]'], ['  hasMore:', '  more:']),
  ),
  tsc(
    'the faults of every problem change',
    'src/',
    ...both(
      schema('Problem'),
      ['[pointer, code, message]', '[path, code, message]'],
      ['        pointer:', '        path:'],
    ),
  ),
  tsc(
    'what a conversion tells changes its type',
    handlers('leads'),
    replace(schema('LeadConversionResult'), 'dryRun:\n    type: boolean', 'dryRun:\n    type: string'),
  ),
  codegen(
    'a reference leads nowhere',
    'OptionalText2.yaml',
    replace(
      schema('AccountFields'),
      'legalName:\n    $ref: OptionalText.yaml',
      'legalName:\n    $ref: OptionalText2.yaml',
    ),
  ),
  codegen(
    'a required property does not exist',
    'requires what it does not declare: nickname',
    replace(schema('AccountCreate'), 'required: [name]', 'required: [name, nickname]'),
  ),

  test(
    'src/testing/examples.test.ts',
    'an example breaks its schema',
    'createInvitation',
    replace(path('invitations'), 'role: "member"\n  responses', 'role: "boss"\n  responses'),
  ),

  // What no code depends on, except the generated one
  drift('a name may be longer', 'validators.ts', replace(schema('Name'), 'maxLength: 255', 'maxLength: 300')),
  drift('a summary changes', 'handlers.ts', replace(path('me'), 'summary: Get the caller', 'summary: Read the caller')),
  drift(
    'a value of an enum is dropped everywhere',
    'types.ts',
    replace(schema('AccountFields'), 'competitor, other, null]', 'other, null]'),
    replace(path('accounts'), 'competitor, other]', 'other]'),
  ),
]
