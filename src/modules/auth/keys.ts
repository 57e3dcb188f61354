import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
} from 'node:crypto'
import { desc, lt, sql } from 'drizzle-orm'
import { v7 as uuidv7 } from 'uuid'
import type { Clock, PublicKey } from '../../context.js'
import type { Database } from '../../db/database.js'
import { parameter, query, statement } from '../../db/statement.js'
import type { Signer } from '../../signer.js'
import { crmSigningKeys } from './table.js'

const ROTATE_AFTER_MS = 30 * 24 * 3600_000
/** A new key is published for a while before it signs, so that every verifier knows it by then. */
const PUBLISH_AHEAD_MS = 10 * 60_000
/** An old key is kept until the last token that it signed has long expired. */
const RETIRE_AFTER_MS = ROTATE_AFTER_MS + 24 * 3600_000
const REFRESH_AFTER_MS = 5 * 60_000
const RETRY_UNKNOWN_AFTER_MS = 2_000

type Key = { kid: string; x: string; publicPem: string; privatePem: string; createdAt: number }

const findKeys = statement(
  'auth.keys',
  query
    .select({
      id: crmSigningKeys.id,
      publicKey: crmSigningKeys.publicKey,
      encryptedPrivateKey: crmSigningKeys.encryptedPrivateKey,
      createdAt: crmSigningKeys.createdAt,
    })
    .from(crmSigningKeys)
    .orderBy(desc(crmSigningKeys.createdAt)),
)

// One of several processes that start at once adds the key; the lock is gone with the transaction.
const holdKeys = statement('auth.hold_keys', sql`select pg_advisory_xact_lock(hashtext('crm_signing_keys'))`)

const addKey = statement(
  'auth.add_key',
  query.insert(crmSigningKeys).values({
    id: sql`${parameter('id')}`,
    publicKey: sql`${parameter('publicKey')}`,
    encryptedPrivateKey: sql`${parameter('encryptedPrivateKey')}`,
    createdAt: sql`${parameter('createdAt')}`,
  }),
)

const retireKeys = statement(
  'auth.retire_keys',
  query.delete(crmSigningKeys).where(lt(crmSigningKeys.createdAt, parameter('before'))),
)

/** The Ed25519 keys of access tokens: kept in the database, encrypted, and read again when one is unknown. */
export class KeyRing {
  readonly #database: Database
  readonly #signer: Signer
  readonly #clock: Clock
  #keys: readonly Key[] = []
  #loadedAt = Number.NEGATIVE_INFINITY
  #loading: Promise<void> | undefined

  constructor(database: Database, signer: Signer, clock: Clock) {
    this.#database = database
    this.#signer = signer
    this.#clock = clock
  }

  /** The key to sign with: the newest that has been published for a while. */
  async signing(): Promise<{ kid: string; key: string }> {
    await this.#fresh()
    const now = this.#clock().getTime()
    const key = this.#keys.find(({ createdAt }) => createdAt <= now - PUBLISH_AHEAD_MS) ?? this.#keys.at(-1)
    if (!key) throw new Error('there is no signing key')
    return { kid: key.kid, key: key.privatePem }
  }

  /** The public key of a key id, as PEM; undefined when it was never ours or is retired. */
  async verifying(kid: unknown): Promise<string | undefined> {
    const known = this.#keys.find((key) => key.kid === kid)
    if (known) return known.publicPem
    if (this.#clock().getTime() - this.#loadedAt > RETRY_UNKNOWN_AFTER_MS) await this.#load()
    return this.#keys.find((key) => key.kid === kid)?.publicPem
  }

  async published(): Promise<PublicKey[]> {
    await this.#fresh()
    return this.#keys.map(({ kid, x }) => ({ kty: 'OKP', crv: 'Ed25519', x, kid, use: 'sig', alg: 'EdDSA' }))
  }

  /** Adds a key when the newest has served its time, and removes those that no valid token can name. */
  async rotate(): Promise<void> {
    const now = this.#clock()
    await this.#database.as({ kind: 'maintenance' }).transaction(async (tx) => {
      const [, [newest]] = await tx.all(holdKeys(), findKeys())
      if (newest && now.getTime() - Date.parse(newest.createdAt) < ROTATE_AFTER_MS) return
      const { publicKey, privateKey } = generateKeyPairSync('ed25519')
      await tx.all(
        addKey({
          id: uuidv7(),
          publicKey: publicKey.export({ format: 'jwk' }).x,
          encryptedPrivateKey: this.#encrypt(privateKey.export({ format: 'der', type: 'pkcs8' })),
          createdAt: now.toISOString(),
        }),
        retireKeys({ before: new Date(now.getTime() - RETIRE_AFTER_MS).toISOString() }),
      )
    })
    await this.#load()
  }

  async #fresh(): Promise<void> {
    if (this.#clock().getTime() - this.#loadedAt > REFRESH_AFTER_MS) {
      const loading = this.#load()
      // Known keys serve meanwhile: the caller may hold a connection, and must not wait for another one.
      if (this.#keys.length > 0) loading.catch(() => undefined)
      else await loading
    }
    if (this.#keys.length === 0) await this.rotate()
  }

  #load(): Promise<void> {
    this.#loading ??= this.#read().finally(() => {
      this.#loading = undefined
    })
    return this.#loading
  }

  async #read(): Promise<void> {
    const rows = await this.#database.as({ kind: 'maintenance' }).run(findKeys())
    this.#keys = rows.map((row) => {
      const privateKey = createPrivateKey({ key: this.#decrypt(row.encryptedPrivateKey), format: 'der', type: 'pkcs8' })
      return {
        kid: row.id,
        x: row.publicKey,
        publicPem: createPublicKey(privateKey).export({ format: 'pem', type: 'spki' }).toString(),
        privatePem: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
        createdAt: Date.parse(row.createdAt),
      }
    })
    this.#loadedAt = this.#clock().getTime()
  }

  #encrypt(plain: Buffer): string {
    const iv = randomBytes(12)
    const cipher = createCipheriv('aes-256-gcm', this.#signer.key('signing-keys'), iv)
    return Buffer.concat([iv, cipher.update(plain), cipher.final(), cipher.getAuthTag()]).toString('base64')
  }

  #decrypt(text: string): Buffer {
    const bytes = Buffer.from(text, 'base64')
    const decipher = createDecipheriv('aes-256-gcm', this.#signer.key('signing-keys'), bytes.subarray(0, 12))
    decipher.setAuthTag(bytes.subarray(-16))
    return Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()])
  }
}
