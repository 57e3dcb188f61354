import type pg from 'pg'
import { withClient } from '../../src/db/client.js'
import { hashPassword } from '../../src/modules/auth/passwords.js'
import { customFieldsOf, DEFINITIONS, keyColumnsOf, keysOf, verifyKeys } from './seed-custom-fields.js'

/** How much data to make. The first organization holds `bigShare` of every kind of record. */
export type Size = {
  organizations: number
  bigShare: number
  accounts: number
  contacts: number
  leads: number
  opportunities: number
}

export const FULL_SIZE: Size = {
  organizations: 20,
  // A little over half, so that the page at depth 500,000 of 1,000,000 contacts is a full one.
  bigShare: 0.52,
  accounts: 200_000,
  contacts: 1_000_000,
  leads: 100_000,
  opportunities: 100_000,
}

/** The same shape with this many contacts. */
export const scaledTo = (contacts: number): Size => {
  const share = (count: number) => Math.max(1, Math.round((count * contacts) / FULL_SIZE.contacts))
  return {
    ...FULL_SIZE,
    contacts,
    accounts: share(FULL_SIZE.accounts),
    leads: share(FULL_SIZE.leads),
    opportunities: share(FULL_SIZE.opportunities),
  }
}

/** Every seeded user signs in with it. */
export const PASSWORD = 'a bench is for sitting'

/** Rows that a run of the benchmark creates are younger than all seeded ones. */
const SEED_ENDS = '2026-01-02T00:00:00Z'

const RECORD_TABLES = ['crm_accounts', 'crm_contacts', 'crm_leads', 'crm_opportunities'] as const

/**
 * Fills a migrated, empty database, by SQL alone and the same way every time: a value depends on nothing but its row number.
 *
 * @param superuserUrl names the database; the superuser may skip triggers while loading
 */
export async function seed(superuserUrl: string, size: Size, log: (message: string) => void): Promise<void> {
  await withClient(superuserUrl, async (client) => {
    const step = async (name: string, ...statements: string[]) => {
      const start = performance.now()
      for (const text of statements) await client.query(text)
      log(`${name}: ${((performance.now() - start) / 1000).toFixed(1)} s`)
    }
    // Foreign keys hold by construction; checking five million of them row by row would take most of the time.
    await client.query(`set session_replication_role = replica; set maintenance_work_mem = '512MB'; set work_mem = '256MB';
      set timezone = 'UTC'; set jit = off`)
    await client.query(FUNCTIONS)
    const indexes = await secondaryIndexes(client)
    await client.query('begin')
    for (const { name } of indexes) await client.query(`drop index public.${name}`)
    await step('organizations and users', ...tenants(size, await hashPassword(PASSWORD)))
    await step('custom fields', ...DEFINITIONS)
    await step('accounts', accounts(size), NUMBERED_ACCOUNTS)
    await step('contacts', contacts(size))
    await step('leads', leads(size))
    await step('opportunities', opportunities(size))
    await step('events', EVENTS)
    await verifyKeys(client)
    await client.query('commit')
    await step('indexes', ...indexes.map(({ definition }) => definition))
    await step('search', 'select app.search_records(true)')
    await step('tags', 'select app.tag_records(true)')
    // All-visible pages and statistics, as after a night of autovacuum.
    await step('vacuum analyze', 'vacuum (freeze, analyze)')
  })
}

/** Removes the records that the benchmark has created, so that every round starts from the same ones. */
export async function removeTraces(superuserUrl: string): Promise<void> {
  await withClient(superuserUrl, async (client) => {
    await client.query('set session_replication_role = replica')
    for (const table of RECORD_TABLES) await client.query(`delete from ${table} where created_at >= '${SEED_ENDS}'`)
    await client.query(`delete from crm_events where occurred_at >= '${SEED_ENDS}'`)
    // The ids begin with the instant.
    const youngest = `${Date.parse(SEED_ENDS).toString(16).padStart(12, '0')}${'0'.repeat(20)}`
    await client.query(`delete from app.search_documents where record_id >= '${youngest}'`)
    await client.query(`delete from crm_tag_uses where record_id >= '${youngest}'`)
    await client.query('vacuum (analyze) crm_contacts, crm_events, app.search_documents')
  })
}

