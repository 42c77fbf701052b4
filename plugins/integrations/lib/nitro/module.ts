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
import { createVoucher } from './development-peer.ts'
import { environmentReads } from './environment.ts'
import { completeOutput } from './output.ts'
import { typeDeclarations } from './types.ts'
import { appModule, HANDLER_MODULE, pageModule, PLUGIN_MODULE, WORKER_MODULE } from './virtual.ts'
import { findWorkers, workerFolders } from './workers.ts'

declare module 'nitropack/types' {
  interface NitroConfig {
    /** What `nuxt-queue.config.ts` holds, as far as it is plain data. */
    queue?: KernelConfig
  }
}

export interface NitroModuleOptions {
  /** Default: the section `queue` of Nitro's config. */
  queue?: KernelConfig
  /** Folders of workers, from Nitro's root. Default: `queues` below each of Nitro's `scanDirs`, and `server/queues`. */
  folders?: readonly string[]
  /** Folders that may hold `nuxt-queue.config.*`; the first that does counts. Default: Nitro's root. */
  configDirs?: readonly string[]
  /** In development: where jobs in memory are kept while servers come and go. Default: they go with each. */
  folder?: string
  /** In development: takes what wants to know the server that listens, where the host can tell. */
  onListen?: (callback: (server: Server) => void) => void
  /** Pages of HTML below the path of the queue, by name. Default: none. */
  pages?: Readonly<Record<string, string>>
}

/** The folder that holds what this package was built into. */
const PACKAGE = codeFile('.')
const CONFIG_ENDINGS = ['ts', 'mts', 'js', 'mjs']
const DEFAULT_PATH = '/_queue/'

/** A Nitro module that adds the queue to an application. */
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
  // Pages that are made in advance have no server behind them.
  if (options.preset === 'nitro-prerender' || (options.static && !options.dev)) return
  const queue = given.queue ?? (options as { queue?: KernelConfig }).queue ?? {}
  const find = () => findWorkers(folders)
  const app = {
    configFile: findConfig(given.configDirs ?? [options.rootDir]),
    dev: options.dev,
    fromEnvironment: environmentReads(queue, process.env),
    folder: given.folder,
    path: httpPath(queue),
    secret: options.dev ? randomUUID() : undefined,
  }
  if (app.secret !== undefined) {
    const voucher = createVoucher(app.secret)
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
  for (const [name, html] of Object.entries(given.pages ?? {})) {
    options.virtual[`#nuxt-queue/pages/${name}`] = pageModule(html)
    options.handlers.push({ route: `${httpPath(queue)}${name}`, handler: `#nuxt-queue/pages/${name}`, lazy: true })
  }
  // Before those of the application, which may wait for the queue.
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
  // Nitro looks for the types of a path below a package in a folder of that name, which there need not be.
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

/** Rules such as `swr` for all paths would keep what the API has said, and streams would not begin. */
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

/** The path that requests to the queue lie below. */
export function httpPath({ http }: KernelConfig): string {
  return (http as { path?: string } | undefined)?.path ?? DEFAULT_PATH
}

/** Nuxt would bundle its modules; this package finds its programs beside itself, and is one with that of its children. */
function isOurs(id: string): boolean {
  return /^nuxt-queue(?:\/|$)/.test(id) || id.startsWith(PACKAGE)
}

/** Nitro takes along what is installed, and bundles all else, which this package is not made for. */
function assertInstalled(): void {
  if (PACKAGE.includes('/node_modules/')) return
  const hint = 'Install it, from the registry or as what npm pack makes, to build for production.'
  throw new QueueError('CONFIG_INVALID', `nuxt-queue is linked here: it lies in ${PACKAGE}. ${hint}`)
}

async function writeTypes(file: string, folders: readonly string[]): Promise<void> {
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, typeDeclarations(await findWorkers(folders), dirname(file)))
}

/** A worker that is added or removed changes what there is to bundle. */
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
