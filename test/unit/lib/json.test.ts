import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeJson, encodeJson } from '../../../plugins/lib/json.ts'

const roundTrip = (value: unknown): unknown => decodeJson(encodeJson(value))

const leaf = fc.oneof(
  fc.constantFrom(null, undefined, true, false, Number.NaN, Infinity, -Infinity, -0),
  fc.double(),
  fc.integer(),
  fc.bigInt(),
  fc.date({ noInvalidDate: false }),
  fc.uint8Array(),
  fc.string({ unit: 'binary' }),
)
const key = fc.oneof(
  fc.string(),
  fc.constantFrom('$date', '$bigint', '$bytes', '$undefined', '$number', '$object', '$', '__proto__', 'toJSON'),
)
const { value: travelling } = fc.letrec((tie) => ({
  value: fc.oneof({ depthSize: 'small' }, leaf, fc.array(tie('value')), tie('object')),
  object: fc
    .uniqueArray(fc.tuple(key, tie('value')), { selector: ([name]) => name, maxLength: 4 })
    .map((entries) => Object.fromEntries(entries)),
}))

test('every supported value is encoded on one line and decoded unchanged', () => {
  fc.assert(
    fc.property(travelling, (value) => {
      const text = encodeJson(value)
      expect(text).not.toContain('\n')
      expect(decodeJson(text)).toStrictEqual(value)
    }),
    { numRuns: 2000 },
  )
})

test('JSON of other software without tags is read unchanged', () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      expect(decodeJson(text)).toStrictEqual(JSON.parse(text))
    }),
  )
  expect(decodeJson('{"$ref":"#/a","x":{"$bigint":"no number"}}')).toStrictEqual({
    $ref: '#/a',
    x: { $bigint: 'no number' },
  })
})

test('plain data is written as plain JSON', () => {
  expect(encodeJson({ a: [1, 'x', null], $b: 1, $c: 2 })).toBe('{"a":[1,"x",null],"$b":1,"$c":2}')
})

test('objects of a user that look like a tag are escaped at any depth', () => {
  const nested = { $object: { $object: { $date: '2026-01-01T00:00:00.000Z' } } }
  expect(encodeJson({ $date: 'x' })).toBe('{"$object":{"$date":"x"}}')
  expect(roundTrip(nested)).toStrictEqual(nested)
})

test('a key named __proto__ stays a key', () => {
  const value = JSON.parse('{"__proto__":{"polluted":true},"when":1}') as Record<string, unknown>
  value.when = new Date(0)
  const back = roundTrip(value) as Record<string, unknown>
  expect(Object.keys(back)).toEqual(['__proto__', 'when'])
  expect(Object.getPrototypeOf(back)).toBe(Object.prototype)
})

test('a Buffer arrives as its own bytes, without the rest of its pool', () => {
  const shared = Buffer.from('abcdef').subarray(2, 4)
  expect(roundTrip(shared)).toStrictEqual(new Uint8Array([99, 100]))
})

test.each([
  ['function', () => {}],
  ['symbol', Symbol('s')],
  ['Map', new Map()],
])('a %s is refused with its kind', (kind, value) => {
  expect(() => encodeJson({ deep: [value] })).toThrow(
    expect.objectContaining({ code: 'VALUE_UNSUPPORTED', details: { kind } }),
  )
})
