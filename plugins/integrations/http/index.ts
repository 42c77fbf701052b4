import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { definePlugin, QueueError } from '../../../kernel/index.ts'
import { createAddressLimit } from './address-limit.ts'
import type { Listening } from './listening.ts'
import type { HttpAction } from './access.ts'
import type { Http, Mounted } from './http.ts'
import { isProtected } from './guard.ts'
import { options } from './options.ts'
import { extendErrors, problemResponse } from './problems.ts'
import { recordPeer } from '../lib/peer.ts'
import { parseTarget, UNSUPPORTED_METHOD } from '../lib/request-target.ts'
import type { Service } from './service.ts'
import { createSocketHooks } from './websocket.ts'

export type { Authorize, Decision, HttpAction } from './access.ts'
export type { Http, Mounted } from './http.ts'
export type { Health } from '../../observability/lib/health.ts'
export type { Listening, ListenOptions } from './listening.ts'
export type { Peer } from '../lib/peer.ts'
export type { Problem } from './problems.ts'
export type { SocketHooks, SocketPeer } from './websocket.ts'

declare module 'nuxt-queue/kernel' {
  interface Kernel {
    readonly http: Http
  }
  interface QueueError {
    /** The HTTP status for an error that a client can correct or retry. Absent for all other errors, and without the plugin `http`. */
    readonly statusCode?: number
    /** The page that explains the code and how to fix the error. Absent without the plugin `http`. */
    readonly docs?: string
  }
}

