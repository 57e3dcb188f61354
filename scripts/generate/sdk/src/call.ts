import type { Client, Input, OperationSpec } from './client.js'
import type { operations } from './types.js'

type OperationId = keyof operations
type Parameters<Id extends OperationId> = operations[Id]['parameters']
type Responses<Id extends OperationId> = operations[Id]['responses']

type Section<Name extends string, T> = [T] extends [never]
  ? { [Key in Name]?: never }
  : Record<never, never> extends T
    ? { [Key in Name]?: T | undefined }
    : { [Key in Name]: T }

type Body<Operation> = Operation extends { requestBody: { content: infer Content } }
  ? { body: Content[keyof Content] }
  : Operation extends { requestBody?: { content: infer Content } }
    ? { body?: Content[keyof Content] | undefined }
    : { body?: never }

/** What an operation takes. */
export type Options<Id extends OperationId> = Section<'path', NonNullable<Parameters<Id>['path']>> &
  Section<'query', NonNullable<Parameters<Id>['query']>> &
  Section<'headers', NonNullable<Parameters<Id>['header']>> &
  Body<operations[Id]> & { signal?: AbortSignal | undefined }

type Success = 200 | 201 | 202 | 204 | 304
type Data<Response> = Response extends { content: infer Content extends object } ? Content[keyof Content] : undefined
type Tag<Response> = Response extends { headers: { ETag: string } } ? { etag: string } : { etag?: undefined }

/** What an operation gives, discriminated by `status`. */
export type Result<Id extends OperationId, Status extends Success = Success> = {
  [Code in Status & keyof Responses<Id>]: { status: Code; data: Data<Responses<Id>[Code]>; response: Response } & Tag<
    Responses<Id>[Code]
  >
}[Status & keyof Responses<Id>]

/** @internal */
export async function call<T>(client: Client, operation: OperationSpec, options: Input = {}): Promise<T> {
  const response = await client.request(operation, options)
  const text = await response.text()
  const etag = response.headers.get('etag') ?? undefined
  return { status: response.status, data: text === '' ? undefined : JSON.parse(text), etag, response } as T
}
