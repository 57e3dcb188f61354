import { sql } from 'drizzle-orm'
import { check, foreignKey, index, pgTable, text, uuid } from 'drizzle-orm/pg-core'
import type { components } from '../../../generated/types.js'
import { json } from '../../db/columns.js'
import { crmTeams } from '../../db/table.js'
import { assetColumns, assetConstraints } from '../table.js'

type View = components['schemas']['View']

/** Saved views: what to show of one kind of record. A filter is kept as the contract has it, and compiled whenever the view is run. */
export const crmViews = pgTable(
  'crm_views',
  {
    ...assetColumns(),
    object: text('object').$type<View['object']>().notNull(),
    sharing: text('sharing', { enum: ['private', 'team', 'organization'] }).notNull(),
    teamId: uuid('team_id'),
    columns: json<View['columns']>('columns').notNull(),
    filter: json<NonNullable<View['filter']>>('filter'),
    sort: json<View['sort']>('sort').notNull(),
  },
  (t) => [
    ...assetConstraints('crm_views', t),
    foreignKey({
      name: 'crm_views_team_fk',
      columns: [t.organizationId, t.teamId],
      foreignColumns: [crmTeams.organizationId, crmTeams.id],
    }),
    index('crm_views_sharing_idx').on(t.organizationId, t.sharing, t.teamId, t.name, t.id),
    check('crm_views_sharing_check', sql`sharing in ('private', 'team', 'organization')`),
    check('crm_views_team_check', sql`(sharing = 'team') = (team_id is not null)`),
  ],
)
