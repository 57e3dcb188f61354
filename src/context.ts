import type { BaseLogger } from 'pino'
import type { Role } from '../generated/operations.js'
import type { Config } from './config.js'
import type { Database, Executor } from './db/database.js'
import type { RateLimiter } from './http/rate-limit.js'
import type { Mailer } from './jobs/mail.js'
import type { Producer } from './jobs/producer.js'
import type { Signer } from './signer.js'

/** Who calls, as known at the last look; the database verifies `version` and the session with every flight. */
export type Principal = {
  readonly organizationId: string
  readonly userId: string
  readonly sessionId: string
  readonly role: Role
  readonly teamIds: readonly string[]
  /** The version of the membership, which counts every change of rights. */
  readonly version: number
}

export type Clock = () => Date

/** What every repository function takes first: on whose behalf it works, and through what. */
export type Scope = {
  /** Statements run under the caller's claim; under an `Idempotency-Key`, in its transaction. */
  readonly db: Executor
  readonly principal: Principal
  readonly requestId: string
  /** Why the change happens, as its event tells. */
  readonly cause: 'api' | 'merge' | 'unmerge'
  readonly clock: Clock
  readonly signer: Signer
}

/** Makes access tokens. */
type IssueToken = (claims: Pick<Principal, 'userId' | 'organizationId' | 'sessionId'>) => Promise<string>

/** What the process offers to every request and every job. */
export type SharedServices = {
  readonly config: Config
  readonly database: Database
  readonly signer: Signer
  readonly clock: Clock
  readonly limiter: RateLimiter
  /** Asks for a job to start now, once its row is committed. */
  readonly wake: Producer['wake']
  /** Whether Redis answers; undefined when none is configured. */
  readonly redisIsUp: (() => boolean) | undefined
}

/** What the process offers to every request. */
export type Services = SharedServices & {
  /** The public keys of access tokens. */
  readonly publishedKeys: () => Promise<readonly PublicKey[]>
  readonly issueToken: IssueToken
}

/** What the process offers to every job. */
export type JobServices = SharedServices & {
  readonly mailer: Mailer
  /** Adds a signing key when the newest has served its time. */
  readonly rotateKeys: () => Promise<void>
}

export type PublicKey = { kty: 'OKP'; crv: 'Ed25519'; x: string; kid: string; use: 'sig'; alg: 'EdDSA' }

/** What the handler of a public operation may touch. */
export type PublicContext = Services & {
  readonly requestId: string
  readonly log: Pick<BaseLogger, 'info' | 'warn' | 'error'>
  /** The address of the client, for limits. */
  readonly clientAddress: string
}

/** What every other handler may touch. */
export type Context = PublicContext & { readonly scope: Scope }
