import { z } from 'zod'
import {
  EXPECTED,
  isHeaders,
  isMoment,
  isText,
  MAX_COMPOSED_BYTES,
  MAX_COUNT,
  MAX_DURATION,
  MAX_MOMENT,
  MAX_PRIORITY,
  MAX_TAGS,
  QueueError,
} from '../../../../kernel/index.ts'
import { traceHeadersOf } from '../../../lib/trace-headers.ts'

/** The maximum number of members of an object with names that a caller chooses. */
const MAX_MEMBERS = 10_000

/** An id, key, name or tag that a caller chooses. */
export const name = z.string().refine((text) => isText(text), `Expected ${EXPECTED.text}`)
/** An id that may be composed of several ids. */
export const reference = z
  .string()
  .refine((text) => isText(text, MAX_COMPOSED_BYTES), `Expected text of 1 to ${MAX_COMPOSED_BYTES} bytes without NUL`)
export const tags = z.array(name).max(MAX_TAGS)
/** Text by name. The rule is stricter than the limits of the single names and values. */
export const headers = z
  .record(z.string().max(10_000), z.string().max(10_000))
  .refine(isHeaders, `Expected ${EXPECTED.headers}`)
/** Returns the headers of a job: the headers that the caller names, and the context of the trace of its request. */
export function jobHeadersOf(request: Request, given: Readonly<Record<string, string>> = {}) {
  const all = { ...traceHeadersOf(request, { trusted: true }), ...given }
  return isHeaders(all) ? all : given
}

/** Values of the application by their names. `http.maxBody` limits the values. */
export const members = z
  .record(name, z.unknown())
  .refine((given) => Object.keys(given).length <= MAX_MEMBERS, `Expected at most ${MAX_MEMBERS} members`)
/** Text for people, such as the reason of a cancellation. */
export const prose = z.string().max(10_000)
/** Milliseconds. */
export const ms = z.number().min(0).max(MAX_DURATION)
export const count = z.number().int().min(1).max(MAX_COUNT)
export const priority = z.number().int().min(-MAX_PRIORITY).max(MAX_PRIORITY)
/** The offset of a page in a query. */
export const cursor = z.string().max(4096).describe('The "next" of the previous page')

/** A whole number in a query. */
export function whole(max: number = MAX_COUNT) {
  return z.coerce.number().int().min(0).max(max)
}

/** The number of entries of a page. Default: `standard`. */
export function limit(standard: number, max: number) {
  return whole(max).min(1).default(standard).describe('The maximum number of entries')
}

/** A list of words that commas separate. */
export function words<const T extends readonly string[]>(known?: T) {
  const item = known ? z.enum(known) : name
  return z
    .string()
    .transform((text) => text.split(','))
    .pipe(z.array(item as unknown as z.ZodType<T[number], string>).max(MAX_TAGS))
}

/** An ISO date that becomes a Date. */
const date = z
  .string()
  .max(100)
  .regex(/^\d{4}-\d{2}-\d{2}/, 'Expected an ISO date')
  .transform((text, context) => {
    const parsed = new Date(text)
    if (isMoment(parsed)) return parsed
    context.addIssue({ code: 'custom', message: 'Expected an ISO date such as 2026-01-31T12:00:00Z' })
    return z.NEVER
  })

/** A moment in a query: milliseconds since the epoch, or an ISO date. Becomes milliseconds. */
export const instant = z
  .union([
    z
      .string()
      .regex(/^\d{1,15}$/, 'Expected milliseconds since the epoch')
      .transform(Number)
      .pipe(z.number().max(MAX_MOMENT)),
    date.transform(Number),
  ])
  .describe('Milliseconds since the epoch, or an ISO date')

/** A flag. It is on with `1`, `true` or no value (`?live`), and off with `0`, `false` or if it is absent. */
export const flag = z
  .enum(['true', '1', '', 'false', '0'])
  .transform((text) => text !== 'false' && text !== '0')
  .default(false)

/** The `seq` of an event, or an ISO date, in a query. */
export const moment = z.union([
  z
    .string()
    .regex(/^\d{1,15}$/, 'Expected the seq of an event')
    .transform(Number),
  date,
])

/** The `seq` of an event as a number, or an ISO date, in a body. */
export const bodyMoment = z.union([z.number().int().min(0).max(MAX_MOMENT), date])
/** Milliseconds from now, or an ISO date, in a body. */
export const bodyDelay = bodyMoment.describe('Milliseconds from now, or an ISO date')

/** Encodes the position of the next page as a cursor. */
export function toCursor(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

/** @throws QueueError `REQUEST_INVALID` */
export function fromCursor<T>(schema: z.ZodType<T>, cursor: string): T {
  try {
    return schema.parse(JSON.parse(Buffer.from(cursor, 'base64url').toString()))
  } catch (cause) {
    const hint = 'Pass the "next" of the previous page unchanged.'
    throw new QueueError(
      'REQUEST_INVALID',
      `"after" is not a cursor of this list: "${cursor.slice(0, 100)}". ${hint}`,
      {
        cause,
      },
    )
  }
}
