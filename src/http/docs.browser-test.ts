import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Browser, type ConsoleMessage, chromium, type Locator, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createHarness, type Harness } from '../testing/harness.js'

// What the contract shows as the example of a login.
const CREDENTIALS = { email: 'ada@example.com', password: 'correct horse battery staple' }
const SIZES = {
  desktop: { width: 1440, height: 900 },
  phone: { width: 390, height: 844 },
}

let harness: Harness
let browser: Browser
let origin: string
let screenshots: string

beforeAll(async () => {
  harness = await createHarness()
  origin = await harness.app.listen({ host: '127.0.0.1', port: 0 })
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM_PATH ?? '/usr/bin/chromium',
    // Chromium itself looks for updates and the like; what is watched here is the page.
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
  screenshots = await mkdtemp(join(tmpdir(), 'zenith-docs-'))
  const organization = { ...CREDENTIALS, organizationName: 'Northwind Sales' }
  const registered = await harness.send({ method: 'POST', url: '/api/v1/auth/register', payload: organization })
  const { accessToken } = registered.json<{ accessToken: string }>()
  const account = await harness.send({
    method: 'POST',
    url: '/api/v1/accounts',
    headers: { authorization: `Bearer ${accessToken}` },
    payload: { name: 'Northwind Traders' },
  })
  expect(account.statusCode).toBe(201)
})

afterAll(async () => {
  await browser?.close()
  await harness?.close()
})

describe.each(Object.entries(SIZES))('the documentation on a %s', (size, viewport) => {
  it('lets a reader log in and list accounts, without an error and without asking another host', async () => {
    const page = await browser.newPage({ viewport })
    const complaints = watch(page)
    const shoot = (name: string) => page.screenshot({ path: join(screenshots, `${size}-${name}.png`) })

    await page.goto(`${origin}/docs`)
    await page.getByRole('heading', { name: 'Zenith CRM API' }).waitFor()
    expect(await overflow(page)).toBe(0)
    await shoot('start')

    const login = await open(page, 'tag/auth/POST/auth/login', 'post /auth/login')
    expect(await login.getByRole('region', { name: 'Request Body' }).textContent()).toContain(CREDENTIALS.email)
    const session = await send(page, login, 'post', 200)
    await shoot('login')
    const { accessToken } = JSON.parse(session) as { accessToken: string }

    const list = await open(page, 'tag/accounts/GET/accounts', 'get /accounts')
    await list.getByRole('textbox', { name: 'Bearer Token' }).click()
    await page.keyboard.insertText(accessToken)
    expect(await send(page, list, 'get', 200)).toContain('Northwind Traders')
    await list.getByText('Northwind Traders').first().scrollIntoViewIfNeeded()
    await shoot('accounts')

    console.info(`Screenshots: ${screenshots}`)
    expect(await complaints()).toEqual([])
    await page.close()
  })
})

/** Collects what a page must not do. */
function watch(page: Page): () => Promise<string[]> {
  const complaints: string[] = []
  const written: Promise<string[]>[] = []
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) written.push(complaintsIn(message))
  })
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('request', (request) => {
    const url = new URL(request.url())
    if (url.protocol !== 'data:' && url.origin !== origin) complaints.push(`asked ${url.origin}`)
  })
  return async () => [...complaints, ...(await Promise.all(written)).flat()]
}

const ANNOUNCED = 'document validation errors: '

/**
 * The validator of the page loses its way in schemas that lead back to themselves: without `paths` in the document it takes the same
 * filters, and what holds them, for valid. Whether the contract is valid, the linters of the contract say.
 */
const MISTAKEN =
  /^Expected union value at \/components\/schemas\/[A-Z][a-z]+(Expanded|Filter|(View|Segment)(Create|Update)?)$/

/** What a message complains of, where it is one of the validator each of its findings by itself. */
async function complaintsIn(message: ConsoleMessage): Promise<string[]> {
  const [list] = message.args()
  if (message.text() === ANNOUNCED) return []
  if (!list || !/^\[Object(, Object)*\]$/.test(message.text())) return [message.text()]
  const findings = await list.evaluate((each: { message?: string; path?: string }[]) =>
    each.map(({ message, path }) => `${message} at ${path}`),
  )
  return findings.filter((finding) => !MISTAKEN.test(finding))
}

/** How far the page can be scrolled sideways, which on a phone it should not. */
const overflow = (page: Page): Promise<number> =>
  page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')

/** Opens the form that tries an operation. */
async function open(page: Page, anchor: string, operation: string): Promise<Locator> {
  await page.goto(`${origin}/docs#${anchor}`)
  await page.reload()
  await page.getByRole('button', { name: `Test Request (${operation})` }).click()
  return page.getByRole('dialog', { name: 'API Client' })
}

/** Sends the request of the form, and gives the body of the reply that the page shows. */
async function send(page: Page, dialog: Locator, method: string, status: number): Promise<string> {
  const answered = page.waitForResponse((response) => response.url().startsWith(`${origin}/api/v1/a`))
  await dialog.getByRole('button', { name: new RegExp(`^Send ${method} request`) }).click()
  const response = await answered
  expect(response.status()).toBe(status)
  await dialog.getByRole('region', { name: 'Response', exact: true }).getByText(String(status)).first().waitFor()
  return response.text()
}
