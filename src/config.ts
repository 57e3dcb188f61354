import { randomBytes } from 'node:crypto'
import { existsSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { join, resolve } from 'node:path'

const environments = ['development', 'test', 'production'] as const
const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const

type Environment = (typeof environments)[number]
type LogLevel = (typeof logLevels)[number]

/** Everything that the environment decides. An absent URL selects the embedded default of that part. */
export interface Config {
  readonly environment: Environment
  readonly host: string
  /** 0 lets the operating system choose. */
  readonly port: number
  /** Where clients reach the API, without a trailing slash. */
  readonly publicUrl: string
  /** Absolute path of the embedded database, files, mails and the generated secret. */
  readonly dataDir: string
  /** PostgreSQL as the role that serves requests. */
  readonly databaseUrl: string | undefined
  /** PostgreSQL as the role that owns the schema. */
  readonly databaseMigrationUrl: string | undefined
  readonly databasePoolSize: number
  readonly redisUrl: string | undefined
  readonly smtpUrl: string | undefined
  readonly mailFrom: string
  /** Absent outside production only: `resolveSecret` then keeps one in `dataDir`. */
  readonly appSecret: string | undefined
  readonly logLevel: LogLevel
  /** Requests per minute and credential; 0 turns the limit off. */
  readonly rateLimitPerMinute: number
  /** Origins that browsers may call from; `*` alone is any. */
  readonly corsOrigins: readonly string[]
  /** Fastify's `trustProxy`: all, none, a number of hops, or addresses. */
  readonly trustProxy: boolean | number | readonly string[]
}

/** Something that the operator can put right: its message is shown without a stack. */
export class StartupError extends Error {
  override readonly name: string = 'StartupError'
}

/** The environment is not usable; the message has one line for each variable. */
export class ConfigError extends StartupError {
  override readonly name = 'ConfigError'
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(`The configuration is not usable:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`)
    this.problems = problems
  }
}

/** Reads and checks the environment; throws one ConfigError that lists every problem. Values never appear in it. */
export function loadConfig(env: NodeJS.ProcessEnv): Config {
  const problems: string[] = []
  const { read, integer, url } = reader(env, problems)
  const environment = read('NODE_ENV', 'development', oneOf(environments), `one of ${environments.join(', ')}`)
  const production = environment === 'production'
  const port = integer('PORT', 3000, 0, 65_535)
  const databaseUrl = url('DATABASE_URL', ...postgresSchemes)
  const appSecret = env.APP_SECRET?.trim() || undefined

  if (production && !env.DATABASE_URL?.trim()) {
    problems.push(
      'DATABASE_URL is required in production: set it to the PostgreSQL role that serves requests, such as postgres://zenith_app:password@host/zenith',
    )
  }
  if (production && !appSecret) {
    problems.push(`APP_SECRET is required in production: ${secretAdvice}`)
  }
  const weakness = appSecret && secretWeakness(appSecret)
  if (weakness) problems.push(`APP_SECRET ${weakness}: ${secretAdvice}`)

  const config: Config = {
    environment,
    host: env.HOST?.trim() || '127.0.0.1',
    port,
    publicUrl: (url('PUBLIC_URL', 'https', 'http') ?? `http://localhost:${port}`).replace(/\/+$/, ''),
    dataDir: resolve(env.DATA_DIR?.trim() || '.data'),
    databaseUrl,
    databaseMigrationUrl: url('DATABASE_MIGRATION_URL', ...postgresSchemes) ?? (production ? undefined : databaseUrl),
    databasePoolSize: integer('DATABASE_POOL_SIZE', 10, 1, 1000),
    redisUrl: url('REDIS_URL', 'redis', 'rediss'),
    smtpUrl: url('SMTP_URL', 'smtp', 'smtps'),
    mailFrom: read(
      'MAIL_FROM',
      'Zenith CRM <no-reply@localhost>',
      (text) => (/^[^\r\n]*[^\s@]@[^\s@]+$/.test(text) ? text : undefined),
      'an address such as Zenith CRM <no-reply@example.com>',
    ),
    appSecret,
    logLevel: read('LOG_LEVEL', 'info', oneOf(logLevels), `one of ${logLevels.join(', ')}`),
    rateLimitPerMinute: integer('RATE_LIMIT_PER_MINUTE', 600, 0, 1_000_000),
    corsOrigins: read<readonly string[]>(
      'CORS_ORIGINS',
      [],
      parseOrigins,
      'origins separated by commas, such as https://app.example.com, or * alone',
    ),
    trustProxy: read(
      'TRUST_PROXY',
      false,
      parseTrustProxy,
      'true, false, a number of proxies, or their addresses separated by commas',
    ),
  }
  if (problems.length > 0) throw new ConfigError(problems)
  return config
}

