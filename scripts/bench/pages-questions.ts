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
  const { rows } = await client.query<{ email: string }>(
    `select email from crm_contacts c where ${live} and email is not null${seen('c')} order by id limit 1`,
    [organizationId],
  )
  return {
    lifecycleStage: await frequent('c.lifecycle_stage'),
    title: await frequent('c.title'),
    department: await frequent('c.department'),
    language: await frequent('c.language'),
    owner: await frequent('c.owner_id'),
    account: await frequent('c.account_id', accounts, seen('a')),
    industry: await frequent('a.industry', accounts, seen('a')),
    accountName: await frequent('a.name', accounts, seen('a')),
    email: rows[0]?.email ?? '',
    third: await between(0.33, 0.67),
    hundredth: await between(0.5, 0.51),
  }
}

const is = (field: string, op: string, value: unknown) => ({ field, op, value })
const eq = (field: string, value: unknown) => is(field, 'eq', value)

export function questions(values: Values): Question[] {
  return [...lists50(values), ...sorts(), ...conditions(values), ...relations(values)]
}

/** Every order of every list of records. */
function sorts(): Question[] {
  return lists()
    .filter(({ path }) => path !== `${BASE}/users`)
    .flatMap(({ path, sorts: terms }) =>
      terms
        .filter(({ length }) => length === 1)
        .map(([term = '']) => ({
          scenario: 'Sort by any sortable field',
          what: `${path.slice(BASE.length + 1)}, \`${term}\``,
          path: `${path.slice(BASE.length)}?sort=${term}`,
        })),
    )
}

const QUERY = '/contacts/query'

function lists50({ lifecycleStage, owner, account }: Values): Question[] {
  const scenario = 'Lists and deep cursors'
  const list = (what: string, query: string) => ({ scenario, what, path: `/contacts?${query}` })
  return [
    list('all, newest first', 'sort=-createdAt'),
    list('by a frequent stage', `lifecycleStage=${lifecycleStage.most}`),
    list('by a rare stage', `lifecycleStage=${lifecycleStage.least}`),
    list('of the owner of most', `ownerId=${owner.most}`),
    list('of the owner of fewest', `ownerId=${owner.least}`),
    list('of the account with most', `accountId=${account.most}`),
    list('of an account with one', `accountId=${account.least}`),
    list('of the owner of most, by name', `ownerId=${owner.most}&sort=name`),
    list('of the account with most, by name', `accountId=${account.most}&sort=name`),
    list('by name, then newest', 'sort=name,-createdAt'),
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
    all('frequent stage and title, a choice, a negation', [
      is('lifecycleStage', 'in', [lifecycleStage.most, lifecycleStage.least]),
      eq('title', title.most),
      is('doNotCall', 'ne', true),
    ]),
    all('frequent stage of the owner of fewest', [eq('ownerId', owner.least), ...frequent]),
    all('rare stage of the owner of most', [eq('ownerId', owner.most), eq('lifecycleStage', lifecycleStage.least)]),
    all('frequent stage in one account', [eq('accountId', account.most), ...frequent]),
    all('either a rare title or a rare department', [
      { or: [eq('title', title.least), eq('department', department.least)] },
      ...frequent,
    ]),
    all('everything but the frequent stage and title', [
      { not: { or: [eq('lifecycleStage', lifecycleStage.most), eq('title', title.most)] } },
    ]),
    all('rare stage, created in the middle third', [
      is('createdAt', 'between', third),
      eq('lifecycleStage', lifecycleStage.least),
    ]),
    all('rare title, created in the middle hundredth', [
      is('createdAt', 'between', hundredth),
      eq('title', title.least),
    ]),
    all('one e-mail address and a title that is not its own', [eq('email', email), is('title', 'ne', 'Nobody')]),
    all('frequent stage, by name', frequent, ['name']),
    all('created in the middle third, by last change', [is('createdAt', 'between', third)], ['updatedAt']),
    all('rare title, department and language together', [
      eq('title', title.least),
      eq('department', department.least),
      eq('language', language.least),
    ]),
    all('a tag', [is('tags', 'has', 'vip'), ...frequent]),
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
    ask('account in a frequent industry', eq('account.industry', industry.most)),
    ask('account in a rare industry', eq('account.industry', industry.least)),
    ask('account of a name, with many contacts', eq('account.name', accountName.most)),
    ask('account of a name, with few contacts', eq('account.name', accountName.least)),
    ask('account of the owner of fewest', eq('account.ownerId', owner.least)),
    ask('account in a frequent industry, frequent stage', {
      and: [eq('account.industry', industry.most), eq('lifecycleStage', lifecycleStage.most)],
    }),
    ask('account in a rare industry, rare stage', {
      and: [eq('account.industry', industry.least), eq('lifecycleStage', lifecycleStage.least)],
    }),
    ask('account not in a frequent industry', { not: eq('account.industry', industry.most) }),
    ask('account in a frequent industry, or a rare stage', {
      or: [eq('account.industry', industry.most), eq('lifecycleStage', lifecycleStage.least)],
    }),
    ask('account in a frequent industry, by name', eq('account.industry', industry.most), ['name']),
  ]
}
