import { existsSync } from 'node:fs'
import { extname, resolve } from 'pathe'
import { isQueueError, QueueError, type Kernel, type Runtime, type WorkerInput } from '../../kernel/index.ts'
import { readWorkerModule } from '../_shared/load-module.ts'
import { filesIn, isWorkerFile, workerId, type BundledWorker } from '../_shared/worker-files.ts'

/** What can be put into the registry, once those before it are there. */
type Registration = (options: { replace: boolean }) => Promise<void>

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
  async function read(id: string, file: string): Promise<Registration> {
    try {
      const runtime = runtimeFor(file)
      const { config, handler } = await runtime.load!(file)
      const worker = { id, config: { runtime: runtime.name, ...config }, handler, absPath: file }
      return (options) => register(worker, options)
    } catch (error) {
      return async () => leaveOut(file, error)
    }
  }

  async function readBundled(id: string, { file, load }: BundledWorker): Promise<Registration> {
    try {
      const { config, handler } = readWorkerModule(file, await load())
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
    /** Loads every worker file, in the order of their paths. Those that cannot be loaded are reported. */
    async scan(): Promise<void> {
      for (const folder of folders) {
        const files = (await filesIn(folder)).filter((file) => isWorkerFile(folder, file))
        await addAll(files.map((file) => read(workerId(folder, file), file)))
      }
    },
    /** Loads files that lie anywhere, and what a build has bundled, by worker id. */
    async add(files: Record<string, string>, bundled: Record<string, BundledWorker>): Promise<void> {
      await addAll(Object.entries(bundled).map(([id, worker]) => readBundled(id, worker)))
      await addAll(Object.entries(files).map(([id, file]) => read(id, resolve(file))))
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
