import type pg from 'pg'
import { type Caller, lists } from './explain.js'
import { BASE } from './recorder.js'

/** A page that somebody may want. */
export type Question = {
  scenario: string
  what: string
  path: string
  /** Of a query. */
  body?: { filter?: object; sort?: string[] }
  /** How many records before the deep page. */
  depth?: number
  /** Why it reads more than it should. */
  reason?: string
}

/** What the questions ask for: a value that many records have and one that few have. */
type Frequent = { most: string; least: string }
export type Values = {
  lifecycleStage: Frequent
  title: Frequent
  department: Frequent
  language: Frequent
  owner: Frequent
  account: Frequent
  industry: Frequent
  accountName: Frequent
  email: string
  /** Of the custom field. */
  customerNumber: string
  /** Names of people. */
  lastName: Frequent
  fullName: Frequent
  /** The times between which the middle third and the middle hundredth were created. */
  third: [string, string]
  hundredth: [string, string]
}

/** The same in every run, as they depend on nothing but the data. A member asks for what a member sees. */
export async function findValues(
  client: pg.Client,
  { organizationId, userId, role }: Omit<Caller, 'token'>,
): Promise<Values> {
  const seen = (alias: string) =>
    role === 'member'
      ? ` and (${alias}.owner_id = '${userId}' or ${alias}.team_id in (select team_id from crm_team_members where user_id = '${userId}'))`
      : ''
  const live = 'c.organization_id = $1 and c.deleted_at is null'
  const frequent = async (value: string, from = 'crm_contacts c', condition = seen('c')): Promise<Frequent> => {
    const { rows } = await client.query<{ value: string }>(
      `select (${value})::text as value from ${from} where ${live} and ${value} is not null${condition} group by 1 order by count(*) desc, 1`,
      [organizationId],
    )
    return { most: rows[0]?.value ?? '', least: rows.at(-1)?.value ?? '' }
  }
  const between = async (from: number, to: number): Promise<[string, string]> => {
    const { rows } = await client.query<{ found: [string, string] }>(
      `select to_json(percentile_disc(array[${from}, ${to}]) within group (order by created_at)) as found from crm_contacts c where ${live}`,
      [organizationId],
    )
    const [first = '', last = ''] = rows[0]?.found.map((time) => new Date(time).toISOString()) ?? []
    return [first, last]
  }
  const accounts = `crm_contacts c join crm_accounts a on a.organization_id = c.organization_id and a.id = c.account_id and a.deleted_at is null`
  const one = async (value: string): Promise<string> => {
    const { rows } = await client.query<{ value: string }>(
      `select ${value} as value from crm_contacts c where ${live} and ${value} is not null${seen('c')} order by id limit 1`,
      [organizationId],
    )
    return rows[0]?.value ?? ''
  }
  return {
    lifecycleStage: await frequent('c.lifecycle_stage'),
    title: await frequent('c.title'),
    department: await frequent('c.department'),
    language: await frequent('c.language'),
    owner: await frequent('c.owner_id'),
    account: await frequent('c.account_id', accounts, seen('a')),
    industry: await frequent('a.industry', accounts, seen('a')),
    accountName: await frequent('a.name', accounts, seen('a')),
    email: await one('c.email'),
    customerNumber: await one(`c.custom_fields ->> 'customerNumber'`),
    lastName: await frequent('c.last_name'),
    fullName: await frequent('c.name'),
    third: await between(0.33, 0.67),
    hundredth: await between(0.5, 0.51),
  }
}

const WALKED = `The order is walked until 51 records match, and each that does not costs about a page: no index has all of the conditions
  before this order, and there cannot be one for each combination. Where that is less, all that match one condition are sorted.`
const UNINDEXED = `Job title, department and language have no index of their own, so the order is walked past all records that do not match, if need
  be to its end.`
const TAGGED = `The uses of tags lead to the records that have one, at four pages each, or the order is walked past all that lack it: PostgreSQL begins where
  there is less, by what it knows of the tag in all tenants. An index with tag and order would take a row of uses for each order.`
const TWO_TIMES = `The times of creation and of the last change go together, which PostgreSQL cannot know: it walks one past all that the other
  excludes.`
