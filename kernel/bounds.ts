import type { ErrorCode } from '../contracts/index.ts'
import { QueueError } from './errors.ts'
import { shown } from './shown.ts'

/*
 * What an id, key, name, tag, moment, duration and count may be. Every adapter stores what passes here, so one bad
 * value never fails the statement or script that carries other jobs beside it.
 */

/** The longest id, key, name or tag, in bytes as UTF-8: adapters keep them in indexes. */
export const MAX_TEXT_BYTES = 512
/** The longest id or key that plugins put together from two of those. */
export const MAX_COMPOSED_BYTES = 1200
/** The last millisecond of the year 9999, since the epoch. */
export const MAX_MOMENT = 253_402_300_799_999
/** A thousand years, in milliseconds. */
export const MAX_DURATION = 31_556_952_000_000
/** The largest count, such as `attempts` or `concurrency`: 32 bits with a sign. */
export const MAX_COUNT = 2_147_483_647
/** The largest priority, in both directions; up to here doubles hold whole numbers exactly. */
export const MAX_PRIORITY = Number.MAX_SAFE_INTEGER

/** No text of so few characters takes more bytes than `MAX_TEXT_BYTES`. */
const SURELY_SHORT = Math.floor(MAX_TEXT_BYTES / 3)

/** Whether a value is text that every adapter can store and index: well-formed, not empty, without NUL, 512 bytes at most. */
export function isText(value: unknown, maxBytes: number = MAX_TEXT_BYTES): value is string {
  return (
    typeof value === 'string' &&
    value !== '' &&
    (value.length <= SURELY_SHORT || (value.length <= maxBytes && Buffer.byteLength(value) <= maxBytes)) &&
    value.isWellFormed() &&
    !value.includes('\0')
  )
}

/** Whether a value is a moment from 1970 to 9999: milliseconds since the epoch, or a valid Date. */
export function isMoment(value: unknown): value is number | Date {
  const time = value instanceof Date ? value.getTime() : value
  return typeof time === 'number' && time >= 0 && time <= MAX_MOMENT
}

/** Whether a value is a number of milliseconds from 0 to a thousand years. */
export function isDuration(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= MAX_DURATION
}

/** Whether a value is a whole number from `min` to 2,147,483,647. */
export function isCount(value: unknown, min = 1): value is number {
  return Number.isInteger(value) && (value as number) >= min && (value as number) <= MAX_COUNT
}

/** Whether a value is a number that jobs can be ordered by. */
export function isPriority(value: unknown): value is number {
  return typeof value === 'number' && value >= -MAX_PRIORITY && value <= MAX_PRIORITY
}

/** What each kind of value has to be, as errors say it. */
export const EXPECTED = {
  text: `well-formed text of 1 to ${MAX_TEXT_BYTES} bytes without NUL`,
  moment: 'a date from 1970 to 9999, as milliseconds since the epoch or a Date',
  duration: 'a number of milliseconds from 0 to 31,556,952,000,000 (a thousand years)',
  count: 'a whole number from 1 to 2,147,483,647',
  priority: 'a finite number, not beyond the safe integers',
} as const

/**
 * Returns an id, key, name or tag as it is.
 *
 * @param what names the value in the error, for example `Option "id" of job "mail"`
 * @throws QueueError `OPTION_INVALID`, or `code`
 */
export function checkText(what: string, value: unknown, code?: ErrorCode): string {
  if (isText(value)) return value
  throw invalid(what, EXPECTED.text, value, code)
}

/** Returns an id or key that a plugin has put together. @throws QueueError `OPTION_INVALID` */
export function checkComposed(what: string, value: unknown): string {
  if (isText(value, MAX_COMPOSED_BYTES)) return value
  throw invalid(what, EXPECTED.text, value)
}

/** Returns a moment as milliseconds since the epoch. @throws QueueError `OPTION_INVALID`, or `code` */
export function checkMoment(what: string, value: unknown, code?: ErrorCode): number {
  if (isMoment(value)) return Number(value)
  throw invalid(what, EXPECTED.moment, value, code)
}

/** Returns a duration as it is. @throws QueueError `OPTION_INVALID`, or `code` */
export function checkDuration(what: string, value: unknown, code?: ErrorCode): number {
  if (isDuration(value)) return value
  throw invalid(what, EXPECTED.duration, value, code)
}

/** Returns a count as it is. @throws QueueError `OPTION_INVALID`, or `code` */
export function checkCount(what: string, value: unknown, code?: ErrorCode): number {
  if (isCount(value)) return value
  throw invalid(what, EXPECTED.count, value, code)
}

/** The error of a value that is not what it has to be. `what` begins the sentence. */
export function invalid(
  what: string,
  expected: string,
  value: unknown,
  code: ErrorCode = 'OPTION_INVALID',
): QueueError {
  return new QueueError(code, `${what} is ${expected}; got ${shown(value)}.`, { details: { option: what } })
}
