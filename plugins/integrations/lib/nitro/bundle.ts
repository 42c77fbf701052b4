import { posix } from 'node:path'
import { normalize } from 'pathe'
import type { NitroHooks } from 'nitropack/types'
import type { GetManualChunk, ManualChunkMeta, Plugin } from 'rollup'
import { ENTRIES, ROOT_PLACEHOLDER, WORKER_ENTRY } from './virtual.ts'
import type { FoundWorkers } from './workers.ts'

type RollupConfig = Parameters<NitroHooks['rollup:before']>[1]

/** What creates the application. */
const APP = /\/runtime\/internal\/app\.[cm]?[jt]s$/

const RUNTIME = /\/nitropack\/dist\/(?:runtime|presets)\//

/** What each entry is made of: the module of its worker, which the server shares. */
const ENTRY = '\0nuxt-queue-entry:'

export interface Entries {
  /** Asked at each build, since workers come and go in development. */
  find: () => Promise<FoundWorkers>
  dev: boolean
}

/** What of this package is loaded by processes of its own, which following the imports does not show. */
const PROGRAMS = ['isolated-child', 'pglite-thread'].map((name) => `nuxt-queue/programs/${name}`)

/** Makes each worker an entry beside the server, so that a process of its own can load it without the server. */
export function addEntries(config: RollupConfig, serverEntry: string, entries: Entries): void {
  const { output } = config
  const chunkOf = (output.manualChunks as GetManualChunk | undefined) ?? runtimeChunk
  output.manualChunks = keepServerApart(chunkOf, normalize(serverEntry))
  // In development Nitro makes one file of everything.
  output.inlineDynamicImports = false
  const plugins = config.plugins as Plugin[]
  plugins.unshift(entriesPlugin(entries))
}

const runtimeChunk: GetManualChunk = (id) => (RUNTIME.test(normalize(id)) ? 'nitro' : null)

/**
 * Nitro puts all of its runtime into one chunk. Whoever uses any of it, such as the runtime config,
 * would then start to listen, or build an application at least. So what listens goes into the
 * entry, and what needs the application into a chunk of its own.
 */
function keepServerApart(chunkOf: GetManualChunk, serverEntry: string): GetManualChunk {
  /** By what looks into the modules of one build: in development there are many. */
  const apart = new WeakMap<ManualChunkMeta['getModuleInfo'], Map<string, string>>()
  return (id, meta) => {
    if (normalize(id).startsWith(serverEntry.replace(/\.[cm]?[jt]s$/, ''))) return null
    const chunks = apart.get(meta.getModuleInfo) ?? chunksWithoutApp(chunkOf, meta)
    apart.set(meta.getModuleInfo, chunks)
    return chunks.get(id) ?? chunkOf(id, meta)
  }
}

/**
 * The chunks of those modules of the runtime that do not import, directly or not, what creates the
 * application. Code of others that they use comes along, or it would land where the application is.
 */
function chunksWithoutApp(chunkOf: GetManualChunk, meta: ManualChunkMeta): Map<string, string> {
  const chunks = new Map<string, string>()
  for (const id of meta.getModuleIds()) {
    const chunk = chunkOf(id, meta)
    if (typeof chunk !== 'string') continue
    const used = reached(id, (module) => meta.getModuleInfo(module)?.importedIds)
    if ([...used].some((module) => APP.test(module))) continue
    for (const module of used) chunks.set(module, `${chunk}-runtime`)
  }
  return chunks
}

/** A module and all that it leads to. */
function reached(id: string, next: (module: string) => readonly string[] | undefined): Set<string> {
  const modules = new Set([id])
  // What is added while the loop runs is visited too.
  for (const module of modules) for (const other of next(module) ?? []) modules.add(other)
  return modules
}

function entriesPlugin({ find, dev }: Entries): Plugin {
  const sources = new Map<string, string>()
  return {
    name: 'nuxt-queue',
    async buildStart() {
      const { workers, others } = await find()
      // What the bundle does not hold makes it out of date all the same.
      if (dev) for (const file of others.values()) this.addWatchFile(file)
      // Whoever resolves them notes that they have to come along.
      for (const program of PROGRAMS) await this.resolve(program)
      sources.clear()
      for (const { id, file } of workers.filter(({ bundled }) => bundled)) {
        sources.set(`${ENTRY}${id}`, file)
        this.emitFile({ type: 'chunk', id: `${ENTRY}${id}`, fileName: `${ENTRIES}/${id}.mjs` })
      }
      // The program that runs workers without a server.
      if (!dev) this.emitFile({ type: 'chunk', id: '#nuxt-queue/worker', fileName: WORKER_ENTRY })
    },
    resolveId: (id) => (id.startsWith(ENTRY) ? { id, moduleSideEffects: true } : null),
    load(id) {
      const file = sources.get(id)
      if (file === undefined) return null
      const path = JSON.stringify(file)
      // Asked for in a way that is no mistake where there is none: a program may run the worker.
      return `export * from ${path}\nimport * as all from ${path}\nexport default Reflect.get(all, 'default')`
    },
    renderChunk: {
      order: 'post',
      handler(code, chunk) {
        if (!code.includes(ROOT_PLACEHOLDER)) return null
        const root = posix.relative(posix.dirname(chunk.fileName), '.') || '.'
        return { code: code.replaceAll(ROOT_PLACEHOLDER, `${root}/`), map: null }
      },
    },
  }
}
