import type { Contract } from './contract.js'
import { BANNER, print, printKey } from './print.js'

/** How long each list may be that is a component, for what sums up where no single request is too long. */
export function renderLimits({ document }: Pick<Contract, 'document'>): string {
  const rows = Object.entries(document.components.schemas ?? {}).flatMap(([name, { type, maxItems }]) =>
    type === 'array' && maxItems !== undefined ? [`  ${printKey(name)}: ${print(maxItems)},\n`] : [],
  )
  return `${BANNER}
/** As many items as a list may have, by the name of its schema. */
export const mostItems = {
${rows.join('')}} as const
`
}
