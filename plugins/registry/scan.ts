import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { extname, join, relative } from 'pathe'
import { isQueueError, QueueError, type Kernel, type Runtime } from '../../kernel/index.ts'

/** Files that may lie beside workers without being any. */
const NO_WORKER =
  /(?:^|\/)[._][^/]*|\.d\.[cm]?ts$|\.(?:test|spec)\.[cm]?[jt]s$|\.(?:md|json|jsonl|txt|csv|sql|map|pyc)$/

/** `ml/train` for `<folder>/ml/train.ts`. */
function workerId(folder: string, file: string): string {
  const path = relative(folder, file)
  return path.slice(0, path.length - extname(path).length)
}

export function createScanner(kernel: Kernel, folders: readonly string[]) {
  function runtimeFor(file: string): Runtime {
    const extension = extname(file)
    const runtime = [...kernel.runtimes.values()].find(({ extensions, load }) => load && extensions.includes(extension))
    if (runtime) return runtime
    const known = [...kernel.runtimes.values()].flatMap(({ extensions }) => extensions).join(', ')
    throw new QueueError('WORKER_INVALID', `No runtime loads ${extension || 'such'} files. Loaded are: ${known}.`)
  }

  async function load(folder: string, file: string, replace: boolean): Promise<void> {
    try {
      const runtime = runtimeFor(file)
      const { config, handler } = await runtime.load!(file)
      const withRuntime = { runtime: runtime.name, ...config }
      await kernel.registerWorker(
        { id: workerId(folder, file), config: withRuntime, handler, absPath: file },
        { replace },
      )
    } catch (error) {
      // Two workers for one job would be a matter of luck, so that is no affair of one file.
      if (isQueueError(error, 'WORKER_DUPLICATE') && !replace) throw error
      const said = error instanceof Error ? error.message : String(error)
      kernel.reporter.error(`Worker file ${file} is left out: ${said}`, error)
    }
  }

  return {
    /** Loads every worker file, in the order of their paths. Those that cannot be loaded are reported. */
    async scan(): Promise<void> {
      for (const folder of folders) {
        const entries = existsSync(folder) ? await readdir(folder, { recursive: true, withFileTypes: true }) : []
        const files = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name))
        for (const file of files.toSorted()) {
          if (!NO_WORKER.test(relative(folder, file))) await load(folder, file, false)
        }
      }
    },
    /** Loads one file again, or drops its worker when the file is gone. */
    async refresh(file: string): Promise<void> {
      const folder = folders.find((candidate) => file.startsWith(`${candidate}/`))
      if (folder === undefined || NO_WORKER.test(relative(folder, file))) return
      if (existsSync(file)) return load(folder, file, true)
      await kernel.unregisterWorker(workerId(folder, file))
    },
  }
}
