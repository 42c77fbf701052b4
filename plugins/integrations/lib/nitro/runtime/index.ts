import type { IncomingMessage, ServerResponse } from 'node:http'
import { QueueError, toError, type Kernel, type Registry } from '../../../../../kernel/index.ts'
import { CHANNEL_VARIABLE } from '../../../../runtimes/lib/child-process/variables.ts'
import { peerOf } from '../../peer.ts'
import { signalled } from '../../shutdown-signals.ts'
import { developmentPeer, SECRET_VARIABLE, upgradePeer } from '../development-peer.ts'
import { resolveAppConfig, type QueueApp } from './config.ts'
import type { AppQueue } from './app-queue.ts'
import { isUntouched, toRequest } from './request.ts'
import { answerUpgrades, type WebSocketApp } from './websocket.ts'

export type { AppQueue } from './app-queue.ts'

/** The parts of Nitro's application that are used. */
export interface NitroApp {
  h3App: { readonly websocket: WebSocketApp }
  hooks: { hook(name: 'request' | 'close', callback: () => Promise<void>): unknown }
}

/** Milliseconds that a server reserves for its shutdown after running jobs have ended. */
const REST_OF_END = 3000
/** In development, running jobs are handed over after so many milliseconds, because the next server waits for this one. */
const HANDOVER = 250

/** The queue of this server. Nitro has one application for each process or thread. */
let current: { kernel?: Kernel; ready: Promise<void>; failure?: Error; secret?: string } | undefined

/**
 * Starts the queue of an application with its server. The first requests wait until the queue has started. If it cannot
 * start in production, the server does not start either.
 */
export function startQueue(nitroApp: NitroApp, app: QueueApp): void {
  // An isolated worker may use code of the server, but it does not start a queue.
  if (process.env[CHANNEL_VARIABLE] !== undefined) return
  if (!app.build.dev) process.env.NODE_ENV ??= 'production'
  const secret = app.build.dev ? process.env[SECRET_VARIABLE] : undefined
  const own: NonNullable<typeof current> = { ready: Promise.resolve(), secret }
  current = own
  own.ready = boot(own, app).catch((error: unknown) => {
    own.failure = toError(error)
    console.error(`[nuxt-queue] ${own.failure.message}`)
    if (!app.build.dev) process.exit(1)
  })
  nitroApp.hooks.hook('request', () => own.ready)
  const ready = async () => {
    await own.ready
    return own.kernel?.http
  }
  const sender = secret === undefined ? peerOf : (request: Request) => upgradePeer(request, secret)
  answerUpgrades(nitroApp.h3App.websocket, { base: app.baseURL, ready, peerOf: sender })
  if (!app.build.dev && !process.env.NITRO_SHUTDOWN_DISABLED) endStreamsOnSignal(own)
  nitroApp.hooks.hook('close', async () => {
    await own.ready
    await own.kernel?.close(app.build.dev ? { timeout: HANDOVER } : patience())
  })
}

/** Ends streams at a signal. Nitro waits for its connections before it calls `close`, and streams would block it. */
function endStreamsOnSignal(own: NonNullable<typeof current>): void {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => void own.kernel?.http.drain())
  }
}

/** Returns how long running jobs have: Nitro's timeout minus the reserve. Without that timeout, the kernel's default applies. */
function patience({ NITRO_SHUTDOWN_TIMEOUT: given } = process.env): { timeout?: number } {
  const ms = Number(given)
  return ms > 0 ? { timeout: Math.max(0, ms - REST_OF_END) } : {}
}

async function boot(own: NonNullable<typeof current>, app: QueueApp): Promise<void> {
  const { worker, config } = resolveAppConfig(app)
  const kernel = await app.createKernel({ config })
  if (kernel.http.path !== app.build.path) {
    await kernel.close()
    const where = 'Set it in nuxt.config or nitro.config, section queue, and build again.'
    throw new QueueError(
      'CONFIG_INVALID',
      `http.path is "${kernel.http.path}", but the build has its routes below "${app.build.path}". ${where}`,
    )
  }
  own.kernel = kernel
  if (worker) await kernel.start()
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
 * Handles a request below the path of the queue. Returns a response if other code has already read the body, or if the
 * application made the request itself (`$fetch`, `localFetch`), because such a request has no Node streams.
 *
 * @param readBody returns the body that Nitro has read
 */
export async function handleRequest(
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
export async function runUntilSignal(nitroApp: {
  hooks: { callHook(name: 'close'): Promise<unknown> }
}): Promise<void> {
  // Listens from the start, because the listener that ends streams keeps a signal from ending the process.
  const stop = signalled()
  await current?.ready
  // A queue in memory has no connection that would keep the process running.
  const hold = setInterval(() => {}, 2 ** 30)
  await stop
  void signalled().then(() => process.exit(130))
  clearInterval(hold)
  await nitroApp.hooks.callHook('close')
  process.exit(0)
}