/** The database as the owner of its schema, which is all that a migration needs to know. */
export function loadMigrationUrl(env: NodeJS.ProcessEnv): string {
  const problems: string[] = []
  const { url } = reader(env, problems)
  const fallback = env.NODE_ENV?.trim() === 'production' ? undefined : url('DATABASE_URL', ...postgresSchemes)
  const migrationUrl = url('DATABASE_MIGRATION_URL', ...postgresSchemes) ?? fallback
  if (migrationUrl && problems.length === 0) return migrationUrl
  if (problems.length === 0) {
    problems.push(
      'DATABASE_MIGRATION_URL is required: set it to the PostgreSQL role that owns the schema, such as postgres://zenith_owner:password@host/zenith',
    )
  }
  throw new ConfigError(problems)
}

/** The secret that keys are derived from: APP_SECRET, or one generated once into `dataDir/secret`. */
export function resolveSecret(config: Pick<Config, 'appSecret' | 'dataDir'>): string {
  if (config.appSecret) return config.appSecret
  const file = join(config.dataDir, 'secret')
  const secret = generatedSecret(config.dataDir, file)
  const weakness = secretWeakness(secret)
  if (weakness) throw new StartupError(`The secret in ${file} ${weakness}: delete the file to have a new one generated`)
  return secret
}

function generatedSecret(dataDir: string, file: string): string {
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 })
    if (!existsSync(file)) createOnce(file, `${randomBytes(48).toString('base64url')}\n`)
    return readFileSync(file, 'utf8').trim()
  } catch (error) {
    throw new StartupError(`The secret cannot be kept in ${file}: set DATA_DIR to a writable folder, or APP_SECRET`, {
      cause: error,
    })
  }
}

/** Writes a private file by a link, which appears whole or not at all; of two processes at once one wins. */
function createOnce(file: string, content: string): void {
  const draft = `${file}.${process.pid}`
  writeFileSync(draft, content, { mode: 0o600 })
  try {
    linkSync(draft, file)
  } catch (error) {
    if (!existsSync(file)) throw error
  } finally {
    rmSync(draft, { force: true })
  }
}

const postgresSchemes = ['postgres', 'postgresql']

/** Parses variables by name; an empty one counts as unset, as Compose passes those. */
function reader(env: NodeJS.ProcessEnv, problems: string[]) {
  function read<T>(name: string, fallback: T, parse: (text: string) => T | undefined, expected: string): T {
    const text = env[name]?.trim()
    if (!text) return fallback
    const value = parse(text)
    if (value !== undefined) return value
    problems.push(`${name} must be ${expected}`)
    return fallback
  }
  return {
    read,
    integer: (name: string, fallback: number, min: number, max: number) =>
      read(name, fallback, (text) => parseInteger(text, min, max), `a whole number from ${min} to ${max}`),
    url: (name: string, ...schemes: string[]) =>
      read<string | undefined>(
        name,
        undefined,
        (text) => (hasScheme(text, schemes) ? text : undefined),
        `a URL such as ${schemes[0]}://host`,
      ),
  }
}

const secretAdvice = 'set it to the output of `openssl rand -base64 48`'

/** Why a secret can be guessed, or undefined when nothing speaks against it. */
function secretWeakness(secret: string): string | undefined {
  if (secret.length < 32) return 'must have at least 32 characters'
  const placeholder =
    /secret|change.?me|replace.?me|password|default|example|placeholder|your[-_ ]|qwerty|abcdef|12345/i
  if (placeholder.test(secret)) return 'looks like a placeholder'
  if (new Set(secret).size < 10 || /^(.+?)\1+$/.test(secret)) return 'repeats itself'
  return undefined
}

function parseInteger(text: string, min: number, max: number): number | undefined {
  const value = Number(text)
  return /^\d+$/.test(text) && value >= min && value <= max ? value : undefined
}

function oneOf<T extends string>(allowed: readonly T[]): (text: string) => T | undefined {
  return (text) => allowed.find((value) => value === text)
}

function hasScheme(text: string, schemes: readonly string[]): boolean {
  return URL.canParse(text) && schemes.some((scheme) => text.startsWith(`${scheme}://`)) && new URL(text).host !== ''
}

function parseOrigins(text: string): readonly string[] | undefined {
  const origins = list(text)
  if (origins.length === 1 && origins[0] === '*') return origins
  const valid = origins.every((origin) => hasScheme(origin, ['https', 'http']) && new URL(origin).origin === origin)
  return valid ? origins : undefined
}

function parseTrustProxy(text: string): boolean | number | readonly string[] | undefined {
  if (text === 'true' || text === 'false') return text === 'true'
  if (/^\d+$/.test(text)) return parseInteger(text, 1, 100)
  const addresses = list(text)
  return addresses.every(isProxyAddress) ? addresses : undefined
}

function isProxyAddress(text: string): boolean {
  if (['loopback', 'linklocal', 'uniquelocal'].includes(text)) return true
  const [address = '', prefix] = text.split('/')
  const family = isIP(address)
  if (family === 0 || prefix === undefined) return family !== 0
  return parseInteger(prefix, 0, family === 6 ? 128 : 32) !== undefined
}

function list(text: string): string[] {
  return text.split(',').map((part) => part.trim())
}
