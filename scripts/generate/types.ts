import openapiTS, { astToString, type OpenAPI3, type SchemaObject } from 'openapi-typescript'
import ts from 'typescript'
import { LAYER_HEADERS } from './complete.js'
import { BEGINNINGS } from './custom-fields.js'
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
  const options = { defaultNonNullable, silent: true, transform: templateType }
  const ast = await openapiTS(document as unknown as OpenAPI3, options)
  return `${BANNER}\n${astToString(ast)}`
}

/** Texts of which the beginning is known: `customFields.${string}`. */
function templateType(schema: SchemaObject): ts.TypeNode | undefined {
  const beginnings = (schema as Record<string, unknown>)[BEGINNINGS]
  if (!Array.isArray(beginnings)) return undefined
  const { factory, SyntaxKind } = ts
  return factory.createUnionTypeNode(
    (beginnings as string[]).map((beginning) =>
      factory.createTemplateLiteralType(factory.createTemplateHead(beginning), [
        factory.createTemplateLiteralTypeSpan(
          factory.createKeywordTypeNode(SyntaxKind.StringKeyword),
          factory.createTemplateTail(''),
        ),
      ]),
    ),
  )
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