const TIES = `The first term has many equal values, and all records that share one with the page are sorted by the second.`
const MERGED = `Several values of one field, each of which the index has in the order of creation, but PostgreSQL does not merge them: it walks
  the order past all other values, or sorts all that match.`
const ELSEWHERE = `What the account is like, only the account says: each contact that is passed over costs its own page and four for its account.
  Nothing but a copy in every contact would help, which every change of an account would have to keep.`

const is = (field: string, op: string, value: unknown) => ({ field, op, value })
const eq = (field: string, value: unknown) => is(field, 'eq', value)

export function questions(values: Values): Question[] {
  return [
    ...lists50(values),
    ...sorts(),
    ...conditions(values),
    ...relations(values),
    ...custom(values),
    ...searches(values),
  ]
}

/** Of the contacts, or of what there are of another kind. */
const HALF = 500_000

export const SORTS = 'Sort by any sortable field'

/** Every order of every list of records. */
function sorts(): Question[] {
  return lists()
    .filter(({ path }) => path !== `${BASE}/users`)
    .flatMap(({ path, sorts: terms }) =>
      terms
        .filter(({ length }) => length === 1)
        .map(([term = '']) => ({
          scenario: SORTS,
          what: `${path.slice(BASE.length + 1)}, \`${term}\``,
          path: `${path.slice(BASE.length)}?sort=${term}`,
          depth: HALF,
        })),
    )
}

const QUERY = '/contacts/query'

const because = (reason: string, question: Question): Question => ({ ...question, reason })

function lists50({ lifecycleStage, owner, account }: Values): Question[] {
  const scenario = 'Lists and deep cursors'
  const list = (what: string, query: string) => ({ scenario, what, path: `/contacts?${query}` })
  return [
    { ...list('all, newest first', 'sort=-createdAt'), depth: HALF },
    list('by a frequent stage', `lifecycleStage=${lifecycleStage.most}`),
    list('by a rare stage', `lifecycleStage=${lifecycleStage.least}`),
    list('of the owner of most', `ownerId=${owner.most}`),
    list('of the owner of fewest', `ownerId=${owner.least}`),
    list('of the account with most', `accountId=${account.most}`),
    list('of an account with one', `accountId=${account.least}`),
    because(WALKED, list('of the owner of most, by name', `ownerId=${owner.most}&sort=name`)),
    because(WALKED, list('of the account with most, by name', `accountId=${account.most}&sort=name`)),
    because(TIES, list('by name, then newest', 'sort=name,-createdAt')),
  ]
}

function conditions(values: Values): Question[] {
  const { lifecycleStage, title, department, language, owner, account, email, third, hundredth } = values
  const scenario = 'Filters of several conditions'
  const all = (what: string, filter: object[], sort?: string[]): Question => ({
    scenario,
    what,
    path: QUERY,
    body: { filter: { and: filter }, ...(sort && { sort }) },
  })
  const frequent = [eq('lifecycleStage', lifecycleStage.most), eq('emailOptOut', false)]
  return [
    all('frequent stage, no opt-out', frequent),
    because(
      WALKED,
      all('frequent stage and title, a choice, a negation', [
        is('lifecycleStage', 'in', [lifecycleStage.most, lifecycleStage.least]),
        eq('title', title.most),
        is('doNotCall', 'ne', true),
      ]),
    ),
    all('frequent stage of the owner of fewest', [eq('ownerId', owner.least), ...frequent]),
    because(
      WALKED,
      all('rare stage of the owner of most', [eq('ownerId', owner.most), eq('lifecycleStage', lifecycleStage.least)]),
    ),
    all('frequent stage in one account', [eq('accountId', account.most), ...frequent]),
    because(
      UNINDEXED,
      all('either a rare title or a rare department', [
        { or: [eq('title', title.least), eq('department', department.least)] },
        ...frequent,
      ]),
    ),
    because(
      WALKED,
      all('everything but the frequent stage and title', [
        { not: { or: [eq('lifecycleStage', lifecycleStage.most), eq('title', title.most)] } },
      ]),
    ),
    all('rare stage, created in the middle third', [
      is('createdAt', 'between', third),
      eq('lifecycleStage', lifecycleStage.least),
    ]),
    because(
      UNINDEXED,
      all('rare title, created in the middle hundredth', [
        is('createdAt', 'between', hundredth),
        eq('title', title.least),
      ]),
    ),
    all('one e-mail address and a title that is not its own', [eq('email', email), is('title', 'ne', 'Nobody')]),
    because(WALKED, all('frequent stage, by name', frequent, ['name'])),
    because(
      TWO_TIMES,
      all('created in the middle third, by last change', [is('createdAt', 'between', third)], ['updatedAt']),
    ),
    because(
      UNINDEXED,
      all('rare title, department and language together', [
        eq('title', title.least),
        eq('department', department.least),
        eq('language', language.least),
      ]),
    ),
    because(TAGGED, all('a tag and a frequent stage', [is('tags', 'has', 'vip'), ...frequent])),
    ...[undefined, ['name']].flatMap((sort) =>
      (
        [
          ['of 68,000', 'key-account'],
          ['of 2,000', 'beta'],
          ['of 50', 'pilot'],
        ] as const
      ).map(([many, tag]) =>
        because(TAGGED, all(`a tag ${many}${sort ? ', by name' : ''}`, [is('tags', 'has', tag)], sort)),
      ),
    ),
  ]
}

