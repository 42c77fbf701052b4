import { stat } from 'node:fs/promises'
import { QueueError, type WorkerConfig, type WorkerModule } from '../../../kernel/index.ts'
import { createDescriptionCache, hashes } from './cache.ts'

/** What the SDK tells of a worker's file. */
interface Described {
  file: string
  config?: WorkerConfig
  /** Every file of the user's that was loaded for it, itself included. */
  sources?: string[]
  error?: { message: string; stack?: string }
}

interface Wanted {
  file: string
  /** When nobody waits for it any longer, by `Date.now()`. */
  deadline: number
  resolve(module: WorkerModule): void
  reject(error: unknown): void
}

export interface DescriberOptions {
  /**
   * Runs the SDK with these arguments for so many milliseconds at most. Hands over each line as it comes and returns
   * what was printed beside them, however it ended.
   */
  run(args: readonly string[], timeout: number, onLine: (line: string) => void): Promise<string>
  /** Tells interpreters and versions of the SDK apart. */
  fingerprint(): Promise<string>
  /** Where configs are kept between processes. */
  cacheFile: string | undefined
}

/**
 * Reads the configs of Python workers by running their files. Files asked for together share one
 * interpreter, and none is started for a file that has not changed, nor what it imports.
 */
export function createDescriber({ run, fingerprint, cacheFile }: DescriberOptions) {
  const cache = createDescriptionCache(cacheFile)
  let wanted: Wanted[] = []

  async function load(file: string, timeout: number): Promise<WorkerModule> {
    const deadline = Date.now() + timeout
    const print = await fingerprint()
    const known = await cache.get(file, print)
    if (known) return { config: known }
    return new Promise((resolve, reject) => {
      if (wanted.push({ file, deadline, resolve, reject }) === 1) setImmediate(() => void describe(print))
    })
  }

  async function describe(print: string): Promise<void> {
    const batch = wanted
    const began = Date.now()
    wanted = []
    const timeout = Math.max(...batch.map(({ deadline }) => deadline)) - began
    // Python names the file that hangs, and has to do so before it is ended itself.
    const seconds = Math.max(timeout / 2, timeout - 500) / 1000
    try {
      const args = ['describe', '--timeout', String(seconds), ...batch.map(({ file }) => file)]
      const described: Described[] = []
      const stderr = await run(args, timeout, (line) => {
        const one = JSON.parse(line) as Described
        described.push(one)
        for (const waiting of batch) if (waiting.file === one.file) settle(waiting, one)
      })
      for (const { file, reject } of batch) reject(unreadable(file, stderr))
      await cache.put(await Promise.all(described.map((one) => entryOf(one, began))), print)
    } catch (error) {
      for (const { reject } of batch) reject(error)
    }
  }

  return { load }
}

function settle({ file, resolve, reject }: Wanted, { config = {}, error }: Described): void {
  if (!error) return resolve({ config })
  const invalid = new QueueError('WORKER_INVALID', `${file} cannot be loaded: ${error.message}`)
  if (error.stack !== undefined) invalid.stack = `${invalid.name}: ${invalid.message}\n${error.stack}`
  reject(invalid)
}

async function entryOf({ file, config, sources = [file], error }: Described, began: number) {
  if (error) return undefined
  const read = await hashes(sources)
  // Looked at last: what was written since Python began is another version than the one its config is of.
  return (await areOlder(sources, began)) ? { file, config: config ?? {}, sources: read } : undefined
}

async function areOlder(files: readonly string[], moment: number): Promise<boolean> {
  const times = files.map((file) =>
    stat(file).then(
      ({ mtimeMs }) => mtimeMs,
      () => Infinity,
    ),
  )
  return (await Promise.all(times)).every((time) => time < moment)
}

function unreadable(file: string, stderr: string): QueueError {
  return new QueueError('WORKER_INVALID', `${file} cannot be loaded: Python ended without a word of it.\n${stderr}`)
}
