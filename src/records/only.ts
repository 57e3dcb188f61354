/** `Actual`, as long as `Known` has all its members: the compiler names the one that is not. */
export type Only<Actual, Known> = Actual & {
  [Name in Exclude<keyof Actual, keyof Known>]?: `unknown: ${Name & string}`
}
