import fc from 'fast-check'
import { expect, test } from 'vitest'
import { InvalidRequest } from '../problem.js'
import { fromMinorUnits, toMinorUnits } from './money.js'

test.each([
  ['1234.50', 'EUR', '123450', '1234.50'],
  ['1234.5', 'EUR', '123450', '1234.50'],
  ['1234', 'EUR', '123400', '1234.00'],
  ['0', 'EUR', '0', '0.00'],
  ['0.01', 'EUR', '1', '0.01'],
  ['-0.01', 'EUR', '-1', '-0.01'],
  ['-12.30', 'USD', '-1230', '-12.30'],
  ['1.000', 'EUR', '100', '1.00'],
  ['500', 'JPY', '500', '500'],
  ['500.0', 'JPY', '500', '500'],
  ['1.234', 'KWD', '1234', '1.234'],
  ['90071992547409.93', 'EUR', '9007199254740993', '90071992547409.93'],
])('%s %s is %s minor units, shown as %s', (amount, currency, units, shown) => {
  expect(toMinorUnits({ amount, currency }, '/amount')).toBe(units)
  expect(fromMinorUnits(units, currency)).toEqual({ amount: shown, currency })
})

test('comes back exactly, however large', () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: -(2n ** 63n) + 1n, max: 2n ** 63n - 1n }),
      fc.constantFrom('EUR', 'JPY', 'KWD', 'BHD'),
      (units, currency) => {
        expect(toMinorUnits(fromMinorUnits(String(units), currency), '')).toBe(String(units))
      },
    ),
    { seed: 1 },
  )
})

test.each([
  ['1.001', 'EUR', '/price/amount', 'decimals'],
  ['0.5', 'JPY', '/price/amount', 'decimals'],
  ['1', 'XYZ', '/price/currency', 'currency'],
  ['1', 'eur', '/price/currency', 'currency'],
])('refuses %s %s at %s', (amount, currency, pointer, code) => {
  try {
    toMinorUnits({ amount, currency }, '/price')
    expect.unreachable()
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidRequest)
    expect((error as InvalidRequest).errors).toMatchObject([{ pointer, code }])
  }
})
