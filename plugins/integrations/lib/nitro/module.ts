import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import type { Server } from 'node:http'
import { defu } from 'defu'
import type { KernelConfig } from 'nuxt-queue'
import { dirname, join, resolve } from 'pathe'
import { watchFolders } from '../../../lib/watch-folders.ts'
import { appModule } from './app-module.ts'
import { createVoucher, SECRET_VARIABLE } from './development-peer.ts'
import { entriesPlugin } from './entries.ts'
import { environmentReads } from './environment.ts'
import { majorVersion, type Nitro, type QueueNitroModule } from './host.ts'
import { missingPackages } from './needed-packages.ts'
import { nitro2 } from './nitro2.ts'
import { nitro3 } from './nitro3.ts'
import { completeOutput } from './output.ts'
import { assertInstalled } from './own-package.ts'
import { assertServer } from './server-preset.ts'
import { createTaskWorkers } from './task-workers.ts'
import { typeDeclarations } from './types.ts'
import { findWorkers, workerFolders, type FoundWorkers } from './workers.ts'

declare module 'nitropack/types' {
  interface NitroConfig {
    /** The options of `nuxt-queue.config.ts` that are plain data. */
    queue?: NitroQueueConfig
  }
}
// An application has only one of the two.
/** @ts-ignore */
declare module 'nitro/types' {
  interface NitroConfig {
    /** The options of `nuxt-queue.config.ts` that are plain data. */
    queue?: NitroQueueConfig
  }
}

/** The section `queue` of Nitro's config. */
export interface NitroQueueConfig extends KernelConfig {
  /**
   * Runs the tasks of Nitro as workers: `server/tasks/db/migrate.ts` becomes `tasks/db/migrate`. `scheduledTasks` become schedules of
   * the queue, so that they start once for all servers. Default false.
   */
  tasks?: boolean
}

export interface NitroModuleOptions {
  /** The configuration of the queue. Default: the section `queue` of Nitro's config. */
  queue?: NitroQueueConfig
  /** Folders of workers, relative to Nitro's root. Default: `queues` below each folder of Nitro's sources, and `server/queues`. */
  folders?: readonly string[]
  /** Folders that may contain `nuxt-queue.config.*`. The first file found is used. Default: Nitro's root. */
  configDirs?: readonly string[]
  /** In development, the folder that keeps jobs in memory across reloads. Default: each reload deletes them. */
  folder?: string
  /** In development, registers a callback for the server that listens, if the host provides it. */
  onListen?: (callback: (server: Server) => void) => void
  /** In development, returns where the server listens, such as `http://localhost:3000`. */
  origin?: () => string | undefined
}

const CONFIG_ENDINGS = ['ts', 'mts', 'js', 'mjs']
const DEFAULT_PATH = '/_queue/'

/** Creates a module that adds the queue to an application of nitropack 2 or Nitro 3. */
export function createNitroModule(given: NitroModuleOptions = {}): QueueNitroModule {
  return { name: 'nuxt-queue', setup: (nitro) => setUp(nitro as Nitro, given) }
}

async function setUp(nitro: Nitro, given: NitroModuleOptions): Promise<void> {
  const { options, hooks } = nitro
  const version = majorVersion(nitro) === 3 ? nitro3 : nitro2
  const folders =
    given.folders?.map((folder) => resolve(options.rootDir, folder)) ??
    workerFolders(version.sourceDirs(nitro), options.rootDir)
  const { tasks: withTasks = false, ...queue } = given.queue ?? (options as { queue?: NitroQueueConfig }).queue ?? {}
  const tasks = withTasks ? createTaskWorkers(options, version.sourceDirs(nitro)) : undefined
  const find = async () => {
    await tasks?.write()
    return findWorkers(tasks ? [...folders, tasks.folder] : folders)
  }
  const types = join(options.buildDir, 'types/nuxt-queue.d.ts')
  version.addTypes(nitro, types, async () => writeTypes(types, await find()))
  // Prerendered pages have no server.
  const prerender = options.preset === 'nitro-prerender' || (options.static === true && !options.dev)
  version.prepare(nitro, prerender)
  if (prerender) return
  if (!options.dev) assertServer(options, queue.worker !== false)
  if (tasks) queue.schedules = { ...tasks.schedules, ...queue.schedules }
  const path = httpPath(queue)
  const app = {
    configFile: findConfig(given.configDirs ?? [options.rootDir]),
    dev: options.dev,
    fromEnvironment: environmentReads(queue, process.env),
    folder: given.folder,
    path,
    // In development, the builder vite serves the sources and makes no files.
    inPlace: options.dev && options.builder === 'vite',
    root: options.dev ? options.rootDir : undefined,
  }
  if (options.dev) {
    const secret = (process.env[SECRET_VARIABLE] ??= randomUUID())
    const voucher = createVoucher(secret)
    options.devHandlers.push({ handler: version.devHandler(voucher.vouch) })
    given.onListen?.(voucher.watch)
  } else assertInstalled()
  options.runtimeConfig.queue = defu(options.runtimeConfig.queue as KernelConfig | undefined, queue)
  const { plugin, handler, worker, chunkURL } = version.templates
  Object.assign(options.virtual, {
    '#nuxt-queue/app': async () => appModule(await find(), { ...app, origin: given.origin?.() }, chunkURL),
    '#nuxt-queue/plugin': plugin,
    '#nuxt-queue/handler': handler,
  })
  // This plugin comes before those of the application, which may wait for the queue.
  options.plugins.unshift('#nuxt-queue/plugin')
  options.handlers.push({ route: `${path}**`, handler: '#nuxt-queue/handler', lazy: true })
  neverCache(nitro, `${path}**`)
  hooks.hook('rollup:before', (_nitro, config) => {
    if (app.inPlace) return
    // Only here, because commands such as `nuxt typecheck` also set up the module, and build no server.
    if (!options.dev) warnOfMissing(nitro, { ...queue, hasConfigFile: app.configFile !== undefined })
    version.splitServer(nitro, config)
    config.plugins.unshift(entriesPlugin({ find, dev: options.dev, worker }))
  })
  hooks.hook('compiled', async () => {
    if (!options.dev) await completeOutput(options.output.serverDir, await find())
  })
  if (options.dev) watchWorkers(nitro, folders)
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
  return http?.path ?? DEFAULT_PATH
}

function warnOfMissing({ logger, options }: Nitro, config: Parameters<typeof missingPackages>[0]): void {
  const missing = missingPackages(config, options.rootDir, process.env)
  if (missing !== undefined) logger.warn(missing)
}

async function writeTypes(file: string, found: FoundWorkers): Promise<void> {
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, typeDeclarations(found, dirname(file)))
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
