import { expect } from 'vitest'
import { operations } from '../../../generated/operations.js'
import type { Cases } from '../../http/contract.js'
import { rowsOf, unchanged } from '../../testing/case.js'

export const cases = {
  listPipelines: {
    200: async (world) => {
      await world.harness.newOrganization()
      const reply = await unchanged(world, () => world.owner.get(operations.listPipelines.path))
      const ofOwner = 't where organization_id = $1 order by position'
      const [pipeline, ...others] = await rowsOf(world, `crm_pipelines ${ofOwner}`, world.owner.organizationId)
      const stages = await rowsOf(world, `crm_stages ${ofOwner}`, world.owner.organizationId)
      expect(others).toEqual([])
      expect(reply.json()).toEqual({
        data: [
          {
            ...{ id: pipeline?.id, name: 'Sales', isDefault: true, position: 0 },
            stages: stages.map(({ organization_id: _, pipeline_id: __, forecast_category, ...stage }) => ({
              ...stage,
              forecastCategory: forecast_category,
            })),
          },
        ],
      })
      expect(stages.map(({ type }) => type)).toEqual(['open', 'won', 'lost'])
      return reply
    },
  },
} satisfies Cases<'pipelines'>
