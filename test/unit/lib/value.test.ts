import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { cloneValue, copyValue } from '../../../plugins/lib/value.ts'

const LIMIT = 1_000_000
const plain = fc.anything({ withBigInt: true, withDate: true, withNullPrototype: false, withTypedArray: false })

/** Every object reachable from a value. */
function objectsIn(value: unknown, found = new Set<object>()): Set<object> {
  if (typeof value !== 'object' || value === null || found.has(value)) return found
  found.add(value)
  for (const member of Object.values(value)) objectsIn(member, found)
  return found
}

describe('copies of plain data', () => {
  it.each([
    ['checked', (value: unknown) => copyValue(value, LIMIT, 'value')],
    ['unchecked', cloneValue],
  ])('equal the original and share nothing with it, %s', (_kind, copy) => {
    fc.assert(
      fc.property(plain, (value) => {
        const copied = copy(value)
        expect(copied).toEqual(value)
        const originals = objectsIn(value)
        expect([...objectsIn(copied)].filter((object) => originals.has(object))).toEqual([])
      }),
    )
  })

  it('keep bytes, dates, special numbers and a key of __proto__', () => {
    const value = {
      bytes: Buffer.from([1, 2, 255]),
      date: new Date(5),
      numbers: [Number.NaN, Infinity, -0, 10n],
      text: 'lone \ud800 surrogate',
      nothing: undefined,
      nested: JSON.parse('{"__proto__": {"evil": true}}') as unknown,
    }
    const copied = copyValue(value, LIMIT, 'value')
    expect(copied).toEqual({ ...value, bytes: new Uint8Array([1, 2, 255]) })
    expect(Object.is(copied.numbers[2], -0)).toBe(true)
    expect(Object.getPrototypeOf(copied.nested)).toBe(Object.prototype)
    expect(({} as { evil?: boolean }).evil).toBeUndefined()
  })
})

describe('a value that cannot be serialized', () => {
  it.each([
    ['a function', { on: () => {} }, 'function at "on"'],
    ['a symbol', [Symbol('s')], 'symbol at "0"'],
    ['a Map', { deep: { map: new Map() } }, 'Map at "deep.map"'],
    ['a class instance', { url: new URL('http://localhost') }, 'URL at "url"'],
    ['a promise', Promise.resolve(), 'Promise'],
  ])('is refused with its kind and path: %s', (_what, value, said) => {
    expect(() => copyValue(value, LIMIT, 'data of job "x"')).toThrow(`The data of job "x" holds a ${said}`)
  })

  it('is rejected when it refers to itself', () => {
    const loop: { self?: unknown } = {}
    loop.self = loop
    expect(() => copyValue(loop, LIMIT, 'value')).toThrow(/refers to itself/)
  })

  it('is rejected when it is too large, in any structure', () => {
    for (const value of [
      'x'.repeat(200),
      ['x'.repeat(200)],
      { x: 'x'.repeat(200) },
      new Uint8Array(200),
      Array.from({ length: 50 }, () => 0),
    ]) {
      expect(() => copyValue(value, 100, 'value')).toThrow(/larger than 100 bytes/)
    }
  })
})

it('counts bytes, not characters, and the digits of a bigint', () => {
  const fits = (value: unknown, limit: number): boolean => {
    try {
      copyValue(value, limit, 'data')
      return true
    } catch {
      return false
    }
  }
  expect(fits('a'.repeat(900), 1000)).toBe(true)
  expect(fits('é'.repeat(900), 1000)).toBe(false)
  expect(fits({ text: '🐄'.repeat(240) }, 1000)).toBe(true)
  expect(fits({ text: '🐄'.repeat(260) }, 1000)).toBe(false)
  expect(fits({ ['é'.repeat(600)]: 1 }, 1000)).toBe(false)
  expect(fits(['é'.repeat(300), 'é'.repeat(300)], 1000)).toBe(false)
  expect(fits(10n ** 900n, 1000)).toBe(true)
  expect(fits(10n ** 1100n, 1000)).toBe(false)
  expect(fits({ big: 10n ** 1100n }, 1000)).toBe(false)
})
