import type { NitroConfig } from 'nitropack/types'
import { addTypeTemplate, defineNuxtModule, getLayerDirectories } from 'nuxt/kit'
import type { NuxtModule } from 'nuxt/schema'
import { dirname, join } from 'pathe'
import type { KernelConfig } from '../../kernel/index.ts'
import { createNitroModule } from '../_shared/nitro/module.ts'
import { typeDeclarations } from '../_shared/nitro/types.ts'
import { findWorkers, workerFolders } from '../_shared/nitro/workers.ts'
import { developmentFolder } from './development-folder.ts'

/** The section `queue` of `nuxt.config.ts`: what `nuxt-queue.config.ts` holds, as far as it is plain data. */
export interface ModuleOptions extends KernelConfig {
  preset?: string
  /** Where jobs and events are kept. Default: `memory` in development, by the environment in production. */
  adapter?: 'memory' | 'file' | 'redis' | 'postgres'
  /** False in instances that only queue jobs; `queue.mjs` beside the server runs them. Default true. */
  worker?: boolean
}

const TYPES = 'types/nuxt-queue.d.ts'

/**
 * The queue for applications of Nuxt.
 *
 * @example
 * export default defineNuxtConfig({ modules: ['nuxt-queue'], queue: { adapter: 'redis' } })
 */
const module: NuxtModule<ModuleOptions> = defineNuxtModule<ModuleOptions>({
  meta: { name: 'nuxt-queue', configKey: 'queue', compatibility: { nuxt: '>=4.0.0' } },
  setup(options, nuxt) {
    const layers = getLayerDirectories(nuxt)
    const folders = workerFolders(
      layers.map(({ server }) => server.replace(/\/$/, '')),
      nuxt.options.rootDir,
    )
    const nitroModule = createNitroModule({
      queue: options,
      folders,
      configDirs: layers.map(({ root }) => root),
      folder: nuxt.options.dev ? developmentFolder() : undefined,
    })
    // Typed by the server that Nuxt brings, which this package does not depend on.
    const hook = nuxt.hook as (name: string, callback: (config: NitroConfig) => void) => void
    hook('nitro:config', (config) => void (config.modules = [...(config.modules ?? []), nitroModule]))
    addTypeTemplate(
      {
        filename: TYPES,
        getContents: async () =>
          typeDeclarations(await findWorkers(folders), dirname(join(nuxt.options.buildDir, TYPES))),
      },
      { nitro: true },
    )
  },
})

export default module
