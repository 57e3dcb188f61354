import type { OperationId, operations, Tag } from '../../generated/operations.js'
import type { operations as wire } from '../../generated/types.js'
import type { Context, PublicContext } from '../context.js'
import type { Case } from '../testing/case.js'

type Facts = typeof operations
type Wire<Id extends OperationId> = wire[Id]

type Members<T> = [T] extends [never] ? Record<never, never> : T
type Part<Id extends OperationId, In extends 'path' | 'query' | 'header'> = Members<
  NonNullable<Wire<Id>['parameters'][In]>
>
type WithDefaults<T, Name> = Omit<T, Name & keyof T> & Required<Pick<T, Name & keyof T>>
type LowerCased<T> = { [Name in keyof T as Lowercase<Name & string>]: T[Name] }

/** A request as a handler gets it: valid, with defaults filled in and header names in lower case. */
export interface RequestOf<Id extends OperationId> {
  readonly params: Part<Id, 'path'>
  readonly query: WithDefaults<Part<Id, 'query'>, Facts[Id]['defaulted'][number]>
  readonly headers: LowerCased<Part<Id, 'header'>>
  readonly body: BodyOf<Wire<Id>>
}

type BodyOf<Operation> = Operation extends { requestBody: { content: infer Content } }
  ? Content[keyof Content]
  : Operation extends { requestBody?: { content: infer Content } }
    ? Content[keyof Content] | undefined
    : undefined

/** What the HTTP layer answers by itself, on whatever status a handler shares with it. */
type LayerCode = 'idempotency_key_in_use' | 'idempotency_key_reused' | 'unauthenticated'

/** The HTTP layer fills in the rest of a problem. */
type ProblemBody<Body> = Body extends { code: infer Code }
  ? { code: Exclude<Code, LayerCode> } & Partial<Omit<Body, 'code'>>
  : never

type Contents<Reply> = Reply extends { content: infer Content extends object } ? Content : Record<never, never>

type Body<Type, Content> = Type extends 'application/problem+json' ? ProblemBody<Content> : Content

/** What a reply is sent as when its headers do not say so. */
type Usual = 'application/json' | 'application/problem+json'

type Declared<T> = { [Name in keyof T as string extends Name ? never : Name]: T[Name] }
type ReplyHeaders<Reply> = Reply extends { headers: infer Headers } ? Declared<Headers> : Record<never, never>

type WithHeaders<Headers> = keyof Headers extends never
  ? { headers?: never }
  : Record<never, never> extends Headers
    ? { headers?: Headers & { 'content-type'?: never } }
    : { headers: Headers & { 'content-type'?: never } }

/** What a reply holds, by its media type: any but the usual ones is named in its headers, and so tells one body from another. */
type Form<Type, Content, Headers> = Type extends Usual
  ? { body: Body<Type, Content> } & WithHeaders<Headers>
  : { body: Content; headers: Headers & { 'content-type': Type } }

type Reply<Status, Declaration> = { status: Status } & (keyof Contents<Declaration> extends never
  ? { body?: never } & WithHeaders<ReplyHeaders<Declaration>>
  : {
      [Type in keyof Contents<Declaration>]: Form<Type, Contents<Declaration>[Type], ReplyHeaders<Declaration>>
    }[keyof Contents<Declaration>])

/** The statuses that the path file declares, and the two that a handler may always need. */
type Returnable<Id extends OperationId> =
  | Facts[Id]['handlerStatuses'][number]
  | Extract<Facts[Id]['statuses'][number], 400 | 403>

/** Every reply that a handler may give, discriminated by status. */
export type ReplyOf<Id extends OperationId> = {
  [Status in Returnable<Id>]: Reply<Status, Wire<Id>['responses'][Status & keyof Wire<Id>['responses']]>
}[Returnable<Id>]

/** What a handler may touch: with a principal, unless the operation is public. */
export type ContextOf<Id extends OperationId> = Facts[Id]['public'] extends true ? PublicContext : Context

export type Handler<Id extends OperationId> = (request: RequestOf<Id>, context: ContextOf<Id>) => Promise<ReplyOf<Id>>

type Tagged<Name extends Tag> = { [Id in OperationId]: Facts[Id]['tag'] extends Name ? Id : never }[OperationId]

/** A test case for every status that a handler of the tag decides. */
export type Cases<Name extends Tag> = {
  [Id in Tagged<Name>]: { [Status in Facts[Id]['handlerStatuses'][number]]: Case }
}
