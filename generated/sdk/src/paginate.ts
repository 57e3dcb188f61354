import type { Client } from './client.js'

type ListOptions = { query?: { cursor?: string } | undefined } | undefined
type ListResult<T> = { data: { data: T[]; page: { nextCursor: string | null } } }

/** Every record of a list, page after page: `for await (const account of paginate(listAccounts, client))`. */
export async function* paginate<O extends ListOptions, T>(
  list: (client: Client, options: O) => Promise<ListResult<T>>,
  client: Client,
  ...[options]: undefined extends O ? [options?: O] : [options: O]
): AsyncGenerator<T, void, undefined> {
  let cursor: string | null | undefined
  do {
    const query = cursor ? { ...options?.query, cursor } : options?.query
    const { data } = await list(client, (query ? { ...options, query } : options) as O)
    yield* data.data
    cursor = data.page.nextCursor
  } while (cursor)
}
