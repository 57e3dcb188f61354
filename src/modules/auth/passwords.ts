import { hash, verify } from '@node-rs/argon2'
import { InvalidRequest } from '../../problem.js'

// OWASP ASVS 5.0, appendix C: argon2id with 19 MiB, 2 passes, 1 lane.
const COST = { memoryCost: 19_456, timeCost: 2, parallelism: 1 }

export const hashPassword = (password: string): Promise<string> => hash(password.normalize('NFKC'), COST)

let nobody: Promise<string> | undefined

/** Whether the password belongs to the hash. Without a hash it takes as long, so that time does not tell who has an account. */
export async function passwordMatches(stored: string | undefined, password: string): Promise<boolean> {
  nobody ??= hashPassword('nobody has this password')
  const matches = await verify(stored ?? (await nobody), password.normalize('NFKC'))
  return stored !== undefined && matches
}

const COMMON =
  /^(password|passwort|qwerty|asdfgh|letmein|welcome|iloveyou|admin|administrator|changeme|zenith|secret)[\d\W_]*$/i
const SEQUENCES = [
  '01234567890123456789',
  'abcdefghijklmnopqrstuvwxyz',
  'qwertyuiopasdfghjklzxcvbnm',
  'qwertzuiopasdfghjklyxcvbnm',
]

/**
 * Refuses passwords that are guessed first: a common word with digits behind it, a walk over the keyboard, few different
 * characters, one's own address.
 * @throws InvalidRequest
 */
export function assertGoodPassword(password: string, email: string, pointer: string): void {
  const lower = password.toLowerCase()
  const reversed = [...lower].reverse().join('')
  const repeated = /^(.{1,4})\1+.{0,3}$/s.test(lower)
  const walk = SEQUENCES.some((sequence) => sequence.repeat(2).includes(lower) || sequence.repeat(2).includes(reversed))
  const own = lower.includes(email.toLowerCase()) || (email.split('@')[0] ?? '').toLowerCase().repeat(4).includes(lower)
  if (COMMON.test(password) || walk || repeated || own || new Set(lower).size < 5) {
    throw new InvalidRequest({ pointer, code: 'weak_password', message: 'is too easy to guess' })
  }
}
