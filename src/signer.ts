import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'

/** What a signature is for; each purpose has its own key, so that a token of one kind is worth nothing as another. */
type Purpose = 'cursor' | 'refresh' | 'invitation' | 'signing-keys'

/** Makes and checks short signatures with keys derived from the application's secret. */
export type Signer = {
  /** Appends a signature to a payload of URL-safe characters without a dot. */
  sign(purpose: Purpose, payload: string): string
  /** The payload of a token that `sign` made for this purpose; undefined for anything else. */
  verify(purpose: Purpose, token: string): string | undefined
  /** A 256-bit key for encryption. */
  key(purpose: Purpose): Buffer
}

export function createSigner(secret: string): Signer {
  const keys = new Map<Purpose, Buffer>()
  const key = (purpose: Purpose): Buffer => {
    const known = keys.get(purpose) ?? Buffer.from(hkdfSync('sha256', secret, 'zenith', purpose, 32))
    keys.set(purpose, known)
    return known
  }
  const mac = (purpose: Purpose, payload: string): Buffer => createHmac('sha256', key(purpose)).update(payload).digest()
  return {
    key,
    sign: (purpose, payload) => `${payload}.${mac(purpose, payload).toString('base64url')}`,
    verify(purpose, token) {
      const dot = token.lastIndexOf('.')
      const payload = token.slice(0, dot)
      const given = Buffer.from(token.slice(dot + 1), 'base64url')
      const expected = mac(purpose, payload)
      return dot > 0 && given.length === expected.length && timingSafeEqual(given, expected) ? payload : undefined
    },
  }
}
