import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type pg from 'pg'
import postgres from 'postgres'
import { withClient } from '../../src/db/client.js'
import { Explainer, type Plans, scans } from './plans.js'
import { BASE, type Method, openRecorder, type Recorded, type Recorder, type Reply } from './recorder.js'

/** What PostgreSQL does for one kind of statement. */
export type Explained = { request: string; statement: string; text: string; plans: Plans }

type Urls = { superuserUrl: string; appUrl: string }

/** `all`: also a rare value for each filter, pairs of filters, a small organization, and for the member all that the owner asks. */
export type Extent = 'all' | 'common'

/**
 * Sends every kind of request that lists, filters and sorts, and one of most others, to the application on seeded data, and
 * explains each kind of statement that reaches the database, as the role of the application and under the claim of the request.
 */
export async function explainStatements({ superuserUrl, appUrl }: Urls, extent: Extent): Promise<Explained[]> {
  const recorded: (Recorded & { request: string })[] = []
  const recorder = await openRecorder(appUrl)
  const note = (request: string) => recorded.push(...recorder.take().map((each) => ({ request, ...each })))
  try {
    const send: Send = async (caller, method, url, body) => {
      const reply = await recorder.send(caller.token, method, url, body)
      note(`${method} ${decodeURIComponent(url).replace(/cursor=[^&]+/, 'cursor=…')} as ${caller.role}`)
      return reply
    }
    await withClient(superuserUrl, async (client) => {
      await client.query(`set timezone = 'UTC'`)
      for (const caller of await signInAll(recorder, client, extent)) {
        note('POST /api/v1/auth/login')
        await sendLists(send, client, caller, extent)
        if (caller.role === 'owner') {
          await sendOthers(send, client, caller)
          await sendCustom(send, caller)
        }
      }
    })
  } finally {
    await recorder.close()
  }
  return explainEach(appUrl, recorded)
}

// ---- requests

/** Somebody who asks. */
export type Caller = { organizationId: string; userId: string; role: string; token: string }
type Send = (caller: Caller, method: Method, url: string, body?: unknown) => Promise<Reply>

/** In the biggest organization an owner, who sees all, and a member, who sees their team's; and the owner of a small one. */
export async function signInAll(recorder: Recorder, client: pg.Client, extent: Extent): Promise<Caller[]> {
  const { rows } = await client.query<{ organizationId: string; userId: string; email: string; role: string }>(
    `with sizes as (select organization_id, row_number() over (order by count(*) desc) as place, count(*) over () as organizations
       from crm_contacts group by 1)
     select distinct on (place, role) organization_id as "organizationId", user_id as "userId", email, role
       from sizes join crm_memberships m using (organization_id) join crm_users u on u.id = m.user_id
      where status = 'active' and (place = 1 and role in ('owner', 'member') or $1 and place = organizations / 2 and role = 'owner')
      order by place, role, u.created_at`,
    [extent === 'all'],
  )
  const callers: Caller[] = []
  for (const { email, ...caller } of rows) callers.push({ ...caller, token: await recorder.signIn(email) })
  return callers
}

const TABLES: Record<string, string> = {
  [`${BASE}/accounts`]: 'crm_accounts',
  [`${BASE}/contacts`]: 'crm_contacts',
  [`${BASE}/leads`]: 'crm_leads',
  [`${BASE}/opportunities`]: 'crm_opportunities',
  [`${BASE}/users`]: 'crm_memberships',
}

type Names = { enum?: string[] }
type Parameter = { in: string; name: string; schema: { items?: Names & { anyOf?: Names[] }; maxItems?: number } }
type Contract = {
  paths: Record<string, { get?: { parameters?: (Parameter | { $ref: string })[] } }>
  components: { parameters: Record<string, Parameter> }
}

/** Query parameters that no filter is. */
const CONTROLS = ['limit', 'cursor', 'sort', 'count', 'expand', 'fields']