async function secondaryIndexes(client: pg.Client): Promise<{ name: string; definition: string }[]> {
  const { rows } = await client.query<{ name: string; definition: string }>(
    `select c.relname as name, pg_get_indexdef(i.indexrelid) as definition
       from pg_index i join pg_class c on c.oid = i.indexrelid
      where i.indrelid = any ($1::regclass[]) and not exists (select from pg_constraint k where k.conindid = i.indexrelid)`,
    [[...RECORD_TABLES, 'crm_events']],
  )
  return rows
}

// `pick` spreads evenly over 0..below-1, `skewed` prefers small numbers: a few owners, industries and accounts have most rows.
const FUNCTIONS = `
create function pg_temp.pick(n bigint, salt bigint, below bigint) returns bigint immutable language sql as
  $$ select (hashint8extended(n, salt) & 9223372036854775807) % below $$;
create function pg_temp.skewed(n bigint, salt bigint, below bigint) returns bigint immutable language sql as
  $$ select floor(below * power(pg_temp.pick(n, salt, 1000000) / 1000000.0::float8, 2.5))::bigint $$;
create function pg_temp.one_of(n bigint, salt bigint, choices text[]) returns text immutable language sql as
  $$ select choices[1 + pg_temp.skewed(n, salt, array_length(choices, 1))] $$;
create function pg_temp.any_of(n bigint, salt bigint, choices text[]) returns text immutable language sql as
  $$ select choices[1 + pg_temp.pick(n, salt, array_length(choices, 1))] $$;
create function pg_temp.chance(n bigint, salt bigint, percent int) returns boolean immutable language sql as
  $$ select pg_temp.pick(n, salt, 100) < percent $$;
create function pg_temp.uuid_at(at timestamptz, kind int, n bigint) returns uuid immutable language sql as
  $$ select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(kind), 3, '0') || '8' || lpad(to_hex(n), 15, '0'))::uuid $$;
create function pg_temp.born(n bigint, total bigint) returns timestamptz immutable language sql as
  $$ select timestamptz '2023-01-01Z' + (1094 * 86400000::bigint * n / total + pg_temp.pick(n, 3, 86400000)) * interval '1 millisecond' $$;
create function pg_temp.address(n bigint) returns jsonb immutable language sql as
  $$ select jsonb_build_object('street1', pg_temp.pick(n, 40, 200) + 1 || ' Market Street', 'street2', null, 'city', pg_temp.any_of(n, 41, array['Berlin','Paris','Oslo','Madrid','Lisbon','Vienna','Dublin','Leeds']),
    'region', null, 'postalCode', lpad(pg_temp.pick(n, 42, 100000)::text, 5, '0'), 'countryCode', pg_temp.any_of(n, 43, array['DE','FR','NO','ES','PT','AT','IE','GB'])) $$;
`

const list = (words: string): string => `array['${words.split(' ').join("','")}']`
const FIRST = list(
  'Ada Alan Amara Anton Beatriz Bruno Carla Chen Clara Daniel Diego Elena Emil Emma Fatima Felix Grace Hana Hugo Ines Ivan Jana Jonas Julia Kenji Lara Lea Leon Lina Luca Maja Marco Maria Mia Milan Nadia Nils Noah Nora Olga Omar Paul Petra Rosa Sara Sofia Tariq Tom Vera Yuki',
)
const LAST = list(
  'Abbott Almeida Andersen Bauer Becker Bianchi Bjork Brandt Carter Costa Dubois Eriksen Fischer Fontaine Garcia Gruber Hansen Hoffmann Ibrahim Ivanova Jensen Kaya Keller Khan Klein Kowalski Larsen Lindgren Lopez Marino Martin Meyer Moreau Mueller Nakamura Novak Okafor Olsen Patel Pereira Petrov Ricci Rossi Santos Schmidt Silva Tanaka Torres Vogel Weber Wright Yilmaz Zhang Zimmer',
)
/** Of some ten thousand names, which few share. */
const [BEGIN, MIDDLE, END] = [
  list('Bar Ber Bran Cor Dal Den Drei Eb Fal Gar Gold Hal Har Hel Kal Kron Lang Mar Nor Ost Ral Sil Tor Wal'),
  list('a ba be bu da de en er ga in is ka la le ma na ne on ra ri sa ta un wa'),
  list(
    'bach beck berg brunn burg dorf feld felder fort gard hagen heim hoff kamp land ler lund mann meier rath son stein thal wald',
  ),
]
const RARE_LAST = `pg_temp.any_of(r.n, 101, ${BEGIN}) || pg_temp.any_of(r.n, 102, ${MIDDLE}) || pg_temp.any_of(r.n, 103, ${END})`
const COMPANY = list(
  'Acorn Alpine Amber Arctic Atlas Aurora Baltic Beacon Birch Bridge Cascade Cedar Cobalt Comet Coral Crest Delta Eagle Ember Falcon Fjord Forge Garnet Granite Harbor Hazel Heron Iris Jade Juniper Lark Linden Lumen Maple Meridian Nimbus Nordic Oak Onyx Orchard Osprey Pacific Pine Quarry Raven Ridge River Sable Saffron Slate Solar Summit Tidal Topaz Umbra Vale Vertex Willow Zephyr',
)
const TRADE = list('Analytics Builders Foods Freight Health Labs Logistics Media Motors Partners Robotics Systems')
const INDUSTRIES = `array['Software','Manufacturing','Retail','Healthcare','Finance','Construction','Logistics','Education','Energy','Hospitality','Media','Telecommunications','Agriculture','Pharmaceuticals','Insurance','Real Estate','Automotive','Aerospace','Mining','Utilities']`
const TITLES = `array['Account Manager','Buyer','Head of Sales','Engineer','Chief Executive','Office Manager','Head of Purchasing','Marketing Manager','Chief Financial Officer','Consultant']`
const SOURCES = list('web referral event partner import call campaign')
const LIFECYCLE = list('lead subscriber customer qualified opportunity former_customer evangelist')

