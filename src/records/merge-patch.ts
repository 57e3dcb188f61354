import type { Only } from './only.js'

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/**
 * Applies a merge patch per RFC 7396, section 2: objects merge, null removes, everything else replaces.
 * At the top level null stays as null, because a property of a record is cleared, never absent.
 */
export function mergePatch<Target extends object, Patch extends { [Name in keyof Target]?: Target[Name] | undefined }>(
  target: Target,
  patch: Only<Patch, Target>,
): Target {
  const result = { ...target } as Record<string, unknown>
  for (const [name, value] of Object.entries(patch)) {
    if (value === undefined) continue
    result[name] = isObject(value) ? apply(result[name], value) : value
  }
  return result as Target
}

/** The pseudo code of RFC 7396. */
export function apply(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch
  const result: Record<string, unknown> = isObject(target) ? { ...target } : {}
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name]
    else result[name] = apply(result[name], value)
  }
  return result
}
