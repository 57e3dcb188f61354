import { stringify } from 'yaml'
import { readContract } from './contract.js'
import type { Document } from './document.js'
import { renderLimits } from './limits.js'
import { renderOperations } from './operations.js'
import { renderProblems } from './problems.js'
import { renderCases, renderHandlers, renderRoutes } from './registry.js'
import { renderSdk } from './sdk.js'
import { renderSerializers } from './serializers.js'
import { renderTypes } from './types.js'
import { renderValidators } from './validators.js'

/** Every generated file by its path below `generated/`. A function of the document alone. */
export async function render(bundle: Document): Promise<Map<string, string>> {
  const contract = readContract(bundle)
  return new Map([
    ['openapi.json', `${JSON.stringify(contract.document, null, 2)}\n`],
    ['openapi.yaml', stringify(contract.document, { aliasDuplicateObjects: false, lineWidth: 0 })],
    ['types.ts', await renderTypes(contract.document)],
    ['operations.ts', renderOperations(contract)],
    ['limits.ts', renderLimits(contract)],
    ['problems.ts', renderProblems(contract)],
    ['handlers.ts', renderHandlers(contract)],
    ['cases.ts', renderCases(contract)],
    ['routes.ts', renderRoutes(contract)],
    ['validators.ts', renderValidators(contract)],
    ['serializers.ts', renderSerializers(contract)],
    ...[...(await renderSdk(contract))].map(([name, content]): [string, string] => [`sdk/${name}`, content]),
  ])
}
