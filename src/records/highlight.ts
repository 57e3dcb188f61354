import type { components } from '../../generated/types.js'

type Highlight = components['schemas']['SearchHighlight']
type Range = readonly [from: number, to: number]

/** What separates words, as in `app.words` of the database. */
const SEPARATORS =
  '\\u0000-\\u002f\\u003a-\\u0060\\u007b-\\u00bf\\u2000-\\u206f\\u2e00-\\u2e7f\\u3000-\\u303f\\ufe00-\\ufe0f\\ufeff'
const WORD = new RegExp(`[^${SEPARATORS}]+`, 'g')

/** Letters that do not come apart into a plain one and an accent. */
const PLAIN: Readonly<Record<string, string>> = {
  ...{ ß: 'ss', æ: 'ae', œ: 'oe', ø: 'o', ł: 'l', đ: 'd', ð: 'd', þ: 'th', ħ: 'h', ı: 'i' },
}

const foldCharacter = (character: string): string => {
  const lower = character
    .normalize('NFKD')
    .replaceAll(/\p{M}+/gu, '')
    .toLowerCase()
  return PLAIN[lower] ?? lower
}

/** A text without case and accents, and for each of its code units the character that it comes from. */
type Folded = { text: string; origins: Range[] }

function fold(text: string): Folded {
  const folded: Folded = { text: '', origins: [] }
  let at = 0
  for (const character of text) {
    const origin: Range = [at, at + character.length]
    const plain = foldCharacter(character)
    folded.text += plain
    for (let unit = 0; unit < plain.length; unit += 1) folded.origins.push(origin)
    at += character.length
  }
  return folded
}

type Word = { text: string; start: number }

const split = (text: string): Word[] =>
  [...text.matchAll(WORD)].map((found) => ({ text: found[0], start: found.index }))

/** The words of a text, folded. */
export const wordsOf = (text: string): string[] => split(fold(text).text).map((word) => word.text)

/** What telephone numbers are written with. */
const PHONE = /^[-0-9+()/. ]+$/

const MAX_HIGHLIGHTS = 50
const MAX_RANGES = 100

/** Where texts match a search; those that do not are left out. */
export function highlight(texts: readonly { field: string; text: string }[], q: string): Highlight[] {
  const words = [...new Set(wordsOf(q))]
  const digits = PHONE.test(q) ? digitsOf(q.replace('(0)', '')).text : ''
  const marked = texts.map(({ field, text }) => ({ field, text, ranges: rangesOf(fold(text), words, digits) }))
  const matching = marked.filter(({ ranges }) => ranges.length > 0)
  // Found because its name is similar.
  const [title] = texts
  if (matching.length === 0 && title) {
    const ranges = similarWords(fold(title.text), words)
    return ranges.length > 0 ? [{ ...title, ranges }] : []
  }
  return matching.slice(0, MAX_HIGHLIGHTS)
}

function rangesOf(folded: Folded, words: readonly string[], digits: string): number[][] {
  const ofDigits = rangesOfDigits(folded.text, digits)
  if (ofDigits.length > 0) return toOriginal(folded, ofDigits)
  const ofWords = split(folded.text).flatMap(({ text, start }): Range[] => {
    const lengths = words.filter((word) => (word.length === 1 ? text === word : text.startsWith(word)))
    return lengths.length > 0 ? [[start, start + Math.max(...lengths.map(({ length }) => length))]] : []
  })
  return toOriginal(folded, ofWords)
}

/** Digits, and where they stand. */
function digitsOf(text: string): { text: string; places: number[] } {
  const places = [...text.matchAll(/[0-9]/g)].map(({ index }) => index)
  const first = places.findIndex((at) => text[at] !== '0')
  const significant = first < 0 ? [] : places.slice(first)
  return { text: significant.map((at) => text[at]).join(''), places: significant }
}

/** The part of a telephone number that is searched for: its beginning, or as much of its end as decides. */
function rangesOfDigits(text: string, digits: string): Range[] {
  if (digits.length < 5 || !PHONE.test(text)) return []
  const number = digitsOf(text)
  const end = digits.slice(-8)
  const from = number.text.startsWith(digits) ? 0 : number.text.endsWith(end) ? number.text.length - end.length : -1
  const length = from === 0 ? digits.length : end.length
  const [start, last] = [number.places[from], number.places[from + length - 1]]
  return start === undefined || last === undefined ? [] : [[start, last + 1]]
}

/** The words that have more in common with a word of the search than not. */
const similarWords = (folded: Folded, words: readonly string[]): number[][] =>
  toOriginal(
    folded,
    split(folded.text)
      .filter(({ text }) => words.some((word) => similarity(text, word) >= 0.3))
      .map(({ text, start }): Range => [start, start + text.length]),
  )

const trigramsOf = (word: string): Set<string> => {
  const padded = `  ${word} `
  return new Set(Array.from({ length: padded.length - 2 }, (_, at) => padded.slice(at, at + 3)))
}

/** As pg_trgm has it. */
function similarity(a: string, b: string): number {
  const [left, right] = [trigramsOf(a), trigramsOf(b)]
  const shared = [...left].filter((trigram) => right.has(trigram)).length
  return shared / (left.size + right.size - shared)
}

const toOriginal = ({ origins }: Folded, ranges: readonly Range[]): number[][] =>
  ranges.map(([from, to]) => [origins[from]?.[0] ?? 0, origins[to - 1]?.[1] ?? 0]).slice(0, MAX_RANGES)
