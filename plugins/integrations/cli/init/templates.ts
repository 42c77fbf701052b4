import type { Framework } from './project.ts'

/** The name of the first worker, and the data of its first job. */
export const WORKER = 'hello'
export const DATA = '{"name":"Ada"}'

/** Imports explicitly, because not every framework adds imports. */
export const WORKER_FILE = `import { defineQueueWorker } from 'nuxt-queue'

// The path of this file below its folder is the name of the worker.
export default defineQueueWorker(async (job, ctx) => {
  const { name = 'world' } = (job.data ?? {}) as { name?: string }
  ctx.logger.info(\`greeting \${name}\`)
  return \`hello \${name}\`
})
`

interface FrameworkFacts {
  title: string
  /** The config file that is created if there is none, with its content. */
  config: readonly [file: string, content: string]
  /** The entry for the section \`modules\` of the config, if the framework has modules. */
  module?: string
  dev: string
}

export const FRAMEWORKS: Record<Framework, FrameworkFacts> = {
  nuxt: {
    title: 'Nuxt',
    config: ['nuxt.config.ts', `export default defineNuxtConfig({\n  modules: ['nuxt-queue'],\n})\n`],
    module: 'nuxt-queue',
    dev: 'nuxt dev',
  },
  nitro: {
    title: 'Nitro 3',
    config: [
      'nitro.config.ts',
      `import { defineConfig } from 'nitro'\n\nexport default defineConfig({\n  modules: ['nuxt-queue/nitro'],\n})\n`,
    ],
    module: 'nuxt-queue/nitro',
    dev: 'nitro dev',
  },
  nitropack: {
    title: 'Nitro 2',
    config: [
      'nitro.config.ts',
      `import { defineNitroConfig } from 'nitropack/config'\n\nexport default defineNitroConfig({\n  modules: ['nuxt-queue/nitro'],\n})\n`,
    ],
    module: 'nuxt-queue/nitro',
    dev: 'nitropack dev',
  },
  node: {
    title: 'Node',
    config: [
      'nuxt-queue.config.ts',
      `import { defineConfig } from 'nuxt-queue'\n\nexport default defineConfig({\n  jobs: { attempts: 3 },\n})\n`,
    ],
    dev: 'nuxt-queue dev',
  },
}
