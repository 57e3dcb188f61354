import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** The package's folder, seen from the sources as well as from dist/. */
export const packageRoot = find(import.meta.dirname)

function find(from: string): string {
  return existsSync(join(from, 'package.json')) ? from : find(dirname(from))
}
