/**
 * What the benchmark compares with: contacts as an experienced developer writes them by hand with Fastify and postgres.js.
 * JSON schemas, prepared statements with the tenant in each, one round trip per request, access tokens verified (and
 * remembered, as in the API). No row-level security, no events, no idempotency keys, no metrics, limits or security headers.
 */
import type {} from '@fastify/jwt'
import jwt from '@fastify/jwt'
import Fastify, { LogController } from 'fastify'
import { pino } from 'pino'
import postgres from 'postgres'
import { v7 as uuidv7 } from 'uuid'
import { CONTACT_COLUMNS } from './baseline-sql.js'

type Claims = { userId: string; organizationId: string; sessionId: string }
type Row = Record<string, unknown>

const env = (name: string): string => {
  const value = process.env[name]
  if (!value) throw new Error(`${name} is required`)
  return value
}

const sql = postgres(env('DATABASE_URL'), {
  max: Number(process.env.DATABASE_POOL_SIZE ?? 10),
  connection: { TimeZone: 'UTC', application_name: 'bench-baseline' },
  types: {
    // Text on its way: to make a Date of every instant only to print it again would be waste.
    instant: { to: 1184, from: [1184], serialize: String, parse: toRfc3339 },
    date: { to: 1082, from: [1082], serialize: String, parse: String },
  },
})

function toRfc3339(text: string): string {
  return `${text.slice(0, 10)}T${text.slice(11, 19)}.${text.slice(20, -3).padEnd(3, '0')}Z`
}

const columns = sql.unsafe(CONTACT_COLUMNS)

/** The row is the reply but for two nested objects and empty lists of ids; columns that the schema does not name are not written. */
function toContact(row: Row): Row {
  if ((row.externalIds as unknown[]).length === 0) row.externalIds = undefined
  row.createdBy = { type: row.createdByType, id: row.createdById }
  row.updatedBy = { type: row.updatedByType, id: row.updatedById }
  return row
}

const text = { type: 'string', maxLength: 255 }
const optional = <Schema extends object>(schema: Schema) => ({ ...schema, nullable: true })
const uuid = { type: 'string', format: 'uuid' }
const instant = { type: 'string' }
const actor = { type: 'object', properties: { type: { type: 'string' }, id: optional({ type: 'string' }) } }
const lifecycleStage = {
  type: 'string',
  enum: ['subscriber', 'lead', 'qualified', 'opportunity', 'customer', 'evangelist', 'former_customer'],
}
const address = {
  type: 'object',
  properties: {
    street1: optional(text),
    street2: optional(text),
    city: optional(text),
    region: optional(text),
    postalCode: optional(text),
    countryCode: optional({ type: 'string', maxLength: 2 }),
  },
}
const writable = {
  ownerId: uuid,
  teamId: optional(uuid),
  tags: { type: 'array', maxItems: 50, items: { type: 'string', minLength: 1, maxLength: 50 } },
  customFields: { type: 'object', maxProperties: 200, additionalProperties: true },
  externalIds: {
    type: 'array',
    maxItems: 20,
    items: {
      type: 'object',
      required: ['system', 'externalId'],
      additionalProperties: false,
      properties: { system: { type: 'string', maxLength: 50 }, externalId: { type: 'string', maxLength: 255 } },
    },
  },
  firstName: optional(text),
  lastName: { ...text, minLength: 1 },
  salutation: optional(text),
  title: optional(text),
  department: optional(text),
  email: optional({ type: 'string', format: 'email', maxLength: 254 }),
  additionalEmails: { type: 'array', maxItems: 20, items: { type: 'string', format: 'email', maxLength: 254 } },
  phone: optional({ type: 'string', pattern: '^\\+[1-9][0-9]{1,14}$' }),
  mobilePhone: optional({ type: 'string', pattern: '^\\+[1-9][0-9]{1,14}$' }),
  accountId: optional(uuid),
  reportsToId: optional(uuid),
  mailingAddress: optional(address),
  birthdate: optional({ type: 'string', format: 'date' }),
  language: optional({ type: 'string', maxLength: 35 }),
  timeZone: optional({ type: 'string', maxLength: 64 }),
  linkedinUrl: optional({ type: 'string', format: 'uri', maxLength: 2048 }),
  source: optional(text),
  doNotCall: { type: 'boolean' },
  emailOptOut: { type: 'boolean' },
  lifecycleStage: optional({ ...lifecycleStage, enum: [...lifecycleStage.enum, null] }),
  description: optional({ type: 'string', maxLength: 10_000 }),
}
const id = { type: 'string' }
const contact = {
  type: 'object',
  properties: {
    id,
    version: { type: 'integer' },
    createdAt: instant,
    createdBy: actor,
    updatedAt: instant,
    updatedBy: actor,
    deletedAt: optional(instant),
    ...writable,
    // Written as they are: formats concern what comes in.
    ownerId: id,
    teamId: optional(id),
    email: optional({ type: 'string' }),
    additionalEmails: { type: 'array', items: { type: 'string' } },
    accountId: optional(id),
    reportsToId: optional(id),
    birthdate: optional({ type: 'string' }),
    linkedinUrl: optional({ type: 'string' }),
    lifecycleStage: optional({ type: 'string' }),
    name: { type: 'string' },
  },
}
const body = { type: 'object', additionalProperties: false, properties: writable }
const params = { type: 'object', required: ['id'], properties: { id: uuid } }
const page = {
  type: 'object',
  properties: {
    data: { type: 'array', items: contact },
    page: {
      type: 'object',
      properties: { nextCursor: optional({ type: 'string' }), hasMore: { type: 'boolean' } },
    },
  },
}

