/** Says that a reply holds only what the caller named. */
const PARTIAL = { 'content-type': 'application/vnd.zenith.partial+json' } as const

/** Whatever is named, so that it can be changed and cached; and what `expand` asks for. */
const ALWAYS: readonly string[] = ['id', 'version', 'expanded']

/** A resource of which only some properties are there. */
type Part<Resource> = Partial<Resource> & Pick<Resource, keyof Resource & ('id' | 'version')>

type One<Resource> = { status: 200; headers: { ETag: string }; body: Resource }
type Many<Resource, Page> = { status: 200; body: { data: Resource[]; page: Page } }

/** A reply with all of each resource, and where the query can name `fields`, also one with a part. */
type Either<Query, Whole, Cut> = 'fields' extends keyof Query ? Whole | (Cut & { headers: typeof PARTIAL }) : Whole

export type OneOf<Query, Resource> = Either<Query, One<Resource>, One<Part<Resource>>>
export type ManyOf<Query, Resource, Page> = Either<Query, Many<Resource, Page>, Many<Part<Resource>, Page>>

/** The reply that holds one resource, or only what is named of it. */
export function one<Query, Resource>(
  resource: Resource,
  headers: { ETag: string },
  fields: readonly string[] | undefined,
): OneOf<Query, Resource> {
  const reply = fields
    ? { status: 200 as const, headers: { ...headers, ...PARTIAL }, body: pick(resource, fields) }
    : { status: 200 as const, headers, body: resource }
  return reply as OneOf<Query, Resource>
}

/** The reply that holds a page of resources, or only what is named of each. */
export function many<Query, Resource, Page>(
  data: Resource[],
  page: Page,
  fields: readonly string[] | undefined,
): ManyOf<Query, Resource, Page> {
  const reply = fields
    ? { status: 200 as const, headers: PARTIAL, body: { data: data.map((each) => pick(each, fields)), page } }
    : { status: 200 as const, body: { data, page } }
  return reply as ManyOf<Query, Resource, Page>
}

function pick<Resource>(resource: Resource, fields: readonly string[]): Part<Resource> {
  const part: Record<string, unknown> = {}
  for (const name of [...ALWAYS, ...fields]) part[name] = resource[name as keyof Resource]
  return part as Part<Resource>
}
