import { posix } from 'node:path'
import type { Plugin } from 'rollup'
import { ENTRIES, ROOT_PLACEHOLDER, WORKER_ENTRY } from './app-module.ts'
import type { FoundWorkers } from './workers.ts'

/** The prefix of the entries. Each entry exports the module of a worker, which it shares with the server. */
const ENTRY = '\0nuxt-queue-entry:'
/** The module of the program that runs workers without a server. */
const PROGRAM = '\0nuxt-queue-worker.mjs'

/** Files of this package that separate processes load. The imports do not show them. */
const PROGRAMS = ['isolated-child', 'pglite-thread'].map((name) => `nuxt-queue/programs/${name}`)

export interface Entries {
  /** Called at each build, because workers change in development. */
  find: () => Promise<FoundWorkers>
  dev: boolean
  /** The source of the program that runs workers without a server. */
  worker: string
}

/**
 * Returns a plugin for Rollup and Rolldown that makes each worker an entry next to the server, so that a separate process
 * can load it without the server.
 */
export function entriesPlugin({ find, dev, worker }: Entries): Plugin {
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
      sources.set(PROGRAM, worker)
      for (const { id, file } of workers.filter(({ bundled }) => bundled)) {
        sources.set(`${ENTRY}${id}`, workerEntry(file))
        this.emitFile({ type: 'chunk', id: `${ENTRY}${id}`, fileName: `${ENTRIES}/${id}.mjs` })
      }
      // This program runs the workers without a server.
      if (!dev) this.emitFile({ type: 'chunk', id: PROGRAM, fileName: WORKER_ENTRY })
    },
    resolveId: {
      // Before the plugin of Nitro that loads virtual modules and considers them free of side effects.
      order: 'pre',
      handler: (id) => (sources.has(id) ? { id, moduleSideEffects: true } : null),
    },
    load: (id) => sources.get(id),
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

function workerEntry(file: string): string {
  const path = JSON.stringify(file)
  // Reflect.get allows a missing default export, because another program may run the worker.
  return `export * from ${path}\nimport * as all from ${path}\nexport default Reflect.get(all, 'default')`
}
