import type { components } from '../../generated/types.js'

/** Says that a reply holds only what the caller named. */
const PARTIAL = { 'content-type': 'application/vnd.zenith.partial+json' } as const

/** Whatever is named: so that it can be changed and cached; and what `expand` asks for. */
const ALWAYS: readonly string[] = ['id', 'version', 'expanded']

/** A resource of which only some properties are there. */
type Part<Resource> = Partial<Resource> & Pick<Resource, keyof Resource & ('id' | 'version')>

type One<Resource> = { status: 200; headers: { ETag: string }; body: Resource }
type Many<Resource> = { status: 200; body: { data: Resource[]; page: components['schemas']['Page'] } }

/** A reply with all of each resource, and where the caller can name properties, also the one with a part. */
type Either<Asked, Whole, Cut> = 'fields' extends keyof Asked ? Whole | (Cut & { headers: typeof PARTIAL }) : Whole

type OneOf<Asked, Resource> = Either<Asked, One<Resource>, One<Part<Resource>>>
type ManyOf<Asked, Resource> = Either<Asked, Many<Resource>, Many<Part<Resource>>>

/**
 * The reply with one resource, or with what is named of it. Everything was read: a statement for each choice of columns would be one
 * to plan and to keep, and costs more than it saves.
 */
export function one<Asked, Resource>(
  resource: Resource,
  headers: One<Resource>['headers'],
  fields: readonly string[] | undefined,
): OneOf<Asked, Resource> {
  const reply = fields
    ? { status: 200 as const, headers: { ...headers, ...PARTIAL }, body: pick(resource, fields) }
    : { status: 200 as const, headers, body: resource }
  return reply as OneOf<Asked, Resource>
}

/** The reply with a page of resources, or with what is named of each. */
export function many<Asked, Resource>(
  data: Resource[],
  page: Many<Resource>['body']['page'],
  fields: readonly string[] | undefined,
): ManyOf<Asked, Resource> {
  const reply = fields
    ? { status: 200 as const, headers: PARTIAL, body: { data: data.map((each) => pick(each, fields)), page } }
    : { status: 200 as const, body: { data, page } }
  return reply as ManyOf<Asked, Resource>
}

function pick<Resource>(resource: Resource, fields: readonly string[]): Part<Resource> {
  const part: Record<string, unknown> = {}
  for (const name of [...ALWAYS, ...fields]) part[name] = resource[name as keyof Resource]
  return part as Part<Resource>
}
