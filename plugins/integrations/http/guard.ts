import { isPromise, QueueError, systemClock, type Kernel, type MaybePromise } from '../../../kernel/index.ts'
import { withinTime } from '../../lib/within-time.ts'
import type { Decision, HttpAction } from './access.ts'
import type { AddressLimit } from './address-limit.ts'
import type { HttpOptions } from './options.ts'
import { remoteReason } from '../lib/peer.ts'
import { pageOf } from '../lib/error-page.ts'
import { PROBLEM_TYPE, routeUnknown } from './problems.ts'
import { createTokenCheck, permits } from './token.ts'

export interface Guard {
  /** False if nothing is authorized. The interface must then not reveal that it exists. */
  readonly open: boolean
  /** Whether a browser can sign in with a token. */
  readonly hasTokens: boolean
  /**
   * Refuses requests that no route would serve. For pages without data, which other sites may link to.
   *
   * @throws QueueError `ROUTE_UNKNOWN`, `REQUEST_FORBIDDEN`
   */
  assertReachable(request: Request): void
  /**
   * Returns the cookie of a new session for a known token. Wrong tokens count against the address.
   *
   * @throws QueueError `RATE_LIMITED`
   */
  openSession(request: Request, token: string): string | undefined
  /** @throws QueueError `REQUEST_FORBIDDEN` for a request that a page of another site made a browser send */
  assertSameSite(request: Request): void
  /**
   * Counts a request without a known token against its address, before its body is received. Resolves with a function that reverts the
   * count once the request is allowed. Refuses the request immediately if `authorize` does not have to see its body.
   *
   * @throws QueueError `RATE_LIMITED`, and the errors of `assertAllowed`
   */
  enter(request: Request, action: HttpAction): Promise<() => void>
  /** Returns whether `authorize` has to see the body of a request before its sender is known. */
  isUndecided(request: Request): boolean
  /**
   * @throws QueueError `REQUEST_FORBIDDEN`; `ROUTE_UNKNOWN` if nothing is authorized
   * @throws Response that `authorize` returned
   */
  assertAllowed(request: Request, action: HttpAction): Promise<void>
  /**
   * Authorizes a request without a body, and counts a refused request against its address.
   *
   * @throws QueueError `RATE_LIMITED`, `REQUEST_FORBIDDEN`, and the errors of `assertAllowed`
   */
  admit(request: Request, action: HttpAction): Promise<void>
  /** Returns the actor of an authorized request, if a token or `authorize` names one. */
  actorOf(request: Request): string | undefined
  /** Returns whether the request may see an entry of a list. */
  mayRead(request: Request, action: HttpAction): Promise<boolean>
  /** Returns the headers that let an allowed origin read the response. */
  corsHeaders(request: Request): Record<string, string>
}

/** The maximum length of the name of an actor, in characters. */
const MAX_ACTOR = 200
const LOCAL_HOSTS = ['localhost', '127.0.0.1', '[::1]']

