import type { LightMyRequestResponse } from 'fastify'
import type { Caller, Harness } from './harness.js'

/** What a case starts from: an application, a fresh organization, and its owner. */
export type World = { harness: Harness; owner: Caller }

/** Brings one operation to one status, asserts what that must have done, and answers with the reply. */
export type Case = (world: World) => Promise<LightMyRequestResponse>
