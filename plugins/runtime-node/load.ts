import { stat } from 'node:fs/promises'
import { pathToFileURL } from 'node:url'
import { createJiti } from 'jiti'
import { QueueError, type WorkerModule } from '../../kernel/index.ts'

/**
 * Loads a worker file without a build step: Node's own import first, then jiti for what Node's type
 * stripping refuses (enums, imports without extension). Both share modules with the application.
 * A changed file is loaded afresh; what it imports stays cached.
 *
 * @throws QueueError `WORKER_INVALID` with the reason of the failure
 */
export async function loadModule(file: string): Promise<WorkerModule> {
  const { mtimeMs } = await stat(file)
  const url = `${pathToFileURL(file).href}?v=${mtimeMs}`
  const exported = await import(/* @vite-ignore */ url).catch((refused: unknown) => loadWithJiti(file, refused))
  const { default: handler, config } = exported as { default?: unknown; config?: WorkerModule['config'] }
  if (typeof handler !== 'function') {
    const came = handler === undefined ? 'no default export' : `a ${typeof handler} as default export`
    throw new QueueError(
      'WORKER_INVALID',
      `${file} has ${came}. Export a handler: export default defineQueueWorker(…).`,
    )
  }
  return { handler: handler as NonNullable<WorkerModule['handler']>, config }
}

async function loadWithJiti(file: string, refused: unknown): Promise<unknown> {
  try {
    return await createJiti(import.meta.url, { moduleCache: false, tryNative: false }).import(file)
  } catch (error) {
    // Where both refuse, Node's message says more about JavaScript, jiti's about TypeScript.
    const cause = file.endsWith('ts') ? error : refused
    const said = cause instanceof Error ? cause.message : String(cause)
    throw new QueueError('WORKER_INVALID', `${file} cannot be loaded: ${said}`, { cause })
  }
}
