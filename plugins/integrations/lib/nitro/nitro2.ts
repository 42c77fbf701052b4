import { defu } from 'defu'
import type { Nitro as Nitro2 } from 'nitropack/types'
import { dirname, join, relative, resolve } from 'pathe'
import { codeFile } from '../../../lib/package-files.ts'
import { unmarkFailures, type DevelopmentEvent } from './development-proxy.ts'
import type { Version } from './host.ts'
import { isOwn } from './own-package.ts'
import { splitServer } from './server-chunks.ts'

const PLUGIN = `
import { createKernel } from 'nuxt-queue'
import { answerUpgrades, startQueue } from 'nuxt-queue/nitro/runtime'
import { useRuntimeConfig } from 'nitropack/runtime'
import * as app from '#nuxt-queue/app'
export default (nitroApp) => {
  const { queue: runtimeConfig, app: { baseURL } } = useRuntimeConfig()
  startQueue(nitroApp, { ...app, createKernel, runtimeConfig, baseURL })
  answerUpgrades(nitroApp.h3App.websocket)
}
`

const HANDLER = `
import { defineEventHandler, readRawBody } from 'h3'
import { handleNodeRequest } from 'nuxt-queue/nitro/runtime'
export default defineEventHandler((event) =>
  handleNodeRequest(event.node.req, event.node.res, () => readRawBody(event, false)))
`

const WORKER = `
import '#nitro-internal-pollyfills'
import { useNitroApp } from 'nitropack/runtime'
import { runUntilSignal } from 'nuxt-queue/nitro/runtime'
await runUntilSignal(useNitroApp())
`

const MODULE_IMPORTS = ['defineQueueConfig', 'defineQueueWorker', 'defineWorkerConfig', 'useKernel', 'useRunContext']
const RUNTIME_IMPORTS = ['queueReady', 'useQueue', 'useQueueRegistry']

/** nitropack 2, which Nuxt 4 uses. It bundles with Rollup, and its server is built on Node's requests. */
export const nitro2: Version = {
  // nitropack replaces this name after it has replaced `import.meta.url`.
  templates: { plugin: PLUGIN, handler: HANDLER, worker: WORKER, chunkURL: '_import_meta_url_' },
  sourceDirs: ({ options }) => options.scanDirs,
  prepare(nitro, prerender) {
    const { options } = nitro as unknown as Nitro2
    addImports(options)
    options.externals = defu(options.externals, { external: [isOwn] })
    // nitropack compiles for ES2019, which has no top-level await. Every Node that this package supports has it.
    options.esbuild = defu(options.esbuild, { options: { target: 'es2022' } })
    if (!prerender) options.experimental.websocket ??= true
  },
  addTypes(nitro, file, write) {
    const { hooks, options } = nitro as unknown as Nitro2
    hooks.hook('types:extend', write)
    const tsconfig = resolve(options.buildDir, options.typescript.tsconfigPath ?? 'types/tsconfig.json')
    options.typescript.tsConfig = defu(options.typescript.tsConfig, { include: [relative(dirname(tsconfig), file)] })
  },
  splitServer({ options }, { output }) {
    splitServer(output, options.entry)
    // In development, Nitro would otherwise build a single file.
    Object.assign(output, { inlineDynamicImports: false })
  },
  // h3 1 recognizes a handler by this property.
  devHandler: (vouch) =>
    Object.assign(
      (event: DevelopmentEvent) => {
        unmarkFailures(event)
        vouch(event.node.req)
      },
      { __is_handler__: true },
    ),
}

function addImports(options: Nitro2['options']): void {
  if (!options.imports) return
  // Nitro looks for the types of a subpath in a folder of that name, which may not exist.
  const from = (source: string, path: string, names: readonly string[]) =>
    names.map((name) => ({ name, from: source, typeFrom: join(codeFile('.'), path) }))
  options.imports.imports = [
    ...(options.imports.imports ?? []),
    ...from('nuxt-queue', 'index.js', MODULE_IMPORTS),
    ...from('nuxt-queue/nitro/runtime', 'plugins/integrations/lib/nitro/runtime/index.js', RUNTIME_IMPORTS),
  ]
}