function relations({ lifecycleStage, industry, accountName, owner }: Values): Question[] {
  const scenario = 'One-hop relations'
  const ask = (what: string, filter: object, sort?: string[]): Question => ({
    scenario,
    what,
    path: QUERY,
    body: { filter, ...(sort && { sort }) },
  })
  return [
    because(ELSEWHERE, ask('account in a frequent industry', eq('account.industry', industry.most))),
    because(ELSEWHERE, ask('account in a rare industry', eq('account.industry', industry.least))),
    because(ELSEWHERE, ask('account of a name, with many contacts', eq('account.name', accountName.most))),
    ask('account of a name, with few contacts', eq('account.name', accountName.least)),
    because(ELSEWHERE, ask('account of the owner of fewest', eq('account.ownerId', owner.least))),
    because(
      ELSEWHERE,
      ask('account in a frequent industry, frequent stage', {
        and: [eq('account.industry', industry.most), eq('lifecycleStage', lifecycleStage.most)],
      }),
    ),
    because(
      ELSEWHERE,
      ask('account in a rare industry, rare stage', {
        and: [eq('account.industry', industry.least), eq('lifecycleStage', lifecycleStage.least)],
      }),
    ),
    because(ELSEWHERE, ask('account not in a frequent industry', { not: eq('account.industry', industry.most) })),
    because(
      ELSEWHERE,
      ask('account in a frequent industry, or a rare stage', {
        or: [eq('account.industry', industry.most), eq('lifecycleStage', lifecycleStage.least)],
      }),
    ),
    because(ELSEWHERE, ask('account in a frequent industry, by name', eq('account.industry', industry.most), ['name'])),
  ]
}

