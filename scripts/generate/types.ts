import openapiTS, { astToString, type OpenAPI3 } from 'openapi-typescript'
import { LAYER_HEADERS } from './complete.js'
import { type Document, type Header, type Ref, resolve, rewrite } from './document.js'
import { BANNER } from './print.js'

/** `types.ts` for the server: a property with a default is always there, because the validator fills it in. */
export async function renderTypes(document: Document): Promise<string> {
  return render(handlerHeaders(document), true)
}

/** The types of the SDK: a caller may leave out what has a default. */
export async function renderClientTypes(document: Document): Promise<string> {
  return render(handlerHeaders(document), false)
}

async function render(document: Document, defaultNonNullable: boolean): Promise<string> {
  const ast = await openapiTS(document as unknown as OpenAPI3, { defaultNonNullable, silent: true })
  return `${BANNER}\n${astToString(ast)}`
}

/** A header behind a reference would count as required, and those of the HTTP layer are nobody's business here. */
function handlerHeaders(document: Document): Document {
  return rewrite(document, (node) => {
    if (node.headers === undefined || typeof node.description !== 'string') return node
    const headers = Object.entries(node.headers as Record<string, Header | Ref>).filter(
      ([name]) => !LAYER_HEADERS.has(name),
    )
    return {
      ...node,
      headers: Object.fromEntries(headers.map(([name, header]) => [name, resolve<Header>(document, header)])),
    }
  })
}