/** Serves queues, jobs, runs, flows and their streams over HTTP. Loads its parts with the first request. */
export default definePlugin({
  name: 'http',
  requires: [
    ...(['queue', 'workers', 'events', 'control', 'webhooks', 'bus', 'wait', 'state', 'streaming'] as const),
    ...([
      'job-options',
      'flow',
      'schedule',
      'triggers',
      'history',
      'explain',
      'instances',
      'stats',
      'errors',
      'audit',
    ] as const),
  ],
  options,
  setup(kernel, options) {
    extendErrors()
    kernel.addDiagnosis?.('http', () => {
      if (!options.production || isProtected(options)) return []
      const message = 'Neither http.authorize nor http.token is set, so production serves only webhooks over HTTP.'
      const hint = 'Set http.token, for example with NUXT_QUEUE_HTTP_TOKEN.'
      return [{ check: 'http.token', level: 'warning', message, hint }]
    })
    const servers = new Set<Listening>()
    const mounted = new Map<string, { serve: Mounted; action?: HttpAction['type'] }>()
    const limit = createAddressLimit(kernel, options)
    let loading: Promise<Service> | undefined
    let service: Service | undefined
    let handling: Promise<(request: IncomingMessage, response: ServerResponse) => unknown> | undefined
    let upgrading: Promise<(request: IncomingMessage, socket: Duplex, head: Buffer) => Promise<void>> | undefined
    let closed = false

    async function load(): Promise<Service> {
      if (closed) throw closing()
      return (loading ??= import('./service.ts').then(
        async ({ createService }) => (service = await createService(kernel, options, limit)),
      ))
    }

    async function toNode() {
      const { toNodeHandler } = await import('h3')
      return toNodeHandler({ fetch: http.fetch } as Parameters<typeof toNodeHandler>[0])
    }

    async function toUpgrade() {
      const { createUpgrade } = await import('./upgrade.ts')
      return createUpgrade(kernel, http.websocket)
    }

    async function drain(): Promise<void> {
      const service = await loading
      service?.connections.close()
    }

    const http: Http = {
      path: options.path,
      async fetch(request, peer) {
        if (peer) recordPeer(request, peer)
        try {
          const { name, rest } = placeOf(pathOf(request))
          const mount = mounted.get(name)
          if (name !== API && !mount) return await webhook(request)
          const { api, guard } = await load()
          if (!mount) return await api.fetch(request)
          guard.assertReachable(request)
          if (mount.action !== undefined) await guard.admit(request, { type: mount.action })
          const json = async () => (await import('./requests.ts')).receiveJson(request, options.maxBody)
          return await mount.serve({ request, path: rest, production: options.production, json })
        } catch (error) {
          return error instanceof Response ? error : problemResponse(error, kernel.reporter)
        }
      },
      async node(request, response, peer) {
        if (peer) recordPeer(request, peer)
        try {
          const handle = await (handling ??= toNode())
          await handle(request, response)
        } catch (error) {
          kernel.reporter.error('A request to the HTTP interface failed.', error)
          response.destroy()
        }
      },
      mount: (name, serve, access) => void mounted.set(name, { serve, ...access }),
      describe: async () => JSON.parse((await load()).api.document()) as object,
      get connections() {
        return service?.connections.size ?? 0
      },
      websocket: createSocketHooks(kernel, load),
      upgrade(request, socket, head) {
        endWhenRefused(socket)
        // Without a listener, a client that disconnects would raise an unhandled error.
        socket.on('error', () => socket.destroy())
        const upgraded = (upgrading ??= toUpgrade()).then((handle) => handle(request, socket, head))
        upgraded.catch((error: unknown) => {
          kernel.reporter.error('A WebSocket could not be opened.', error)
          socket.destroy()
        })
      },
      warnIfClosed() {
        if (!options.production || isProtected(options)) return
        const closed =
          'The HTTP API is closed, so pages cannot follow runs: neither http.authorize nor http.token is set'
        const hint = 'Set one of them to open it, as nuxt-queue/docs/guides/securing.md shows.'
        kernel.reporter.warn(`${closed}. In production, only webhooks are served without them. ${hint}`)
      },
      drain,
      async listen(where = {}) {
        if (closed) throw closing()
        const { listen } = await import('./listen.ts')
        const server = await listen(http, where, isProtected(options))
        servers.add(server)
        http.warnIfClosed()
        return server
      },
    }

    /** Counts webhooks that are not accepted against their address. */
    async function webhook(request: Request): Promise<Response> {
      const welcome = limit.enter(request)
      const response = await kernel.webhooks.fetch(request, options.path)
      if (response.status < 400 || response.status >= 500) welcome()
      return response
    }

    /** Returns the first folder of a path below `options.path`, and the rest after its slash. */
    function placeOf(pathname: string): { name: string; rest: string | undefined } {
      if (!pathname.startsWith(options.path)) return { name: '', rest: undefined }
      const [name = '', ...parts] = pathname.slice(options.path.length).split('/')
      return { name, rest: parts.length === 0 ? undefined : parts.join('/') }
    }

    kernel.extend({ http })
    return async () => {
      closed = true
      await loading?.catch(() => {})
      service?.connections.close()
      await Promise.all([...servers].map((server) => server.close()))
    }
  },
})

/** The folder of the API below the path. */
const API = 'api'

/** @throws QueueError `REQUEST_INVALID`, `METHOD_UNKNOWN` for requests that only a hostile client sends, which must not fill the log */
function pathOf({ url, method }: Request): string {
  if (UNSUPPORTED_METHOD.test(method)) throw new QueueError('METHOD_UNKNOWN', `The method ${method} is not supported.`)
  const parsed = parseTarget(url)
  if (parsed) return parsed.pathname
  throw new QueueError('REQUEST_INVALID', 'The header Host is not a valid host, or the path is not valid.')
}

/** How long a refused client may keep its socket open, in milliseconds. */
const LAST_READ = 2_000

/** Destroys an ended socket after a while, because a hostile client never closes it. */
function endWhenRefused(socket: Duplex): void {
  socket.once('finish', () => void setTimeout(() => socket.destroy(), LAST_READ).unref())
}

function closing(): QueueError {
  return new QueueError('KERNEL_CLOSED', 'The kernel is closing or closed. Create a new one.')
}
