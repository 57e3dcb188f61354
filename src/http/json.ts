import { isUtf8 } from 'node:buffer'
import { InvalidRequest } from '../problem.js'

const MAX_DEPTH = 32

const refuse = (code: string, message: string): InvalidRequest => new InvalidRequest({ pointer: '', code, message })

/**
 * Parses a body strictly: UTF-8, at most 32 levels, no property twice (RFC 8259 calls that unpredictable), no `__proto__`, no
 * number that would be stored as another one (RFC 7493), and none of the characters that PostgreSQL cannot store: NUL and lone
 * surrogates.
 *
 * @throws InvalidRequest
 */
export function parseJson(bytes: Buffer): unknown {
  if (!isUtf8(bytes)) throw refuse('encoding', 'must be UTF-8')
  const text = bytes.toString('utf8')
  scan(text)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw refuse('malformed_json', 'must be JSON')
  }
  // Raw surrogates are not UTF-8, so only escapes can bring them.
  if (/\\u(?:0000|[dD][89a-fA-F])/.test(text)) assertStorable(value, '')
  return value
}

/** One pass over the text before it is parsed: depth, names within each object, and numbers. */
function scan(text: string): void {
  // For each open bracket: the names seen in that object, or undefined for an array.
  const open: (Set<string> | undefined)[] = []
  for (let index = 0; index < text.length; index++) {
    switch (text.charCodeAt(index)) {
      case 0x7b: // {
      case 0x5b: // [
        open.push(text[index] === '{' ? new Set() : undefined)
        if (open.length > MAX_DEPTH) throw refuse('max_depth', `must be at most ${MAX_DEPTH} levels deep`)
        break
      case 0x7d: // }
      case 0x5d: // ]
        open.pop()
        break
      case 0x22: {
        const end = endOfString(text, index)
        const names = open.at(-1)
        COLON.lastIndex = end + 1
        if (names && COLON.test(text)) addName(names, text.slice(index, end + 1))
        index = end
        break
      }
      default:
        if (isDigit(text.charCodeAt(index))) index = endOfNumber(text, index) - 1
    }
  }
}

const COLON = /\s*:/y
const NUMBER = /[\d.eE+-]+/y

const isDigit = (code: number): boolean => code >= 0x30 && code <= 0x39

/** The index behind a number, which must be finite and, when it is written as a whole one, come back as it was. */
function endOfNumber(text: string, start: number): number {
  NUMBER.lastIndex = start
  NUMBER.test(text)
  const source = text.slice(start, NUMBER.lastIndex)
  const value = Number(source)
  if (value === Number.POSITIVE_INFINITY || (/^[1-9]\d*$/.test(source) && String(value) !== source)) {
    throw refuse('number_range', 'must not have a number that an IEEE 754 double cannot hold')
  }
  return NUMBER.lastIndex
}

function endOfString(text: string, start: number): number {
  let end = start + 1
  while (end < text.length && text[end] !== '"') end += text[end] === '\\' ? 2 : 1
  return end
}

function addName(names: Set<string>, source: string): void {
  let name: string
  try {
    // Without an escape it is what it says; what else may be wrong with it, the parser finds.
    name = source.includes('\\') ? (JSON.parse(source) as string) : source.slice(1, -1)
  } catch {
    throw refuse('malformed_json', 'must be JSON')
  }
  if (name === '__proto__') throw refuse('forbidden_name', 'must not have a property __proto__')
  if (names.has(name)) throw refuse('duplicate_name', 'must not have the same property twice')
  names.add(name)
}

function assertStorable(value: unknown, pointer: string): void {
  if (typeof value === 'string') {
    if (value.includes('\0') || !value.isWellFormed()) {
      throw new InvalidRequest({ pointer, code: 'characters', message: 'must not contain NUL or lone surrogates' })
    }
  } else if (typeof value === 'object' && value !== null) {
    for (const [name, member] of Object.entries(value)) {
      assertStorable(name, pointer)
      assertStorable(member, `${pointer}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`)
    }
  }
}
