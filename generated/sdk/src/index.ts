import type { components } from './types.js'

export type { Options, PartialResult, Picked, Result } from './call.js'
export { type Client, type ClientOptions, createClient, type Tokens } from './client.js'
export * from './operations.js'
export { paginate } from './paginate.js'
export { type Problem, ZenithProblem } from './problem.js'

/** Every schema of the contract by name: `Schemas['Account']`. */
export type Schemas = components['schemas']
