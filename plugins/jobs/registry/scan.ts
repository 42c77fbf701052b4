import { existsSync, statSync } from 'node:fs'
import { extname, resolve } from 'pathe'
import {
  isQueueError,
  QueueError,
  toError,
  type Kernel,
  type Runtime,
  type WorkerInput,
} from '../../../kernel/index.ts'
import { readWorkerModule } from '../../runtimes/lib/load-module.ts'
import { placeOf } from '../../lib/frames.ts'
import { filesIn, isWorkerFile, workerId, type BundledWorker } from '../lib/worker-files.ts'

type LoadedWorker = WorkerInput & { absPath: string }
/** Registers a loaded worker. Workers load concurrently, and register in order. */
type Registration = (options: { replace: boolean }) => Promise<void>

/** The share of `setupTimeout` that loading may take, so that a file that hangs is skipped before the setup times out. */
const LOAD_SHARE = 0.95
/** How long a process that loads a file may continue after that. Its worker is registered as soon as it has loaded. */
const LATE_LIMIT = 600_000

/** @param folders the folders of workers, without a slash at the end */
export function createScanner(kernel: Kernel, folders: readonly string[]) {
  const timeout = LOAD_SHARE * kernel.config.setupTimeout
  /** The newest load of each file. An earlier one that ends later is ignored. */
  const loads = new Map<string, Promise<LoadedWorker>>()
  let closed = false

  function runtimeFor(file: string): Runtime {
    const extension = extname(file)
    // The runtime that was added last is used, so that an application's own plugin overrides ours.
    const runtime = [...kernel.runtimes.values()].findLast(
      ({ extensions, load }) => load && extensions.includes(extension),
    )
    if (runtime) return runtime
    const known = [...kernel.runtimes.values()].flatMap(({ extensions }) => extensions).join(', ')
    throw new QueueError(
      'WORKER_INVALID',
      `No runtime loads ${extension || 'such'} files. Supported extensions: ${known}.`,
    )
  }

  /** Reads a worker file. Returns the function that registers it, so that files load concurrently and register in order. */
  function read(id: string, file: string): Promise<Registration> {
    return registrationOf(file, async () => {
      const runtime = runtimeFor(file)
      const { config, handler } = await runtime.load!(file, { timeout: timeout + LATE_LIMIT })
      return { id, config: { runtime: runtime.name, ...config }, handler, absPath: file }
    })
  }

  function readBundled(id: string, { file, load }: BundledWorker): Promise<Registration> {
    return registrationOf(file, async () => {
      const { config, handler } = readWorkerModule(file, await load())
      return { id, config, handler, absPath: file }
    })
  }

  /** Skips a file that cannot be loaded. A file that does not load in time is registered as soon as it has loaded. */
  async function registrationOf(file: string, load: () => Promise<LoadedWorker>): Promise<Registration> {
    const loading = load()
    loads.set(file, loading)
    try {
      const worker = await within(timeout, loading)
      return (options) => register(worker, options)
    } catch (error) {
      if (isQueueError(error) && error.details?.late === true) void registerLate(file, loading)
      return async () => leaveOut(file, error)
    }
  }

  async function registerLate(file: string, loading: Promise<LoadedWorker>): Promise<void> {
    const isCurrent = (): boolean => !closed && loads.get(file) === loading
    try {
      const worker = await loading
      if (!isCurrent()) return
      kernel.reporter.warn(`Worker file ${file} has loaded after all.`)
      await register(worker, { replace: false })
    } catch (error) {
      if (isCurrent()) leaveOut(file, error)
    }
  }

  async function addAll(reading: readonly Promise<Registration>[]): Promise<void> {
    for (const registers of reading) {
      const add = await registers
      if (!closed) await add({ replace: false })
    }
  }

  async function register(worker: LoadedWorker, options: { replace: boolean }): Promise<void> {
    try {
      await kernel.registerWorker(worker, options)
    } catch (error) {
      // With two workers for the same jobs, chance would decide which one runs, so this error stops the setup.
      if (isQueueError(error, 'WORKER_DUPLICATE') && !options.replace) throw error
      leaveOut(worker.absPath, error)
    }
  }

  async function unregisterFrom(path: string): Promise<void> {
    for (const file of loads.keys()) if (isIn(path, file)) loads.delete(file)
    const gone = kernel.registry.workers.filter(({ absPath }) => absPath !== undefined && isIn(path, absPath))
    for (const { id } of gone) await kernel.unregisterWorker(id)
  }

  function leaveOut(file: string, error: unknown): void {
    // The message of the runtime may begin with the file, too.
    const reason = toError(error).message.replace(`${file} cannot be loaded: `, '')
    const message = `Worker file ${file} is skipped: ${reason}`
    // The error itself would only repeat the message.
    const place = placeOf(error)
    if (place.length === 0) kernel.reporter.error(message)
    else kernel.reporter.error(message, `\n${place.join('\n')}`)
  }

  return {
    /**
     * Loads every worker file of the folders, the bundled workers, and the files of the option `files`, all at once.
     * Registers them in that order, and the files of a folder in the order of their paths. Reports files that cannot be loaded or do not
     * load in time.
     */
    async load(files: Record<string, string>, bundled: Record<string, BundledWorker>): Promise<void> {
      const found = await Promise.all(folders.map(workersIn))
      await addAll([
        ...found.flat().map(([id, file]) => read(id, file)),
        ...Object.entries(bundled).map(([id, worker]) => readBundled(id, worker)),
        ...Object.entries(files).map(([id, file]) => read(id, resolve(file))),
      ])
    },
    /** Stops registering workers. */
    close: () => void (closed = true),
    /** Reloads a file, loads the new files of a folder, or unregisters the workers of a path that no longer exists. */
    async refresh(path: string): Promise<void> {
      const folder = folders.find((candidate) => isIn(candidate, path))
      if (folder === undefined || !isWorkerFile(folder, path)) return
      const about = statSync(path, { throwIfNoEntry: false })
      if (!about) return unregisterFrom(path)
      const files = about.isDirectory() ? (await filesIn(path)).filter((file) => !loads.has(file)) : [path]
      for (const file of files.filter((one) => isWorkerFile(folder, one))) {
        const registers = await read(workerId(folder, file), file)
        // A file that left while it was loaded is gone, not broken.
        if (existsSync(file)) await registers({ replace: true })
        else await unregisterFrom(file)
      }
    },
  }
}

/** Whether a path is a folder or something in it. */
function isIn(folder: string, path: string): boolean {
  return path === folder || path.startsWith(`${folder}/`)
}

/** Returns the worker files of a folder with their worker ids, in the order of their paths. */
async function workersIn(folder: string): Promise<[id: string, file: string][]> {
  const files = (await filesIn(folder)).filter((file) => isWorkerFile(folder, file))
  return files.map((file) => [workerId(folder, file), file])
}

/** Resolves with the loaded worker, or rejects after the timeout with "late" in the details of the error. */
async function within<T>(timeout: number, loading: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>()
  const hint = 'Check what it waits for when it is imported, such as a connection, or raise setupTimeout.'
  const message = `It has not loaded within ${timeout} ms. ${hint}`
  const timer = setTimeout(
    () => late.reject(new QueueError('WORKER_INVALID', message, { details: { late: true } })),
    timeout,
  )
  try {
    return await Promise.race([loading, late.promise])
  } finally {
    clearTimeout(timer)
  }
}
