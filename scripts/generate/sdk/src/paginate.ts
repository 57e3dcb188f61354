import type { Picked } from './call.js'
import type { Client } from './client.js'

type ListOptions = { query?: { cursor?: string } | undefined; body?: { cursor?: string } | undefined } | undefined
type ListResult<T> = { data: { data: T[]; page: { nextCursor: string | null } } }
type List<O, T> = (client: Client, options: O) => Promise<ListResult<T>>

type Naming<Names> = { query: { fields: Names } } | { body: { fields: Names } }
type WithoutNames<O> = {
  [Key in keyof O]: Key extends 'query' | 'body' ? Omit<NonNullable<O[Key]>, 'fields'> : O[Key]
}

/** Every record of a list or a query, page after page: `for await (const account of paginate(listAccounts, client))`. */
export function paginate<O extends ListOptions, T, const Names extends readonly Exclude<keyof T, 'expanded'>[]>(
  list: List<O, T>,
  client: Client,
  options: WithoutNames<NonNullable<O>> & Naming<Names>,
): AsyncGenerator<Picked<T, Names, 'id' | 'version' | 'expanded'>, void, undefined>
export function paginate<O extends ListOptions, T>(
  list: List<O, T>,
  client: Client,
  ...[options]: undefined extends O ? [options?: O] : [options: O]
): AsyncGenerator<T, void, undefined>
export async function* paginate<O extends ListOptions, T>(
  list: List<O, T>,
  client: Client,
  options?: O,
): AsyncGenerator<T, void, undefined> {
  let cursor: string | null | undefined
  do {
    // A query takes its cursor where it takes its filter.
    const place = options?.body ? 'body' : 'query'
    const next = cursor ? { ...options, [place]: { ...options?.[place], cursor } } : options
    const { data } = await list(client, next as O)
    yield* data.data
    cursor = data.page.nextCursor
  } while (cursor)
}
