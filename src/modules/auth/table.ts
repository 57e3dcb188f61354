import { pgTable, text, uuid } from 'drizzle-orm/pg-core'
import { instant } from '../../db/columns.js'

/** The keys that sign access tokens. They belong to the installation, not to a tenant. */
export const crmSigningKeys = pgTable('crm_signing_keys', {
  id: uuid('id').primaryKey(),
  /** The `x` of the public key (RFC 8037). */
  publicKey: text('public_key').notNull(),
  /** PKCS #8, encrypted with a key derived from the application's secret. */
  encryptedPrivateKey: text('encrypted_private_key').notNull(),
  createdAt: instant('created_at').notNull(),
})
