/** How many ways the matcher may have to try before it gives up; a value has at most 255 characters. */
const MAX_WAYS = 250_000

/** The matcher of a pattern, which always has to match the whole value. */
export const compilePattern = (pattern: string): RegExp => new RegExp(wholly(pattern), 'u')

/** The pattern as JSON Schema wants it, where a match anywhere counts. */
export const wholly = (pattern: string): string => `^(?:${pattern})$`

/**
 * What is wrong with a pattern, or undefined. A tenant's pattern runs in everybody's process, so that a bound of what it may cost
 * has to be known: the number of ways through it, choice by choice.
 *
 * @param length how long a value may be
 */
export function faultOfPattern(pattern: string, length: number): string | undefined {
  try {
    // Also by itself: ")(" becomes well-formed within the parentheses of the other.
    new RegExp(pattern, 'u')
    compilePattern(pattern)
  } catch {
    return 'must be a regular expression of ECMA-262'
  }
  const ways = new Ways(pattern, length).count()
  if (ways === undefined) return 'must do without look-around, named groups and back references'
  return ways > MAX_WAYS ? 'could take long to match: repeat fewer parts, or set maxLength' : undefined
}

/** Walks through a pattern that is known to be well-formed. */
class Ways {
  readonly #rest: string[]
  readonly #length: number
  #supported = true

  constructor(pattern: string, length: number) {
    // A class and an escape are one character of the value, like any other.
    this.#rest =
      pattern.match(/\[(?:\\.|[^\]\\])*\]|\\[pPu]\{[^}]*\}|\\.|\(\?(?::|<?[=!]|<)|\{\d+(?:,\d*)?\}|./gsu) ?? []
    this.#length = length
  }

  count(): number | undefined {
    const ways = this.#alternatives()
    return this.#supported ? ways : undefined
  }

  #alternatives(): number {
    let ways = this.#sequence()
    while (this.#rest[0] === '|') {
      this.#rest.shift()
      ways += this.#sequence()
    }
    return ways
  }

  #sequence(): number {
    let ways = 1
    for (let token = this.#rest[0]; token !== undefined && token !== '|' && token !== ')'; token = this.#rest[0]) {
      this.#rest.shift()
      const one = this.#atom(token)
      ways *= repeated(one, this.#repetition())
    }
    return ways
  }

  #atom(token: string): number {
    if (/^\\(?:\d|k)/.test(token) && token !== '\\0') this.#supported = false
    if (!token.startsWith('(')) return 1
    if (token !== '(' && token !== '(?:') this.#supported = false
    const ways = this.#alternatives()
    this.#rest.shift()
    return ways
  }

  #repetition(): readonly [minimum: number, maximum: number] {
    const [, symbol, least = '', comma, most = ''] = /^(?:([?*+])|\{(\d+)(,?)(\d*)\})$/.exec(this.#rest[0] ?? '') ?? []
    if (symbol === undefined && least === '') return [1, 1]
    this.#rest.shift()
    // Reluctant or not, the ways are the same.
    if (this.#rest[0] === '?') this.#rest.shift()
    if (symbol) return [symbol === '+' ? 1 : 0, symbol === '?' ? 1 : this.#length]
    const minimum = Math.min(Number(least), this.#length)
    return [minimum, comma ? Math.min(Number(most || this.#length), this.#length) : minimum]
  }
}

/** The ways through something that is repeated: as many as there are for each number of times. */
function repeated(ways: number, [minimum, maximum]: readonly [number, number]): number {
  let sum = 0
  for (let times = minimum; times <= maximum && sum <= MAX_WAYS; times++) sum += ways ** times
  return Math.max(1, sum)
}
