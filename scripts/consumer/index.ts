/** A day of somebody who has only the package: `node dist/index.js <base URL>` fails on the first mismatch. */
import {
  type Client,
  convertLead,
  createAccount,
  createClient,
  createLead,
  getAccount,
  getLead,
  getMe,
  listAccounts,
  paginate,
  register,
  type Schemas,
  updateAccount,
  ZenithProblem,
} from '@zenith-crm/sdk'

// The SDK runs wherever `fetch` does, so this project has no types of Node.
declare const process: { readonly argv: readonly string[] }

const [, , baseUrl] = process.argv
if (baseUrl === undefined) throw new Error('usage: node dist/index.js <base URL>')

function equal<T>(actual: T, expected: NoInfer<T>, what: string): void {
  const [left, right] = [JSON.stringify(actual), JSON.stringify(expected)]
  if (left !== right) throw new Error(`${what}: ${left}, expected ${right}`)
}

async function problemOf(work: Promise<unknown>): Promise<ZenithProblem> {
  const outcome = await work.then(
    () => undefined,
    (error: unknown) => error,
  )
  if (outcome instanceof ZenithProblem) return outcome
  throw new Error('expected a ZenithProblem', { cause: outcome })
}

async function step(name: string, work: () => Promise<void>): Promise<void> {
  await work()
  console.log(`  ok  ${name}`)
}

const client: Client = createClient({ baseUrl })
const email = 'ada@consumer.example'
const created: Schemas['Account'][] = []
let session: Schemas['Session'] | undefined

await step('register', async () => {
  const { status, data } = await register(client, {
    body: { email, password: 'correct horse battery staple', organizationName: 'Consumer' },
  })
  equal(status, 201, 'status')
  session = data
  client.setTokens(data)
  const { data: me } = await getMe(client)
  equal(me.user.email, email, 'the caller')
})

await step('create accounts', async () => {
  for (const letter of 'abcdefg') {
    const { data } = await createAccount(client, { body: { name: `Account ${letter}`, domain: `${letter}.example` } })
    created.push(data)
  }
})

await step('walk all pages', async () => {
  const names: string[] = []
  const pages = paginate(listAccounts, client, { query: { sort: ['-name'], limit: 3 } })
  for await (const account of pages) names.push(account.name)
  equal(names, created.map(({ name }) => name).reverse(), 'the accounts in order')
})

await step('read a part of each record, of which the compiler knows what is there', async () => {
  const { data } = await listAccounts(client, { query: { fields: ['name', 'website'], sort: ['name'], limit: 1 } })
  const [first] = data.data
  const part: Pick<Schemas['Account'], 'id' | 'version' | 'name' | 'website'> | undefined = first
  equal(part?.name, 'Account a', 'the name')
  // @ts-expect-error It was not asked for.
  equal(first?.domain, undefined, 'the domain')
  equal(Object.keys(first ?? {}), ['id', 'version', 'name', 'website'], 'the properties')

  const names: string[] = []
  for await (const { name } of paginate(listAccounts, client, { query: { fields: ['name'], limit: 3 } }))
    names.push(name)
  equal(names.length, created.length, 'accounts on all pages')

  const path = { accountId: part?.id ?? '' }
  const { data: whole } = await getAccount(client, { path })
  const { data: named, etag } = await getAccount(client, { path, query: { fields: ['name'] } })
  equal(named.name, whole.name, 'the name of one')
  equal(whole.domain, 'a.example', 'the domain of the whole')
  await updateAccount(client, { path, headers: { 'If-Match': etag }, body: { website: 'https://a.example/' } })
})

await step('change with an ETag, then with the one before', async () => {
  const path = { accountId: created[0]?.id ?? '' }
  const { etag } = await getAccount(client, { path })
  const change = { path, headers: { 'If-Match': etag }, body: { industry: 'Wholesale' } }
  const { data } = await updateAccount(client, change)
  equal(data.industry, 'Wholesale', 'the industry')
  equal((await problemOf(updateAccount(client, change))).code, 'version_mismatch', 'the code')
})

await step('create a lead and convert it', async () => {
  const { data: lead } = await createLead(client, {
    body: { firstName: 'Grace', lastName: 'Hopper', companyName: 'Compilers', email: 'grace@compilers.example' },
  })
  const path = { leadId: lead.id }
  const { data: result } = await convertLead(client, { path, body: { opportunity: { name: 'First order' } } })
  equal(result.account.outcome, 'created', 'the account')
  equal(result.contact.record.email, lead.email, 'the email address of the contact')
  equal(result.opportunity?.record.name, 'First order', 'the opportunity')
  const { data: converted } = await getLead(client, { path })
  equal(converted.status, 'converted', 'the status of the lead')
  equal(converted.convertedAccountId, result.account.record.id, 'the account of the lead')
  equal((await problemOf(convertLead(client, { path, body: {} }))).code, 'already_converted', 'the code')
})

await step('a duplicate is a problem that names the record in the way', async () => {
  const problem = await problemOf(createAccount(client, { body: { name: 'Again', domain: 'a.example' } }))
  equal([problem.status, problem.code], [409, 'duplicate_value'], 'the problem')
  equal(problem.conflicts[0]?.id, created[0]?.id, 'the record in the way')
})

await step('an invalid body is a problem that points at the field', async () => {
  const problem = await problemOf(createAccount(client, { body: { name: '' } }))
  equal([problem.status, problem.code], [400, 'invalid_request'], 'the problem')
  if (!problem.errors[0]?.pointer.endsWith('/name')) throw new Error(`no pointer: ${JSON.stringify(problem.errors)}`)
})

await step('the same key twice is one record', async () => {
  const once = { headers: { 'Idempotency-Key': 'consumer-1' }, body: { name: 'Once' } }
  const first = await createAccount(client, once)
  const second = await createAccount(client, once)
  equal(second.data.id, first.data.id, 'the id')
  equal(second.response.headers.get('idempotency-replayed'), 'true', 'the mark of a replay')
  const names: string[] = []
  for await (const account of paginate(listAccounts, client)) names.push(account.name)
  equal(names.filter((name) => name === 'Once').length, 1, 'records')
})

await step('requests that find the access token expired share one renewal', async () => {
  const renewed: string[] = []
  const expired = createClient({
    baseUrl,
    accessToken: 'expired',
    refreshToken: session?.refreshToken,
    onTokens: ({ refreshToken }) => {
      renewed.push(refreshToken)
    },
  })
  const callers = await Promise.all([getMe(expired), getMe(expired), getMe(expired)])
  for (const { data } of callers) equal(data.user.email, email, 'the caller')
  equal(renewed.length, 1, 'renewals')
  if (renewed[0] === session?.refreshToken) throw new Error('a refresh token works once')
})
