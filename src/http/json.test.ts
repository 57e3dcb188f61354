import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { InvalidRequest } from '../problem.js'
import { parseJson } from './json.js'

const parse = (text: string): unknown => parseJson(Buffer.from(text))

function refusal(bytes: string | Buffer): { code: string; pointer: string } | undefined {
  try {
    parseJson(Buffer.from(bytes as string))
    return undefined
  } catch (error) {
    if (!(error instanceof InvalidRequest)) throw error
    const { code = '', pointer = '' } = error.errors[0] ?? {}
    return { code, pointer }
  }
}

const storable = fc.jsonValue({ maxDepth: 5, noUnicodeString: false }).filter((value) => {
  const text = JSON.stringify(value)
  return !/__proto__|\\u0000|\\ud[89a-f]/i.test(text)
})

test('reads what JSON.parse reads', () => {
  fc.assert(
    fc.property(storable, fc.constantFrom(undefined, 1, '\t'), (value, indent) => {
      const text = JSON.stringify(value, null, indent)
      expect(parse(text)).toEqual(JSON.parse(text))
    }),
    { seed: 1, numRuns: 500 },
  )
})

test('never does anything but answer or refuse, whatever the bytes', () => {
  const alphabet = fc.constantFrom(
    ...'{}[]",:\\u0d8"__proto__e1.-+ \n'.split(''),
    'true',
    '"a":',
    '\\uD800',
    '\u{1F600}',
  )
  const texts = fc.array(alphabet, { maxLength: 60 }).map((parts) => Buffer.from(parts.join('')))
  const bytes = fc.uint8Array({ maxLength: 60 }).map((array) => Buffer.from(array))
  fc.assert(
    fc.property(fc.oneof(texts, bytes), (input) => {
      if (refusal(input) === undefined) expect(() => JSON.parse(input.toString())).not.toThrow()
    }),
    { seed: 1, numRuns: 2000 },
  )
})

test.each([
  '',
  '{',
  '{"a":}',
  '{a:1}',
  "{'a':1}",
  '[1,]',
  'nul',
  '01',
  '+1',
  '.5',
  '1.',
  '\uFEFF{}',
  '{}x',
  '"\n"',
  'NaN',
  'Infinity',
  '\u00a01',
])('refuses what is not JSON: %j', (text) => {
  expect(refusal(text)).toEqual({ code: 'malformed_json', pointer: '' })
})

test.each([
  ['a byte that begins nothing', [0x22, 0xff, 0x22]],
  ['a truncated character', [0x22, 0xc3, 0x22]],
  ['an overlong character', [0x22, 0xc0, 0xaf, 0x22]],
  ['an encoded surrogate', [0x22, 0xed, 0xa0, 0x80, 0x22]],
  ['UTF-16', [0xff, 0xfe, 0x22, 0x00, 0x22, 0x00]],
])('refuses what is not UTF-8: %s', (_name, bytes) => {
  expect(refusal(Buffer.from(bytes))).toEqual({ code: 'encoding', pointer: '' })
})

describe('names', () => {
  test.each([
    '{"a":1,"a":1}',
    '{"a":1,"\\u0061":2}',
    '{"b":{"a":1,"c":{},"a":2}}',
    '[{"a":1,"b":[1],"a":2}]',
    '{"":1,"":2}',
    `{"a"${' '.repeat(200)}:1,"a"${'\n'.repeat(200)}:2}`,
  ])('refuses the same one twice: %s', (text) => {
    expect(refusal(text)?.code).toBe('duplicate_name')
  })

  test.each(['{"a":{"a":{"a":1}}}', '[{"a":1},{"a":1}]', '{"a":"a","b":"a"}', '{"a":["a","a"]}', '{"a":":","b":":"}'])(
    'takes the same one in another object, or as a value: %s',
    (text) => {
      expect(refusal(text)).toBeUndefined()
    },
  )

  test.each([
    '{"__proto__":{}}',
    '{"a":{"__proto__":null}}',
    '{"\\u005f_proto__":1}',
    `{"__proto__"${' '.repeat(100)}:{"polluted":true}}`,
    '[{"__proto__"\t\r\n :1}]',
  ])('refuses __proto__: %s', (text) => {
    expect(refusal(text)?.code).toBe('forbidden_name')
  })

  test('takes those that only look dangerous', () => {
    const value = parse('{"constructor":{"prototype":{"polluted":1}},"toString":1,"a":"__proto__"}')
    expect(Object.keys(value as object)).toEqual(['constructor', 'toString', 'a'])
    expect(({} as Record<string, unknown>).polluted).toBeUndefined()
  })
})

describe('depth', () => {
  const nested = (depth: number, open: string, close: string) => `${open.repeat(depth)}1${close.repeat(depth)}`

  test.each([
    ['[', ']'],
    ['{"a":', '}'],
  ])('32 levels of %s are enough', (open, close) => {
    expect(refusal(nested(32, open, close))).toBeUndefined()
    expect(refusal(nested(33, open, close))?.code).toBe('max_depth')
    expect(refusal(nested(50_000, open, close))?.code).toBe('max_depth')
    expect(refusal(open.repeat(100_000))?.code).toBe('max_depth')
  })

  test('brackets in strings do not count', () => {
    expect(parse(JSON.stringify('['.repeat(100)))).toBe('['.repeat(100))
    expect(refusal(`["\\"${'['.repeat(100)}"]`)).toBeUndefined()
  })

  test('an array may be long', () => {
    expect(parse(`[${'1,'.repeat(400_000)}1]`)).toHaveLength(400_001)
  })
})

describe('characters that cannot be stored', () => {
  test.each([
    ['{"a":"\\u0000"}', '/a'],
    ['{"a":{"b/c":["\\u0000"]}}', '/a/b~1c/0'],
    ['{"\\u0000":1}', ''],
    ['{"a":{"\\ud800":1}}', '/a'],
    ['{"a":"\\ud800"}', '/a'],
    ['{"a":"\\uDFFF\\uD800"}', '/a'],
    ['["\\ud83d x"]', '/0'],
  ])('refuses %s', (text, pointer) => {
    expect(refusal(text)).toEqual({ code: 'characters', pointer })
  })

  test('takes pairs, and text that only mentions them', () => {
    expect(parse('["\\ud83d\\ude00","\u{1F600}","\\\\u0000","\\u0001"]')).toEqual([
      '\u{1F600}',
      '\u{1F600}',
      '\\u0000',
      '\u0001',
    ])
  })
})

describe('numbers', () => {
  test.each([
    '9007199254740993',
    '-9007199254740993',
    '1e400',
    '-1e400',
    '[123456789012345678901234567890]',
    '{"a":9223372036854775807}',
  ])('refuses one that would become another: %s', (text) => {
    expect(refusal(text)?.code).toBe('number_range')
  })

  test.each([
    '9007199254740992',
    '-9007199254740991',
    '1500000000000000000',
    '0.1',
    '-0',
    '1e20',
    '1E-7',
    '12.5e+3',
    '[1,2.5,-3]',
  ])('takes %s', (text) => {
    expect(parse(text)).toEqual(JSON.parse(text))
  })

  test('digits in strings are text', () => {
    expect(parse('"123456789012345678901234567890"')).toBe('123456789012345678901234567890')
  })
})
