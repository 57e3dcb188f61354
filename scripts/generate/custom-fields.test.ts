import { Ajv2020 } from 'ajv/dist/2020.js'
import { expect, it } from 'vitest'
import { expandSorts, stepwiseSort } from './custom-fields.js'
import type { Document, Schema } from './document.js'

const marked: Schema = { type: 'string', enum: ['name', '-name'], 'x-custom-fields-of': 'Widget' }
const [published] = expandSorts([marked] as unknown as Document) as unknown as Schema[] as [Schema]

it('an order has the names of the contract and those of custom fields, for readers and for the validator alike', () => {
  const ajv = new Ajv2020({ strict: false })
  const [open, steps] = [ajv.compile(published), ajv.compile(stepwiseSort({ ...published }))]
  for (const [name, isGood] of [
    ['name', true],
    ['-name', true],
    ['customFields.tier', true],
    ['-customFields.tier_2', true],
    ['customFields', false],
    ['customFields.', false],
    ['customFields.Tier', false],
    ['--customFields.tier', false],
    ['account.customFields.tier', false],
    ['other', false],
    [1, false],
  ] as const) {
    expect([name, open(name)]).toEqual([name, isGood])
    expect([name, steps(name)]).toEqual([name, isGood])
  }
})

it('a fault says what is wrong with the name', () => {
  const steps = new Ajv2020({ strict: false }).compile(stepwiseSort({ ...published }))
  const codeOf = (name: string) => (steps(name) ? '' : steps.errors?.find(({ keyword }) => keyword !== 'if')?.keyword)
  expect(codeOf('other')).toBe('enum')
  expect(codeOf('customFields.a.b')).toBe('pattern')
})
