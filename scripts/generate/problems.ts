import type { Contract } from './contract.js'
import { BANNER, print } from './print.js'

/** The title of every problem code, as the examples of the contract show it. */
export function renderProblems({ document }: Pick<Contract, 'document'>): string {
  const titles: Record<string, string> = {}
  collect(document, titles)
  const sorted = Object.fromEntries(Object.entries(titles).sort(([a], [b]) => (a < b ? -1 : 1)))
  return `${BANNER}\n/** What each problem is called, by its code. */\nexport const problemTitles: Readonly<Record<string, string>> = ${print(sorted)}\n`
}

function collect(node: unknown, titles: Record<string, string>): void {
  if (typeof node !== 'object' || node === null) return
  const { type, code, title } = node as Record<string, unknown>
  if (typeof type === 'string' && type.startsWith('urn:zenith:problem:') && typeof code === 'string') {
    if (titles[code] !== undefined && titles[code] !== title) throw new Error(`the problem ${code} has two titles`)
    titles[code] = String(title)
  }
  for (const value of Object.values(node)) collect(value, titles)
}
