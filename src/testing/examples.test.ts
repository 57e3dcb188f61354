import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Reply } from './case.js'
import {
  type Example,
  excerpt,
  hasDryRun,
  masked,
  operationIds,
  replyExamples,
  requestExamples,
  withQuery,
} from './examples.js'
import { setScene } from './examples-world.js'
import { createHarness, type Harness } from './harness.js'

// The examples of refusals are held against the replies of coverage.test.ts, which brings all of them about.

const PARTIAL = 'application/vnd.zenith.partial+json'

let harness: Harness
beforeAll(async () => {
  harness = await createHarness()
})
afterAll(() => harness.close())

function tryOut({ request }: Awaited<ReturnType<typeof setScene>>, example: Example | undefined) {
  const made = request(example)
  return harness.send({ ...made, url: withQuery(String(made.url), { dryRun: 'true' }) })
}

/** The names that a reply with a part of a record, or of several, was asked for. */
function namesIn(value: unknown): string[] {
  const { data } = value as { data?: object[] }
  return Object.keys((data ? data[0] : value) as object)
}

/** Asks for nothing but what a reply example holds. */
function askForPart({ request }: Awaited<ReturnType<typeof setScene>>, example: Example | undefined, part: unknown) {
  const fields = namesIn(part)
  const query = example && { ...example, value: { ...(example.value as object), fields } }
  const made = request(query)
  return harness.send(query ? made : { ...made, url: withQuery(String(made.url), { fields: fields.join() }) })
}

describe('every request example succeeds, and what comes back is the reply example', () => {
  for (const id of operationIds) {
    it(id, async () => {
      const requests = requestExamples(id)
      const given = new Map<string | undefined, Reply>()
      const answersBoth = [200, 201].every((status) => replyExamples(id).some((example) => example.status === status))
      // What creates or changes shows the one, and then the other; what creates shows the 200 of a dry run.
      const isUpsert = answersBoth && !hasDryRun(id)
      const isTried = answersBoth && hasDryRun(id)
      let scene = await setScene(harness, id)
      for (const example of requests.length > 0 ? requests : [undefined]) {
        if (given.size > 0 && !isUpsert) scene = await setScene(harness, id)
        const { request } = scene
        const reply = await harness.send(request(example))
        expect(reply.statusCode, reply.payload).toBeLessThan(300)
        if (!given.has(example?.name)) given.set(example?.name, reply)
      }
      const [first] = given.values()
      const tried = isTried && (await tryOut(await setScene(harness, id), requests[0]))
      for (const { name, mediaType, status, value } of replyExamples(id).filter(({ status }) => status < 300)) {
        const part = mediaType === PARTIAL && (await askForPart(scene, requests[0], value))
        // A reply example belongs to the request example of the same name, or else to the first one.
        const reply = part || (status === 200 && tried) || (given.get(name) ?? first)
        expect(String(reply?.headers['content-type'] ?? mediaType)).toContain(mediaType)
        const example = masked(value)
        expect(reply?.statusCode).toBe(status)
        expect(excerpt(masked(reply?.json()), example)).toEqual(example)
      }
    })
  }
})
