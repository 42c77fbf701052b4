import fc from 'fast-check'
import {
  BAD_COUNTS,
  BAD_DURATIONS,
  BAD_MOMENTS,
  BAD_PRIORITIES,
  BAD_TEXTS,
  GOOD_TEXTS,
} from '../../testing/conformance/hostile.ts'

/* Arbitraries that draw from the lists of hostile values and make variants of them. */

export const badText: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom(...BAD_TEXTS),
  fc.tuple(fc.string(), fc.constantFrom('\0', '\ud800', '\udc00'), fc.string()).map((parts) => parts.join('\0')),
  fc.string({ minLength: 513, maxLength: 4000 }),
)
export const goodText: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(...GOOD_TEXTS),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }).filter((text) => !text.includes('\0')),
)
export const badDuration: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom(...BAD_DURATIONS),
  fc.double({ max: -Number.MIN_VALUE }).filter((value) => value !== 0),
  fc.double({ min: 31_556_952_000_001 }),
)
export const badMoment: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom(...BAD_MOMENTS),
  fc.double({ min: 253_402_300_800_000 }),
)
export const badCount: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom(...BAD_COUNTS),
  fc.double({ noInteger: true }),
  fc.integer({ max: 0 }),
)
export const badPriority: fc.Arbitrary<unknown> = fc.constantFrom(...BAD_PRIORITIES)

/** How many cases a property is tried with: few in the test run, more with `PROPERTY_CASES`. */
export const CASES = Number(process.env.PROPERTY_CASES ?? 200)
