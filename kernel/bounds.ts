import { createHash } from 'node:crypto'
import type { ErrorCode } from '../contracts/index.ts'
import { QueueError } from './errors.ts'
import { shown } from './shown.ts'

/*
 * The rules for ids, keys, names, tags, headers, moments, durations and counts. Every adapter can store a value that passes them. One
 * invalid value therefore never fails a statement or script that also stores other jobs.
 */

/** The longest id, key, name or tag, in bytes of UTF-8. Adapters keep them in indexes. */
export const MAX_TEXT_BYTES = 512
/** The longest id or key that plugins compose from two texts. */
export const MAX_COMPOSED_BYTES = 1200
/** The last millisecond of the year 9999, in milliseconds since the epoch. */
export const MAX_MOMENT = 253_402_300_799_999
/** A thousand years, in milliseconds. */
export const MAX_DURATION = 31_556_952_000_000
/** The largest count, such as `attempts` or `concurrency`: the largest signed 32-bit integer. */
export const MAX_COUNT = 2_147_483_647
/** The maximum number of tags of a job or a run, and of words in a list. */
export const MAX_TAGS = 100
/** The maximum number of headers of a job, and their largest size as JSON in characters. */
const MAX_HEADERS = 32
const MAX_HEADER_SIZE = 8192
/** The largest absolute priority. Doubles represent integers exactly up to this value. */
export const MAX_PRIORITY = Number.MAX_SAFE_INTEGER

/** A text with at most this many characters never exceeds `MAX_TEXT_BYTES`. */
const SAFE_LENGTH = Math.floor(MAX_TEXT_BYTES / 3)

