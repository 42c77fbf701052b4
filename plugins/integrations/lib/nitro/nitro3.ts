import type { IncomingMessage } from 'node:http'
import type { GetManualChunk } from 'rollup'
import type { Nitro, Version } from './host.ts'

const PLUGIN = `
import { createKernel } from 'nuxt-queue'
import { startQueue } from 'nuxt-queue/nitro/runtime'
import { useRuntimeConfig } from 'nitro/runtime-config'
import * as app from '#nuxt-queue/app'
export default (nitroApp) => {
  const { queue: runtimeConfig } = useRuntimeConfig()
  startQueue(nitroApp, { ...app, createKernel, runtimeConfig, baseURL: import.meta.baseURL })
}
`

const HANDLER = `
import { defineWebSocketHandler } from 'nitro/h3'
import { handleRequest, socketHooks } from 'nuxt-queue/nitro/runtime'
const sockets = defineWebSocketHandler(() => socketHooks())
export default (event) =>
  event.req.headers.get('upgrade')?.toLowerCase() === 'websocket' ? sockets(event) : handleRequest(event.req)
`

const WORKER = `
import '#nitro/virtual/polyfills'
import { useNitroApp } from 'nitro/app'
import { runUntilSignal } from 'nuxt-queue/nitro/runtime'
await runUntilSignal(useNitroApp())
`

/** The options that nitropack 2 does not have. */
interface Options {
  traceDeps?: (string | RegExp)[]
  inlineDynamicImports?: boolean
  experimental: { websocket?: boolean }
  features: { websocket?: boolean }
}

/** The event of the development server. */
interface Event {
  req: Request & { runtime?: { node?: { req?: IncomingMessage } } }
}

/** Nitro 3. It bundles with Rolldown, Rollup or Vite, has no imports by itself, and its server is built on web standards. */
export const nitro3: Version = {
  templates: { plugin: PLUGIN, handler: HANDLER, worker: WORKER, chunkURL: 'import.meta.url' },
  sourceDirs: ({ options }) => [...options.scanDirs, options.rootDir],
  prepare({ options }, prerender) {
    const own = options as Nitro['options'] & Options
    // Nitro bundles all packages but these, which it copies.
    own.traceDeps = [...(own.traceDeps ?? []), 'nuxt-queue']
    if (prerender) return
    // In development, Nitro would otherwise build a single file.
    own.inlineDynamicImports = false
    own.features.websocket ??= own.experimental.websocket ?? true
  },
  addTypes({ hooks }, _file, write) {
    hooks.hook('build:before', write)
    hooks.hook('rollup:reload', write)
  },
  // The server is already split: each module is in a chunk of the modules that import it.
  splitServer: (_nitro, { output }) => leaveOutUnused(output),
  devHandler:
    (vouch) =>
    ({ req }: Event): void => {
      const { req: request } = req.runtime?.node ?? {}
      // The headers are read from the request later, or have already been read.
      if (request) for (const [name, value] of Object.entries(vouch(request))) req.headers.set(name, value)
    },
}

/**
 * Removes unused modules from the chunks. Nitro puts packages into chunks by name, and with Rollup also packages that it
 * loaded only to copy them, which Rollup cannot render.
 */
function leaveOutUnused(output: { manualChunks?: unknown }): void {
  const chunkOf = output.manualChunks as GetManualChunk | undefined
  if (!chunkOf) return
  output.manualChunks = ((id, meta) =>
    meta.getModuleInfo(id)?.isIncluded === true ? chunkOf(id, meta) : null) satisfies GetManualChunk
}
