import { ZenithProblem } from './problem.js'
import type { components } from './types.js'

export interface Tokens {
  accessToken: string
  refreshToken?: string | undefined
}

export interface ClientOptions {
  /** Where the API is, without `/api/v1`, for example `https://crm.example.com`. */
  baseUrl: string
  accessToken?: string | undefined
  /** Asked before every request, for those who keep tokens themselves. */
  getAccessToken?: (() => string | undefined | Promise<string | undefined>) | undefined
  /** Lets the client renew an expired access token. */
  refreshToken?: string | undefined
  /** Called with every renewed pair. A refresh token works once, so store it. */
  onTokens?: ((tokens: { accessToken: string; refreshToken: string }) => void | Promise<void>) | undefined
  /** How often a request is repeated when it is safe to; 2 unless given. */
  retries?: number | undefined
  fetch?: typeof globalThis.fetch | undefined
}

/** What the generated functions tell about an operation. */
export interface OperationSpec {
  method: string
  path: string
  /** The media type of the body. */
  mediaType?: string
  public?: true
  idempotent?: true
}

/** What a caller may give to an operation, before the types of that operation narrow it. */
export interface Input {
  path?: Record<string, string> | undefined
  query?: Record<string, unknown> | undefined
  headers?: Record<string, string | undefined> | undefined
  body?: unknown
  signal?: AbortSignal | undefined
}

export interface Client {
  /** Uses these tokens from now on, for example those of a login. */
  setTokens(tokens: Tokens): void
  /** Performs an operation; the generated functions call it. */
  request(operation: OperationSpec, input: Input): Promise<Response>
}

type Session = components['schemas']['Session']

const REFRESH: OperationSpec = {
  method: 'POST',
  path: '/api/v1/auth/refresh',
  mediaType: 'application/json',
  public: true,
}
const SAFE_TO_REPEAT = new Set(['GET', 'HEAD', 'PUT', 'DELETE'])
const ACCEPT = 'application/json, application/vnd.zenith.partial+json, application/problem+json'
const FIRST_DELAY_MS = 250
const LONGEST_DELAY_MS = 30_000

/** Makes a client: bearer authentication with renewal, and retries of what is safe to repeat. */
export function createClient(options: ClientOptions): Client {
  const { baseUrl, getAccessToken, onTokens, retries = 2 } = options
  const fetch: typeof globalThis.fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init))
  let { accessToken, refreshToken } = options
  let renewal: Promise<void> | undefined

  /** Requests that find the token expired at the same time wait for one renewal: a refresh token works only once. */
  function renew(): Promise<void> {
    renewal ??= exchange().finally(() => {
      renewal = undefined
    })
    return renewal
  }

  async function exchange(): Promise<void> {
    const spent = refreshToken
    const response = await fetch(
      urlOf(baseUrl, REFRESH, {}),
      requestOf(REFRESH, { body: { refreshToken: spent } }, new Headers()),
    )
    if (!response.ok) {
      if (response.status === 401 && refreshToken === spent) refreshToken = undefined
      throw await ZenithProblem.from(response)
    }
    const session = (await response.json()) as Session
    accessToken = session.accessToken
    refreshToken = session.refreshToken
    await onTokens?.({ accessToken, refreshToken })
  }

  async function tokenFor(operation: OperationSpec): Promise<string | undefined> {
    if (operation.public) return undefined
    if (getAccessToken) return getAccessToken()
    if (accessToken === undefined && refreshToken !== undefined) await renew()
    return accessToken
  }

  async function send(operation: OperationSpec, input: Input, headers: Headers): Promise<Response> {
    const token = await tokenFor(operation)
    const response = await attempt(operation, input, headers, token)
    if (response.status !== 401 || token === undefined || refreshToken === undefined || getAccessToken) return response
    const problem = await ZenithProblem.from(response.clone())
    if (problem.code !== 'unauthenticated') return response
    if (token === accessToken) await renew()
    return attempt(operation, input, headers, accessToken)
  }

  function attempt(
    operation: OperationSpec,
    input: Input,
    headers: Headers,
    token: string | undefined,
  ): Promise<Response> {
    if (token !== undefined) headers.set('authorization', `Bearer ${token}`)
    return fetch(urlOf(baseUrl, operation, input), requestOf(operation, input, headers))
  }

  return {
    setTokens(tokens) {
      accessToken = tokens.accessToken
      refreshToken = tokens.refreshToken
    },

    async request(operation, input) {
      const headers = headersOf(operation, input)
      const repeatable = SAFE_TO_REPEAT.has(operation.method) || operation.idempotent === true
      for (let round = 0; ; round += 1) {
        const last = round >= retries
        const response = await send(operation, input, headers).catch((error: unknown) => {
          if (last || !repeatable || error instanceof ZenithProblem || input.signal?.aborted) throw error
          return undefined
        })
        if (response?.ok || response?.status === 304) return response
        const problem = response && (await ZenithProblem.from(response))
        const delay = delayOf(response, round)
        if (problem && (last || !isTransient(problem, repeatable) || delay > LONGEST_DELAY_MS)) throw problem
        await pause(delay, input.signal)
      }
    },
  }
}

function isTransient(problem: ZenithProblem, repeatable: boolean): boolean {
  // A 429 was turned away before anything happened.
  if (problem.status === 429) return true
  return repeatable && (problem.status === 503 || problem.code === 'idempotency_key_in_use')
}

/** The `Retry-After` of the server, else an exponential delay with jitter, so that clients do not return all at once. */
function delayOf(response: Response | undefined, round: number): number {
  const retryAfter = response?.headers.get('retry-after')
  if (retryAfter) {
    const seconds = Number(retryAfter)
    return Math.max(0, Number.isNaN(seconds) ? Date.parse(retryAfter) - Date.now() : seconds * 1000)
  }
  return FIRST_DELAY_MS * 2 ** round * (0.5 + Math.random() / 2)
}

function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', abort)
      resolve()
    }, milliseconds)
    if (signal?.aborted) abort()
    else signal?.addEventListener('abort', abort, { once: true })
  })
}

function urlOf(baseUrl: string, { path }: OperationSpec, input: Input): string {
  const filled = path.replace(/\{(\w+)\}/g, (_match, name: string) => encodeURIComponent(input.path?.[name] ?? ''))
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(input.query ?? {})) {
    // Lists are comma-separated, which is what an array turns into.
    if (value !== undefined) query.set(name, String(value))
  }
  const search = query.toString()
  return `${baseUrl.replace(/\/+$/, '')}${filled}${search && `?${search}`}`
}

function headersOf({ idempotent }: OperationSpec, input: Input): Headers {
  const headers = new Headers({ accept: ACCEPT })
  for (const [name, value] of Object.entries(input.headers ?? {})) {
    if (value !== undefined) headers.set(name, value)
  }
  // One key for all attempts of a call makes them one effect.
  if (idempotent && !headers.has('idempotency-key')) headers.set('idempotency-key', crypto.randomUUID())
  return headers
}

function requestOf({ method, mediaType }: OperationSpec, { body, signal }: Input, headers: Headers): RequestInit {
  const init: RequestInit = { method, headers }
  if (signal) init.signal = signal
  if (body === undefined || mediaType === undefined) return init
  headers.set('content-type', mediaType)
  return { ...init, body: JSON.stringify(body) }
}
