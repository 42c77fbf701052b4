import { realpath, stat } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { QueueError, toError, type WorkerModule } from '../../../kernel/index.ts'

/**
 * Loads a worker file without a build step. Node imports it first. If Node's type stripping refuses the file (enums,
 * imports without extension), jiti imports it. Both share modules with the application. A changed file is loaded
 * again, but the modules that it imports stay cached.
 *
 * @throws QueueError `WORKER_INVALID` with the reason
 */
export async function loadModule(file: string): Promise<WorkerModule> {
  const { mtimeMs } = await stat(file)
  const url = `${pathToFileURL(file).href}?v=${mtimeMs}`
  // Node caches a CommonJS module by its path, without the version.
  delete createRequire(import.meta.url).cache[await realpath(file)]
  const exported = await import(/* @vite-ignore */ url).catch((cause: unknown) => {
    if (isRefusal(cause)) return loadWithJiti(file)
    throw unloadable(file, cause)
  })
  return readWorkerModule(file, exported)
}

/**
 * Returns the config and the handler from the exports of a worker file.
 *
 * @throws QueueError `WORKER_INVALID` that names the file
 */
export function readWorkerModule(file: string, exported: unknown): WorkerModule {
  const { default: handler, config: given, ...others } = asExported(exported)
  const config = withLifecycle(given, others)
  // A worker of another runtime may have its handler in a program that the config names.
  const elsewhere = handler === undefined && config?.runtime !== undefined && config.runtime !== 'node'
  if (typeof handler !== 'function' && !elsewhere) {
    const found = handler === undefined ? 'no default export' : `a ${typeof handler} as default export`
    throw new QueueError(
      'WORKER_INVALID',
      `${file} has ${found}. Export a handler: export default defineQueueWorker(…). If it is not a worker, let its name begin with "_".`,
    )
  }
  return { handler: handler as WorkerModule['handler'], config }
}

interface Exported extends Record<string, unknown> {
  default?: unknown
  config?: WorkerModule['config']
}

/** Returns the exports of a file. A CommonJS file compiled from an ES module exports that module as its default. */
function asExported(exported: unknown): Exported {
  const { default: inner } = exported as Exported
  const isModule = typeof inner === 'object' && inner !== null && 'default' in inner
  return isModule ? inner : (exported as Exported)
}

/** Adds exports such as `onAwaitRegister` to the config of the same file. */
function withLifecycle(config: WorkerModule['config'], others: Record<string, unknown>): WorkerModule['config'] {
  const lifecycle = Object.entries(others).filter(
    ([name, value]) => /^on[A-Z]/.test(name) && typeof value === 'function',
  )
  return lifecycle.length > 0 ? { ...Object.fromEntries(lifecycle), ...config } : config
}

/** Errors of Node for files it cannot read. Any other error comes from the code of the file, which must not run twice. */
const UNREADABLE_CODES: ReadonlySet<unknown> = new Set([
  'ERR_INVALID_TYPESCRIPT_SYNTAX',
  'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX',
  'ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING',
  'ERR_UNKNOWN_FILE_EXTENSION',
  'ERR_MODULE_NOT_FOUND',
  'ERR_UNSUPPORTED_DIR_IMPORT',
])

function isRefusal(error: unknown): boolean {
  return error instanceof SyntaxError || UNREADABLE_CODES.has((error as { code?: unknown } | null)?.code)
}

async function loadWithJiti(file: string): Promise<unknown> {
  try {
    const { createJiti } = await import('jiti')
    return await createJiti(import.meta.url, { moduleCache: false, tryNative: false }).import(file)
  } catch (cause) {
    throw unloadable(file, cause)
  }
}

function unloadable(file: string, cause: unknown): QueueError {
  return new QueueError('WORKER_INVALID', `${file} cannot be loaded: ${toError(cause).message}`, { cause })
}
