import { normalize } from 'pathe'
import type { GetManualChunk, ManualChunkMeta } from 'rollup'

/** The modules of nitropack that create the application. */
const APP = /\/runtime\/internal\/app\.[cm]?[jt]s$/

const RUNTIME = /\/nitropack\/dist\/(?:runtime|presets)\//

/**
 * Splits the runtime of nitropack, which is otherwise one chunk. A worker that uses a part of it, such as the runtime
 * config, would then start a server or create an application. The code that listens goes into the entry, and the code that
 * needs the application goes into a separate chunk.
 */
export function splitServer(output: { manualChunks?: unknown }, entry: string): void {
  const given = output.manualChunks as GetManualChunk | undefined
  output.manualChunks = keepServerApart(given ?? runtimeChunk, normalize(entry))
}

const runtimeChunk: GetManualChunk = (id) => (RUNTIME.test(normalize(id)) ? 'nitro' : null)

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