/** The number of the organization that row `n` belongs to. */
const organizationOf = ({ organizations, bigShare }: Size): string =>
  `case when pg_temp.pick(n, 1, 1000) < ${Math.round(bigShare * 1000)} then 1 else 2 + pg_temp.skewed(n, 2, ${organizations - 1}) end`

function tenants({ organizations }: Size, passwordHash: string): string[] {
  return [
    `create temp table bench_organization on commit preserve rows as
       select n::bigint, pg_temp.uuid_at('2023-01-01Z', 1, n) as id, case when n = 1 then 200 else 10 + n end as members,
         case when n = 1 then 10 else 3 end as teams
         from generate_series(1, ${organizations}) n`,
    `insert into crm_organizations (id, name, created_at, updated_at)
       select id, 'Organization ' || n, '2023-01-01Z', '2023-01-01Z' from bench_organization`,
    `insert into crm_teams (organization_id, id, name, created_at)
       select o.id, pg_temp.uuid_at('2023-01-01Z', 2, o.n * 1000 + t), 'Team ' || t, '2023-01-01Z'
         from bench_organization o, generate_series(0, o.teams - 1) t`,
    `create temp table bench_member on commit preserve rows as
       select o.n as organization, m as number, o.id as organization_id, pg_temp.uuid_at('2023-01-01Z', 3, o.n * 1000 + m) as user_id,
         pg_temp.uuid_at('2023-01-01Z', 2, o.n * 1000 + pg_temp.pick(m, 4, o.teams)) as team_id,
         case when m = 0 then 'owner' when m = 1 then 'admin' when m % 10 = 0 then 'manager' when m % 10 = 9 then 'read_only' else 'member' end as role
         from bench_organization o, generate_series(0, o.members - 1) m`,
    `alter table bench_member add primary key (organization, number)`,
    `insert into crm_users (id, email, password_hash, first_name, last_name, created_at, updated_at)
       select user_id, 'user' || number || '@organization' || organization || '.example', '${passwordHash}',
         pg_temp.any_of(number, 10, ${FIRST}), pg_temp.any_of(number, 11, ${LAST}), '2023-01-01Z', '2023-01-01Z' from bench_member`,
    `insert into crm_memberships (organization_id, user_id, role, status, created_at, updated_at)
       select organization_id, user_id, role, case when number % 17 = 16 then 'deactivated' else 'active' end,
         pg_temp.born(number, 200), pg_temp.born(number, 200) from bench_member`,
    `insert into crm_team_members (organization_id, team_id, user_id) select organization_id, team_id, user_id from bench_member`,
    `insert into crm_sessions (organization_id, id, user_id, created_at, refreshed_at, expires_at)
       select organization_id, pg_temp.uuid_at('2023-01-01Z', 4, organization * 1000 + number), user_id, '2026-01-01Z', '2026-01-01Z', '2099-01-01Z' from bench_member`,
    `insert into crm_pipelines (organization_id, id, name, is_default, position)
       select id, pg_temp.uuid_at('2023-01-01Z', 5, n), 'Sales', true, 0 from bench_organization`,
    `insert into crm_stages (organization_id, id, pipeline_id, key, name, position, type, probability, forecast_category)
       select o.id, pg_temp.uuid_at('2023-01-01Z', 6, o.n * 10 + s.position), pg_temp.uuid_at('2023-01-01Z', 5, o.n), s.key, initcap(s.key), s.position, s.type, s.probability, s.forecast
         from bench_organization o, (values (0, 'prospecting', 'open', 10, 'pipeline'), (1, 'proposal', 'open', 40, 'best_case'),
           (2, 'negotiation', 'open', 70, 'commit'), (3, 'won', 'won', 100, 'closed'), (4, 'lost', 'lost', 0, 'omitted')) s (position, key, type, probability, forecast)`,
    'analyze bench_member',
  ]
}

