import { ContractError, type Document, type Schema } from './document.js'

/** The marker of a component that this file writes: the name of the schema whose properties there are to choose for. */
const MARKER = 'x-choices-of'

const ID = { $ref: '#/components/schemas/Id' }

/** Custom fields are chosen one by one, whatever their names are. */
const CUSTOM_FIELDS: Schema = {
  description: 'The same for each custom field, by its key.',
  type: 'object',
  maxProperties: 200,
  additionalProperties: ID,
}

/**
 * Writes the components that are marked `x-choices-of`: for each property of a record that callers may write, the id of the record
 * that it is taken from; so the choices cannot drift from the record.
 */
export function expandChoices(source: Document): Document {
  const schemas = Object.entries(source.components.schemas ?? {}).map(([name, schema]) => [
    name,
    MARKER in schema ? choicesOf(source, name, schema) : schema,
  ])
  return { ...source, components: { ...source.components, schemas: Object.fromEntries(schemas) } }
}

function choicesOf(document: Document, name: string, marked: Schema): Schema {
  const { properties } = document.components.schemas?.[String(marked[MARKER])] ?? {}
  if (!properties) throw new ContractError([`${name}: ${String(marked[MARKER])} is no schema with properties`])
  return {
    ...marked,
    type: 'object',
    additionalProperties: false,
    properties: Object.fromEntries(
      Object.keys(properties).map((property) => [property, property === 'customFields' ? CUSTOM_FIELDS : ID]),
    ),
  }
}
