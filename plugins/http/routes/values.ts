import { z } from 'zod'
import { QueueError } from '../../../kernel/index.ts'

/** A whole number in a query. */
export function whole(max: number = Number.MAX_SAFE_INTEGER) {
  return z.coerce.number().int().min(0).max(max)
}

/** How many entries; `standard` when nobody says. */
export function limit(standard: number, max: number) {
  return whole(max).min(1).default(standard)
}

/** Words with commas between them. */
export function words<const T extends readonly string[]>(known?: T) {
  const item = known ? z.enum(known) : z.string().min(1)
  return z
    .string()
    .transform((text) => text.split(','))
    .pipe(z.array(item as unknown as z.ZodType<T[number], string>))
}

/** On with `1`, `true` or no value at all (`?live`), off with `0` or `false`, and where it is absent. */
export const flag = z
  .enum(['true', '1', '', 'false', '0'])
  .transform((text) => text !== 'false' && text !== '0')
  .default(false)

/** An ISO date, as a Date. */
const date = z
  .string()
  .regex(/^\d{4}-\d{2}-\d{2}/, 'Expected an ISO date')
  .transform((text, context) => {
    const parsed = new Date(text)
    if (!Number.isNaN(parsed.getTime())) return parsed
    context.addIssue({ code: 'custom', message: 'Expected an ISO date such as 2026-01-31T12:00:00Z' })
    return z.NEVER
  })

/** The `seq` of an event, or an ISO date, in a query. */
export const moment = z.union([
  z
    .string()
    .regex(/^\d{1,15}$/, 'Expected the seq of an event')
    .transform(Number),
  date,
])

/** The same in a body, where numbers are numbers. */
export const bodyMoment = z.union([z.number().int().min(0), date])

/** Where the next page begins: whatever `value` is, as one word. */
export function toCursor(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

/** @throws QueueError `REQUEST_INVALID` */
export function fromCursor<T>(schema: z.ZodType<T>, cursor: string): T {
  try {
    return schema.parse(JSON.parse(Buffer.from(cursor, 'base64url').toString()))
  } catch (cause) {
    const hint = 'Pass "next" of the page before as it is.'
    throw new QueueError('REQUEST_INVALID', `"after" is no cursor of this list: "${cursor}". ${hint}`, { cause })
  }
}
