import { InvalidRequest } from '../problem.js'

export type Money = { amount: string; currency: string }

const currencies = new Set(Intl.supportedValuesOf('currency'))
const decimals = new Map<string, number>()

/** How many decimals a currency has per ISO 4217: 2 for EUR, 0 for JPY, 3 for KWD. */
function decimalsOf(currency: string): number {
  let known = decimals.get(currency)
  if (known === undefined) {
    known = new Intl.NumberFormat('en', { style: 'currency', currency }).resolvedOptions().maximumFractionDigits ?? 2
    decimals.set(currency, known)
  }
  return known
}

/** @throws InvalidRequest for what is not a currency of ISO 4217 */
export function assertCurrency(currency: string, pointer: string): void {
  if (!currencies.has(currency)) {
    throw new InvalidRequest({ pointer, code: 'currency', message: 'must be a currency of ISO 4217' })
  }
}

/**
 * Whole minor units of an amount: "1234.5" EUR is "123450".
 *
 * @param pointer where the money stands in the request, for the error
 * @throws InvalidRequest for an unknown currency or more decimals than it has
 */
export function toMinorUnits({ amount, currency }: Money, pointer: string): string {
  assertCurrency(currency, `${pointer}/currency`)
  const digits = decimalsOf(currency)
  const [whole = '0', fraction = ''] = amount.replace('-', '').split('.')
  if (/[^0]/.test(fraction.slice(digits))) {
    throw new InvalidRequest({
      pointer: `${pointer}/amount`,
      code: 'decimals',
      message: `must have at most ${digits} decimals in ${currency}`,
    })
  }
  const units = BigInt(whole + fraction.slice(0, digits).padEnd(digits, '0'))
  return String(amount.startsWith('-') ? -units : units)
}

/** The inverse of `toMinorUnits`: "123450" EUR is "1234.50". */
export function fromMinorUnits(units: string, currency: string): Money {
  const digits = decimalsOf(currency)
  if (digits === 0) return { amount: units, currency }
  const negative = units.startsWith('-')
  const padded = (negative ? units.slice(1) : units).padStart(digits + 1, '0')
  return { amount: `${negative ? '-' : ''}${padded.slice(0, -digits)}.${padded.slice(-digits)}`, currency }
}
