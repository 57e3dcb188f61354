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
type PartialJson = 'application/vnd.zenith.partial+json'
type Data<Response> = Response extends { content: infer Content extends object }
  ? Content[Exclude<keyof Content, PartialJson>]
  : undefined
type Tag<Response> = Response extends { headers: { ETag: string } } ? { etag: string } : { etag?: undefined }

/** What an operation gives, discriminated by `status`. */
export type Result<Id extends OperationId, Status extends Success = Success> = {
  [Code in Status & keyof Responses<Id>]: { status: Code; data: Data<Responses<Id>[Code]>; response: Response } & Tag<
    Responses<Id>[Code]
  >
}[Status & keyof Responses<Id>]

type Query<Id extends OperationId, Place extends 'query' | 'body'> = NonNullable<Options<Id>[Place]>
type Asked<Query, Name extends string> = Query extends { [Key in Name]?: infer List } ? NonNullable<List> : never
type Names<List> = List extends readonly (infer Name)[] ? readonly Name[] : never

/** The names that `fields` takes, which are in the query or in the body. */
export type Fields<Id extends OperationId, Place extends 'query' | 'body'> = Names<Asked<Query<Id, Place>, 'fields'>>

/** The names that `expand` takes. */
export type Expand<Id extends OperationId, Place extends 'query' | 'body'> = Names<Asked<Query<Id, Place>, 'expand'>>

/** What an operation takes for whole records. */
export type WholeOptions<Id extends OperationId, Place extends 'query' | 'body'> = Options<Id> & {
  [Key in Place]?: { fields?: undefined }
}

/** What an operation takes for the properties that `fields` names. */
export type PartialOptions<Id extends OperationId, Place extends 'query' | 'body', Named, Related> = Omit<
  Options<Id>,
  Place
> & {
  [Key in Place]: Omit<Query<Id, Place>, 'fields' | 'expand'> & { fields: Named; expand?: Related }
}

/** Of a record, `id`, `version` and the named properties. Of names that only the running program knows, any may be among them. */
export type Picked<Resource, Named, Known extends PropertyKey = 'id' | 'version'> = Named extends undefined
  ? Resource
  : Named extends readonly []
    ? Pick<Resource, Known & keyof Resource>
    : Named extends readonly [infer Name extends PropertyKey, ...infer Rest]
      ? Name extends unknown
        ? Picked<Resource, Rest, Known | Name>
        : never
      : Pick<Resource, Known & keyof Resource> & Partial<Resource>

type PickedData<Data, Named, Known extends PropertyKey> = Data extends { data: (infer Item)[]; page: infer Page }
  ? { data: Picked<Item, Named, Known>[]; page: Page }
  : Picked<Data, Named, Known>

/** What `expand` adds. */
type Added<Related> = [Related] extends [undefined] ? never : 'expanded'

type WithPart<Reply, Named, Related> = Reply extends { status: 200; data: infer Data }
  ? Omit<Reply, 'data'> & { data: PickedData<Data, Named, 'id' | 'version' | Added<Related>> }
  : Reply

/** What an operation gives with `fields`: of each record what is named. */
export type PartialResult<Id extends OperationId, Named, Related, Status extends Success = Success> = WithPart<
  Result<Id, Status>,
  Named,
  Related
>

/** @internal */
export async function call<T>(client: Client, operation: OperationSpec, options: Input = {}): Promise<T> {
  const response = await client.request(operation, options)
  const text = await response.text()
  const etag = response.headers.get('etag') ?? undefined
  return { status: response.status, data: text === '' ? undefined : JSON.parse(text), etag, response } as T
}
