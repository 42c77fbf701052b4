import { stat } from 'node:fs/promises'
import { QueueError, type WorkerConfig, type WorkerModule } from '../../../kernel/index.ts'
import { createDescriptionCache, hashes } from './cache.ts'

/** The description of a worker file by the SDK. */
interface Described {
  file: string
  config?: WorkerConfig
  /** All files of the user that were loaded for the worker, including its own. */
  sources?: string[]
  error?: { message: string; stack?: string }
}

/** A file whose description is requested. */
interface Request {
  file: string
  /** When the request expires, by `Date.now()`. */
  deadline: number
  resolve(module: WorkerModule): void
  reject(error: unknown): void
}

export interface DescriberOptions {
  /**
   * Runs the SDK with these arguments for at most `timeout` milliseconds. Passes each line of stdout to `onLine`, and
   * returns stderr, also after a failure.
   */
  run(args: readonly string[], timeout: number, onLine: (line: string) => void): Promise<string>
  /** Returns a text that identifies the interpreter and the version of the SDK. */
  fingerprint(): Promise<string>
  /** The file that caches configs between processes. Default: no file. */
  cacheFile: string | undefined
}

/**
 * Reads the configs of Python workers by running their files. Files requested together share one interpreter. No
 * interpreter is started for a file if neither the file nor its imports have changed.
 */
export function createDescriber({ run, fingerprint, cacheFile }: DescriberOptions) {
  const cache = createDescriptionCache(cacheFile)
  let requests: Request[] = []
  /** Resolves when everything that was described is in the cache. Workers are available before that. */
  let saved: Promise<unknown> = Promise.resolve()

  async function load(file: string, timeout: number): Promise<WorkerModule> {
    const deadline = Date.now() + timeout
    const print = await fingerprint()
    const known = await cache.get(file, print)
    if (known) return { config: known }
    return new Promise((resolve, reject) => {
      if (requests.push({ file, deadline, resolve, reject }) > 1) return
      setImmediate(() => {
        saved = Promise.all([saved, describe(print)])
      })
    })
  }

  async function describe(print: string): Promise<void> {
    const batch = requests
    const startedAt = Date.now()
    requests = []
    const timeout = Math.max(...batch.map(({ deadline }) => deadline)) - startedAt
    // Python reports which file hangs. Its own timeout is shorter, so that it can report before it is killed.
    const seconds = Math.max(timeout / 2, timeout - 500) / 1000
    try {
      const args = ['describe', '--timeout', String(seconds), ...batch.map(({ file }) => file)]
      const described: Described[] = []
      const stderr = await run(args, timeout, (line) => {
        const one = JSON.parse(line) as Described
        described.push(one)
        for (const request of batch) if (request.file === one.file) settle(request, one)
      })
      for (const { file, reject } of batch) reject(unreadable(file, stderr))
      await cache.put(await Promise.all(described.map((one) => entryOf(one, startedAt))), print)
    } catch (error) {
      for (const { reject } of batch) reject(error)
    }
  }

  return { load, saved: () => saved }
}

function settle({ file, resolve, reject }: Request, { config = {}, error }: Described): void {
  if (!error) return resolve({ config })
  const invalid = new QueueError(
    'WORKER_INVALID',
    `${file} cannot be loaded: ${error.message.replace(`${file} `, 'It ')}`,
  )
  if (error.stack !== undefined) invalid.stack = `${invalid.name}: ${invalid.message}\n${error.stack}`
  reject(invalid)
}

async function entryOf({ file, config, sources = [file], error }: Described, startedAt: number) {
  if (error) return undefined
  const read = await hashes(sources)
  // Checked last: a file written after Python started may differ from the version that the config belongs to.
  return (await areOlder(sources, startedAt)) ? { file, config: config ?? {}, sources: read } : undefined
}

async function areOlder(files: readonly string[], time: number): Promise<boolean> {
  const times = files.map((file) =>
    stat(file).then(
      ({ mtimeMs }) => mtimeMs,
      () => Infinity,
    ),
  )
  return (await Promise.all(times)).every((modified) => modified < time)
}

function unreadable(file: string, stderr: string): QueueError {
  return new QueueError(
    'WORKER_INVALID',
    `${file} cannot be loaded: Python ended before it reported this file.\n${stderr}`,
  )
}