const META_COLUMNS =
  'organization_id, id, version, owner_id, team_id, tags, custom_fields, created_at, created_by_type, created_by_id, updated_at, updated_by_type, updated_by_id, deleted_at'

/** The custom fields of records that have none defined. */
const OF_NO_DEFINITION = `case when pg_temp.chance(r.n, 9, 30) then jsonb_build_object('tier', pg_temp.one_of(r.n, 12, ${list('bronze silver gold')}), 'seats', pg_temp.pick(r.n, 13, 500)) else '{}' end`

/** The columns that every record has, in the order of `META_COLUMNS`. */
const meta = (kind: number, total: number, customFields = OF_NO_DEFINITION): string => `
  m.organization_id, pg_temp.uuid_at(pg_temp.born(r.n, ${total}), ${kind}, r.n), 1 + pg_temp.skewed(r.n, 5, 8), m.user_id,
  case when pg_temp.chance(r.n, 6, 70) then m.team_id end,
  case when pg_temp.chance(r.n, 7, 25) then jsonb_build_array(pg_temp.one_of(r.n, 8, ${list('key-account newsletter trade-fair partner vip')})) else '[]' end
    || case when r.n % 250 = 7 then '["beta"]'::jsonb else '[]' end || case when r.n % 10000 = 9 then '["pilot"]'::jsonb else '[]' end,
  ${customFields},
  pg_temp.born(r.n, ${total}), 'user', m.user_id, pg_temp.born(r.n, ${total}) + pg_temp.skewed(r.n, 14, 86400000) * interval '1 millisecond', 'user', m.user_id,
  case when pg_temp.chance(r.n, 15, 1) then pg_temp.born(r.n, ${total}) + interval '1 day' end`

/** Numbered rows, each with its organization and an owner there. */
const rowsOf = (size: Size, total: number): string => `
  (select n, ${organizationOf(size)} as organization from generate_series(1, ${total}::bigint) n) r
  join bench_organization o on o.n = r.organization
  join bench_member m on m.organization = r.organization and m.number = pg_temp.skewed(r.n, 16, o.members)`

/** In the row's organization, an account or none. */
const ACCOUNT_OF = (percent: number): string => `
  left join (select organization, count(*) as accounts from bench_account group by 1) c on c.organization = r.organization and pg_temp.chance(r.n, 17, ${percent})
  left join bench_account a on a.organization = c.organization and a.number = pg_temp.skewed(r.n, 18, c.accounts)`

const accounts = (size: Size): string => `
insert into crm_accounts (${META_COLUMNS}, name, legal_name, domain, website, type, industry, phone, number_of_employees,
  annual_revenue_minor, annual_revenue_currency, description, billing_address, source, lifecycle_stage, ${keyColumnsOf('account')})
select ${meta(10, size.accounts, customFieldsOf('account'))},
  company, case when pg_temp.chance(r.n, 20, 40) then company || ' GmbH' end,
  case when pg_temp.chance(r.n, 21, 80) then lower(replace(company, ' ', '-')) || '-' || r.n || '.example' end,
  case when pg_temp.chance(r.n, 22, 60) then 'https://www.' || lower(replace(company, ' ', '-')) || '.example' end,
  case when pg_temp.chance(r.n, 23, 90) then pg_temp.one_of(r.n, 24, ${list('customer prospect partner other vendor competitor')}) end,
  case when pg_temp.chance(r.n, 25, 85) then pg_temp.one_of(r.n, 26, ${INDUSTRIES}) end,
  case when pg_temp.chance(r.n, 27, 70) then '+49' || (3000000000 + pg_temp.pick(r.n, 28, 999999999)) end,
  case when pg_temp.chance(r.n, 29, 60) then 1 + pg_temp.skewed(r.n, 30, 20000) end,
  case when pg_temp.chance(r.n, 31, 50) then pg_temp.skewed(r.n, 32, 50000000000) end,
  case when pg_temp.chance(r.n, 31, 50) then 'EUR' end,
  case when pg_temp.chance(r.n, 33, 20) then 'Met at the trade fair; wants a call about the new product line.' end,
  case when pg_temp.chance(r.n, 34, 60) then pg_temp.address(r.n) end,
  case when pg_temp.chance(r.n, 35, 50) then pg_temp.one_of(r.n, 36, ${SOURCES}) end,
  case when pg_temp.chance(r.n, 37, 80) then pg_temp.one_of(r.n, 38, ${LIFECYCLE}) end,
  ${keysOf('account')}
from ${rowsOf(size, size.accounts)},
  lateral (select pg_temp.any_of(r.n, 50, ${COMPANY}) || ' ' || pg_temp.any_of(r.n, 51, ${COMPANY}) || ' ' || pg_temp.any_of(r.n, 52, ${TRADE}) as company) w`