/** The contract's lists: how they can be sorted and filtered. */
export function lists(): { path: string; table: string; sorts: string[][]; counts: boolean; filters: string[] }[] {
  const file = join(import.meta.dirname, '../../generated/openapi.json')
  const { paths, components } = JSON.parse(readFileSync(file, 'utf8')) as Contract
  return Object.entries(TABLES).map(([path, table]) => {
    const query = (paths[path.replace(BASE, '')]?.get?.parameters ?? [])
      .map((each) => ('$ref' in each ? (components.parameters[each.$ref.split('/').at(-1) ?? ''] as Parameter) : each))
      .filter((each) => each.in === 'query')
    const sort = query.find(({ name }) => name === 'sort')?.schema
    const terms = sort?.items?.enum ?? sort?.items?.anyOf?.[0]?.enum ?? []
    const field = (term: string) => term.replace(/^-/, '')
    const pairs =
      (sort?.maxItems ?? 1) < 2
        ? []
        : terms.flatMap((a) => terms.filter((b) => field(a) !== field(b)).map((b) => [a, b]))
    return {
      path,
      table,
      sorts: [...terms.map((term) => [term]), ...pairs],
      counts: query.some(({ name }) => name === 'count'),
      filters: query.map(({ name }) => name).filter((name) => !CONTROLS.includes(name)),
    }
  })
}

/** Every order, alone and with each filter; every pair of filters; each of them also from a cursor on. */
async function sendLists(send: Send, client: pg.Client, caller: Caller, extent: Extent): Promise<void> {
  for (const { path, table, sorts, counts, filters } of lists()) {
    const values = await filterValues(client, caller, table, filters)
    const few = extent === 'common' && caller.role === 'member'
    const single = sorts.filter(({ length }) => length === 1).slice(0, few ? 2 : undefined)
    const queries: Record<string, string>[] = (few ? single : sorts).map((sort) => ({ sort: sort.join(',') }))
    if (counts) queries.push({ count: 'exact' }, { count: 'estimate' })
    for (const [name, found] of values) {
      for (const value of extent === 'all' ? found : found.slice(0, 1))
        for (const [sort = ''] of single) queries.push({ sort, [name]: value })
      for (const [other, [value]] of extent === 'all' ? values : []) {
        if (other > name && value !== undefined && found[0] !== undefined)
          queries.push({ [name]: found[0], [other]: value })
      }
    }
    for (const query of queries) {
      const url = (more: Record<string, string> = {}) => `${path}?${new URLSearchParams({ ...query, ...more })}`
      const { page } = (await send(caller, 'GET', url())) as { page: { nextCursor: string | null } }
      if (page.nextCursor) await send(caller, 'GET', url({ cursor: page.nextCursor }))
    }
  }
}

/** For each filter a value that many records have and one that few have; for a range, its middle. */
async function filterValues(
  client: pg.Client,
  { organizationId, userId, role }: Caller,
  table: string,
  filters: readonly string[],
): Promise<Map<string, string[]>> {
  const values = new Map<string, string[]>()
  for (const filter of filters) {
    const [, name = '', range] = /^(\w+)(\[\w+\])?$/.exec(filter) ?? []
    const column = { email: 'email_key', q: 'name' }[name] ?? postgres.fromCamel(name)
    const from = `from ${table} where organization_id = $1 and ${column} is not null`
    // A member may filter by what a member sees.
    const seen = role === 'member' && name.endsWith('Id') ? ` and owner_id = '${userId}'` : ''
    const text = range
      ? `select to_json(percentile_disc(0.5) within group (order by ${column})) #>> '{}' as value ${from}`
      : role === 'member' && /account/i.test(name)
        ? `select id::text as value from crm_accounts where organization_id = $1 and deleted_at is null${seen} order by id limit 1`
        : `with found as (select ${column}::text as value, count(*) as rows ${from}${seen} group by 1)
           (select value from found order by rows desc, value limit 1) union (select value from found order by rows, value limit 1)`
    const { rows } = await client.query<{ value: string }>(text, [organizationId])
    values.set(
      filter,
      rows.map(({ value }) => value.replace(/\+00:00$/, 'Z')),
    )
  }
  return values
}

const is = (field: string, op: string, value: unknown) => ({ field, op, value })
const EMPLOYS = is('account.industry', 'eq', 'Logistics')

