import type { Scenario } from './scenarios.js'

/** The columns of a contact, named as in its JSON. */
export const CONTACT_COLUMNS = `id, version, created_at as "createdAt", created_by_type as "createdByType", created_by_id as "createdById",
  updated_at as "updatedAt", updated_by_type as "updatedByType", updated_by_id as "updatedById", deleted_at as "deletedAt",
  owner_id as "ownerId", team_id as "teamId", tags, custom_fields as "customFields", external_ids as "externalIds", first_name as "firstName",
  last_name as "lastName", salutation, title, department, email, additional_emails as "additionalEmails", phone,
  mobile_phone as "mobilePhone", account_id as "accountId", reports_to_id as "reportsToId", mailing_address as "mailingAddress",
  birthdate, language, time_zone as "timeZone", linkedin_url as "linkedinUrl", source, do_not_call as "doNotCall",
  email_opt_out as "emailOptOut", lifecycle_stage as "lifecycleStage", description, name`

const from = `select ${CONTACT_COLUMNS} from crm_contacts where organization_id = :organization and deleted_at is null`
const newestFirst = 'order by created_at desc, id desc limit 51'

// Each connection of pgbench has a contact of its own: one for all would make them wait for each other.
const own = 'id = (:contacts::uuid[])[:client_id + 1]'

/** The statements of the hand-written server as pgbench scripts, and for queries the best that one can write by hand. */
export const PGBENCH_SCRIPTS: Record<Scenario, string> = {
  get: `${from} and ${own};`,
  list: `${from} ${newestFirst};`,
  deep: `${from} and (created_at, id) < (:after_time::timestamptz, :after_id::uuid) ${newestFirst};`,
  filtered: `${from} and lifecycle_stage = :stage ${newestFirst};`,
  sorted: `${from} order by name, id limit 51;`,
  conditions: `${from} and lifecycle_stage in (:stage_most, :stage_least) and title = :title and not do_not_call ${newestFirst};`,
  relation: `${from} and exists (select from crm_accounts a where a.organization_id = :organization and a.id = crm_contacts.account_id
    and a.deleted_at is null and a.industry = :industry) ${newestFirst};`,
  // The keys of the slots are those of the values, so an index of a column of one's own would do the same.
  customEqual: `${from} and custom_key_1 = :tier ${newestFirst};`,
  customRange: `${from} and custom_key_3 >= :renewal and custom_key_3 < '>' order by custom_key_3, created_at, id limit 51;`,
  // The documents that the API searches, without its functions.
  text: `${from} and id in (select record_id from app.search_documents where words @@ (:asked::text)::tsquery and organization_id = :organization
    and object = 'contact' limit 1000) ${newestFirst};`,
  fuzzy: `${from} and id in (select record_id from app.search_documents where :misspelt::text <% title and words @@ (:realm::text)::tsquery
    and organization_id = :organization and object = 'contact' limit 300) ${newestFirst};`,
  create: `insert into crm_contacts (organization_id, id, version, owner_id, tags, custom_fields, created_at, created_by_type, created_by_id,
    updated_at, updated_by_type, updated_by_id, first_name, last_name, name, title, email, additional_emails, account_id, do_not_call, email_opt_out)
    values (:organization, gen_random_uuid(), 1, :owner, '[]', '{}', now(), 'user', :owner, now(), 'user', :owner, 'Ada', 'Bench', 'Ada Bench',
    'Engineer', gen_random_uuid() || '@bench.example', '[]', :account, false, false) returning ${CONTACT_COLUMNS};`,
  patch: `update crm_contacts set title = clock_timestamp()::text, version = version + 1, updated_at = now(), updated_by_type = 'user', updated_by_id = :owner
    where organization_id = :organization and ${own} and deleted_at is null returning ${CONTACT_COLUMNS};`,
}
