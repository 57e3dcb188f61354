import { and, asc, eq, gt, isNull, sql } from 'drizzle-orm'
import type { JobServices } from '../../context.js'
import { parameter, query, statement } from '../../db/statement.js'
import { crmOrganizations } from '../../db/table.js'
import { defineJob } from '../../jobs/job.js'
import { crmInvitations as t } from './table.js'

const findUnsent = statement(
  'users.unsent_invitations',
  query
    .select({ organizationId: t.organizationId, id: t.id })
    .from(t)
    .where(and(isNull(t.mailedAt), gt(t.expiresAt, sql`now()`)))
    .orderBy(asc(t.createdAt))
    .limit(200),
)

const holdUnsent = statement(
  'users.unsent_invitation',
  query
    .select({ email: t.email, organizationName: crmOrganizations.name })
    .from(t)
    .innerJoin(crmOrganizations, eq(crmOrganizations.id, t.organizationId))
    .where(and(eq(t.organizationId, parameter('organizationId')), eq(t.id, parameter('id')), isNull(t.mailedAt)))
    .for('update', { of: t, skipLocked: true }),
)

const markSent = statement(
  'users.invitation_sent',
  query
    .update(t)
    .set({ mailedAt: sql`now()` })
    .where(and(eq(t.organizationId, parameter('organizationId')), eq(t.id, parameter('id')))),
)

/** The secret of an invitation, made again from its id whenever it is needed, so that it is stored nowhere. */
export const invitationToken = ({ signer }: Pick<JobServices, 'signer'>, organizationId: string, id: string): string =>
  signer.sign('invitation', `${organizationId}_${id}`)

/** Sends an invitation. The row is held until it says so: a second worker skips it, and a crash in between sends it again. */
export const invitationMail = defineJob<JobServices>({
  name: 'invitation-mail',
  due: async ({ database }) => {
    const rows = await database.as({ kind: 'maintenance' }).run(findUnsent())
    return rows.map(({ organizationId, id }) => `${organizationId}_${id}`)
  },
  run: async (reference, services) => {
    const [organizationId = '', id = ''] = reference.split('_')
    await services.database.as({ kind: 'tenant', organizationId }).transaction(async (tx) => {
      const [invitation] = await tx.run(holdUnsent({ organizationId, id }))
      if (!invitation) return
      const token = invitationToken(services, organizationId, id)
      await services.mailer.send({
        id,
        to: invitation.email,
        subject: `Join ${invitation.organizationName}`,
        text: `You are invited to ${invitation.organizationName}.\n\nAccept within seven days with this token:\n\n${token}\n\nPOST ${services.config.publicUrl}/api/v1/invitations/accept\n`,
      })
      await tx.run(markSent({ organizationId, id }))
    })
  },
})
