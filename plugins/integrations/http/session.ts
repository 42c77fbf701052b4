import { z } from 'zod'
import { ACTIONS } from './access.ts'
import { unauthorized, type Guard } from './guard.ts'
import type { HttpOptions } from './options.ts'
import { methodUnknown, routeUnknown } from './problems.ts'
import { check, receiveJson } from './requests.ts'
import { SESSION_COOKIE, SESSION_DURATION } from './token.ts'

const body = z.strictObject({ token: z.string().max(1000) })

/**
 * Handles requests to `session`, with which a browser signs in. GET returns what the request may do, POST turns a token into a
 * cookie, and DELETE removes the cookie. The cookie has no path, so browsers send it to all routes of the API and to nothing else.
 */
export function createSession({ guard, options }: { guard: Guard; options: HttpOptions }) {
  async function open(request: Request): Promise<Response> {
    const { token } = check(body, await receiveJson(request, options.maxBody), 'VALIDATION_FAILED', 'body') as z.infer<
      typeof body
    >
    const session = guard.openSession(request, token)
    if (session === undefined) throw unauthorized()
    return withCookie(request, session, SESSION_DURATION / 1000)
  }

  /** Returns the actions that the request may take on some subject, as far as this is known without a subject. */
  async function describe(request: Request): Promise<Response> {
    const allowed = await Promise.all(ACTIONS.map((type) => guard.mayRead(request, { type })))
    const actions = ACTIONS.filter((_action, index) => allowed[index])
    return json({ signIn: guard.hasTokens, actions })
  }

  return async (request: Request): Promise<Response> => {
    guard.assertReachable(request)
    guard.assertSameSite(request)
    if (request.method === 'GET') return describe(request)
    if (request.method !== 'POST' && request.method !== 'DELETE') {
      throw methodUnknown(request.method, ['GET', 'POST', 'DELETE'])
    }
    if (!guard.hasTokens) throw routeUnknown()
    return request.method === 'POST' ? open(request) : withCookie(request, '', 0)
  }
}

function withCookie(request: Request, value: string, seconds: number): Response {
  const proto = request.headers.get('x-forwarded-proto')?.split(',')[0]?.trim()
  const secure = proto === 'https' || new URL(request.url).protocol === 'https:'
  const parts = [`${SESSION_COOKIE}=${value}`, `Max-Age=${seconds}`, 'HttpOnly', 'SameSite=Strict']
  return json({ changed: true }, { 'set-cookie': [...parts, ...(secure ? ['Secure'] : [])].join('; ') })
}

function json(value: object, headers: Record<string, string> = {}): Response {
  const fixed = { 'content-type': 'application/json', 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' }
  return new Response(JSON.stringify(value), { headers: { ...fixed, ...headers } })
}
