import { randomUUID } from 'node:crypto'
import { expect } from 'vitest'
import { operations } from '../../../generated/operations.js'
import type { Cases } from '../../http/contract.js'
import { batchCases } from '../../testing/batch-cases.js'
import { eventsOf, type Reply, refused, rowsOf, unchanged, type World } from '../../testing/case.js'
import { uniqueFieldCases } from '../../testing/custom-field-cases.js'
import { likenessCases } from '../../testing/likeness-cases.js'
import { mergeCases } from '../../testing/merge-cases.js'
import { recordCases } from '../../testing/record-cases.js'
import { recoveryCases } from '../../testing/recovery-cases.js'
import { upsertCases } from '../../testing/upsert-cases.js'

const path = operations.listLeads.path
const body = {
  firstName: 'Grace',
  lastName: 'Hopper',
  companyName: 'Harbour Systems',
  email: 'grace@harbour.example',
  score: 720,
  utm: { source: 'newsletter' },
}

const lead = {
  ...{ object: 'lead', table: 'crm_leads', path, body },
  patch: { status: 'qualified', rating: 'hot', score: null },
}

const verbs = {
  ...recordCases(lead),
  ...recoveryCases(lead),
  ...upsertCases(lead),
  ...mergeCases(lead),
  ...likenessCases(lead),
}
const duplicate = uniqueFieldCases(lead)

const newLead = async ({ owner }: World) => (await owner.post(path, body)).json<{ id: string }>()
const convert = ({ owner }: World, id: string, into: object, headers?: Record<string, string>): Promise<Reply> =>
  owner.post(`${path}/${id}/convert`, into, headers)

type Result = Record<'account' | 'contact' | 'opportunity', { record: { id: string } }>

export const cases = {
  listLeads: verbs.list,
  queryLeads: verbs.query,
  listViewLeads: verbs.view,
  aggregateLeads: verbs.aggregate,
  listSegmentLeads: verbs.segment,
  findLeadDuplicates: verbs.findDuplicates,
  createLead: { ...verbs.create, 409: duplicate.create },
  batchLeads: batchCases(lead),
  upsertLead: verbs.upsert,
  getLeadByExternalId: verbs.getByExternalId,
  putLeadByExternalId: verbs.putByExternalId,
  getLead: { ...verbs.get, ...verbs.moved },
  updateLead: { ...verbs.update, 409: duplicate.update },
  deleteLead: verbs.remove,
  restoreLead: { ...verbs.restore, 409: duplicate.restore },
  listLeadFollowers: verbs.followers,
  followLead: verbs.follow,
  unfollowLead: verbs.unfollow,
  changeLeadTags: verbs.changeTags,
  listLeadHistory: verbs.history,
  listLeadTimeline: verbs.timeline,
  listLeadDuplicates: verbs.listDuplicates,
  listDeletedLeads: verbs.bin,
  purgeLead: verbs.purge,
  convertLead: {
    200: async (world) => {
      const lead = await newLead(world)
      const into = { opportunity: { name: 'Pilot', amount: { amount: '12000.00', currency: 'EUR' } } }
      const dry = await unchanged(world, () => world.owner.post(`${path}/${lead.id}/convert?dryRun=true`, into))
      expect(dry.json()).toMatchObject({ dryRun: true, lead: { status: 'converted', version: 2 } })

      const reply = await convert(world, lead.id, into, { 'if-match': '"1"' })
      const { account, contact, opportunity } = reply.json<Result>()
      const [accountId, contactId, opportunityId] = [account.record.id, contact.record.id, opportunity.record.id]
      const links = {
        convertedAccountId: accountId,
        convertedContactId: contactId,
        convertedOpportunityId: opportunityId,
      }
      expect(reply.json()).toMatchObject({
        dryRun: false,
        lead: {
          ...lead,
          ...links,
          status: 'converted',
          version: 2,
          updatedAt: expect.any(String),
          convertedAt: expect.any(String),
        },
        account: { outcome: 'created', record: { name: 'Harbour Systems' } },
        contact: { outcome: 'created', record: { name: 'Grace Hopper', email: body.email, accountId } },
        opportunity: {
          outcome: 'created',
          record: {
            ...into.opportunity,
            accountId,
            primaryContactId: contactId,
            originLeadId: lead.id,
            status: 'open',
          },
        },
      })
      for (const [name, { record }] of Object.entries({
        accounts: account,
        contacts: contact,
        opportunities: opportunity,
      })) {
        expect((await world.owner.get(`/api/v1/${name}/${record.id}`)).json()).toEqual(record)
      }

      const events = await Promise.all([lead.id, accountId, contactId, opportunityId].map((id) => eventsOf(world, id)))
      expect(events.map((each) => each.map(({ type }) => type))).toEqual([
        ['lead.created', 'lead.converted'],
        ['account.created'],
        ['contact.created'],
        ['opportunity.created'],
      ])
      const requests = new Set(events.map((each) => each.at(-1)?.request_id))
      expect([...requests]).toEqual([reply.headers['x-request-id']])
      return reply
    },
    404: (world) => refused(world, 'not_found', () => convert(world, randomUUID(), {})),
    409: async (world) => {
      const lead = await newLead(world)
      const { account, contact } = (await convert(world, lead.id, {})).json<Result>()
      const again = await refused(world, 'already_converted', () => convert(world, lead.id, {}))
      expect(again.json()).toMatchObject({
        conflicts: [
          { object: 'account', id: account.record.id, matchedOn: ['convertedAccountId'] },
          { object: 'contact', id: contact.record.id, matchedOn: ['convertedContactId'] },
        ],
      })

      // The same person once more: the new account is undone together with the contact that cannot be.
      const twin = await newLead(world)
      const reply = await refused(world, 'duplicate_value', () => convert(world, twin.id, {}))
      expect(reply.json()).toMatchObject({
        errors: [{ pointer: '/email', code: 'duplicate_value' }],
        conflicts: [{ object: 'contact', id: contact.record.id, matchedOn: ['email'] }],
      })
      const linked = await convert(world, twin.id, { accountId: account.record.id, contactId: contact.record.id })
      expect(linked.json()).toMatchObject({ account: { outcome: 'existing' }, contact: { outcome: 'existing' } })
      expect(await rowsOf(world, 'crm_contacts t where organization_id = $1', world.owner.organizationId)).toHaveLength(
        1,
      )
      return reply
    },
    412: async (world) => {
      const { id } = await newLead(world)
      return refused(world, 'version_mismatch', () => convert(world, id, {}, { 'if-match': '"7"' }))
    },
  },
  mergeLeads: verbs.merge,
  listLeadMerges: verbs.listMerges,
  getLeadMerge: verbs.getMerge,
  undoLeadMerge: verbs.undoMerge,
} satisfies Cases<'leads'>
