import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ConfigError, loadConfig, loadMigrationUrl, resolveSecret, StartupError } from './config.js'

const strongSecret = 'Zk3vQ9sT1xWc7LmR5bNf8HyJ2pGd6UeA4oKi0B'
const production = { NODE_ENV: 'production', DATABASE_URL: 'postgres://app:pw@db/zenith', APP_SECRET: strongSecret }

function problemsOf(env: NodeJS.ProcessEnv): readonly string[] {
  try {
    loadConfig(env)
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  return []
}

describe('loadConfig', () => {
  test('an empty environment is a complete development configuration', () => {
    expect(loadConfig({ PORT: '', REDIS_URL: ' ' })).toEqual({
      environment: 'development',
      host: '127.0.0.1',
      port: 3000,
      publicUrl: 'http://localhost:3000',
      dataDir: join(process.cwd(), '.data'),
      databaseUrl: undefined,
      databaseMigrationUrl: undefined,
      databasePoolSize: 10,
      redisUrl: undefined,
      smtpUrl: undefined,
      mailFrom: 'Zenith CRM <no-reply@localhost>',
      appSecret: undefined,
      logLevel: 'info',
      rateLimitPerMinute: 600,
      corsOrigins: [],
      trustProxy: false,
    })
  })

  test('every variable is read', () => {
    const config = loadConfig({
      ...production,
      DATABASE_MIGRATION_URL: 'postgresql://owner:pw@db/zenith',
      DATABASE_POOL_SIZE: '25',
      HOST: '::',
      PORT: '8080',
      PUBLIC_URL: 'https://crm.example.com/',
      DATA_DIR: '/var/lib/zenith',
      REDIS_URL: 'rediss://cache:6380/1',
      SMTP_URL: 'smtp://mail:587',
      MAIL_FROM: 'Sales <sales@example.com>',
      LOG_LEVEL: 'warn',
      RATE_LIMIT_PER_MINUTE: '0',
      CORS_ORIGINS: 'https://app.example.com, http://localhost:5173',
      TRUST_PROXY: '10.0.0.0/8, ::1',
    })
    expect(config).toEqual({
      environment: 'production',
      host: '::',
      port: 8080,
      publicUrl: 'https://crm.example.com',
      dataDir: '/var/lib/zenith',
      databaseUrl: production.DATABASE_URL,
      databaseMigrationUrl: 'postgresql://owner:pw@db/zenith',
      databasePoolSize: 25,
      redisUrl: 'rediss://cache:6380/1',
      smtpUrl: 'smtp://mail:587',
      mailFrom: 'Sales <sales@example.com>',
      appSecret: strongSecret,
      logLevel: 'warn',
      rateLimitPerMinute: 0,
      corsOrigins: ['https://app.example.com', 'http://localhost:5173'],
      trustProxy: ['10.0.0.0/8', '::1'],
    })
  })

  test.each([
    ['PORT', ['-1', '3000a', '65536', '1e3', '0x10']],
    ['DATABASE_POOL_SIZE', ['0', '1.5']],
    ['RATE_LIMIT_PER_MINUTE', ['-5', 'off']],
    ['DATABASE_URL', ['localhost/zenith', 'mysql://db/zenith', 'postgres:zenith', 'postgres://']],
    ['DATABASE_MIGRATION_URL', ['http://db/zenith']],
    ['REDIS_URL', ['http://cache', 'cache:6379']],
    ['SMTP_URL', ['mail.example.com']],
    ['PUBLIC_URL', ['crm.example.com', 'ftp://crm.example.com']],
    ['MAIL_FROM', ['nobody', 'a@b\r\nBcc: c@d']],
    ['LOG_LEVEL', ['verbose', 'toString']],
    ['NODE_ENV', ['prod', 'staging']],
    ['CORS_ORIGINS', ['app.example.com', 'https://app.example.com/path', '*, https://app.example.com', 'null']],
    ['TRUST_PROXY', ['yes', '0', '10.0.0.0/33', '10.0.0.1,', '::1/129']],
  ])('%s that cannot be meant is a problem that names it', (name, values) => {
    for (const value of values) {
      const problems = problemsOf({ [name]: value })
      expect(problems, value).toHaveLength(1)
      expect(problems[0]).toMatch(new RegExp(`^${name} must be `))
    }
  })

  test('all problems are reported at once, without the values', () => {
    const error = (() => {
      try {
        return loadConfig({
          NODE_ENV: 'production',
          PORT: 'x',
          REDIS_URL: 'http://:hunter2@cache',
          APP_SECRET: 'hunter2',
        })
      } catch (thrown) {
        return thrown
      }
    })()
    expect(error).toBeInstanceOf(StartupError)
    const message = error instanceof Error ? error.message : ''
    for (const name of ['PORT', 'REDIS_URL', 'DATABASE_URL', 'APP_SECRET']) expect(message).toContain(`  - ${name} `)
    expect(message).not.toContain('hunter2')
  })

  test('production refuses to start without a database or a secret', () => {
    expect(problemsOf({ NODE_ENV: 'production' })).toEqual([
      expect.stringMatching(/^DATABASE_URL is required in production: set it to /),
      expect.stringMatching(/^APP_SECRET is required in production: set it to the output of /),
    ])
    expect(problemsOf(production)).toEqual([])
  })

  test.each([
    'secret',
    'changeme',
    'changeme-changeme-changeme-changeme',
    'my-super-secret-key-for-production-2026',
    'your-256-bit-key-goes-right-here-ok',
    'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
    'Zk3vQ9sT1xWc7LmRZk3vQ9sT1xWc7LmR',
    'abcdefghijklmnopqrstuvwxyz0123456789',
    strongSecret.slice(0, 31),
  ])('a secret that can be guessed is refused: %s', (secret) => {
    expect(problemsOf({ ...production, APP_SECRET: secret })).toEqual([expect.stringMatching(/^APP_SECRET .*openssl/)])
  })

  test('the migration role defaults to the serving role, except in production', () => {
    const DATABASE_URL = 'postgres://me@localhost/zenith'
    expect(loadConfig({ DATABASE_URL }).databaseMigrationUrl).toBe(DATABASE_URL)
    expect(loadConfig(production).databaseMigrationUrl).toBeUndefined()
  })

  test('a migration needs to know the owner and nothing else', () => {
    const DATABASE_MIGRATION_URL = 'postgres://zenith_owner:pw@db/zenith'
    expect(loadMigrationUrl({ NODE_ENV: 'production', DATABASE_MIGRATION_URL })).toBe(DATABASE_MIGRATION_URL)
    expect(loadMigrationUrl({ DATABASE_URL: production.DATABASE_URL })).toBe(production.DATABASE_URL)
    expect(() => loadMigrationUrl(production)).toThrow(/- DATABASE_MIGRATION_URL is required/)
    expect(() => loadMigrationUrl({ DATABASE_MIGRATION_URL: 'db' })).toThrow(/- DATABASE_MIGRATION_URL must be a URL/)
  })

  test.each([
    ['true', true],
    ['false', false],
    ['2', 2],
    ['loopback', ['loopback']],
  ])('TRUST_PROXY=%s', (text, expected) => {
    expect(loadConfig({ TRUST_PROXY: text }).trustProxy).toEqual(expected)
  })
})

describe('resolveSecret', () => {
  let dataDir: string
  beforeEach(() => {
    dataDir = join(mkdtempSync(join(tmpdir(), 'zenith-config-')), 'data')
  })
  afterEach(() => {
    rmSync(join(dataDir, '..'), { recursive: true })
  })

  test('the configured secret wins and touches no file', () => {
    expect(resolveSecret({ appSecret: strongSecret, dataDir: '/nonexistent/\0' })).toBe(strongSecret)
  })

  test('a generated secret is strong, private and the same ever after', () => {
    const secret = resolveSecret({ appSecret: undefined, dataDir })
    expect(problemsOf({ ...production, APP_SECRET: secret })).toEqual([])
    expect(statSync(join(dataDir, 'secret')).mode & 0o777).toBe(0o600)
    expect(resolveSecret({ appSecret: undefined, dataDir })).toBe(secret)
    expect(readFileSync(join(dataDir, 'secret'), 'utf8')).toBe(`${secret}\n`)
  })

  test('a damaged file and an unusable folder are clear errors', () => {
    resolveSecret({ appSecret: undefined, dataDir })
    writeFileSync(join(dataDir, 'secret'), 'short')
    expect(() => resolveSecret({ appSecret: undefined, dataDir })).toThrow(/delete the file/)
    const notAFolder = join(dataDir, 'secret')
    expect(() => resolveSecret({ appSecret: undefined, dataDir: notAFolder })).toThrow(StartupError)
  })
})