/** The custom fields that the seed defines. */
function custom({ customerNumber, lifecycleStage, title }: Values): Question[] {
  const ask =
    (scenario: string) =>
    (what: string, filter: object | undefined, sort?: string[]): Question => ({
      scenario,
      what,
      path: QUERY,
      body: { ...(filter && { filter }), ...(sort && { sort }) },
    })
  const [tier, seats, renewal] = ['customFields.tier', 'customFields.seats', 'customFields.renewal']
  const equality = ask('Custom fields: equality')
  const range = ask('Custom fields: range')
  const order = ask('Custom fields: order')
  return [
    equality('a frequent choice', eq(tier, 'bronze')),
    equality('a rare choice', eq(tier, 'platinum')),
    because(MERGED, equality('one of two choices', is(tier, 'in', ['gold', 'platinum']))),
    equality('one of 500 numbers', eq(seats, 250)),
    equality('a text that one contact has', eq('customFields.customerNumber', customerNumber)),
    equality('no value', is(tier, 'isNull', true)),
    equality('a frequent choice, frequent stage', {
      and: [eq(tier, 'bronze'), eq('lifecycleStage', lifecycleStage.most)],
    }),
    because(WALKED, equality('a rare choice, one of 500 numbers', { and: [eq(tier, 'platinum'), eq(seats, 250)] })),
    because(
      UNINDEXED,
      equality('a rare choice, rare title', { and: [eq(tier, 'platinum'), eq('title', title.least)] }),
    ),
    because(WALKED, equality('a frequent choice, by name', eq(tier, 'bronze'), ['name'])),
    because(WALKED, equality('one of 500 numbers, by name', eq(seats, 250), ['name'])),
    because(MERGED, range('most numbers', is(seats, 'between', [100, 400]))),
    because(MERGED, range('a few numbers', is(seats, 'between', [100, 102]))),
    range('dates of the later half', is(renewal, 'gte', '2026-05-16')),
    because(MERGED, range('dates of a week', is(renewal, 'between', ['2026-05-16', '2026-05-22']))),
    range('a beginning of a text', is('customFields.customerNumber', 'startsWith', 'C-123')),
    range('dates of the later half, in their order', is(renewal, 'gte', '2026-05-16'), [renewal]),
    range('dates of a week, the latest first', is(renewal, 'between', ['2026-05-16', '2026-05-22']), [`-${renewal}`]),
    because(
      MERGED,
      range('a few numbers, a frequent choice', { and: [is(seats, 'between', [100, 102]), eq(tier, 'bronze')] }),
    ),
    order('by a choice', undefined, [tier]),
    order('by a choice, the other way round', undefined, [`-${tier}`]),
    order('by a number', undefined, [seats]),
    order('by a number, the other way round', undefined, [`-${seats}`]),
    order('by a date', undefined, [renewal]),
    order('by a text, the other way round', undefined, ['-customFields.customerNumber']),
    order('by a date, frequent stage', eq('lifecycleStage', lifecycleStage.most), [renewal]),
    because(TIES, order('by a choice, then by name', undefined, [tier, 'name'])),
  ]
}

/** A letter is doubled in the middle. */
export const misspelt = (name: string): string => name.slice(0, name.length / 2 + 1) + name.slice(name.length / 2)

const CONSIDERED = `A search considers up to 1,000 matches before it orders and cuts them, each of which costs its document, and up to four pages for its
  record: words are not in the order of a list. Where there are more matches it looks at the 5,000 youngest documents, too.`
const ALIKE = `Similar names are found by their trigrams, each of which many names have: the lists of all of them are read, and every document that may
  be similar is compared. Then come the records of what was found.`

function searches({ lastName, fullName, email, lifecycleStage }: Values): Question[] {
  const search = (scenario: string, what: string, q: string, more = ''): Question => ({
    scenario,
    reason: scenario === name ? ALIKE : CONSIDERED,
    what,
    path: `/contacts?${new URLSearchParams({ q })}${more}`,
  })
  const text = 'Full text'
  const name = 'Fuzzy names'
  const everywhere = (what: string, q: string): Question => ({
    scenario: 'Search in all records',
    reason: `${CONSIDERED} And that for each kind of record.`,
    what,
    path: `/search?${new URLSearchParams({ q })}`,
  })
  return [
    search(text, 'a word of a job title that an eighth have', 'manager'),
    search(text, 'a last name of one in sixty', lastName.most),
    search(text, 'a last name of few', lastName.least),
    search(text, 'a first and a last name', fullName.most),
    search(text, 'the beginning of an e-mail address', email.slice(0, -8)),
    search(text, 'the beginning of a word', lastName.most.slice(0, 3)),
    search(text, 'a last name, frequent stage', lastName.most, `&lifecycleStage=${lifecycleStage.most}`),
    search(text, 'a last name, by name', lastName.most, '&sort=name'),
    search(name, 'a last name of one in sixty, misspelt', 'Hofmann'),
    search(name, 'a last name of few, misspelt', misspelt(lastName.least)),
    search(name, 'a first and a last name, misspelt', misspelt(fullName.most)),
    search(name, 'a full name of few, misspelt', misspelt(fullName.least)),
    everywhere('a last name of one in sixty', lastName.most),
    everywhere('a last name of few', lastName.least),
    everywhere('a word of companies', 'logistics'),
    everywhere('a full name of few, misspelt', misspelt(fullName.least)),
  ]
}