const NUMBERED_ACCOUNTS = `
create temp table bench_account on commit preserve rows as
  select o.n as organization, row_number() over (partition by a.organization_id order by a.id) - 1 as number, a.id
    from crm_accounts a join bench_organization o on o.id = a.organization_id where a.deleted_at is null;
alter table bench_account add primary key (organization, number);
analyze bench_account;
-- A tenth of the accounts belong to another one.
update crm_accounts c set parent_account_id = p.id
  from bench_account a join bench_account p on p.organization = a.organization and p.number = pg_temp.skewed(a.number, 60, a.number / 10 + 1)
 where c.id = a.id and a.number % 10 = 9`

const contacts = (size: Size): string => `
insert into crm_contacts (${META_COLUMNS}, first_name, last_name, name, salutation, title, department, email, additional_emails, phone, mobile_phone,
  account_id, mailing_address, birthdate, language, time_zone, source, do_not_call, email_opt_out, lifecycle_stage, description, ${keyColumnsOf('contact')})
select ${meta(11, size.contacts, customFieldsOf('contact'))},
  first, last, first || ' ' || last, case when pg_temp.chance(r.n, 20, 30) then pg_temp.any_of(r.n, 21, array['Ms','Mr','Dr']) end,
  case when pg_temp.chance(r.n, 22, 70) then pg_temp.one_of(r.n, 23, ${TITLES}) end,
  case when pg_temp.chance(r.n, 24, 40) then pg_temp.one_of(r.n, 25, ${list('Sales Purchasing Finance Engineering Marketing')}) end,
  case when pg_temp.chance(r.n, 26, 85) then lower(first || '.' || last) || r.n || '@mail.example' end,
  case when pg_temp.chance(r.n, 27, 5) then jsonb_build_array(lower(last) || r.n || '@home.example') else '[]' end,
  case when pg_temp.chance(r.n, 28, 60) then '+49' || (3000000000 + pg_temp.pick(r.n, 29, 999999999)) end,
  case when pg_temp.chance(r.n, 30, 50) then '+49' || (15000000000 + pg_temp.pick(r.n, 31, 999999999)) end,
  a.id, case when pg_temp.chance(r.n, 32, 25) then pg_temp.address(r.n) end,
  case when pg_temp.chance(r.n, 33, 20) then date '1950-01-01' + pg_temp.pick(r.n, 34, 20000)::int end,
  case when pg_temp.chance(r.n, 35, 40) then pg_temp.one_of(r.n, 36, ${list('en de fr es')}) end,
  case when pg_temp.chance(r.n, 37, 30) then pg_temp.one_of(r.n, 38, ${list('Europe/Berlin Europe/Paris America/New_York')}) end,
  case when pg_temp.chance(r.n, 39, 60) then pg_temp.one_of(r.n, 44, ${SOURCES}) end,
  pg_temp.chance(r.n, 45, 5), pg_temp.chance(r.n, 46, 15),
  case when pg_temp.chance(r.n, 47, 85) then pg_temp.one_of(r.n, 48, ${LIFECYCLE}) end,
  case when pg_temp.chance(r.n, 49, 10) then 'Prefers to be called in the afternoon.' end,
  ${keysOf('contact')}
from ${rowsOf(size, size.contacts)} ${ACCOUNT_OF(80)},
  lateral (select pg_temp.any_of(r.n, 53, ${FIRST}) as first, case when pg_temp.chance(r.n, 100, 10) then ${RARE_LAST} else pg_temp.any_of(r.n, 54, ${LAST}) end as last) w`

