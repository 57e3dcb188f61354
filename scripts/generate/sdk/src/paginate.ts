import type { Client } from './client.js'

type ListOptions = { query?: { cursor?: string } | undefined; body?: { cursor?: string } | undefined } | undefined
type ListResult<T> = { data: { data: T[]; page: { nextCursor: string | null } } }

/** Every record of a list or a query, page after page: `for await (const account of paginate(listAccounts, client))`. */
export async function* paginate<O extends ListOptions, T>(
  list: (client: Client, options: O) => Promise<ListResult<T>>,
  client: Client,
  ...[options]: undefined extends O ? [options?: O] : [options: O]
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