const app = Fastify({
  loggerInstance: pino({ level: process.env.LOG_LEVEL ?? 'info', base: null }),
  logController: new LogController({ disableRequestLogging: true }),
  genReqId: () => uuidv7(),
})
await app.register(jwt, {
  secret: { public: env('JWT_PUBLIC_KEY') },
  sign: { algorithm: 'EdDSA' },
  verify: { algorithms: ['EdDSA'], allowedIss: 'zenith-crm', allowedAud: 'zenith-crm', cache: 10_000 },
})
app.addHook('onResponse', async (request, reply) => {
  request.log.info({
    method: request.method,
    path: request.url.split('?', 1)[0],
    status: reply.statusCode,
    milliseconds: Math.round(reply.elapsedTime * 10) / 10,
  })
})
app.addContentTypeParser(
  'application/merge-patch+json',
  { parseAs: 'string' },
  app.getDefaultJsonParser('error', 'error'),
)
app.setErrorHandler((error: { code?: string; statusCode?: number }, request, reply) => {
  if (error.code === '23505') return reply.code(409).send({ code: 'duplicate_value' })
  if (error.code === '23503') return reply.code(400).send({ code: 'missing_reference' })
  if (error.statusCode !== undefined && error.statusCode < 500) {
    return reply.code(error.statusCode).send({ code: error.code })
  }
  request.log.error({ err: error })
  return reply.code(500).send({ code: 'internal_error' })
})

app.get('/healthz', async () => {
  await sql`select 1`
  return { status: 'up' }
})

