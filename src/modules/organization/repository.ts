import { isDeepStrictEqual } from 'node:util'
import { eq, sql } from 'drizzle-orm'
import type { components } from '../../../generated/types.js'
import type { Scope } from '../../context.js'
import { parameter, query, statement } from '../../db/statement.js'
import { crmOrganizations as t } from '../../db/table.js'
import { problem } from '../../problem.js'
import { etagOf, ifMatchHolds, ifNoneMatchHits } from '../../records/conditional.js'
import { assertTimeZone, toRfc3339 } from '../../records/fields.js'
import { mergePatch } from '../../records/merge-patch.js'
import { assertCurrency } from '../../records/money.js'

type Organization = components['schemas']['Organization']

const columns = {
  id: t.id,
  name: t.name,
  locale: t.locale,
  timeZone: t.timeZone,
  currency: t.currency,
  fiscalYearStartMonth: t.fiscalYearStartMonth,
  version: t.version,
  createdAt: t.createdAt,
  updatedAt: t.updatedAt,
}

const ofCaller = eq(t.id, parameter('organizationId'))
const find = statement('organization.get', query.select(columns).from(t).where(ofCaller))
const hold = statement('organization.lock', query.select(columns).from(t).where(ofCaller).for('update'))

const save = statement(
  'organization.update',
  query
    .update(t)
    .set({
      name: sql`${parameter('name')}`,
      locale: sql`${parameter('locale')}`,
      timeZone: sql`${parameter('timeZone')}`,
      currency: sql`${parameter('currency')}`,
      fiscalYearStartMonth: sql`${parameter('fiscalYearStartMonth')}`,
      version: sql`${t.version} + 1`,
      updatedAt: sql`${parameter('now')}`,
    })
    .where(ofCaller)
    .returning(columns),
)

const toOrganization = (row: Organization): Organization => ({
  ...row,
  createdAt: toRfc3339(row.createdAt),
  updatedAt: toRfc3339(row.updatedAt),
})

/** The caller's organization, or 304 when the caller has its version already. */
export async function getOrganization({ db, principal: { organizationId } }: Scope, ifNoneMatch?: string) {
  const [row] = await db.run(find({ organizationId }))
  if (!row) throw new Error(`organization ${organizationId} is gone`)
  const headers = { ETag: etagOf(row) }
  return ifNoneMatchHits(ifNoneMatch, headers.ETag)
    ? { status: 304 as const, headers }
    : { status: 200 as const, headers, body: toOrganization(row) }
}

/** Applies a merge patch to the caller's organization. A patch that changes nothing leaves the version alone. */
export async function updateOrganization(
  { db, principal: { organizationId }, clock }: Scope,
  patch: components['schemas']['OrganizationUpdate'],
  ifMatch?: string,
) {
  if (patch.timeZone) assertTimeZone(patch.timeZone, '/timeZone')
  if (patch.currency) assertCurrency(patch.currency, '/currency')
  return db.transaction(async (tx) => {
    const [before] = await tx.run(hold({ organizationId }))
    if (!before) throw new Error(`organization ${organizationId} is gone`)
    if (!ifMatchHolds(ifMatch, before.version)) return problem(412, 'version_mismatch')
    const edited = mergePatch(before, patch)
    const now = clock().toISOString()
    const [after = before] = isDeepStrictEqual(before, edited)
      ? [before]
      : await tx.run(save({ ...edited, organizationId, now }))
    return { status: 200 as const, headers: { ETag: etagOf(after) }, body: toOrganization(after) }
  })
}
