import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Reply } from './case.js'
import { excerpt, masked, operationIds, replyExamples, requestExamples } from './examples.js'
import { setScene } from './examples-world.js'
import { createHarness, type Harness } from './harness.js'

// The examples of refusals are held against the replies of coverage.test.ts, which brings all of them about.

let harness: Harness
beforeAll(async () => {
  harness = await createHarness()
})
afterAll(() => harness.close())

describe('every request example succeeds, and what comes back is the reply example', () => {
  for (const id of operationIds) {
    it(id, async () => {
      const requests = requestExamples(id)
      const given = new Map<string | undefined, Reply>()
      // What creates or changes shows the one, and then the other.
      const isUpsert = [200, 201].every((status) => replyExamples(id).some((example) => example.status === status))
      let scene = await setScene(harness, id)
      for (const example of requests.length > 0 ? requests : [undefined]) {
        if (given.size > 0 && !isUpsert) scene = await setScene(harness, id)
        const { request } = scene
        const reply = await harness.send(request(example))
        expect(reply.statusCode, reply.payload).toBeLessThan(300)
        if (!given.has(example?.name)) given.set(example?.name, reply)
      }
      const [first] = given.values()
      for (const { name, status, value } of replyExamples(id).filter(({ status }) => status < 300)) {
        // A reply example belongs to the request example of the same name, or else to the first one.
        const reply = given.get(name) ?? first
        const example = masked(value)
        expect(reply?.statusCode).toBe(status)
        expect(excerpt(masked(reply?.json()), example)).toEqual(example)
      }
    })
  }
})
