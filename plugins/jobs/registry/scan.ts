import { existsSync } from 'node:fs'
import { extname, resolve } from 'pathe'
import { isQueueError, QueueError, type Kernel, type Runtime, type WorkerInput } from '../../../kernel/index.ts'
import { readWorkerModule } from '../../runtimes/lib/load-module.ts'
import { filesIn, isWorkerFile, workerId, type BundledWorker } from '../lib/worker-files.ts'

/** What can be put into the registry, once those before it are there. */
type Registration = (options: { replace: boolean }) => Promise<void>

/** The share of `setupTimeout` that loading may take, so that a file that hangs is left out before all is given up. */
const LOAD_SHARE = 0.95

/** @param folders where workers lie, without a slash at the end */
export function createScanner(kernel: Kernel, folders: readonly string[]) {
  const timeout = LOAD_SHARE * kernel.config.setupTimeout

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
  async function read(id: string, file: string): Promise<Registration> {
    try {
      const runtime = runtimeFor(file)
      const { config, handler } = await within(timeout, runtime.load!(file, { timeout }))
      const worker = { id, config: { runtime: runtime.name, ...config }, handler, absPath: file }
      return (options) => register(worker, options)
    } catch (error) {
      return async () => leaveOut(file, error)
    }
  }

  async function readBundled(id: string, { file, load }: BundledWorker): Promise<Registration> {
    try {
      const { config, handler } = readWorkerModule(file, await within(timeout, load()))
      return (options) => register({ id, config, handler, absPath: file }, options)
    } catch (error) {
      return async () => leaveOut(file, error)
    }
  }

  async function addAll(reading: readonly Promise<Registration>[]): Promise<void> {
    for (const registers of reading) await (await registers)({ replace: false })
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
    /**
     * Loads every worker file of the folders, what a build has bundled, and files that lie anywhere, all at once.
     * Registers them in that order, and those of a folder in the order of their paths. Those that cannot be loaded,
     * or not in time, are reported.
     */
    async load(files: Record<string, string>, bundled: Record<string, BundledWorker>): Promise<void> {
      const found = await Promise.all(folders.map(workersIn))
      await addAll([
        ...found.flat().map(([id, file]) => read(id, file)),
        ...Object.entries(bundled).map(([id, worker]) => readBundled(id, worker)),
        ...Object.entries(files).map(([id, file]) => read(id, resolve(file))),
      ])
    },
    /** Loads one file again, or drops its worker when the file is gone. */
    async refresh(file: string): Promise<void> {
      const folder = folders.find((candidate) => file.startsWith(`${candidate}/`))
      if (folder === undefined || !isWorkerFile(folder, file)) return
      if (existsSync(file)) return (await read(workerId(folder, file), file))({ replace: true })
      await kernel.unregisterWorker(workerId(folder, file))
    },
  }
}

/** The worker files of a folder, by the ids of their workers, in the order of their paths. */
async function workersIn(folder: string): Promise<[id: string, file: string][]> {
  const files = (await filesIn(folder)).filter((file) => isWorkerFile(folder, file))
  return files.map((file) => [workerId(folder, file), file])
}

/** What is being loaded, unless it takes longer. What comes of it then is nobody's concern. */
async function within<T>(timeout: number, loading: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>()
  const hint = 'See what it waits for when it is imported, such as a connection, or raise setupTimeout.'
  const message = `It has not loaded within ${timeout} ms. ${hint}`
  const timer = setTimeout(() => late.reject(new QueueError('WORKER_INVALID', message)), timeout)
  try {
    return await Promise.race([loading, late.promise])
  } finally {
    clearTimeout(timer)
  }
}
