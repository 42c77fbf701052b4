import type { IncomingMessage, ServerResponse } from 'node:http'
import { constants } from 'node:os'
import { QueueError, toError, type Kernel, type Registry } from '../../../../../kernel/index.ts'
import { CHANNEL_VARIABLE } from '../../../../runtimes/lib/child-process/variables.ts'
import { peerOf } from '../../peer.ts'
import { signalled } from '../../shutdown-signals.ts'
import { developmentPeer, SECRET_VARIABLE, upgradePeer, webPeer } from '../development-peer.ts'
import { startLine } from './announce.ts'
import { resolveAppConfig, type QueueApp } from './config.ts'
import type { AppQueue } from './app-queue.ts'
import { isUntouched, toRequest } from './request.ts'
import { hooksBelow, patchResolve, type Hooks, type WebSocketApp } from './websocket.ts'

export type { AppQueue } from './app-queue.ts'

/** The parts of Nitro's application that are used. */
export interface NitroApp {
  hooks: {
    hook(name: 'request' | 'close', callback: () => Promise<void>): unknown
    callHook(name: 'close'): Promise<unknown>
  }
}

/** Milliseconds that a server reserves for its shutdown after running jobs have ended. */
const SHUTDOWN_RESERVE = 3000
/** In development, running jobs are handed over after so many milliseconds, because the next server waits for this one. */
const HANDOVER = 250

/** The queue of a server. */
interface ServerQueue {
  kernel?: Kernel
  ready: Promise<void>
  failure?: Error
  secret?: string
  /** The base URL of the application without a slash at its end. */
  base: string
  ending?: Promise<void>
  /** True in a process that runs workers without a server. */
  alone?: boolean
}

/** The queue of this server. Nitro has one application for each process or thread. */
let current: ServerQueue | undefined

/**
 * Starts the queue of an application with its server. The first requests wait until the queue has started. If it cannot
 * start in production, the server does not start either.
 */
export function startQueue(nitroApp: NitroApp, app: QueueApp): void {
  // An isolated worker may use code of the server, but it does not start a queue.
  if (process.env[CHANNEL_VARIABLE] !== undefined) return
  const { dev } = app.build
  if (!dev) process.env.NODE_ENV ??= 'production'
  // Stacks then name the source files of the application instead of the built files.
  else process.setSourceMapsEnabled(true)
  const secret = dev ? process.env[SECRET_VARIABLE] : undefined
  const own: ServerQueue = { ready: Promise.resolve(), secret, base: app.baseURL.replace(/\/$/, '') }
  const close = (): Promise<void> => (own.ending ??= end(own, dev ? { timeout: HANDOVER } : patience()))
  const before = app.build.inPlace ? current : undefined
  current = own
  own.ready = (async () => {
    if (before) await (before.ending ??= end(before, { timeout: HANDOVER }))
    await boot(own, app)
  })().catch((error: unknown) => {
    own.failure = toError(error)
    console.error(`[nuxt-queue] ${own.failure.message}`)
    if (!dev) process.exit(1)
  })
  nitroApp.hooks.hook('request', () => own.ready)
  if (!dev && !process.env.NITRO_SHUTDOWN_DISABLED) endOnSignal(own, nitroApp)
  nitroApp.hooks.hook('close', close)
}

async function end(own: ServerQueue, options: { timeout?: number }): Promise<void> {
  await own.ready
  await own.kernel?.close(options)
}

/**
 * Ends streams at a signal. Nitro waits for its connections before it calls `close`, and streams would block it. If nothing
 * else listens for the signal, as with presets without their own server, the application is closed here.
 */
function endOnSignal(own: ServerQueue, { hooks }: NitroApp): void {
  const ended = async (signal: NodeJS.Signals): Promise<void> => {
    await own.kernel?.http.drain()
    if (process.listenerCount(signal) > 0) return
    await hooks.callHook('close')
    process.exit(128 + constants.signals[signal])
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      void ended(signal)
      // Nitro 3 does not end the process, and a job that ignores its signal would keep it running.
      hooks.hook('close', async () => void setTimeout(() => process.exit(), SHUTDOWN_RESERVE).unref())
    })
  }
}

/** Returns how long running jobs have: Nitro's timeout minus the reserve. Without that timeout, the kernel's default applies. */
function patience({ NITRO_SHUTDOWN_TIMEOUT, SERVER_SHUTDOWN_TIMEOUT }: NodeJS.ProcessEnv = process.env): {
  timeout?: number
} {
  // nitropack 2 has milliseconds, and the server of Nitro 3 has seconds.
  const ms = Number(NITRO_SHUTDOWN_TIMEOUT) || Number(SERVER_SHUTDOWN_TIMEOUT) * 1000
  return ms > 0 ? { timeout: Math.max(0, ms - SHUTDOWN_RESERVE) } : {}
}

