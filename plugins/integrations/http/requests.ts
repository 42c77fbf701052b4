import type { z } from 'zod'
import { cutText, isText, MAX_COMPOSED_BYTES, QueueError, type ErrorCode } from '../../../kernel/index.ts'
import { receiveBody, type BodyHold } from '../../lib/request-body.ts'
import type { Route, Subject } from './routes/route.ts'
import { flag } from './routes/values.ts'

/** Decodes the parameters of a path, which may contain any character. @throws QueueError `REQUEST_INVALID` */
export function paramsOf(raw: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(raw).map(([name, text]) => {
      const decoded = decode(text)
      if (isText(decoded, MAX_COMPOSED_BYTES)) return [name, decoded]
      const expected = `is text of 1 to ${MAX_COMPOSED_BYTES} bytes without NUL`
      throw new QueueError('REQUEST_INVALID', `"${name}" in a path ${expected}; got "${text.slice(0, 100)}".`)
    }),
  )
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    const came = text.slice(0, 100)
    throw new QueueError('REQUEST_INVALID', `The path contains "${came}", which is not valid URL encoding.`)
  }
}

/**
 * Parses the query according to its route. A parameter without a value counts as absent, unless it is a flag.
 *
 * @throws QueueError `REQUEST_INVALID`
 */
export function queryOf({ query }: Route, url: URL): unknown {
  const given: Record<string, string> = {}
  for (const [name, text] of url.searchParams) {
    if (Object.hasOwn(given, name)) throw new QueueError('REQUEST_INVALID', `The query contains "${name}" twice.`)
    if (text !== '' || query?.shape[name] === flag) given[name] = text
  }
  if (query) return check(query, given, 'REQUEST_INVALID', 'query')
  const unknown = Object.keys(given)[0]
  if (unknown === undefined) return undefined
  throw new QueueError(
    'REQUEST_INVALID',
    `The query parameter "${unknown}" is unknown. This route has no query parameters.`,
  )
}

/**
 * Returns the JSON body of a request that changes something, or `{}` if the body is empty. The content type must be
 * declared, because a form of another site cannot declare it.
 *
 * @throws QueueError `MEDIA_TYPE_UNKNOWN`, `PAYLOAD_TOO_LARGE`, `REQUEST_INVALID`, `RATE_LIMITED`
 */
export async function receiveJson(request: Request, limit: number, hold?: BodyHold): Promise<unknown> {
  const type = request.headers.get('content-type') ?? ''
  if (!/^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i.test(type)) {
    const came = type === '' ? 'none' : `"${type.slice(0, 100)}"`
    throw new QueueError('MEDIA_TYPE_UNKNOWN', `Send a body of content-type application/json; got ${came}.`)
  }
  const body = await receiveBody(request, limit, 'http.maxBody', hold)
  if (body === undefined || body.length === 0) return {}
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body)) as unknown
  } catch (cause) {
    throw new QueueError('REQUEST_INVALID', `The body is not JSON: ${(cause as Error).message}`, { cause })
  }
}

/** @throws QueueError `VALIDATION_FAILED` */
export function bodyOf({ body }: Route, json: unknown): unknown {
  if (body) return check(body, json, 'VALIDATION_FAILED', 'body')
  if (isObject(json) && Object.keys(json).length === 0) return undefined
  throw new QueueError('VALIDATION_FAILED', 'This route takes an empty body, or {}.')
}

/** Returns the subject of an action from the path and the body. */
export function subjectOf(
  route: Route,
  params: Subject,
  json: unknown,
  kernel: Parameters<NonNullable<Route['subject']>>[0],
): Subject {
  return route.subject && isObject(json) ? { ...params, ...route.subject(kernel, json) } : params
}

/** A hostile body may have a million errors, and each may repeat a part of the body. */
const MAX_ISSUES = 20
const MAX_ISSUE = 500

/** Parses a value. @throws QueueError with the given code */
export function check(schema: z.ZodType, value: unknown, code: ErrorCode, what: string): unknown {
  const { success, data, error } = schema.safeParse(value)
  if (success) return data
  const issues = error.issues
    .slice(0, MAX_ISSUES)
    .map(({ path, message }) => ({ path: cutText(path.join('.'), MAX_ISSUE), message: cutText(message, MAX_ISSUE) }))
  const lines = issues.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`))
  throw new QueueError(code, `The ${what} is invalid: ${lines.join('; ')}.`, { details: { issues } })
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
