import { readFileSync } from 'node:fs'
import type { Server } from 'node:http'
import type { NitroConfig } from 'nitropack/types'
import { addImports, addPluginTemplate, addTypeTemplate, defineNuxtModule } from 'nuxt/kit'
import type { Nuxt, NuxtModule } from 'nuxt/schema'
import type { KernelConfig } from 'nuxt-queue'
import { dirname, join } from 'pathe'
import { createNitroModule, httpPath } from '../lib/nitro/module.ts'
import { typeDeclarations } from '../lib/nitro/types.ts'
import { findWorkers, workerFolders } from '../lib/nitro/workers.ts'
import { packageFile } from '../../lib/package-files.ts'
import { developmentFolder } from './development-folder.ts'
import { layerFolders } from './layers.ts'

/** The section `queue` of `nuxt.config.ts`. It has the options of `nuxt-queue.config.ts` that are plain data. */
export interface ModuleOptions extends KernelConfig {
  preset?: string
  /** Where jobs and events are kept. Default: `memory` in development. In production, the environment decides. */
  adapter?: 'memory' | 'file' | 'redis' | 'postgres'
  /** Whether the server runs jobs. Set false in servers that only enqueue; `queue.mjs` runs the jobs. Default true. */
  worker?: boolean
  /** Runs the tasks in `server/tasks` as workers, and `nitro.scheduledTasks` as schedules of the queue. Default false. */
  tasks?: boolean
}

/** The manifest of this package. A published manifest names the page of the project. */
const { version, homepage } = JSON.parse(readFileSync(packageFile('package.json'), 'utf8')) as {
  version: string
  homepage?: string
}

const TYPES = 'types/nuxt-queue.d.ts'

/**
 * The Nuxt module that adds the queue to an application.
 *
 * @example
 * export default defineNuxtConfig({ modules: ['nuxt-queue'], queue: { adapter: 'redis' } })
 */
const module: NuxtModule<ModuleOptions> = defineNuxtModule<ModuleOptions>({
  meta: { name: 'nuxt-queue', version, docs: homepage, configKey: 'queue', compatibility: { nuxt: '>=4.0.0 <6' } },
  setup(options, nuxt) {
    const layers = layerFolders(nuxt)
    const folders = workerFolders(
      layers.map(({ server }) => server),
      nuxt.options.rootDir,
    )
    const nitroModule = createNitroModule({
      queue: options,
      folders,
      configDirs: layers.map(({ root }) => root),
      folder: nuxt.options.dev ? developmentFolder() : undefined,
      origin: () => (nuxt.options.dev ? nuxt.options.devServer.url?.replace(/\/$/, '') : undefined),
      onListen: (callback) => nuxt.hook('listen', (server) => callback(server as Server)),
    })
    // The types come from the server that Nuxt installs. This package does not depend on it.
    const hook = nuxt.hook as (name: string, callback: (config: NitroConfig) => void) => void
    hook('nitro:config', (config) => void (config.modules = [...(config.modules ?? []), nitroModule]))
    addTypeTemplate(
      {
        filename: TYPES,
        getContents: async () =>
          typeDeclarations(await findWorkers(folders), dirname(join(nuxt.options.buildDir, TYPES))),
      },
      // The project of the application also checks routes, because the types of `$fetch` import them.
      { nuxt: true, nitro: true },
    )
    allowImports(nuxt)
    addClient(options)
    if (nuxt.options.dev) addDevtools(nuxt, options)
  },
})

/**
 * Nuxt stops applications from importing the entry of a module. Here the entry is `nuxt-queue` itself, which workers import:
 * as the resolved path in a workspace that links this package, and by its name in the list of modules before Nuxt 4.1.
 */
function allowImports(nuxt: Nuxt): void {
  const entry = (name: string): string => (name === 'nuxt-queue' ? 'nuxt-queue/nuxt' : name)
  nuxt.hook('modules:done', () => {
    for (const installed of nuxt.options._installedModules) {
      if (installed.entryPath !== undefined) installed.entryPath = entry(installed.entryPath)
    }
    nuxt.options.modules = nuxt.options.modules.map((module) => (typeof module === 'string' ? entry(module) : module))
  })
}

/** Adds `useQueueStream` and `useQueueClient` to pages, with the address of the server. */
function addClient(options: ModuleOptions): void {
  addImports(['useQueueStream', 'useQueueClient'].map((name) => ({ name, from: 'nuxt-queue/vue' })))
  addPluginTemplate({
    filename: 'nuxt-queue-client.mjs',
    getContents: () => `import { defineNuxtPlugin, useRuntimeConfig } from '#imports'
import { createQueuePlugin } from 'nuxt-queue/vue'
export default defineNuxtPlugin({
  name: 'nuxt-queue',
  setup(nuxtApp) {
    const base = useRuntimeConfig().app.baseURL.replace(/\\/$/, '')
    // Requests during the rendering of a page on the server send the cookies of the user's request.
    const fetch = import.meta.server ? nuxtApp.ssrContext?.event.fetch : undefined
    nuxtApp.vueApp.use(createQueuePlugin({ baseURL: base + ${JSON.stringify(`${httpPath(options)}api/`)}, fetch }))
  },
})
`,
  })
}

/** The part of Vite DevTools that is used. */
interface DevtoolsKit {
  docks: { register(entry: Record<string, string>): unknown }
}

/** Shows the dashboard in DevTools: as an entry of its dock since version 4, and as a tab before. */
function addDevtools(nuxt: Nuxt, options: ModuleOptions): void {
  const src = `${nuxt.options.app.baseURL.replace(/\/$/, '')}${httpPath(options)}ui/`
  const entry = { title: 'Queue', icon: 'carbon:flow-stream' }
  const hook = nuxt.hook as unknown as (name: string, callback: (value: never) => unknown) => void
  let docked = false
  hook('devtools:customTabs', (tabs: object[]) => {
    if (!docked) tabs.push({ ...entry, name: 'nuxt-queue', view: { type: 'iframe', src } })
  })
  hook('devtools:ready', ({ docks }: DevtoolsKit) => {
    docked = true
    docks.register({ ...entry, id: 'nuxt-queue', type: 'iframe', url: src, groupId: 'nuxt' })
    return (nuxt.callHook as unknown as (name: string) => unknown)('devtools:customTabs:refresh')
  })
}

export default module
