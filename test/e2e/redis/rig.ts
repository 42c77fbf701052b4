import { fileURLToPath } from 'node:url'
import { createKernel, type Kernel, type KernelConfig, type Reporter } from 'nuxt-queue'
import { onTestFinished } from 'vitest'
import { ROOT, startNode, type Running } from '../processes.ts'

const PROCESS = fileURLToPath(new URL('../../fixtures/redis-process.ts', import.meta.url))

export interface Reports extends Reporter {
  warnings: string[]
  errors: string[]
}

export function collect(): Reports {
  const warnings: string[] = []
  const errors: string[] = []
  return { warnings, errors, warn: (text) => void warnings.push(text), error: (text) => void errors.push(text) }
}

/** An application on the store, closed when the test ends. */
export async function application(
  redis: object,
  reporter: Reporter = collect(),
  config: KernelConfig = {},
): Promise<Kernel> {
  const all = { registry: { dirs: [] }, abortGrace: 20, ...config, redis: { checkServer: false, ...redis } }
  const kernel = await createKernel({ preset: 'prod-redis', config: all, reporter })
  onTestFinished(async () => void (await kernel.close({ timeout: 0 })))
  return kernel
}

/** The same in a separate process, which is killed when the test ends. */
export function instance(redis: object, settings: object): Running {
  const process = startNode([PROCESS, JSON.stringify({ redis: { checkServer: false, ...redis }, ...settings })], ROOT)
  onTestFinished(() => process[Symbol.asyncDispose]())
  return process
}

/** Waits until a check returns a value, and returns it. */
export async function until<T>(check: () => Promise<T | undefined | false> | T | undefined | false): Promise<T> {
  const deadline = Date.now() + 60_000
  for (;;) {
    const found = await check()
    if (found !== undefined && found !== false) return found
    if (Date.now() > deadline) throw new Error(`Waited in vain: ${check.toString()}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
