import { redactText, toError, type Kernel } from '../../../kernel/index.ts'
import { withinTime } from '../../lib/within-time.ts'

export interface Health {
  status: 'ok' | 'unavailable'
  checks: Record<string, { ok: boolean; ms: number; message?: string }>
}

/** How long a store may take to respond, in milliseconds. */
const STORE_TIMEOUT = 5_000
/** A stream without events. */
const EMPTY_STREAM = '_health'

const running = new WeakMap<Kernel, Promise<Health>>()

/**
 * Makes a small request to each store, and counts the handlers that do not return. Concurrent callers share one check, because anyone may
 * request the health, and many requests must not load the stores.
 */
export async function checkHealth(kernel: Kernel): Promise<Health> {
  const there = running.get(kernel)
  if (there) return there
  const checking = checkAll(kernel).finally(() => running.delete(kernel))
  running.set(kernel, checking)
  return checking
}

async function checkAll(kernel: Kernel): Promise<Health> {
  const checks = await Promise.all([
    check(kernel, 'queue', async () => {
      const queue = kernel.port('queue')
      await queue.checkHealth?.()
      return queue.isPaused(EMPTY_STREAM)
    }),
    check(kernel, 'events', async () => {
      const events = kernel.port('events')
      await events.checkHealth?.()
      return events.head(EMPTY_STREAM)
    }),
  ])
  const all = [...checks, ['handlers', handlers(kernel)] as const]
  const ok = all.every(([, check]) => check.ok)
  return { status: ok ? 'ok' : 'unavailable', checks: Object.fromEntries(all) }
}

/** A handler that never returns occupies a slot permanently. A process with too many of them runs no jobs. */
function handlers(kernel: Kernel): Health['checks'][string] {
  const stuck = kernel.stuckHandlers()
  if (stuck.length === 0) return { ok: true, ms: 0 }
  const workers = [...new Set(stuck.map(({ worker }) => worker))].slice(0, 5).join(', ')
  const message = `Handlers that still run after their attempts ended: ${stuck.length} (${workers}).`
  return { ok: stuck.length < kernel.config.maxStuckHandlers, ms: 0, message }
}

async function check(
  { clock }: Kernel,
  store: string,
  ask: () => Promise<unknown>,
): Promise<[string, Health['checks'][string]]> {
  const began = performance.now()
  const late = (): Error => new Error(`The store did not respond within ${STORE_TIMEOUT} ms.`)
  try {
    await withinTime(clock, STORE_TIMEOUT, ask(), late)
    return [store, { ok: true, ms: Math.round(performance.now() - began) }]
  } catch (error) {
    const { message } = toError(error)
    return [store, { ok: false, ms: Math.round(performance.now() - began), message: redactText(message) }]
  }
}
