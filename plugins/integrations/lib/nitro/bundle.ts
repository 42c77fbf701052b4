import { posix } from 'node:path'
import { normalize } from 'pathe'
import type { NitroHooks } from 'nitropack/types'
import type { GetManualChunk, ManualChunkMeta, Plugin } from 'rollup'
import { ENTRIES, ROOT_PLACEHOLDER, WORKER_ENTRY } from './virtual.ts'
import type { FoundWorkers } from './workers.ts'

type RollupConfig = Parameters<NitroHooks['rollup:before']>[1]

/** The modules that create the application. */
const APP = /\/runtime\/internal\/app\.[cm]?[jt]s$/

const RUNTIME = /\/nitropack\/dist\/(?:runtime|presets)\//

/** The prefix of the entries. Each entry exports the module of a worker, which it shares with the server. */
const ENTRY = '\0nuxt-queue-entry:'

export interface Entries {
  /** Called at each build, because workers change in development. */
  find: () => Promise<FoundWorkers>
  dev: boolean
}

/** Files of this package that separate processes load. The imports do not show them. */
const PROGRAMS = ['isolated-child', 'pglite-thread'].map((name) => `nuxt-queue/programs/${name}`)

/** Makes each worker an entry next to the server, so that a separate process can load it without the server. */
export function addEntries(config: RollupConfig, serverEntry: string, entries: Entries): void {
  const { output } = config
  const chunkOf = (output.manualChunks as GetManualChunk | undefined) ?? runtimeChunk
  output.manualChunks = keepServerApart(chunkOf, normalize(serverEntry))
  // In development, Nitro would otherwise build a single file.
  output.inlineDynamicImports = false
  const plugins = config.plugins as Plugin[]
  plugins.unshift(entriesPlugin(entries))
}

const runtimeChunk: GetManualChunk = (id) => (RUNTIME.test(normalize(id)) ? 'nitro' : null)

/**
 * Splits Nitro's runtime, which Nitro puts into one chunk. A worker that uses a part of it, such as the runtime config,
 * would otherwise start a server or create an application. The code that listens goes into the entry, and the code that
 * needs the application goes into a separate chunk.
 */
function keepServerApart(chunkOf: GetManualChunk, serverEntry: string): GetManualChunk {
  /** The result for each build, by its module lookup. Development has many builds. */
  const apart = new WeakMap<ManualChunkMeta['getModuleInfo'], Map<string, string>>()
  return (id, meta) => {
    if (normalize(id).startsWith(serverEntry.replace(/\.[cm]?[jt]s$/, ''))) return null
    const chunks = apart.get(meta.getModuleInfo) ?? chunksWithoutApp(chunkOf, meta)
    apart.set(meta.getModuleInfo, chunks)
    return chunks.get(id) ?? chunkOf(id, meta)
  }
}

/**
 * Returns the chunks of the runtime modules that do not import the application, directly or indirectly. The code of other
 * packages that they use is included, or it would be put into the chunk of the application.
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

/** Returns a module and all modules that it imports, directly or indirectly. */
function reached(id: string, next: (module: string) => readonly string[] | undefined): Set<string> {
  const modules = new Set([id])
  // The loop also visits the modules that are added while it runs.
  for (const module of modules) for (const other of next(module) ?? []) modules.add(other)
  return modules
}

function entriesPlugin({ find, dev }: Entries): Plugin {
  const sources = new Map<string, string>()
  return {
    name: 'nuxt-queue',
    async buildStart() {
      const { workers, others } = await find()
      // Files outside the bundle must also trigger a new build.
      if (dev) for (const file of others.values()) this.addWatchFile(file)
      // Resolving these files makes Nitro copy them.
      for (const program of PROGRAMS) await this.resolve(program)
      sources.clear()
      for (const { id, file } of workers.filter(({ bundled }) => bundled)) {
        sources.set(`${ENTRY}${id}`, file)
        this.emitFile({ type: 'chunk', id: `${ENTRY}${id}`, fileName: `${ENTRIES}/${id}.mjs` })
      }
      // This program runs the workers without a server.
      if (!dev) this.emitFile({ type: 'chunk', id: '#nuxt-queue/worker', fileName: WORKER_ENTRY })
    },
    resolveId: (id) => (id.startsWith(ENTRY) ? { id, moduleSideEffects: true } : null),
    load(id) {
      const file = sources.get(id)
      if (file === undefined) return null
      const path = JSON.stringify(file)
      // Reflect.get allows a missing default export, because another program may run the worker.
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
