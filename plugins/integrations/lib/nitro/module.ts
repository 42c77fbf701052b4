import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import type { Server } from 'node:http'
import { defu } from 'defu'
import type { Nitro, NitroModule } from 'nitropack/types'
import { dirname, join, relative, resolve } from 'pathe'
import { QueueError, type KernelConfig } from '../../../../kernel/index.ts'
import { codeFile } from '../../../lib/package-files.ts'
import { watchFolders } from '../../../lib/watch-folders.ts'
import { addEntries } from './bundle.ts'
import { createVoucher, SECRET_VARIABLE } from './development-peer.ts'
import { environmentReads } from './environment.ts'
import { completeOutput } from './output.ts'
import { typeDeclarations } from './types.ts'
import { appModule, HANDLER_MODULE, PLUGIN_MODULE, WORKER_MODULE } from './virtual.ts'
import { findWorkers, workerFolders } from './workers.ts'

declare module 'nitropack/types' {
  interface NitroConfig {
    /** The options of `nuxt-queue.config.ts` that are plain data. */
    queue?: KernelConfig
  }
}

export interface NitroModuleOptions {
  /** The configuration of the queue. Default: the section `queue` of Nitro's config. */
  queue?: KernelConfig
  /** Folders of workers, relative to Nitro's root. Default: `queues` below each of `scanDirs`, and `server/queues`. */
  folders?: readonly string[]
  /** Folders that may contain `nuxt-queue.config.*`. The first file found is used. Default: Nitro's root. */
  configDirs?: readonly string[]
  /** In development, the folder that keeps jobs in memory across reloads. Default: each reload deletes them. */
  folder?: string
  /** In development, registers a callback for the server that listens, if the host provides it. */
  onListen?: (callback: (server: Server) => void) => void
}

/** The folder of this package's build. */
const PACKAGE = codeFile('.')
const CONFIG_ENDINGS = ['ts', 'mts', 'js', 'mjs']
const DEFAULT_PATH = '/_queue/'

/** Creates a Nitro module that adds the queue to an application. */
export function createNitroModule(given: NitroModuleOptions = {}): NitroModule {
  return { name: 'nuxt-queue', setup: (nitro) => setUp(nitro, given) }
}

async function setUp(nitro: Nitro, given: NitroModuleOptions): Promise<void> {
  const { options } = nitro
  addImports(nitro)
  options.externals = defu(options.externals, { external: [isOurs] })
  const folders =
    given.folders?.map((folder) => resolve(options.rootDir, folder)) ?? workerFolders(options.scanDirs, options.rootDir)
  addTypes(nitro, folders)
  // Prerendered pages have no server.
  if (options.preset === 'nitro-prerender' || (options.static && !options.dev)) return
  const queue = given.queue ?? (options as { queue?: KernelConfig }).queue ?? {}
  const find = () => findWorkers(folders)
  const app = {
    configFile: findConfig(given.configDirs ?? [options.rootDir]),
    dev: options.dev,
    fromEnvironment: environmentReads(queue, process.env),
    folder: given.folder,
    path: httpPath(queue),
  }
  if (options.dev) {
    const secret = (process.env[SECRET_VARIABLE] ??= randomUUID())
    const voucher = createVoucher(secret)
    options.devHandlers.push({ handler: voucher.handler })
    given.onListen?.(voucher.watch)
  }
  if (!options.dev) assertInstalled()
  options.runtimeConfig.queue = defu(options.runtimeConfig.queue, queue)
  Object.assign(options.virtual, {
    '#nuxt-queue/app': async () => appModule(await find(), app),
    '#nuxt-queue/plugin': PLUGIN_MODULE,
    '#nuxt-queue/handler': HANDLER_MODULE,
    '#nuxt-queue/worker': WORKER_MODULE,
  })
  // This plugin comes before those of the application, which may wait for the queue.
  options.plugins.unshift('#nuxt-queue/plugin')
  const route = `${httpPath(queue)}**`
  options.handlers.push({ route, handler: '#nuxt-queue/handler', lazy: true })
  neverCache(nitro, route)
  options.experimental.websocket ??= true
  nitro.hooks.hook('rollup:before', (_nitro, config) => addEntries(config, options.entry, { find, dev: options.dev }))
  nitro.hooks.hook('compiled', async () => {
    if (!options.dev) await completeOutput(options.output.serverDir, await find())
  })
  if (options.dev) watchWorkers(nitro, folders)
}

