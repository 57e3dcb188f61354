import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import type { components } from '../generated/types.js'
import type { Clock } from './context.js'

const DEMO_CREDENTIALS = { email: 'demo@example.com', password: 'explore the demo data' }

const DAY_MS = 24 * 3600_000
const COMPANIES = [
  ['Alder & Finch', 'Retail'],
  ['Baltic Freight', 'Logistics'],
  ['Cobalt Energy', 'Energy'],
  ['Dune Robotics', 'Manufacturing'],
  ['Evergreen Clinics', 'Healthcare'],
  ['Fjord Analytics', 'Software'],
  ['Granite Insurance', 'Insurance'],
  ['Harbour Systems', 'Software'],
  ['Indigo Foods', 'Food'],
  ['Juniper Bank', 'Finance'],
  ['Kestrel Aviation', 'Transport'],
  ['Lumen Optics', 'Manufacturing'],
  ['Meridian Hotels', 'Hospitality'],
  ['Northwind Traders', 'Wholesale'],
  ['Orchard Media', 'Media'],
  ['Pioneer Textiles', 'Manufacturing'],
  ['Quarry Stone', 'Construction'],
  ['Riverbend Water', 'Utilities'],
  ['Sable Design', 'Services'],
  ['Tundra Outfitters', 'Retail'],
] as const
const FIRST_NAMES = [
  'Ada',
  'Bela',
  'Chidi',
  'Dana',
  'Elif',
  'Femi',
  'Greta',
  'Hugo',
  'Ines',
  'Jonas',
  'Kaya',
  'Liam',
  'Mira',
  'Noor',
  'Otto',
  'Priya',
  'Quinn',
  'Rosa',
  'Sven',
  'Tara',
]
const LAST_NAMES = [
  'Adeyemi',
  'Brandt',
  'Costa',
  'Dubois',
  'Eriksen',
  'Fischer',
  'Gallo',
  'Haddad',
  'Ivanova',
  'Jansen',
  'Kowalski',
  'Lindqvist',
  'Moreau',
  'Nakamura',
  'Okafor',
  'Petrov',
  'Quist',
  'Rossi',
  'Silva',
  'Tanaka',
]
const TITLES = [
  'Head of Operations',
  'Purchasing Manager',
  'Chief Technology Officer',
  'Marketing Lead',
  'Finance Director',
]
const DEALS = ['pilot', 'annual licence', 'expansion', 'renewal', 'migration project', 'support contract']
const SOURCES = ['Web form', 'Trade fair', 'Referral', 'Newsletter', 'Partner']

/** A small generator (mulberry32), so that every demo has the same data. */
function createRandom(seed: number) {
  let state = seed
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return {
    below: (limit: number): number => Math.floor(next() * limit),
    pick: <Item>(items: readonly Item[]): Item => items[Math.floor(next() * items.length)] as Item,
  }
}

type Send = <Reply>(method: 'GET' | 'POST' | 'PATCH', path: string, body?: object) => Promise<Reply>

/**
 * Fills a demo organization with a year of data, through the API itself. Does nothing when it is there already.
 *
 * @param buildAt builds an application that lives by another clock: what it creates, it creates in the past
 */
export async function fillDemo(buildAt: (clock: Clock) => Promise<FastifyInstance>, log: Logger): Promise<void> {
  let now = new Date()
  const app = await buildAt(() => now)
  try {
    const registered = await app.inject({
      method: 'POST',
      url: '/api/v1/auth/register',
      payload: { ...DEMO_CREDENTIALS, organizationName: 'Demo', firstName: 'Dana', lastName: 'Demo' },
    })
    if (registered.statusCode === 409) return
    const { accessToken } = registered.json<components['schemas']['Session']>()
    const send: Send = async (method, path, body) => {
      const headers = { authorization: `Bearer ${accessToken}` }
      const reply = await app.inject({ method, url: `/api/v1${path}`, headers, ...(body && { payload: body }) })
      if (reply.statusCode >= 400) throw new Error(`${method} ${path}: ${reply.body}`)
      return reply.json()
    }
    log.info('Filling the demo organization')
    await fill(send, (at) => {
      now = at
    })
    log.info({ email: DEMO_CREDENTIALS.email, password: DEMO_CREDENTIALS.password }, 'The demo organization is ready')
  } finally {
    await app.close()
  }
}

async function fill(send: Send, setClock: (at: Date) => void): Promise<void> {
  const random = createRandom(2026)
  const today = Date.now()
  const daysAgo = (days: number) => new Date(today - days * DAY_MS - random.below(DAY_MS / 2))
  const { data: pipelines } = await send<components['schemas']['PipelineList']>('GET', '/pipelines')
  const stages = pipelines[0]?.stages ?? []

  for (const [index, [name, industry]] of COMPANIES.entries()) {
    const joined = 360 - index * 15
    setClock(daysAgo(joined))
    const domain = `${name.toLowerCase().replaceAll(/[^a-z]+/g, '-')}.example`
    const account = await send<components['schemas']['Account']>('POST', '/accounts', {
      name,
      industry,
      domain,
      type: random.pick(['prospect', 'customer', 'customer', 'partner']),
      numberOfEmployees: 10 + random.below(2000),
      annualRevenue: { amount: `${(1 + random.below(90)) * 250_000}.00`, currency: 'EUR' },
      tags: index % 4 === 0 ? ['key account'] : [],
    })
    const contactIds: string[] = []
    for (let person = 0; person < 3; person++) {
      const firstName = FIRST_NAMES[(index * 3 + person) % FIRST_NAMES.length] as string
      const lastName = LAST_NAMES[(index + person * 7) % LAST_NAMES.length] as string
      const contact = await send<components['schemas']['Contact']>('POST', '/contacts', {
        firstName,
        lastName,
        title: random.pick(TITLES),
        email: `${firstName}.${lastName}@${domain}`.toLowerCase(),
        accountId: account.id,
      })
      contactIds.push(contact.id)
    }
    for (let deal = 0; deal < 4; deal++) {
      const opened = Math.max(1, joined - 10 - deal * 60)
      setClock(daysAgo(opened))
      const opportunity = await send<components['schemas']['Opportunity']>('POST', '/opportunities', {
        name: `${name} ${random.pick(DEALS)}`,
        accountId: account.id,
        primaryContactId: random.pick(contactIds),
        amount: { amount: `${(1 + random.below(80)) * 1500}.00`, currency: 'EUR' },
        expectedCloseDate: new Date(today - (opened - 45) * DAY_MS).toISOString().slice(0, 10),
        source: random.pick(SOURCES),
      })
      const moved = Math.max(0, opened - 20 - random.below(40))
      setClock(daysAgo(moved))
      await send('PATCH', `/opportunities/${opportunity.id}`, { stageId: random.pick(stages).id })
    }
  }

  for (let index = 0; index < 60; index++) {
    setClock(daysAgo(300 - index * 5))
    const lead = await send<components['schemas']['Lead']>('POST', '/leads', {
      firstName: random.pick(FIRST_NAMES),
      lastName: random.pick(LAST_NAMES),
      companyName: `${random.pick(LAST_NAMES)} ${random.pick(['Group', 'Partners', 'Works', 'Labs'])}`,
      email: `lead-${index}@prospects.example`,
      status: random.pick(['open', 'working', 'qualified', 'unqualified']),
      rating: random.pick(['hot', 'warm', 'cold']),
      score: random.below(1000),
      source: random.pick(SOURCES),
    })
    if (index % 6 === 0)
      await send('POST', `/leads/${lead.id}/convert`, { opportunity: { name: `${lead.companyName} first order` } })
  }
}
