import { bundle, createConfig } from '@redocly/openapi-core'
import { ContractError, type Document } from './document.js'

/** Reads `openapi/openapi.yaml` and everything that it refers to into one document. */
export async function bundleContract(file = 'openapi/openapi.yaml'): Promise<Document> {
  const config = await createConfig({})
  // Two files of one name would silently become `Account` and `Account-2`.
  const result = await bundle({ ref: file, config, componentRenamingConflicts: 'error' }).catch((error: Error) => {
    // The error holds the whole document, which nobody wants to see in a terminal.
    throw new ContractError([error.message])
  })
  const errors = result.problems.filter((problem) => problem.severity === 'error')
  if (errors.length > 0)
    throw new ContractError(errors.map((problem) => `${problem.message} ${problem.location[0]?.pointer ?? ''}`.trim()))
  return structuredClone(result.bundle.parsed as Document)
}