function addImports({ options }: Nitro): void {
  if (!options.imports) return
  // Nitro looks for the types of a subpath in a folder of that name, which may not exist.
  const from = (source: string, path: string, names: readonly string[]) =>
    names.map((name) => ({ name, from: source, typeFrom: join(PACKAGE, path) }))
  options.imports.imports = [
    ...(options.imports.imports ?? []),
    ...from('nuxt-queue', 'index.js', [
      'defineQueueConfig',
      'defineQueueWorker',
      'defineWorkerConfig',
      'useKernel',
      'useRunContext',
    ]),
    ...from('nuxt-queue/nitro/runtime', 'plugins/integrations/lib/nitro/runtime/index.js', [
      'queueReady',
      'useQueue',
      'useQueueRegistry',
    ]),
  ]
}

/** Declares the workers to TypeScript. */
function addTypes({ options, hooks }: Nitro, folders: readonly string[]): void {
  const types = join(options.buildDir, 'types/nuxt-queue.d.ts')
  hooks.hook('types:extend', () => writeTypes(types, folders))
  const tsconfig = resolve(options.buildDir, options.typescript.tsconfigPath ?? 'types/tsconfig.json')
  options.typescript.tsConfig = defu(options.typescript.tsConfig, { include: [relative(dirname(tsconfig), types)] })
}

/** Disables caching for the API. Rules such as `swr` for all paths would cache its responses and block streams. */
function neverCache({ options }: Nitro, route: string): void {
  const { nitro } = options.runtimeConfig
  for (const rules of [options.routeRules, nitro?.routeRules]) {
    if (rules) rules[route] = { ...rules[route], cache: false }
  }
}

function findConfig(folders: readonly string[]): string | undefined {
  const files = folders.flatMap((folder) => CONFIG_ENDINGS.map((ending) => join(folder, `nuxt-queue.config.${ending}`)))
  return files.find((file) => existsSync(file))
}

/** Returns the path of all requests to the queue. */
export function httpPath({ http }: KernelConfig): string {
  return (http as { path?: string } | undefined)?.path ?? DEFAULT_PATH
}

/** Keeps this package out of the bundle, because it finds its programs next to itself and shares its code with its child processes. */
function isOurs(id: string): boolean {
  return /^nuxt-queue(?:\/|$)/.test(id) || id.startsWith(PACKAGE)
}

/** Refuses a linked package. Nitro copies installed packages and bundles all others, which does not work for this package. */
function assertInstalled(): void {
  if (PACKAGE.includes('/node_modules/')) return
  const hint = 'To build for production, install it from the registry or from the archive that npm pack makes.'
  throw new QueueError('CONFIG_INVALID', `nuxt-queue is linked: its folder is ${PACKAGE}. ${hint}`)
}

async function writeTypes(file: string, folders: readonly string[]): Promise<void> {
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, typeDeclarations(await findWorkers(folders), dirname(file)))
}

/** Builds again when a worker is added or removed. */
function watchWorkers(nitro: Nitro, folders: readonly string[]): void {
  let known = ''
  const look = async (): Promise<void> => {
    const { workers, others } = await findWorkers(folders)
    const now = JSON.stringify([workers, [...others]])
    if (known !== '' && now !== known) await nitro.hooks.callHook('rollup:reload')
    known = now
  }
  void look()
  const stop = watchFolders(folders, look, nitro.logger)
  nitro.hooks.hook('close', stop)
}