/** Filter trees of every make: alternatives, negations, lists, ranges, money, tags, and related records. */
const FILTERS: Record<string, object[]> = {
  accounts: [
    { or: [is('industry', 'eq', 'Logistics'), is('type', 'in', ['customer', 'partner'])] },
    { not: is('parentAccount.name', 'startsWith', 'A') },
    { and: [is('annualRevenue', 'gt', { amount: '1000', currency: 'EUR' }), is('tags', 'has', 'vip')] },
  ],
  contacts: [
    EMPLOYS,
    { and: [EMPLOYS, is('lifecycleStage', 'in', ['lead', 'customer']), is('emailOptOut', 'ne', true)] },
    { and: [is('email', 'in', ['ada@mail.example', 'grace@mail.example']), { not: is('title', 'isNull', true) }] },
  ],
  leads: [
    { or: [is('score', 'between', [500, 1000]), { not: is('status', 'eq', 'open') }] },
    { and: [is('status', 'in', ['open', 'working']), is('createdAt', 'gte', '2026-01-01T00:00:00Z')] },
  ],
  opportunities: [
    { and: [is('status', 'eq', 'open'), EMPLOYS] },
    {
      not: {
        or: [is('amount', 'lt', { amount: '1000', currency: 'EUR' }), is('primaryContact.emailOptOut', 'eq', true)],
      },
    },
  ],
}

/** What is expanded, to every kind of record, user and stage. */
const EXPANDED: Record<string, string> = {
  accounts: 'owner,parentAccount',
  contacts: 'owner,account.owner,reportsTo',
  leads: 'owner,convertedAccount,convertedContact,convertedOpportunity',
  opportunities: 'owner,account.owner,primaryContact.account,stage,originLead',
}

/** Aggregations of everything and of what a filter finds: by values, periods and related records, with money. */
function aggregations(plural: string): object[] {
  const measures = [
    { function: 'count', as: 'records' },
    ...(MONEY[plural] ? [{ function: 'sum', field: MONEY[plural], as: 'amount' }] : []),
  ]
  const groups = [
    { field: 'ownerId' },
    { field: 'createdAt', interval: 'month', timeZone: 'Europe/Berlin' },
    ...(RELATED[plural] ? [{ field: RELATED[plural] }] : []),
  ]
  const bodies = [{}, ...groups.map((group) => ({ groupBy: [group] })), { groupBy: groups, sort: ['-records'] }]
  const [filter] = FILTERS[plural] ?? []
  return [...bodies, { groupBy: groups, filter }].map((body) => ({ ...body, measures }))
}

const MONEY: Record<string, string> = { accounts: 'annualRevenue', leads: 'annualRevenue', opportunities: 'amount' }
const RELATED: Record<string, string> = {
  accounts: 'parentAccount.industry',
  contacts: 'account.industry',
  opportunities: 'account.industry',
}

/** Filters and orders by custom fields, on the first page and from a cursor on. */
async function sendCustom(send: Send, caller: Caller): Promise<void> {
  const bodies = [
    { filter: is('customFields.tier', 'eq', 'gold') },
    { filter: is('customFields.tier', 'in', ['gold', 'silver']), sort: ['customFields.tier'] },
    { filter: is('customFields.seats', 'between', [100, 120]), sort: ['customFields.seats'] },
    { filter: is('customFields.seats', 'gte', 490) },
    { sort: ['-customFields.seats'] },
    { sort: ['customFields.tier', '-name'] },
  ]
  for (const plural of ['accounts', 'contacts'])
    for (const body of bodies) {
      const url = `${BASE}/${plural}/query`
      const { page } = (await send(caller, 'POST', url, body)) as { page: { nextCursor: string | null } }
      if (page.nextCursor) await send(caller, 'POST', url, { ...body, cursor: page.nextCursor })
    }
  await send(caller, 'GET', `${BASE}/contacts?sort=-customFields.seats`)
  await send(caller, 'POST', `${BASE}/contacts/query`, { filter: is('account.customFields.tier', 'eq', 'gold') })
}

