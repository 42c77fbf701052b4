import type { ServerResponse } from 'node:http'
import type { H3Event } from 'h3'
import { assertFree, QueueError, type Kernel, type MaybePromise } from '../../../kernel/index.ts'
import { holdBody } from '../../lib/request-body.ts'
import { toPlainJson } from '../lib/plain-json.ts'
import type { HttpAction } from './access.ts'
import type { RecordAction } from './auditing.ts'
import type { Guard } from './guard.ts'
import { createDocument } from './openapi.ts'
import type { HttpOptions } from './options.ts'
import { methodUnknown, problemResponse, routeUnknown } from './problems.ts'
import { bodyOf, paramsOf, queryOf, receiveJson, subjectOf } from './requests.ts'
import { routes } from './routes/index.ts'
import type { Route, StreamRequest, Subject } from './routes/route.ts'
import { createSession } from './session.ts'

/** A stream that a request may follow. */
export interface Admission extends StreamRequest {
  request: Request
}

/** A request whose route and subject are known. */
interface Accepted {
  route: Route
  params: Record<string, string>
  json: unknown
  subject: Subject
  /** Adds facts to the subject that become known only now. */
  learn(more: Subject): void
  cors: Record<string, string>
}

export interface ApiHost {
  kernel: Kernel
  options: HttpOptions
  guard: Guard
  record: RecordAction
  /** Responds with a stream. With Node's response, the promise resolves when the stream has ended. */
  stream(admission: Admission, node: ServerResponse | undefined, headers: Record<string, string>): Promise<Response>
}

/** Handles requests below `<path>api/`, and decides which requests may follow a stream over a WebSocket. */
export async function createApi(host: ApiHost) {
  const { H3 } = await import('h3')
  const { kernel, options, guard, record } = host
  const base = `${options.path}api/`
  const app = new H3({
    silent: true,
    // h3 itself only refuses paths that it cannot decode.
    onError: ({ message }) => problemResponse(new QueueError('REQUEST_INVALID', message), kernel.reporter),
  })
  /** Requests that become WebSockets, with the streams that they may follow. */
  const upgrades = new WeakMap<Request, { admission?: Admission }>()
  let text: string | undefined
  const document = (): string => (text ??= JSON.stringify(createDocument(routes, base)))

  const byPath = Map.groupBy(routes, ({ path }) => path)
  for (const [path, methods] of byPath)
    app.all(base + path, (event) => answering(event.req as Request, () => answer(event, methods)))
  const session = createSession(host)
  app.all(`${base}session`, ({ req }) => answering(req as Request, () => session(req)))
  app.all('/**', () => problemResponse(routeUnknown(), kernel.reporter))

  /** Turns every outcome into a response, with CORS headers for an allowed origin. */
  async function answering(request: Request, act: () => MaybePromise<Response>): Promise<Response> {
    const cors = guard.corsHeaders(request)
    const response = await answerOf(act)
    return Object.keys(cors).length === 0 ? response : withHeaders(response, cors)
  }

  async function answerOf(act: () => MaybePromise<Response>): Promise<Response> {
    try {
      return await act()
    } catch (error) {
      return error instanceof Response ? error : problemResponse(error, kernel.reporter)
    }
  }

  async function answer(event: H3Event, methods: readonly Route[]): Promise<Response> {
    const request = event.req as Request
    guard.assertSameSite(request)
    const cors = guard.corsHeaders(request)
    if (request.method === 'OPTIONS' && 'access-control-allow-origin' in cors) return preflight(methods)
    const route = methods.find(({ method }) => method === (request.method === 'HEAD' ? 'GET' : request.method))
    if (!route)
      throw methodUnknown(
        request.method,
        methods.flatMap(({ method }) => (method === 'GET' ? ['GET', 'HEAD'] : [method])),
      )
    const params = paramsOf(event.context.params ?? {})
    const ended: Parameters<RecordAction>[3] = { allowed: false }
    let subject: Subject = params
    const learn = (more: Subject): void => void (subject = { ...subject, ...more })
    const hold = holdBody(!guard.isUndecided(request))
    try {
      const welcome = await guard.enter(request, { type: route.action, ...params })
      const json = route.method === 'POST' ? await receiveJson(request, options.maxBody, hold) : undefined
      subject = subjectOf(route, params, json, kernel)
      await guard.assertAllowed(request, { type: route.action, ...subject })
      welcome()
      hold.release()
      ended.allowed = true
      return (ended.response = await perform(event, { route, params, json, subject, cors, learn }))
    } catch (error) {
      ended.error = error
      throw error
    } finally {
      hold.release()
      await record(request, route, subject, ended)
    }
  }

  /** Executes an authorized request. */
  async function perform(event: H3Event, { route, params, json, subject, cors, learn }: Accepted): Promise<Response> {
    const request = event.req as Request
    if (!route.action.endsWith('.read') && subject.queue !== undefined) assertFree('queue', subject.queue)
    const call = {
      kernel,
      request,
      params,
      query: queryOf(route, new URL(request.url)) as undefined,
      body: (route.method === 'POST' ? bodyOf(route, json) : undefined) as undefined,
      mayRead: (action: HttpAction) => guard.mayRead(request, action),
      assertMay(more: Subject) {
        learn(more)
        return guard.assertAllowed(request, { type: route.action, ...subject, ...more })
      },
      document,
    }
    if (route.stream) return follow({ ...(await route.stream(call)), request }, event, cors)
    return respond(route, await route.handle!(call), request)
  }

  function follow(admission: Admission, event: H3Event, cors: Record<string, string>): Response | Promise<Response> {
    const { request } = admission
    const upgrade = upgrades.get(request)
    if (upgrade) upgrade.admission = admission
    if (upgrade || request.method === 'HEAD')
      return new Response(null, { headers: { 'content-type': 'text/event-stream' } })
    return host.stream(admission, event.runtime?.node?.res as ServerResponse | undefined, cors)
  }

  async function fetch(request: Request): Promise<Response> {
    return answerOf(() => (guard.open ? app.fetch(request) : Promise.reject(routeUnknown())))
  }

  return {
    fetch,
    document,
    /** Returns the stream that a request may follow, or the response that refuses it. */
    async admit(request: Request): Promise<Admission | Response> {
      const upgrade: { admission?: Admission } = {}
      upgrades.set(request, upgrade)
      const response = await fetch(request)
      if (upgrade.admission) return upgrade.admission
      return response.ok ? problemResponse(routeUnknown(), kernel.reporter) : response
    },
  }
}

function respond({ status = 200, media = 'application/json' }: Route, answer: unknown, request: Request): Response {
  const given = answer instanceof Response ? answer : new Response(toPlainJson(answer), { status })
  const headers = new Headers(given.headers)
  headers.set('content-type', media === 'application/json' ? media : `${media}; charset=utf-8`)
  headers.set('cache-control', 'no-store')
  headers.set('x-content-type-options', 'nosniff')
  return new Response(request.method === 'HEAD' ? null : given.body, { status: given.status, headers })
}

function preflight(methods: readonly Route[]): Response {
  const headers = {
    'access-control-allow-methods': methods.map(({ method }) => method).join(', '),
    'access-control-allow-headers': 'content-type, authorization, last-event-id',
    'access-control-max-age': '600',
  }
  return new Response(null, { status: 204, headers })
}

/** Copies a response that other code made, because its headers may be immutable. */
function withHeaders({ body, status, headers: given }: Response, added: Record<string, string>): Response {
  return new Response(body, { status, headers: { ...Object.fromEntries(given), ...added } })
}
