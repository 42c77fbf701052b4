import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checkCount, checkDuration, checkMoment, checkText, isPriority, shown } from '../../kernel/index.ts'
import { badCount, badDuration, badMoment, badPriority, badText, CASES, goodText } from './hostile.ts'

const refused = expect.objectContaining({ code: 'OPTION_INVALID', details: { option: 'The thing' } })

const refuses = (check: (what: string, value: unknown) => unknown, bad: fc.Arbitrary<unknown>): void => {
  fc.assert(
    fc.property(bad, (value) => {
      expect(() => check('The thing', value)).toThrow(refused)
    }),
    { numRuns: CASES },
  )
}

describe('the bounds of values', () => {
  it('reject text that a store cannot index', () => refuses(checkText, badText))
  it('reject durations that no timer or store can represent', () => refuses(checkDuration, badDuration))
  it('reject moments that no store can represent', () => refuses(checkMoment, badMoment))
  it('reject invalid counts', () => refuses(checkCount, badCount))

  it('accept unusual text', () => {
    fc.assert(
      fc.property(goodText, (text) => {
        expect(checkText('The thing', text)).toBe(text)
      }),
      { numRuns: CASES },
    )
  })

  it('reject priorities that cannot be ordered', () => {
    fc.assert(
      fc.property(badPriority, (value) => {
        expect(isPriority(value)).toBe(false)
      }),
    )
  })

  it('accept the first and the last value of each range', () => {
    expect(checkDuration('The thing', 0)).toBe(0)
    expect(checkDuration('The thing', 31_556_952_000_000)).toBe(31_556_952_000_000)
    expect(checkMoment('The thing', new Date('9999-12-31T23:59:59.999Z'))).toBe(253_402_300_799_999)
    expect(checkMoment('The thing', 0)).toBe(0)
    expect(checkCount('The thing', 1)).toBe(1)
    expect(checkCount('The thing', 2 ** 31 - 1)).toBe(2 ** 31 - 1)
  })

  it('show any value in an error, shortened and without running its code', () => {
    const trap = new Proxy({}, { get: () => expect.unreachable() })
    const loud = { [Symbol.for('nodejs.util.inspect.custom')]: () => expect.unreachable() }
    expect(shown(trap)).toBe('{}')
    expect(shown(loud)).toContain('[Function')
    expect(shown('\ud800')).toBe(String.raw`"\ud800"`)
    expect(shown('x'.repeat(3000))).toContain('(3000 characters)')
    fc.assert(
      fc.property(fc.anything(), (value) => {
        expect(shown(value).length).toBeLessThan(300)
      }),
    )
  })
})