/** Whether a value is text that every adapter can store and index: well-formed, not empty, without NUL, 512 bytes at most. */
export function isText(value: unknown, maxBytes: number = MAX_TEXT_BYTES): value is string {
  return (
    typeof value === 'string' &&
    value !== '' &&
    (value.length <= SAFE_LENGTH || (value.length <= maxBytes && Buffer.byteLength(value) <= maxBytes)) &&
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

/** Describes the valid values of each kind, for error messages. */
export const EXPECTED = {
  text: `well-formed text of 1 to ${MAX_TEXT_BYTES} bytes without NUL`,
  moment: 'a date from 1970 to 9999, as milliseconds since the epoch or a Date',
  duration: 'a number of milliseconds from 0 to 31,556,952,000,000 (a thousand years)',
  count: 'a whole number from 1 to 2,147,483,647',
  priority: 'a finite number within the range of safe integers',
  tags: `at most ${MAX_TAGS} texts of 1 to ${MAX_TEXT_BYTES} bytes`,
  headers: `at most ${MAX_HEADERS} named texts, ${MAX_HEADER_SIZE} characters in total`,
} as const

/**
 * Returns an id, key, name or tag unchanged.
 *
 * @param what names the value in the error, for example `Option "id" of job "mail"`
 * @throws QueueError `OPTION_INVALID`, or `code`
 */
export function checkText(what: string, value: unknown, code?: ErrorCode): string {
  if (isText(value)) return value
  throw invalid(what, EXPECTED.text, value, code)
}

/** Returns an id or key that may be composed from two texts, unchanged. @throws QueueError `OPTION_INVALID` */
export function checkComposed(what: string, value: unknown): string {
  if (isText(value, MAX_COMPOSED_BYTES)) return value
  throw invalid(what, EXPECTED.text.replace(String(MAX_TEXT_BYTES), String(MAX_COMPOSED_BYTES)), value)
}

/** Returns a composed id. Replaces the part that exceeds the limit with a hash. */
export function fitText(text: string): string {
  if (text.length <= SAFE_LENGTH || Buffer.byteLength(text) <= MAX_TEXT_BYTES) return text
  const hash = createHash('sha256').update(text).digest('hex')
  return `${Buffer.from(text)
    .toString('utf8', 0, 400)
    .replace(/\ufffd+$/, '')}~${hash}`
}

/** Whether a value is a list of tags. They need not be distinct. */
export function isTags(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.length <= MAX_TAGS && value.every((tag) => isText(tag))
}

/** Returns the tags without duplicates. @throws QueueError `OPTION_INVALID` */
export function checkTags(what: string, tags: unknown): string[] {
  if (!isTags(tags)) throw invalid(what, EXPECTED.tags, tags)
  return [...new Set(tags)]
}

/**
 * Whether a value is a map of headers. A name begins with a letter and consists of letters, digits, `-`, `_` and `.`. A value is
 * well-formed text without NUL.
 */
export function isHeaders(value: unknown): value is Readonly<Record<string, string>> {
  const isOne = ([name, text]: unknown[]) =>
    /^[a-z][\w.-]*$/i.test(name as string) && (text === '' || isText(text, MAX_HEADER_SIZE))
  const all = isObject(value) && Object.entries(value)
  return all && all.length <= MAX_HEADERS && all.every(isOne) && JSON.stringify(value).length <= MAX_HEADER_SIZE
}

/** Returns a copy of headers, or `undefined` if there are none. @throws QueueError `OPTION_INVALID` */
export function checkHeaders(what: string, headers: unknown): Record<string, string> | undefined {
  if (!isHeaders(headers)) throw invalid(what, EXPECTED.headers, headers)
  for (const _any in headers) return { ...headers }
  return undefined
}

/** Whether a value is an object but not an array. */
export function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * Refuses unknown members of an options object.
 *
 * @throws QueueError `OPTION_INVALID`, or `code`, that names the closest known member
 */
export function checkKeys(what: string, value: unknown, known: readonly string[], code?: ErrorCode): void {
  if (!isObject(value)) throw invalid(what, 'an object', value, code)
  for (const key in value) if (!known.includes(key)) throw unknownKey(what, key, known, code)
}

/** Returns the error for an unknown member. Its message names the most similar known member. */
export function unknownKey(
  what: string,
  key: string,
  known: readonly string[],
  code: ErrorCode = 'OPTION_INVALID',
): QueueError {
  const noun = code === 'CONFIG_INVALID' ? 'key' : 'option'
  const list = known.join(', ') || 'none'
  const message = `${what} has an unknown ${noun} ${shown(key)}. There are: ${list}.${didYouMean(key, known)}`
  return new QueueError(code, message, { details: { [noun]: key } })
}

/** Returns ` Did you mean "mail"?` if a known word is similar to the given word, otherwise an empty string. */
export function didYouMean(word: string, known: readonly string[]): string {
  const closest = known.toSorted((a, b) => distance(word, a) - distance(word, b))[0]
  return closest !== undefined && distance(word, closest) <= 1 + word.length / 4 ? ` Did you mean "${closest}"?` : ''
}

/** Returns the number of letters to change, add or remove to turn one word into another. Ignores case. */
export function distance(from: string, to: string): number {
  const [a, b] = [from.slice(0, 40).toLowerCase(), to.toLowerCase()]
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1))
    }
    row = next
  }
  return row[b.length]!
}

/** Returns a moment as milliseconds since the epoch. @throws QueueError `OPTION_INVALID`, or `code` */
export function checkMoment(what: string, value: unknown, code?: ErrorCode): number {
  if (isMoment(value)) return Number(value)
  throw invalid(what, EXPECTED.moment, value, code)
}

/** Returns a duration unchanged. @throws QueueError `OPTION_INVALID`, or `code` */
export const checkDuration = checkNumber(isDuration, EXPECTED.duration)
/** Returns a count unchanged. @throws QueueError `OPTION_INVALID`, or `code` */
export const checkCount = checkNumber(isCount, EXPECTED.count)

function checkNumber(test: (value: unknown) => value is number, expected: string) {
  return (what: string, value: unknown, code?: ErrorCode): number => {
    if (test(value)) return value
    throw invalid(what, expected, value, code)
  }
}

/** Returns the error for an invalid value. `what` begins the sentence: `Option "id" of job "mail"`. */
export function invalid(
  what: string,
  expected: string,
  value: unknown,
  code: ErrorCode = 'OPTION_INVALID',
): QueueError {
  const option = /^Option "([^"]+)"/.exec(what)?.[1] ?? what
  return new QueueError(code, `${what} is ${expected}; got ${shown(value)}.`, { details: { option } })
}
