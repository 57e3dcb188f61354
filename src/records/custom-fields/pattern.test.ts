import { describe, expect, test } from 'vitest'
import { compilePattern, faultOfPattern } from './pattern.js'

describe('patterns that people use', () => {
  test.each([
    ['[A-Z]{2}-\\d{4,6}', 'AB-12345', 'AB-123'],
    ['(?:DE|AT|CH)\\d+', 'AT42', 'XAT42'],
    ['\\p{Lu}\\p{Ll}*', 'Österreich', 'österreich'],
    ['[^\\]]+', 'a[b', 'a]b'],
    ['\\d{3}(?:-\\d{2})?', '123-45', '123-4'],
    ['\\w+\\.\\w+', 'a.b', 'ab'],
    ['a|b', 'b', 'ab'],
  ])('%s', (pattern, good, bad) => {
    expect(faultOfPattern(pattern, 255)).toBeUndefined()
    expect(compilePattern(pattern).test(good)).toBe(true)
    expect(compilePattern(pattern).test(bad)).toBe(false)
  })
})

describe('patterns that could keep the process busy', () => {
  test.each([
    '(a+)+',
    '(a|a)*b',
    '(a|aa)+',
    'a*a*a*b',
    '(?:a?){30}a{30}',
    '(?:a{0,20}){20}',
    '(x+x+)+y',
    `${'a?'.repeat(30)}${'a'.repeat(30)}`,
    `${'(a|a)'.repeat(25)}b`,
    '([a-z]+[0-9]*){2,}',
  ])('%s', (pattern) => {
    expect(faultOfPattern(pattern, 255)).toMatch(/^could take long/)
  })

  test('more parts may repeat where values are short', () => {
    expect(faultOfPattern('a*b*c*', 255)).toBeDefined()
    expect(faultOfPattern('a*b*c*', 50)).toBeUndefined()
  })
})

test.each(['(?=a)a', '(?<!b)a', '(?<name>a)', '(a)\\1'])('%s is not supported', (pattern) => {
  expect(faultOfPattern(pattern, 255)).toMatch(/^must do without/)
})

test.each(['(', '[', 'a**', 'a)', '\\', ')(', '\\-'])('%s is no pattern', (pattern) => {
  expect(faultOfPattern(pattern, 255)).toMatch(/^must be a regular expression/)
})