await app.register(
  async (contacts) => {
    contacts.addHook('onRequest', async (request) => {
      await request.jwtVerify()
    })

    contacts.get<{ Params: { id: string } }>(
      '/:id',
      { schema: { params, response: { 200: contact } } },
      async (request, reply) => {
        const { organizationId } = request.user as Claims
        const [row] = await sql`select ${columns} from crm_contacts
          where organization_id = ${organizationId} and id = ${request.params.id} and deleted_at is null`
        return row ? toContact(row) : reply.code(404).send({ code: 'not_found' })
      },
    )

    contacts.get<{ Querystring: { limit: number; cursor?: string; lifecycleStage?: string } }>(
      '/',
      {
        schema: {
          querystring: {
            type: 'object',
            additionalProperties: false,
            properties: {
              limit: { type: 'integer', minimum: 1, maximum: 200, default: 50 },
              cursor: { type: 'string' },
              lifecycleStage,
            },
          },
          response: { 200: page },
        },
      },
      async (request) => {
        const { organizationId } = request.user as Claims
        const { limit, cursor, lifecycleStage } = request.query
        const [at = '', after = ''] = cursor ? Buffer.from(cursor, 'base64url').toString().split(' ') : []
        const rows =
          await sql`select ${columns} from crm_contacts where organization_id = ${organizationId} and deleted_at is null
          ${lifecycleStage ? sql`and lifecycle_stage = ${lifecycleStage}` : sql``}
          ${cursor ? sql`and (created_at, id) < (${at}::timestamptz, ${after}::uuid)` : sql``}
          order by created_at desc, id desc limit ${limit + 1}`
        const hasMore = rows.length > limit
        const data = rows.slice(0, limit).map(toContact)
        const last = data.at(-1)
        const nextCursor = hasMore && last ? Buffer.from(`${last.createdAt} ${last.id}`).toString('base64url') : null
        return { data, page: { nextCursor, hasMore } }
      },
    )

    contacts.post<{ Body: Row }>(
      '/',
      { schema: { body: { ...body, required: ['lastName'] }, response: { 201: contact } } },
      async (request, reply) => {
        const { organizationId, userId } = request.user as Claims
        const now = new Date().toISOString()
        const input = request.body
        const name = [input.firstName, input.lastName].filter(Boolean).join(' ')
        const value = (key: string) => (input[key] ?? null) as string | null
        const json = (key: string, fallback: postgres.JSONValue | null) =>
          input[key] === undefined ? fallback && sql.json(fallback) : sql.json(input[key] as postgres.JSONValue)
        const [row] = await sql`
          insert into crm_contacts (organization_id, id, version, owner_id, team_id, tags, custom_fields, created_at, created_by_type,
            created_by_id, updated_at, updated_by_type, updated_by_id, first_name, last_name, name, salutation, title, department,
            email, additional_emails, phone, mobile_phone, account_id, reports_to_id, mailing_address, birthdate, language,
            time_zone, linkedin_url, source, do_not_call, email_opt_out, lifecycle_stage, description)
          values (${organizationId}, ${uuidv7()}, 1, ${value('ownerId') ?? userId}, ${value('teamId')}, ${json('tags', [])},
            ${json('customFields', {})}, ${now}, 'user', ${userId}, ${now}, 'user', ${userId}, ${value('firstName')},
            ${value('lastName')}, ${name}, ${value('salutation')}, ${value('title')}, ${value('department')}, ${value('email')},
            ${json('additionalEmails', [])}, ${value('phone')}, ${value('mobilePhone')}, ${value('accountId')},
            ${value('reportsToId')}, ${json('mailingAddress', null)}, ${value('birthdate')}, ${value('language')},
            ${value('timeZone')}, ${value('linkedinUrl')}, ${value('source')}, ${(input.doNotCall as boolean) ?? false},
            ${(input.emailOptOut as boolean) ?? false}, ${value('lifecycleStage')}, ${value('description')})
          returning ${columns}`
        reply.code(201).header('location', `/api/v1/contacts/${row?.id}`)
        return toContact(row as Row)
      },
    )

    contacts.patch<{ Params: { id: string }; Body: Row }>(
      '/:id',
      { schema: { params, body: { ...body, minProperties: 1 }, response: { 200: contact } } },
      async (request, reply) => {
        const { organizationId, userId } = request.user as Claims
        const changes = Object.fromEntries(
          Object.entries(request.body).map(([name, value]) => [
            postgres.fromCamel(name),
            typeof value === 'object' && value !== null ? sql.json(value as postgres.JSONValue) : value,
          ]),
        ) as Record<string, string>
        const [row] = await sql`
          update crm_contacts set ${sql(changes)}, version = version + 1, updated_at = ${new Date().toISOString()},
            updated_by_type = 'user', updated_by_id = ${userId}
            ${
              'first_name' in changes || 'last_name' in changes
                ? sql`, name = concat_ws(' ', ${changes.first_name ?? sql`first_name`}, ${changes.last_name ?? sql`last_name`})`
                : sql``
            }
          where organization_id = ${organizationId} and id = ${request.params.id} and deleted_at is null
          returning ${columns}`
        return row ? toContact(row) : reply.code(404).send({ code: 'not_found' })
      },
    )
  },
  { prefix: '/api/v1/contacts' },
)

process.once('SIGTERM', () => void app.close().then(() => sql.end()))
await app.listen({ host: '127.0.0.1', port: Number(env('PORT')) })
