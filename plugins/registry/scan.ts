import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { extname, join, relative } from 'pathe'
import { isQueueError, QueueError, type Kernel, type Runtime, type WorkerInput } from '../../kernel/index.ts'

/** Files that may lie beside workers without being any. */
const NO_WORKER =
  /(?:^|\/)[._][^/]*|\.d\.[cm]?ts$|\.(?:test|spec)\.[cm]?[jt]s$|(?:^|\/)test_[^/]*\.py$|_test\.py$|\.(?:md|json|jsonl|txt|csv|sql|map|pyc)$/

/** `ml/train` for `<folder>/ml/train.ts`. */
function workerId(folder: string, file: string): string {
  const path = relative(folder, file)
  return path.slice(0, path.length - extname(path).length)
}

export function createScanner(kernel: Kernel, folders: readonly string[]) {
  function runtimeFor(file: string): Runtime {
    const extension = extname(file)
    // The one added last, so that an application's own plugin wins over ours.
    const runtime = [...kernel.runtimes.values()].findLast(
      ({ extensions, load }) => load && extensions.includes(extension),
    )
    if (runtime) return runtime
    const known = [...kernel.runtimes.values()].flatMap(({ extensions }) => extensions).join(', ')
    throw new QueueError('WORKER_INVALID', `No runtime loads ${extension || 'such'} files. Loaded are: ${known}.`)
  }

  /** Reads a worker file. Answers what registers it, so that files may be read at once and registered in order. */
  async function read(folder: string, file: string): Promise<(options: { replace: boolean }) => Promise<void>> {
    try {
      const runtime = runtimeFor(file)
      const { config, handler } = await runtime.load!(file)
      const worker = {
        id: workerId(folder, file),
        config: { runtime: runtime.name, ...config },
        handler,
        absPath: file,
      }
      return (options) => register(worker, options)
    } catch (error) {
      return async () => leaveOut(file, error)
    }
  }

  async function register(worker: WorkerInput & { absPath: string }, options: { replace: boolean }): Promise<void> {
    try {
      await kernel.registerWorker(worker, options)
    } catch (error) {
      // Two workers for one job would be a matter of luck, so that is no affair of one file.
      if (isQueueError(error, 'WORKER_DUPLICATE') && !options.replace) throw error
      leaveOut(worker.absPath, error)
    }
  }

  function leaveOut(file: string, error: unknown): void {
    const said = error instanceof Error ? error.message : String(error)
    kernel.reporter.error(`Worker file ${file} is left out: ${said}`, error)
  }

  return {
    /** Loads every worker file, in the order of their paths. Those that cannot be loaded are reported. */
    async scan(): Promise<void> {
      for (const folder of folders) {
        const entries = existsSync(folder) ? await readdir(folder, { recursive: true, withFileTypes: true }) : []
        const files = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name))
        const workers = files.filter((file) => !NO_WORKER.test(relative(folder, file))).toSorted()
        const reading = workers.map((file) => read(folder, file))
        for (const registers of reading) await (await registers)({ replace: false })
      }
    },
    /** Loads one file again, or drops its worker when the file is gone. */
    async refresh(file: string): Promise<void> {
      const folder = folders.find((candidate) => file.startsWith(`${candidate}/`))
      if (folder === undefined || NO_WORKER.test(relative(folder, file))) return
      if (existsSync(file)) return (await read(folder, file))({ replace: true })
      await kernel.unregisterWorker(workerId(folder, file))
    },
  }
}
