/** A record type in every spelling that the project uses. */
export type Names = {
  /** `priceBook`, `priceBooks`: parameters, variables. */
  singular: string
  plural: string
  /** `PriceBook`, `PriceBooks`: schemas, operations. */
  type: string
  types: string
  /** `price book`, `price books`, `a price book`: texts. */
  words: string
  manyWords: string
  oneWords: string
  /** `price-books`: tag, path, permissions, folder. */
  tag: string
  /** `price_book`, `crm_price_books`: events, database. */
  object: string
  table: string
}

/** @throws Error when a name is not in lowerCamelCase */
export function namesOf(singular: string, plural: string): Names {
  const words = wordsOf(singular)
  const manyWords = wordsOf(plural)
  if (words === manyWords) throw new Error('singular and plural must differ')
  return {
    ...{ singular, plural, words, manyWords },
    type: capitalized(singular),
    types: capitalized(plural),
    oneWords: `${/^[aeiou]/.test(words) ? 'an' : 'a'} ${words}`,
    tag: manyWords.replaceAll(' ', '-'),
    object: words.replaceAll(' ', '_'),
    table: `crm_${manyWords.replaceAll(' ', '_')}`,
  }
}

/** `unitPrice` is `unit price`. */
export function wordsOf(name: string): string {
  if (!/^[a-z]+([A-Z][a-z]*)*$/.test(name)) throw new Error(`${name} is not a name in lowerCamelCase`)
  return name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
}

export const capitalized = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)