/** One request of most other kinds, with all references that there are. */
async function sendOthers(send: Send, client: pg.Client, caller: Caller): Promise<void> {
  const { organizationId, userId: ownerId } = caller
  const one = async (text: string) => (await client.query<{ id: string }>(text, [organizationId])).rows[0]?.id ?? ''
  const any = (table: string) => one(`select id from ${table} where organization_id = $1 limit 1`)
  const live = (table: string) =>
    one(`select id from ${table} where organization_id = $1 and deleted_at is null limit 1`)
  const teamId = await any('crm_teams')
  const phones = { phone: '+494012345678', mobilePhone: '+494012345679' }
  const accountId = await live('crm_accounts')
  const contactId = await live('crm_contacts')
  const stageId = await any('crm_stages')
  const unique = randomBytes(8).toString('hex')
  // Beside a reference that has keys: one that is found by its claims, and one that is found by looking at each record.
  const references = { object: 'contact', type: 'reference', referenceObject: 'account' }
  for (const field of [{ key: 'broker', unique: true }, { key: 'rival' }])
    await send(caller, 'POST', `${BASE}/custom-fields`, { ...references, ...field, label: field.key })
  const all = { ownerId, teamId, tags: ['vip'], customFields: { tier: 'gold' } }
  const records: [string, Record<string, unknown>][] = [
    [
      'accounts',
      { ...all, name: 'Explained', domain: `${unique}.example`, phone: phones.phone, parentAccountId: accountId },
    ],
    [
      'contacts',
      { ...all, ...phones, lastName: 'Explained', email: `${unique}@mail.example`, accountId, reportsToId: contactId },
    ],
    ['leads', { ...all, ...phones, lastName: 'Explained', email: `${unique}@lead.example` }],
    ['opportunities', { ...all, name: 'Explained', accountId, primaryContactId: contactId, stageId }],
  ]
  for (const [plural, body] of records) {
    const path = `${BASE}/${plural}`
    const { id } = await send(caller, 'POST', path, body)
    // A second time: those with unique values are refused, and the holder is looked up.
    const second = await send(caller, 'POST', path, body)
    await send(caller, 'GET', `${path}/${id}`)
    await send(caller, 'GET', `${path}?limit=200&expand=${EXPANDED[plural]}`)
    const { name, lastName, ...references } = body
    await send(caller, 'PATCH', `${path}/${id}`, { ...references, teamId: null, tags: [] })
    await send(caller, 'DELETE', `${path}/${id}`)
    await send(caller, 'POST', `${path}/${id}/restore`)
    const externalIds = [{ system: 'erp', externalId: unique }]
    await send(caller, 'PATCH', `${path}/${id}`, { externalIds })
    // Refused, and the holder is looked up.
    await send(caller, 'POST', path, { ...references, name, lastName, externalIds })
    await send(caller, 'GET', `${path}/external/erp/${unique}`)
    await send(caller, 'PUT', `${path}/external/erp/${unique}`, body)
    const [property] = ['domain', 'email'].filter((each) => each in body && plural !== 'leads')
    for (const matchOn of ['externalIds.erp', ...(property ? [property] : [])]) {
      await send(caller, 'POST', `${path}/upsert`, { matchOn, record: { ...body, externalIds } })
    }
    for (const filter of FILTERS[plural] ?? []) await send(caller, 'POST', `${path}/query`, { filter })
    for (const body of aggregations(plural)) await send(caller, 'POST', `${path}/aggregate`, body)
    await sendRecovery(send, caller, plural, String(id))
    await send(caller, 'GET', `${path}/${id}/duplicates`)
    await send(caller, 'POST', `${path}/duplicates`, body)
    await send(caller, 'PUT', `${path}/${id}/followers/me`)
    await send(caller, 'GET', `${path}/${id}/followers`)
    await send(caller, 'DELETE', `${path}/${id}/followers/me`)
    await sendViews(send, caller, plural, teamId)
    const other = await send(caller, 'POST', path, { ...body, domain: undefined, email: undefined })
    if (plural === 'accounts') await referTo(send, caller, String(id))
    await sendMerge(send, caller, plural, [String(other.id), String(id)])
    await sendSegments(send, caller, plural, String(id))
    await send(caller, 'POST', `${path}/${id}/tags`, { add: [unique] })
    if (plural === 'leads') {
      await send(caller, 'POST', `${path}/${second.id}/convert`, { opportunity: { name: 'Explained' } })
    }
  }
  await sendTags(send, caller, unique)
  for (const path of ['me', 'organization', 'pipelines', `users/${ownerId}`])
    await send(caller, 'GET', `${BASE}/${path}`)
  await send(caller, 'PATCH', `${BASE}/users/${ownerId}`, { title: unique })
}

/** The list of tags, also from a cursor on, and a tag of two records: under another name, and taken off. */
async function sendTags(send: Send, caller: Caller, tag: string): Promise<void> {
  const tags = [tag, `${tag} 2`]
  await send(caller, 'POST', `${BASE}/accounts`, { name: tag, tags })
  await send(caller, 'POST', `${BASE}/contacts`, { lastName: tag, tags })
  const path = `${BASE}/tags?startsWith=${tag}&limit=1`
  const { page } = (await send(caller, 'GET', path)) as { page: { nextCursor: string } }
  await send(caller, 'GET', `${path}&cursor=${page.nextCursor}`)
  await send(caller, 'PATCH', `${BASE}/tags/${tag}`, { name: `${tag} 3` })
  await send(caller, 'DELETE', `${BASE}/tags/${tag}%203`)
}