const leads = (size: Size): string => `
insert into crm_leads (${META_COLUMNS}, first_name, last_name, company_name, name, title, email, phone, status, rating, score, source, industry,
  number_of_employees, do_not_call, email_opt_out, converted_at, converted_account_id)
select ${meta(12, size.leads)},
  first, last, pg_temp.any_of(r.n, 55, ${COMPANY}) || ' ' || pg_temp.any_of(r.n, 56, ${TRADE}), first || ' ' || last,
  case when pg_temp.chance(r.n, 22, 50) then pg_temp.one_of(r.n, 23, ${TITLES}) end,
  case when pg_temp.chance(r.n, 26, 90) then lower(first || '.' || last) || r.n || '@lead.example' end,
  case when pg_temp.chance(r.n, 28, 50) then '+49' || (3000000000 + pg_temp.pick(r.n, 29, 999999999)) end,
  status, case when pg_temp.chance(r.n, 61, 70) then pg_temp.one_of(r.n, 62, ${list('cold warm hot')}) end,
  case when pg_temp.chance(r.n, 63, 60) then pg_temp.pick(r.n, 64, 101) end,
  case when pg_temp.chance(r.n, 65, 80) then pg_temp.one_of(r.n, 66, ${SOURCES}) end,
  case when pg_temp.chance(r.n, 67, 60) then pg_temp.one_of(r.n, 68, ${INDUSTRIES}) end,
  case when pg_temp.chance(r.n, 69, 40) then 1 + pg_temp.skewed(r.n, 70, 5000) end, false, pg_temp.chance(r.n, 46, 10),
  case when status = 'converted' then pg_temp.born(r.n, ${size.leads}) end, case when status = 'converted' then a.id end
from ${rowsOf(size, size.leads)} ${ACCOUNT_OF(100)},
  lateral (select pg_temp.any_of(r.n, 57, ${FIRST}) as first, pg_temp.any_of(r.n, 58, ${LAST}) as last,
    pg_temp.one_of(r.n, 59, ${list('open working unqualified qualified converted')}) as status) w`

const opportunities = (size: Size): string => `
insert into crm_opportunities (${META_COLUMNS}, name, account_id, pipeline_id, stage_id, status, amount_minor, amount_currency, probability,
  expected_close_date, stage_entered_at, closed_at, type, source, next_step)
select ${meta(13, size.opportunities)},
  pg_temp.any_of(r.n, 55, ${COMPANY}) || ' ' || pg_temp.one_of(r.n, 71, ${list('renewal pilot rollout upgrade licence')}),
  a.id, s.pipeline_id, s.id, s.type, case when pg_temp.chance(r.n, 72, 80) then pg_temp.skewed(r.n, 73, 100000000) end,
  case when pg_temp.chance(r.n, 72, 80) then 'EUR' end, s.probability,
  case when pg_temp.chance(r.n, 74, 75) then (pg_temp.born(r.n, ${size.opportunities}) at time zone 'UTC')::date + pg_temp.pick(r.n, 75, 180)::int end,
  pg_temp.born(r.n, ${size.opportunities}), case when s.type <> 'open' then pg_temp.born(r.n, ${size.opportunities}) end,
  case when pg_temp.chance(r.n, 76, 70) then pg_temp.one_of(r.n, 77, ${list('new_business existing_business renewal')}) end,
  case when pg_temp.chance(r.n, 65, 60) then pg_temp.one_of(r.n, 66, ${SOURCES}) end,
  case when pg_temp.chance(r.n, 78, 40) then 'Send the offer' end
from ${rowsOf(size, size.opportunities)} ${ACCOUNT_OF(90)}
  join crm_stages s on s.organization_id = m.organization_id and s.position = pg_temp.skewed(r.n, 79, 5)`

const EVENTS = `
insert into crm_events (organization_id, id, type, object, record_id, version, actor_type, actor_id, cause, request_id, changes, occurred_at)
select organization_id, pg_temp.uuid_at(created_at, 20, row_number() over ()), 'contact.created', 'contact', id, 1, 'user', created_by_id, 'api', 'seed',
  jsonb_build_object('lastName', jsonb_build_object('from', null, 'to', last_name), 'firstName', jsonb_build_object('from', null, 'to', first_name)), created_at
from crm_contacts`
