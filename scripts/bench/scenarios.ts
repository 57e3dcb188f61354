import { randomUUID } from 'node:crypto'
import type { Scope } from '../../src/context.js'
import { withClient } from '../../src/db/client.js'
import { encodeCursor } from '../../src/records/cursor.js'
import { createSigner } from '../../src/signer.js'
import { type Call, call } from './load.js'
import { findValues, misspelt, type Values } from './pages-questions.js'

/** What the scenarios need to know of the data: all of it is in the biggest organization. */
export type Sample = {
  organizationId: string
  ownerId: string
  ownerEmail: string
  contactIds: readonly string[]
  accountIds: readonly string[]
  depth: number
  /** The last record before the deep page. */
  position: { id: string; createdAt: string }
  /** What queries ask for. */
  values: Values
}

export const STAGE = 'customer'
/** Of a custom field each: a frequent choice, and the middle of the dates. */
export const [TIER, RENEWAL] = ['bronze', '2026-05-16']

/** Picks the records that the scenarios touch; the same ones in every run. */
export async function takeSample(superuserUrl: string, wantedDepth: number): Promise<Sample> {
  return withClient(superuserUrl, async (client) => {
    await client.query(`set timezone = 'UTC'`)
    const one = async <Row>(text: string, ...values: unknown[]) => (await client.query(text, values)).rows[0] as Row
    const ids = async (table: string) => {
      const { rows } = await client.query<{ id: string }>(
        `select id from ${table} where organization_id = $1 and deleted_at is null order by hashtextextended(id::text, 0) limit 10000`,
        [organizationId],
      )
      return rows.map(({ id }) => id)
    }
    const { organizationId } = await one<{ organizationId: string }>(
      `select organization_id as "organizationId" from crm_contacts group by 1 order by count(*) desc limit 1`,
    )
    const owner = await one<{ id: string; email: string }>(
      `select u.id, u.email from crm_users u join crm_memberships m on m.user_id = u.id where m.organization_id = $1 and m.role = 'owner'`,
      organizationId,
    )
    const live = 'organization_id = $1 and deleted_at is null'
    const { count } = await one<{ count: number }>(
      `select count(*)::int from crm_contacts where ${live}`,
      organizationId,
    )
    const depth = Math.min(wantedDepth, count - 100)
    const position = await one<{ id: string; createdAt: string }>(
      `select id, created_at::text as "createdAt" from crm_contacts where ${live} order by created_at desc, id desc offset $2 limit 1`,
      organizationId,
      depth - 1,
    )
    return {
      organizationId,
      ownerId: owner.id,
      ownerEmail: owner.email,
      contactIds: await ids('crm_contacts'),
      accountIds: await ids('crm_accounts'),
      depth,
      position,
      values: await findValues(client, { organizationId, userId: owner.id, role: 'owner' }),
    }
  })
}

/** What the hand-written server does as well. */
const COMPARED_SCENARIOS = {
  get: 'get by id',
  list: 'list of 50, first page',
  deep: 'list of 50, deep page',
  filtered: 'list of 50, filtered',
  create: 'create',
  patch: 'patch',
} as const

/** What only PostgreSQL is compared with: pages of 50 of the whole query language. */
const QUERY_SCENARIOS = {
  sorted: 'by name',
  conditions: 'three conditions',
  relation: 'field of the account',
  customEqual: 'custom field, equality',
  customRange: 'custom field, range in its order',
  text: 'full text, a last name',
  fuzzy: 'fuzzy name',
} as const

export const SCENARIOS = { ...COMPARED_SCENARIOS, ...QUERY_SCENARIOS }
export type Scenario = keyof typeof SCENARIOS

export const COMPARED = Object.keys(COMPARED_SCENARIOS) as Scenario[]
export const QUERIES = Object.keys(QUERY_SCENARIOS) as Scenario[]

/** Makes the requests of a scenario; the two servers differ in the form of their cursors only. */
export type Requests = { [Name in Scenario]: (connection: number) => Call }

const PATH = '/api/v1/contacts'