/** Segments of one kind of record. */
async function sendSegments(send: Send, caller: Caller, plural: string, member: string): Promise<void> {
  const object = plural === 'opportunities' ? 'opportunity' : plural.slice(0, -1)
  const path = `${BASE}/segments`
  const segments = [
    { kind: 'static' },
    { kind: 'dynamic', filter: null },
    ...(FILTERS[plural] ?? []).map((filter) => ({ kind: 'dynamic', filter })),
  ]
  for (const segment of segments) {
    const { id } = await send(caller, 'POST', path, { object, name: 'Explained', ...segment })
    if (segment.kind === 'static') {
      await send(caller, 'POST', `${path}/${id}/members`, { add: [member] })
      const conditions = [
        ...['has', 'hasAny', 'hasAll'].flatMap((op) =>
          Object.entries({ segments: id, followers: caller.userId }).map(([field, value]) => ({
            ...{ field, op, value: op === 'has' ? value : [value] },
          })),
        ),
        ...['segments', 'followers'].map((field) => ({ field, op: 'isEmpty', value: true })),
      ]
      for (const filter of conditions.flatMap((condition) => [condition, { not: condition }])) {
        await send(caller, 'POST', `${BASE}/${plural}/query`, { filter, count: 'estimate' })
      }
      await send(caller, 'POST', `${path}/${id}/members`, { remove: [member] })
    }
    await send(caller, 'GET', `${path}/${id}`)
    await send(caller, 'GET', `${path}/${id}/${plural}?count=estimate`)
    await send(caller, 'PATCH', `${path}/${id}`, { object, name: 'Renamed' })
    await send(caller, 'GET', `${path}?object=${object}&kind=${segment.kind}&ownerId=${caller.userId}`)
    await send(caller, 'DELETE', `${path}/${id}`)
  }
}

/** Saved views of one kind of record. */
async function sendViews(send: Send, caller: Caller, plural: string, teamId: string): Promise<void> {
  const object = plural === 'opportunities' ? 'opportunity' : plural.slice(0, -1)
  const path = `${BASE}/views`
  for (const filter of [null, ...(FILTERS[plural] ?? [])]) {
    const { id } = await send(caller, 'POST', path, { object, name: 'Explained', teamId, filter, sort: ['name'] })
    await send(caller, 'GET', `${path}/${id}`)
    await send(caller, 'GET', `${path}/${id}/${plural}?count=estimate`)
    await send(caller, 'PATCH', `${path}/${id}`, { object, sharing: 'private' })
    await send(caller, 'GET', `${path}?object=${object}&sharing=private&ownerId=${caller.userId}`)
    await send(caller, 'DELETE', `${path}/${id}`)
  }
}

/** History, recycle bin and purge. */
async function sendRecovery(send: Send, caller: Caller, plural: string, id: string): Promise<void> {
  const path = `${BASE}/${plural}/${id}`
  for (const field of ['', '&field=tags']) {
    const { page } = await send(caller, 'GET', `${path}/history?limit=1${field}`)
    const { nextCursor } = page as { nextCursor: string }
    await send(caller, 'GET', `${path}/history?limit=1${field}&cursor=${nextCursor}`)
  }
  for (const objects of ['', `&objects=${plural === 'leads' ? 'opportunity' : 'lead'}`]) {
    const { page } = await send(caller, 'GET', `${path}/timeline?limit=1${objects}`)
    const { nextCursor } = page as { nextCursor: string | null }
    if (nextCursor) await send(caller, 'GET', `${path}/timeline?limit=1${objects}&cursor=${nextCursor}`)
  }
  const purged = await send(caller, 'POST', `${BASE}/${plural}`, { name: 'Purged', ...(NAMED_BY[plural] ?? {}) })
  for (const each of [id, String(purged.id)]) await send(caller, 'DELETE', `${BASE}/${plural}/${each}`)
  for (const filter of ['', `&ownerId=${caller.userId}`]) {
    const { page } = await send(caller, 'GET', `${BASE}/recycle-bin/${plural}?limit=1${filter}`)
    const { nextCursor } = page as { nextCursor: string }
    await send(caller, 'GET', `${BASE}/recycle-bin/${plural}?limit=1${filter}&cursor=${nextCursor}`)
  }
  await send(caller, 'POST', `${path}/restore`)
  await send(caller, 'POST', `${BASE}/${plural}/${purged.id}/purge?dryRun=true`)
  await send(caller, 'POST', `${BASE}/${plural}/${purged.id}/purge`)
}

