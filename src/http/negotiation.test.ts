import { expect, test } from 'vitest'
import { acceptsJson, isMediaType } from './negotiation.js'

test.each([
  undefined,
  '*/*',
  'application/json',
  'APPLICATION/JSON',
  'application/*',
  'application/problem+json',
  'application/vnd.zenith.partial+json',
  'text/html, application/json;q=0.1',
  'text/html,*/*;q=0.001',
  'application/json; charset=utf-8',
  ' application/json ; q=1.0',
])('JSON is acceptable: %s', (accept) => {
  expect(acceptsJson(accept)).toBe(true)
})

test.each([
  '',
  'text/html',
  'application/xml',
  'application/json;q=0',
  'application/json; q=0.000',
  '*/*;q=0',
  'json',
  'application/jsonp',
  'application/vnd.zenith+json',
  'application/vndxzenithxpartial+json',
  'text/*',
])('JSON is not acceptable: %j', (accept) => {
  expect(acceptsJson(accept)).toBe(false)
})

const declared = ['application/merge-patch+json', 'application/json']

test.each([
  'application/json',
  'Application/JSON',
  'application/json; charset=utf-8',
  'application/json;charset="UTF-8"',
  'application/merge-patch+json',
])('is a declared media type: %s', (type) => {
  expect(isMediaType(type, declared)).toBe(true)
})

test.each([
  '',
  'text/plain',
  'application/xml',
  'application/vnd.api+json',
  'application/json; charset=latin1',
  'application/json; charset=utf-16',
  'application/json; boundary=x',
  'application/json, text/plain',
  'application/json;',
])('is not a declared media type: %j', (type) => {
  expect(isMediaType(type, declared)).toBe(false)
})