async function boot(own: ServerQueue, app: QueueApp): Promise<void> {
  const { config, ...facts } = resolveAppConfig(app)
  const kernel = await app.createKernel({ config, plugins: app.plugins })
  if (kernel.http.path !== app.build.path) {
    await kernel.close()
    const where = 'Set it in nuxt.config or nitro.config, section queue, and build again.'
    throw new QueueError(
      'CONFIG_INVALID',
      `http.path is "${kernel.http.path}", but the build has its routes below "${app.build.path}". ${where}`,
    )
  }
  own.kernel = kernel
  if (facts.worker) await kernel.start()
  if (app.build.dev) console.log(startLine(kernel, app, facts))
  else if (!own.alone) kernel.http.warnIfClosed()
}

/**
 * Returns the queue of this server.
 *
 * @throws QueueError `KERNEL_CLOSED` before the queue has started; the error of the start if it failed
 * @example
 * export default defineEventHandler(async () => useQueue().enqueue('emails', { to: 'ada@example.com' }))
 */
export function useQueue(): AppQueue {
  if (current?.kernel) return current.kernel
  if (current?.failure) throw current.failure
  if (!current) {
    const where = 'while pages are prerendered, and in isolated workers, which have ctx.kernel.enqueue'
    throw new QueueError('KERNEL_CLOSED', `There is no queue here. No queue starts ${where}.`)
  }
  const hint = 'Requests wait for it. In other code on the server, await queueReady() first.'
  throw new QueueError('KERNEL_CLOSED', `The queue has not started here yet. ${hint}`)
}

/**
 * Resolves when the queue of this server has started. Use it in code that runs before the first request.
 *
 * @throws QueueError `KERNEL_CLOSED` if there is no queue, as during prerendering; the error of the start if it failed
 * @example
 * export default defineNitroPlugin(async () => {
 *   if (!import.meta.prerender) await (await queueReady()).enqueue('warm-up')
 * })
 */
export async function queueReady(): Promise<AppQueue> {
  await current?.ready
  return useQueue()
}

/** Returns the workers of this server, each with its id, queue, config and file. */
export function useQueueRegistry(): Registry {
  return useQueue().registry
}

/**
 * Handles a web-standard request below the path of the queue, with the base URL of the application.
 *
 * @example
 * export default (event) => handleRequest(event.req)
 */
export async function handleRequest(request: Request): Promise<Response> {
  const { http } = useQueue()
  const { base, secret } = current!
  const peer = secret === undefined ? undefined : webPeer(request, secret)
  return http.fetch(base === '' ? request : await below(base, request), peer)
}

async function below(base: string, request: Request): Promise<Request> {
  const { requestWithBaseURL } = await import('h3')
  return requestWithBaseURL(request, base)
}

/** Returns hooks for crossws that serve the streams of the queue as WebSockets. The queue must have started. */
export function socketHooks(): Hooks {
  const { http } = useQueue()
  const { base, secret } = current!
  return hooksBelow(base, http, secret === undefined ? peerOf : (request) => upgradePeer(request, secret))
}

/** Serves WebSockets below the path of the queue in an application of h3 1. */
export function answerUpgrades(app: WebSocketApp): void {
  const own = current
  if (!own) return
  patchResolve(app, async (path) => {
    await own.ready
    return own.kernel && path.startsWith(own.base + own.kernel.http.path) ? socketHooks() : undefined
  })
}

/**
 * Handles a request of Node.js below the path of the queue, whose URL does not have the base URL. Returns a response if other
 * code has already read the body, or if the application made the request itself (`$fetch`, `localFetch`), because such a
 * request has no Node streams.
 *
 * @param readBody returns the body that Nitro has read
 */
export async function handleNodeRequest(
  request: IncomingMessage,
  response: ServerResponse,
  readBody: () => Promise<Buffer | undefined>,
): Promise<Response | void> {
  const { http } = useQueue()
  const peer = current?.secret === undefined ? undefined : developmentPeer(request, current.secret)
  if (isUntouched(request)) return http.node(request, response, peer)
  const given = await toRequest(request, readBody)
  if (!given) return new Response(null, { status: 400 })
  return http.fetch(given, peer ?? { address: request.socket?.remoteAddress })
}

/** Runs jobs until a signal ends it. A second signal does not wait for running jobs. */
export async function runUntilSignal(nitroApp: NitroApp): Promise<void> {
  // Listens from the start, because the listener that ends streams keeps a signal from ending the process.
  const stop = signalled()
  if (current) current.alone = true
  await current?.ready
  // A queue in memory has no connection that would keep the process running.
  const hold = setInterval(() => {}, 2 ** 30)
  await stop
  void signalled().then(() => process.exit(130))
  clearInterval(hold)
  await nitroApp.hooks.callHook('close')
  process.exit(0)
}
