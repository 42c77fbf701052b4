import { extname } from 'pathe'
import type { FoundWorkers } from './workers.ts'

/** Stands for the way from a chunk to the folder of the server, until the chunk has its place. */
export const ROOT_PLACEHOLDER = '__NUXT_QUEUE_ROOT__'
/** Where the entries of workers are, and the files of those that are not bundled, below the server. */
export const ENTRIES = 'queues'
export const FILES = 'queue-files'
/** What `queue.mjs` imports. */
export const WORKER_ENTRY = 'queue-worker.mjs'

export interface AppModule {
  /** Absolute path of `nuxt-queue.config.*`, if there is one. */
  configFile: string | undefined
  dev: boolean
  /** Options that were read from variables of the environment when this was built. */
  fromEnvironment: Record<string, string>
  /** In development: where an application without a store of its own keeps its jobs as long as the command runs. */
  folder: string | undefined
  /** The path that is routed to the queue. */
  path: string
  /** In development: what the development server vouches with for requests from this machine. */
  secret: string | undefined
}

/** What the plugin needs to know of this application. */
export function appModule({ workers }: FoundWorkers, { configFile, ...build }: AppModule): string {
  const bundled = workers
    .filter((worker) => worker.bundled)
    .map(({ id, file }) => {
      const entry = `at(${json(`${ENTRIES}/${id}.mjs`)})`
      return `  ${json(id)}: { file: ${entry}, load: () => import(${json(file)}) },`
    })
  const files = workers
    .filter((worker) => !worker.bundled)
    .map(
      ({ id, file }) => `  ${json(id)}: ${build.dev ? json(file) : `at(${json(`${FILES}/${id}${extname(file)}`)})`},`,
    )
  return [
    `import { fileURLToPath } from 'node:url'`,
    configFile ? `import given from ${json(configFile)}` : 'const given = {}',
    `const at = (path) => fileURLToPath(new URL(${json(ROOT_PLACEHOLDER)} + path, _import_meta_url_))`,
    `export const config = given`,
    `export const bundled = {\n${bundled.join('\n')}\n}`,
    `export const files = {\n${files.join('\n')}\n}`,
    `export const build = ${json(build)}`,
  ].join('\n')
}

/** The Nitro plugin that starts the queue with the server. */
export const PLUGIN_MODULE = `
import { createKernel } from 'nuxt-queue'
import { startQueue } from 'nuxt-queue/nitro/runtime'
import { useRuntimeConfig } from 'nitropack/runtime'
import * as app from '#nuxt-queue/app'
export default (nitroApp) => {
  const { queue: runtimeConfig, app: { baseURL } } = useRuntimeConfig()
  startQueue(nitroApp, { ...app, createKernel, runtimeConfig, baseURL })
}
`

/** Hands what lies below the path of the queue to it. */
export const HANDLER_MODULE = `
import { defineEventHandler, readRawBody } from 'h3'
import { handleRequest } from 'nuxt-queue/nitro/runtime'
export default defineEventHandler((event) =>
  handleRequest(event.node.req, event.node.res, () => readRawBody(event, false)))
`

/** Answers with a page. */
export function pageModule(html: string): string {
  return `import { defineEventHandler, setResponseHeader } from 'h3'
export default defineEventHandler((event) => {
  setResponseHeader(event, 'content-type', 'text/html; charset=utf-8')
  return ${json(html)}
})
`
}

/** Runs workers without a server. */
export const WORKER_MODULE = `
import '#nitro-internal-pollyfills'
import { useNitroApp } from 'nitropack/runtime'
import { runUntilSignal } from 'nuxt-queue/nitro/runtime'
await runUntilSignal(useNitroApp())
`

/** What is started; says that it works, whatever the servers do, before their code runs. */
export const WORKER_SCRIPT = `process.env.NUXT_QUEUE_WORKER = 'true'
await import('./${WORKER_ENTRY}')
`

function json(value: unknown): string {
  return JSON.stringify(value)
}
