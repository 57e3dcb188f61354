import { type Document, rewrite, type Schema } from './document.js'

/** The marker of an enumeration that custom fields of a kind of record extend: `[name, '-name']` with `customFields.tier`. */
const MARKER = 'x-custom-fields-of'
/** What a text begins with, in the types that are generated of it. */
export const BEGINNINGS = 'x-beginnings'

/** The property of a record that holds the values. */
export const CUSTOM_FIELDS = 'customFields'
const KEY = '[a-z][a-zA-Z0-9_]{0,62}'

/** The names of the fields that an organization defines: `customFields.tier` after one of the beginnings. */
export function customNames(beginnings: readonly string[]): Schema {
  const optional = beginnings.filter((each) => each !== '').map((each) => each.replaceAll('.', '\\.'))
  return {
    type: 'string',
    maxLength: 160,
    pattern: `^${optional.length > 0 ? `(?:${optional.join('|')})?` : ''}${CUSTOM_FIELDS}\\.${KEY}$`,
    [BEGINNINGS]: beginnings.map((each) => `${each}${CUSTOM_FIELDS}.`),
  }
}

/** A schema that tells names of custom fields from all others. */
export const LOOKS_CUSTOM: Schema = { type: 'string', pattern: `${CUSTOM_FIELDS}\\.` }

/** Adds the orders by custom fields to the lists and queries of the records that have some. */
export const expandSorts = (source: Document): Document =>
  rewrite(source, (node) => {
    if (!(MARKER in node)) return node
    const { type, enum: names, ...rest } = node as Schema
    return { ...rest, anyOf: [{ type, enum: names }, customNames(['', '-'])] }
  })

/** The same for the validator, so that an error says what is wrong with the name. */
export function stepwiseSort(node: Record<string, unknown>): Record<string, unknown> {
  if (!(MARKER in node)) return node
  const [names, custom] = node.anyOf as Schema[]
  const looksElse = { not: LOOKS_CUSTOM }
  return {
    type: 'string',
    allOf: [
      { if: LOOKS_CUSTOM, else: names },
      { if: looksElse, else: custom },
    ],
  }
}
