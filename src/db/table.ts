import { sql } from 'drizzle-orm'
import {
  boolean,
  check,
  foreignKey,
  index,
  integer,
  pgTable,
  primaryKey,
  text,
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core'
import {
  currentEmail,
  currentOrganization,
  currentUser,
  instant,
  maintenancePolicy,
  organizationId,
  tenantPolicy,
} from './columns.js'

/** The tenants. Visible: the current one, and those of the person who signs in. */
export const crmOrganizations = pgTable(
  'crm_organizations',
  {
    id: uuid('id').primaryKey(),
    name: text('name').notNull(),
    locale: text('locale'),
    timeZone: text('time_zone'),
    currency: text('currency').notNull().default('EUR'),
    fiscalYearStartMonth: integer('fiscal_year_start_month').notNull().default(1),
    version: integer('version').notNull().default(1),
    createdAt: instant('created_at').notNull(),
    updatedAt: instant('updated_at').notNull(),
  },
  () => [
    tenantPolicy(
      'crm_organizations',
      sql`id = ${currentOrganization} or exists (select from crm_memberships m where m.organization_id = crm_organizations.id and m.user_id = ${currentUser})`,
      sql`id = ${currentOrganization}`,
    ),
  ],
)

/** The people, each once, whatever organizations they belong to. Visible: oneself, and the members of the current tenant. */
export const crmUsers = pgTable(
  'crm_users',
  {
    id: uuid('id').primaryKey(),
    email: text('email').notNull(),
    emailKey: text('email_key').notNull().generatedAlwaysAs(sql`lower(email)`),
    passwordHash: text('password_hash').notNull(),
    firstName: text('first_name'),
    lastName: text('last_name'),
    language: text('language'),
    timeZone: text('time_zone'),
    createdAt: instant('created_at').notNull(),
    updatedAt: instant('updated_at').notNull(),
  },
  (t) => [
    uniqueIndex('crm_users_email_key').on(t.emailKey),
    tenantPolicy(
      'crm_users',
      sql`id = ${currentUser} or email_key = ${currentEmail} or exists (select from crm_memberships m where m.organization_id = ${currentOrganization} and m.user_id = crm_users.id)`,
      sql`id = ${currentUser}`,
    ),
  ],
)

/** Who belongs to which tenant, and as what. `version` counts every change of rights. */
export const crmMemberships = pgTable(
  'crm_memberships',
  {
    organizationId: organizationId().references(() => crmOrganizations.id),
    userId: uuid('user_id')
      .notNull()
      .references(() => crmUsers.id),
    role: text('role', { enum: ['owner', 'admin', 'manager', 'member', 'read_only'] }).notNull(),
    status: text('status', { enum: ['active', 'deactivated'] }).notNull(),
    title: text('title'),
    version: integer('version').notNull().default(1),
    createdAt: instant('created_at').notNull(),
    updatedAt: instant('updated_at').notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.organizationId, t.userId] }),
    index('crm_memberships_created_idx').on(t.organizationId, t.createdAt, t.userId),
    index('crm_memberships_role_idx').on(t.organizationId, t.role, t.createdAt, t.userId),
    index('crm_memberships_status_idx').on(t.organizationId, t.status, t.createdAt, t.userId),
    index('crm_memberships_user_idx').on(t.userId),
    check('crm_memberships_role_check', sql`role in ('owner', 'admin', 'manager', 'member', 'read_only')`),
    check('crm_memberships_status_check', sql`status in ('active', 'deactivated')`),
    tenantPolicy(
      'crm_memberships',
      sql`organization_id = ${currentOrganization} or user_id = ${currentUser}`,
      sql`organization_id = ${currentOrganization}`,
    ),
  ],
)

export const crmTeams = pgTable(
  'crm_teams',
  {
    organizationId: organizationId().references(() => crmOrganizations.id),
    id: uuid('id').notNull(),
    name: text('name').notNull(),
    createdAt: instant('created_at').notNull(),
  },
  (t) => [primaryKey({ columns: [t.organizationId, t.id] }), tenantPolicy('crm_teams')],
)

export const crmTeamMembers = pgTable(
  'crm_team_members',
  {
    organizationId: organizationId(),
    teamId: uuid('team_id').notNull(),
    userId: uuid('user_id').notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.organizationId, t.userId, t.teamId] }),
    foreignKey({ columns: [t.organizationId, t.teamId], foreignColumns: [crmTeams.organizationId, crmTeams.id] }),
    foreignKey({
      columns: [t.organizationId, t.userId],
      foreignColumns: [crmMemberships.organizationId, crmMemberships.userId],
    }),
    tenantPolicy('crm_team_members'),
  ],
)

/** A signed-in session. `generation` is that of its one valid refresh token. */
export const crmSessions = pgTable(
  'crm_sessions',
  {
    organizationId: organizationId(),
    id: uuid('id').notNull(),
    userId: uuid('user_id').notNull(),
    generation: integer('generation').notNull().default(1),
    createdAt: instant('created_at').notNull(),
    refreshedAt: instant('refreshed_at').notNull(),
    expiresAt: instant('expires_at').notNull(),
    revoked: boolean('revoked').notNull().default(false),
  },
  (t) => [
    primaryKey({ columns: [t.organizationId, t.id] }),
    foreignKey({
      columns: [t.organizationId, t.userId],
      foreignColumns: [crmMemberships.organizationId, crmMemberships.userId],
    }),
    index('crm_sessions_user_idx').on(t.organizationId, t.userId),
    index('crm_sessions_expires_idx').on(t.expiresAt),
    // A person may end every session of theirs, in whatever organization.
    tenantPolicy('crm_sessions', sql`organization_id = ${currentOrganization} or user_id = ${currentUser}`),
    maintenancePolicy('crm_sessions', sql`expires_at < now()`),
  ],
)
