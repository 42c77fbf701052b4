import { extname } from 'pathe'
import type { FoundWorkers } from './workers.ts'

/** A placeholder for the path from a chunk to the folder of the server. It is replaced when the chunk is placed. */
export const ROOT_PLACEHOLDER = '__NUXT_QUEUE_ROOT__'
/** The folders below the server for the entries of workers and for the files of workers that are not bundled. */
export const ENTRIES = 'queues'
export const FILES = 'queue-files'
/** The file that `queue.mjs` imports. */
export const WORKER_ENTRY = 'queue-worker.mjs'

export interface AppModule {
  /** The absolute path of `nuxt-queue.config.*`, if there is one. */
  configFile: string | undefined
  dev: boolean
  /** Options that the build read from environment variables. */
  fromEnvironment: Record<string, string>
  /** In development, the folder in which an application without a store keeps its jobs while the command runs. */
  folder: string | undefined
  /** The path whose requests go to the queue. */
  path: string
  /** Whether the sources are evaluated in one process and are not built. Separate processes then load the sources. */
  inPlace: boolean
  /** In development, the folder of the application, in which commands of `nuxt-queue` run. */
  root?: string
  /** In development, where the server listens, such as `http://localhost:3000`, if the host knows it. */
  origin?: string
}

/**
 * Returns the module that describes this application to the plugin.
 *
 * @param chunkURL the expression for the URL of a chunk
 */
export function appModule({ workers }: FoundWorkers, { configFile, ...build }: AppModule, chunkURL: string): string {
  const bundled = workers
    .filter((worker) => worker.bundled)
    .map(({ id, file }) => {
      const entry = build.inPlace ? json(file) : `at(${json(`${ENTRIES}/${id}.mjs`)})`
      return `  ${json(id)}: { file: ${entry}, load: () => import(${json(file)}) },`
    })
  const files = workers
    .filter((worker) => !worker.bundled)
    .map(
      ({ id, file }) => `  ${json(id)}: ${build.dev ? json(file) : `at(${json(`${FILES}/${id}${extname(file)}`)})`},`,
    )
  return [
    `import { fileURLToPath } from 'node:url'`,
    ...(build.dev ? [`import cli from 'nuxt-queue/plugins/cli'`] : []),
    configFile ? `import given from ${json(configFile)}` : 'const given = {}',
    `const at = (path) => fileURLToPath(new URL(${json(ROOT_PLACEHOLDER)} + path, ${chunkURL}))`,
    `export const config = given`,
    `export const plugins = [${build.dev ? 'cli' : ''}]`,
    `export const bundled = {\n${bundled.join('\n')}\n}`,
    `export const files = {\n${files.join('\n')}\n}`,
    `export const build = ${json(build)}`,
  ].join('\n')
}

/** The script of `queue.mjs`. It makes this process run jobs before the code of the server reads the variable. */
export const WORKER_SCRIPT = `process.env.NUXT_QUEUE_WORKER = 'true'
await import('./${WORKER_ENTRY}')
`

function json(value: unknown): string {
  return JSON.stringify(value)
}
