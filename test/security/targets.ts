import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import adapter from 'crossws/adapters/node'
import { vi } from 'vitest'
import { createKernel, type Kernel, type KernelConfig } from '../../kernel/index.ts'
import { createVoucher, SECRET_VARIABLE } from '../../plugins/integrations/lib/nitro/development-peer.ts'
import {
  answerUpgrades,
  handleNodeRequest,
  queueReady,
  startQueue,
} from '../../plugins/integrations/lib/nitro/runtime/index.ts'
import type { WebSocketApp } from '../../plugins/integrations/lib/nitro/runtime/websocket.ts'
import dev from '../../presets/dev.ts'

/** The cookie of a user with all rights. The browser sends it with every request, whatever page makes it. */
export const COOKIE = 'session=ada'
/** A secret of the owner. */
export const SECRET = 'whsec-of-the-shop'

/** Text that runs if it is interpreted as a page. */
export const MARKUP = '<img src=x onerror=alert(1)>'

/** The address of the interface of an application. */
export interface Address {
  readonly port: number
  /** The prefix of all its paths, such as `/_queue`. */
  readonly base: string
}

/** An application with the queue in it, on a real socket. */
export interface Target extends Address {
  readonly name: string
  readonly production: boolean
  readonly kernel: Kernel
  close(): Promise<void>
}

/** How a careless server weakens the guard, by changing each request before the interface receives it. */
export interface Weakness {
  /** Changes a request. */
  weaken?(request: IncomingMessage): void
  /** Responds instead of the interface, or calls it. */
  spoil?(request: IncomingMessage, response: ServerResponse, next: () => void): unknown
  /** Accepts malformed HTTP. */
  lenient?: boolean
  /** Accepts headers of any length. */
  roomy?: boolean
  /** Writes the URL that completes a wait to its log. */
  indiscreet?: boolean
}

type Handler = (request: IncomingMessage, response: ServerResponse) => unknown
type Upgrader = (request: IncomingMessage, socket: Duplex, head: Buffer) => unknown

const QUIET = { warn() {}, error() {} }

function configOf(production: boolean): KernelConfig {
  const authorize = ({ headers }: Request): boolean => headers.get('cookie') === COOKIE
  return {
    registry: { dirs: [] },
    webhooks: { baseUrl: 'https://shop.example.com/_queue/' },
    http: production ? { production, authorize } : { production },
    triggers: {
      hook: {
        type: 'webhook',
        path: 'hook',
        worker: 'echo',
        verify: { type: 'apiKey', header: 'x-secret', secret: SECRET },
      },
    },
  }
}

const asking = new Map<string, (token: string) => void>()

/** Starts a run that waits for an approval. Returns the token for the approval once the approver has it. */
export async function ask({ kernel }: Target): Promise<string> {
  const id = kernel.newId()
  const asked = Promise.withResolvers<string>()
  asking.set(id, asked.resolve)
  await kernel.enqueue('ask', id)
  return asked.promise
}

async function createQueue(config: KernelConfig, { indiscreet }: Weakness): Promise<Kernel> {
  const kernel = await createKernel({ preset: dev, config, reporter: QUIET })
  await kernel.registerWorker({ id: 'echo', handler: ({ data }) => data })
  await kernel.registerWorker({
    id: 'ask',
    config: {
      awaitBefore: { type: 'webhook', page: { title: MARKUP, text: MARKUP, button: MARKUP } },
      async onAwaitRegister({ url }, { data }, ctx) {
        if (indiscreet) await ctx.emit('asked', url)
        asking.get(data as string)!(url!.split('/').at(-1)!)
      },
    },
    handler: (_job, ctx) => ctx.awaited?.payload,
  })
  return kernel
}

/** A plain server of Node. */
export async function openNode(production: boolean, weakness: Weakness = {}): Promise<Target> {
  const kernel = await createQueue(configOf(production), weakness)
  await kernel.start()
  const served = await listen(kernel.http.node, kernel.http.upgrade, weakness)
  return { name: 'Node', production, base: '/_queue', kernel, ...served, close: () => closeAll(served, kernel) }
}

/** A server as the modules for Nitro and Nuxt build it. In Nuxt, all routes are below a path, and a middleware reads bodies. */
export async function openNitro(name: 'Nitro' | 'Nuxt', production: boolean, weakness: Weakness = {}): Promise<Target> {
  const base = name === 'Nuxt' ? '/shop' : ''
  const secret = production ? undefined : 'only-the-two-know'
  const websocket: WebSocketApp = {}
  const nitro = { hooks: { hook() {}, callHook: async () => {} } }
  vi.stubEnv('NITRO_SHUTDOWN_DISABLED', 'true')
  vi.stubEnv(SECRET_VARIABLE, secret)
  startQueue(nitro, {
    config: configOf(production),
    runtimeConfig: {},
    baseURL: `${base}/`,
    bundled: {},
    files: {},
    build: { dev: !production, fromEnvironment: {}, folder: undefined, path: '/_queue/', inPlace: false },
    createKernel: ({ config }: { config: KernelConfig }) => createQueue(config, weakness),
  })
  answerUpgrades(websocket)
  vi.unstubAllEnvs()
  const kernel = await queueReady()
  const vouch = secret === undefined ? undefined : createVoucher(secret)
  const handle: Handler = async (request, response) => {
    vouch?.vouch(request)
    if (!request.url!.startsWith(`${base}/_queue/`)) return response.writeHead(404).end()
    request.url = request.url!.slice(base.length)
    const body = name === 'Nuxt' ? await receive(request).catch(() => undefined) : undefined
    if (body) Object.assign(request, { body })
    const answer = await handleNodeRequest(request, response, () => Promise.resolve(body))
    if (answer) await send(answer, response)
  }
  const { handleUpgrade } = adapter({ resolve: (request: unknown) => websocket.resolve!(request as never) })
  const served = await listen(handle, handleUpgrade, weakness, vouch?.watch)
  return { name, production, base: `${base}/_queue`, kernel, ...served, close: () => closeAll(served, kernel) }
}

async function closeAll(served: { close(): Promise<void> }, kernel: Kernel): Promise<void> {
  await served.close()
  await kernel.close()
}

async function listen(handle: Handler, upgrade: Upgrader, weakness: Weakness, watch?: (server: Server) => void) {
  const server = createServer(
    { insecureHTTPParser: weakness.lenient === true, ...(weakness.roomy && { maxHeaderSize: 2 ** 22 }) },
    (request, response) => {
      weakness.weaken?.(request)
      if (weakness.spoil) weakness.spoil(request, response, () => void handle(request, response))
      else void handle(request, response)
    },
  )
  watch?.(server)
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    weakness.weaken?.(request)
    socket.on('error', () => socket.destroy())
    void upgrade(request, socket, head)
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const close = async (): Promise<void> => {
    server.closeAllConnections()
    await new Promise((closed) => server.close(closed))
  }
  return { port: (server.address() as AddressInfo).port, close }
}

async function receive(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

async function send(answer: Response, response: ServerResponse): Promise<void> {
  response.writeHead(answer.status, Object.fromEntries(answer.headers))
  response.end(Buffer.from(await answer.arrayBuffer()))
}
