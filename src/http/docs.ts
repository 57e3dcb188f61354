import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import Fastify, { type FastifyInstance } from 'fastify'
import { packageRoot } from '../package-root.js'

const SPECIFICATION = '/api/v1/openapi'
const SCRIPT = '/docs/reference.js'

const generated = (name: string): string => join(packageRoot, 'generated', name)
// Only the browser's part of the package is used: the page needs no code on the server.
const scalar = dirname(createRequire(import.meta.url).resolve('@scalar/fastify-api-reference'))

/** Scalar writes style elements and attributes; everything else that the page loads is a file of this server. */
const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join(';')

/** Publishes the contract as JSON and as YAML, and a page to read and try it that loads nothing from elsewhere. */
export async function registerDocs(app: FastifyInstance): Promise<void> {
  publish(app, `${SPECIFICATION}.json`, 'application/json; charset=utf-8', async () => print(await readSpecification()))
  // The build has printed it already; to do it again would hold up other requests.
  publish(app, `${SPECIFICATION}.yaml`, 'application/yaml; charset=utf-8', () => readFile(generated('openapi.yaml')))
  publish(app, SCRIPT, 'text/javascript; charset=utf-8', () => readFile(join(scalar, 'js/standalone.js')))
  publish(app, '/docs', 'text/html; charset=utf-8', async () => renderPage(await readSpecification()), PAGE_POLICY)
}

interface Variant {
  readonly body: Buffer
  readonly etag: string
  readonly encoding?: string
}

/** Answers with what `load` gives, which is called for the first request and remembered. */
function publish(
  app: FastifyInstance,
  url: string,
  type: string,
  load: () => Promise<Buffer | string>,
  contentSecurityPolicy?: string,
): void {
  let loading: Promise<{ plain: Variant; zipped: Variant }> | undefined
  app.route({
    method: ['GET', 'HEAD'],
    url,
    handler: async (request, reply) => {
      loading ??= load().then(prepare)
      const { plain, zipped } = await loading
      const { 'accept-encoding': accepted = '', 'if-none-match': known = '' } = request.headers
      const variant = acceptsGzip(accepted) ? zipped : plain
      const vary = [reply.getHeader('vary'), 'accept-encoding'].filter(Boolean).join(', ')
      reply.headers({ 'cache-control': 'no-cache', vary, etag: variant.etag })
      if (contentSecurityPolicy) reply.header('content-security-policy', contentSecurityPolicy)
      if (known.trim() === '*' || known.includes(variant.etag)) return reply.code(304).send()
      if (variant.encoding) reply.header('content-encoding', variant.encoding)
      return reply.type(type).send(variant.body)
    },
  })
}

async function prepare(content: Buffer | string): Promise<{ plain: Variant; zipped: Variant }> {
  const body = Buffer.from(content)
  const hash = createHash('sha256').update(body).digest('base64url')
  const compressed = await promisify(gzip)(body)
  return {
    plain: { body, etag: `"${hash}"` },
    zipped: { body: compressed, etag: `"${hash}-gzip"`, encoding: 'gzip' },
  }
}

const acceptsGzip = (accepted: string): boolean => /\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))/i.test(accepted)

interface Specification {
  readonly info: { readonly title: string; readonly summary?: string }
}

/** Read with the first request: to load the reader takes longer than to start the rest of the server. */
async function readSpecification(): Promise<Specification> {
  const { default: swagger } = await import('@fastify/swagger')
  const reader = Fastify()
  await reader.register(swagger, {
    mode: 'static',
    specification: { path: generated('openapi.json'), baseDir: packageRoot },
  })
  return reader.swagger() as unknown as Specification
}

const print = (specification: Specification): string => `${JSON.stringify(specification, null, 2)}\n`

function renderPage({ info }: Specification): string {
  const configuration = {
    url: `${SPECIFICATION}.json`,
    authentication: { preferredSecurityScheme: 'bearerAuth' },
    defaultHttpClient: { targetKey: 'shell', clientKey: 'curl' },
    withDefaultFonts: false,
    telemetry: false,
    showDeveloperTools: 'never',
    hideClientButton: true,
    agent: { disabled: true },
    mcp: { disabled: true },
  }
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="description" content="${escapeHtml(info.summary ?? '')}">
<title>${escapeHtml(info.title)}</title>
<link rel="icon" href="data:image/svg+xml,${encodeURIComponent(ICON)}">
</head>
<body>
<noscript>This page needs JavaScript. The same in plain text: <a href="${SPECIFICATION}.yaml">OpenAPI document</a>.</noscript>
<script id="api-reference" data-configuration="${escapeHtml(JSON.stringify(configuration))}"></script>
<script src="${SCRIPT}"></script>
</body>
</html>
`
}

const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#4f46e5"/><path d="M9 9h14L9 23h14" fill="none" stroke="#fff" stroke-width="3.5" stroke-linejoin="round" stroke-linecap="round"/></svg>`

const escapeHtml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