/**
 * Every call of this function makes the same requests in the same order.
 *
 * @param tokens an access token for each connection
 */
export function requests(sample: Sample, cursor: string, tokens: readonly string[]): Requests {
  const headers = tokens.map((token) => ({ authorization: `Bearer ${token}` }))
  let made = 0
  const of = (connection: number) => headers[connection % headers.length] ?? {}
  const any = (ids: readonly string[]) => ids[made++ % ids.length] ?? ''
  const query = (filter: object, more: object = {}) => {
    const body = JSON.stringify({ filter, limit: 50, ...more })
    return (n: number) => call('POST', `${PATH}/query`, 200, { ...of(n), 'content-type': 'application/json' }, body)
  }
  const { lifecycleStage, title, industry, lastName, fullName } = sample.values
  return {
    sorted: (n) => call('GET', `${PATH}?limit=50&sort=name`, 200, of(n)),
    conditions: query({
      and: [
        { field: 'lifecycleStage', op: 'in', value: [lifecycleStage.most, lifecycleStage.least] },
        { field: 'title', op: 'eq', value: title.most },
        { field: 'doNotCall', op: 'ne', value: true },
      ],
    }),
    customEqual: query({ field: 'customFields.tier', op: 'eq', value: TIER }),
    customRange: query(
      { field: 'customFields.renewal', op: 'gte', value: RENEWAL },
      { sort: ['customFields.renewal'] },
    ),
    text: (n) => call('GET', `${PATH}?${new URLSearchParams({ limit: '50', q: lastName.most })}`, 200, of(n)),
    fuzzy: (n) =>
      call('GET', `${PATH}?${new URLSearchParams({ limit: '50', q: misspelt(fullName.least) })}`, 200, of(n)),
    relation: query({ field: 'account.industry', op: 'eq', value: industry.most }),
    get: (n) => call('GET', `${PATH}/${any(sample.contactIds)}`, 200, of(n)),
    list: (n) => call('GET', `${PATH}?limit=50`, 200, of(n)),
    deep: (n) => call('GET', `${PATH}?limit=50&cursor=${cursor}`, 200, of(n)),
    filtered: (n) => call('GET', `${PATH}?limit=50&lifecycleStage=${STAGE}`, 200, of(n)),
    create: (n) => {
      const body = {
        firstName: 'Ada',
        lastName: 'Bench',
        email: `${randomUUID()}@bench.example`,
        title: 'Engineer',
        phone: '+493012345678',
        accountId: any(sample.accountIds),
        lifecycleStage: STAGE,
      }
      return call('POST', PATH, 201, { ...of(n), 'content-type': 'application/json' }, JSON.stringify(body))
    },
    patch: (n) => {
      const body = JSON.stringify({ title: `Engineer ${made}` })
      const type = { 'content-type': 'application/merge-patch+json' }
      return call('PATCH', `${PATH}/${any(sample.contactIds)}`, 200, { ...of(n), ...type }, body)
    },
  }
}

/** The cursor that the API would have given with the page before the deep one. */
export function apiCursor(secret: string, { organizationId, position }: Sample): string {
  const scope = { signer: createSigner(secret) } as Pick<Scope, 'signer'> as Scope
  return encodeCursor(scope, ['contacts', organizationId, ['-createdAt'], '', {}], [position.createdAt, position.id])
}

export const baselineCursor = ({ position: { createdAt, id } }: Sample): string =>
  Buffer.from(`${createdAt.replace(' ', 'T').replace('+00', 'Z')} ${id}`).toString('base64url')

/** What tells two equal replies apart: the ids and times that each server made, and its form of cursor. */
export function withoutAccidents(body: string, scenario: Scenario): string {
  const shown = body.replace(/"nextCursor":"[^"]+"/, '"nextCursor":"*"')
  if (scenario !== 'create' && scenario !== 'patch') return shown
  const accidents = scenario === 'create' ? 'id|createdAt|updatedAt|email' : 'updatedAt|title|version'
  return shown.replace(new RegExp(`"(${accidents})":("[^"]*"|\\d+)`, 'g'), '"$1":*')
}