export function createGuard(kernel: Kernel, options: HttpOptions, limit: AddressLimit): Guard {
  const { authorize, token, cors, allowedHosts, production } = options
  const origins = new Set((cors || []).map((url) => new URL(url).origin))
  const hosts = new Set([...LOCAL_HOSTS, ...allowedHosts.map((name) => name.toLowerCase())])
  const tokens = token && createTokenCheck(token, () => kernel.clock.now())
  const holderOf = tokens?.holderOf
  const open = isProtected(options) || !production
  const actors = new WeakMap<Request, string>()

  /** A known token decides first, then `authorize`. Without both, production refuses every request. */
  async function ask(request: Request, action: HttpAction): Promise<boolean | Response> {
    const holder = holderOf?.(request)
    if (holder !== undefined) {
      actors.set(request, holder.actor)
      return permits(holder.role, action)
    }
    if (authorize) return verdictOf(request, await inTime(authorize(request, action, kernel), options.authorizeTimeout))
    if (holderOf) return action.type === 'health.read' || unauthorized()
    return !production
  }

  function verdictOf(request: Request, answer: boolean | Decision | Response): boolean | Response {
    if (typeof answer === 'boolean' || answer instanceof Response) return answer
    const { allow, actor } = Object(answer) as Partial<Decision>
    if (typeof actor === 'string') actors.set(request, actor.slice(0, MAX_ACTOR))
    return allow === true
  }

  async function assertAllowed(request: Request, action: HttpAction): Promise<void> {
    const answer = await ask(request, action)
    if (answer === true) return
    if (answer instanceof Response) throw answer
    if (!isProtected(options)) throw routeUnknown()
    throw forbidden(`This request may not do "${action.type}" here.`)
  }

  const guard: Guard = {
    open,
    hasTokens: tokens !== undefined,
    assertReachable(request) {
      if (!open) throw routeUnknown()
      if (!isProtected(options)) assertLocal(request, hosts)
    },
    openSession(request, given) {
      const welcome = limit.enter(request)
      const session = tokens?.openSession(given)
      if (session !== undefined) welcome()
      return session
    },
    assertSameSite(request) {
      if (!isProtected(options)) assertLocal(request, hosts)
      const origin = request.headers.get('origin')
      const site = request.headers.get('sec-fetch-site')
      if (site === 'same-origin' || (origin !== null && origins.has(origin))) return
      const foreign = origin === null ? site === 'cross-site' : !hostsOf(request).includes(hostOf(origin) ?? '')
      if (!foreign) return
      const hint = 'Add its origin to http.cors if it may.'
      throw forbidden(`A page of another site (${origin ?? 'unknown'}) sent this request. ${hint}`)
    },
    async enter(request, action) {
      const welcome = holderOf?.(request) === undefined ? limit.enter(request) : () => {}
      if (!authorize) await assertAllowed(request, action)
      return welcome
    },
    async admit(request, action) {
      guard.assertSameSite(request)
      const welcome = await guard.enter(request, action)
      await assertAllowed(request, action)
      welcome()
    },
    isUndecided: (request) => authorize !== undefined && holderOf?.(request) === undefined,
    assertAllowed,
    actorOf: (request) => actors.get(request),
    mayRead: async (request, action) => (await ask(request, action)) === true,
    corsHeaders(request): Record<string, string> {
      if (origins.size === 0) return {}
      const origin = request.headers.get('origin')
      if (origin === null || !origins.has(origin)) return { vary: 'Origin' }
      return {
        vary: 'Origin',
        'access-control-allow-origin': origin,
        'access-control-allow-credentials': 'true',
        'access-control-expose-headers': 'retry-after',
      }
    },
  }
  return guard
}

/** @throws QueueError `AUTHORIZE_TIMEOUT` */
async function inTime<T>(asking: MaybePromise<T>, ms: number): Promise<T> {
  if (!isPromise(asking)) return asking
  const hint = 'Check what it waits for, or raise http.authorizeTimeout.'
  const late = (): QueueError => new QueueError('AUTHORIZE_TIMEOUT', `authorize took more than ${ms} ms. ${hint}`)
  return withinTime(systemClock, ms, asking, late)
}

/** Returns whether `http.authorize` or `http.token` is set. */
export function isProtected({ authorize, token }: Pick<HttpOptions, 'authorize' | 'token'>): boolean {
  return authorize !== undefined || token !== undefined
}

/** Refuses other machines, and pages whose own host name points to this machine (DNS rebinding). */
function assertLocal(request: Request, known: ReadonlySet<string>): void {
  const open = 'Without http.authorize or http.token only requests from this machine are served'
  const reason = remoteReason(request)
  if (reason !== undefined)
    throw forbidden(`${open}, and ${reason}. Set http.token, or allow the request with http.authorize.`)
  const name = hostsOf(request)[0]!.replace(/:\d+$/, '').toLowerCase()
  if (known.has(name)) return
  const hint = 'Add it to http.allowedHosts, set http.token, or allow the request with http.authorize.'
  throw forbidden(`${open}, and this request was sent to the host "${name}". ${hint}`)
}

export function unauthorized(): Response {
  const problem = { type: 'about:blank', title: 'Unauthorized', status: 401, code: 'REQUEST_UNAUTHORIZED' }
  const detail = 'Send the header "Authorization: Bearer <token>" with a token of http.token.'
  const headers = {
    'content-type': PROBLEM_TYPE,
    'cache-control': 'no-store',
    'www-authenticate': 'Bearer realm="nuxt-queue"',
  }
  const docs = pageOf('REQUEST_UNAUTHORIZED')
  return new Response(JSON.stringify({ ...problem, detail, docs }), { status: 401, headers })
}

/** Returns the host of a request, then the host that a proxy reports. A page of another site cannot set the latter. */
function hostsOf(request: Request): string[] {
  const forwarded = request.headers.get('x-forwarded-host')?.split(',')[0]?.trim()
  const host = request.headers.get('host') ?? new URL(request.url).host
  return forwarded ? [host, forwarded] : [host]
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined
}

function forbidden(message: string): QueueError {
  return new QueueError('REQUEST_FORBIDDEN', message)
}