/** A contact that refers to an account in each custom field that can. */
async function referTo(send: Send, caller: Caller, id: string): Promise<void> {
  const customFields = { billedTo: id, broker: id, rival: id }
  await send(caller, 'POST', `${BASE}/contacts`, { lastName: 'Explained', customFields })
}

/** A merge, the ids of its losers, and its undoing. */
async function sendMerge(send: Send, caller: Caller, plural: string, [winnerId, ...loserIds]: string[]): Promise<void> {
  const merges = `${BASE}/merges/${plural}`
  const { merge } = await send(caller, 'POST', `${BASE}/${plural}/merge`, { winnerId, loserIds })
  await send(caller, 'GET', `${BASE}/${plural}/${loserIds[0]}`)
  for (const query of ['', `&winnerId=${winnerId}`]) await send(caller, 'GET', `${merges}?limit=1${query}`)
  const { id } = merge as { id: string }
  await send(caller, 'GET', `${merges}/${id}`)
  await send(caller, 'POST', `${merges}/${id}/undo`)
}

/** People have no `name` to give. */
const NAMED_BY: Record<string, object> = {
  contacts: { name: undefined, lastName: 'Purged' },
  leads: { name: undefined, lastName: 'Purged' },
}

// ---- plans

async function explainEach(
  appUrl: string,
  recorded: readonly (Recorded & { request: string })[],
): Promise<Explained[]> {
  const explained: Explained[] = []
  const seen = new Set<string>()
  const explainer = await Explainer.open(appUrl)
  try {
    for (const { request, ...each } of recorded) {
      const { name: statement, text } = each.bound
      // The same statement with the same filter values is one case; ids and times of a single record are not told apart.
      const key = `${text} ${request.replaceAll(/[0-9a-f-]{36}/g, 'id')}`
      if (seen.has(key)) continue
      seen.add(key)
      explained.push({ request, statement, text, plans: await explainer.explain(each) })
    }
  } finally {
    await explainer.close()
  }
  return explained
}

/** The slow end of what was explained, as Markdown. */
export function renderExplained(explained: readonly Explained[]): string {
  const cost = ({ plans }: Explained) => plans[plans.chosen].buffers
  const scanning = explained.filter(({ plans }) => scans(plans).length > 0)
  const slowest = [...explained].sort((a, b) => cost(b) - cost(a)).slice(0, 25)
  const statements = [...new Set(explained.map(({ statement }) => statement))].sort()
  const sorted = (values: number[]) => [...values].sort((a, b) => a - b)
  const rows = statements.map((statement) => {
    const group = explained.filter((each) => each.statement === statement)
    const buffers = sorted(group.map(cost))
    const at = (share: number) => buffers[Math.min(buffers.length - 1, Math.floor(buffers.length * share))] ?? 0
    const sql = new Set(group.map(({ text }) => text)).size
    return `| ${statement} | ${sql} | ${group.length} | ${at(0.5)} | ${at(0.95)} | ${buffers.at(-1) ?? 0} |`
  })
  return `<!-- Written by \`npm run bench -- --explain\`. -->
# Plans

Every kind of request that lists, filters and sorts, and one of most others, as sent by the owner and a member of the biggest organization and by the
owner of a small one; every statement explained as the role of the application, under row-level security, planned for its values and once for all values.
${explained.length} cases; sequential scans of tenant tables: **${scanning.length}**.

Pages of 8 KB that a statement touches, with the plan that PostgreSQL ends up with:

| statement | texts | cases | median | 95 % | most |
| --- | ---: | ---: | ---: | ---: | ---: |
${rows.join('\n')}

The most expensive cases:

| request | plan | pages | with the other plan | ms |
| --- | --- | ---: | ---: | ---: |
${slowest
  .map(({ request, plans }) => {
    const { chosen } = plans
    const other = plans[chosen === 'custom' ? 'generic' : 'custom']
    return `| \`${request}\` | ${chosen} | ${plans[chosen].buffers} | ${other.milliseconds > 0 ? other.buffers : ''} | ${plans[chosen].milliseconds.toFixed(1)} |`
  })
  .join('\n')}
${scanning.map(({ request, text }) => `\n- sequential scan: \`${request}\`: ${text}`).join('')}`
}
