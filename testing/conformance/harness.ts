import {
  createKernel,
  definePlugin,
  isQueueError,
  type AnyPlugin,
  type Clock,
  type ErrorCode,
  type Kernel,
  type KernelConfig,
  type MaybePromise,
  type Reporter,
} from '../../kernel/index.ts'
import { createVirtualClock } from '../virtual-clock.ts'

/** What every suite needs to know of the world it tests. Each test has one of its own, with an empty store. */
export interface Harness {
  /** The clock it goes by. Default: the system's. */
  clock?: Clock
  /** Moves that clock by milliseconds, and waits for what that sets off. Leave it out where time is real. */
  advance?(ms: number): Promise<void>
  /** Puts that clock back, as a time server may do. */
  rewind?(ms: number): void
  dispose(): MaybePromise<void>
}

/** What a suite hands to `create`. */
export interface HarnessOptions {
  /** Where failures of listeners and the like have to go. */
  reporter: Reporter
}

export interface Report {
  level: 'warn' | 'error'
  message: string
  detail: unknown
}

export interface PluginHarness extends Harness {
  /** Holds the ports; not started. */
  kernel: Kernel
}

export interface PluginHarnessOptions extends Partial<HarnessOptions> {
  plugins: readonly AnyPlugin[]
  config?: KernelConfig
  /** `real` for adapters over something that keeps time itself. Default `virtual`. */
  time?: 'virtual' | 'real'
}

/**
 * Sets plugins up in a kernel of their own, for the ports they provide.
 *
 * @example
 * const { kernel, ...harness } = await createPluginHarness({ plugins: [eventsSqlite], time: 'real' })
 * return { ...harness, events: kernel.port('events') }
 */
export async function createPluginHarness(options: PluginHarnessOptions): Promise<PluginHarness> {
  const { plugins, config, reporter, time = 'virtual' } = options
  const virtual = createVirtualClock()
  let behind = 0
  const clock: Clock = { ...virtual, now: () => virtual.now() - behind }
  const virtualTime = definePlugin({
    name: 'conformance-clock',
    enforce: 'pre',
    setup: (kernel) => kernel.provide('clock', clock),
  })
  const before = time === 'virtual' ? [virtualTime] : []
  const kernel = await createKernel({ plugins: [...before, ...plugins], config, reporter })
  const dispose = async (): Promise<void> => void (await kernel.close({ timeout: 0 }))
  if (time === 'real') return { kernel, dispose }
  return { kernel, clock, advance: (ms) => virtual.advance(ms), rewind: (ms) => void (behind += ms), dispose }
}

export function collectReports(): { reports: Report[]; reporter: Reporter } {
  const reports: Report[] = []
  const report = (level: Report['level']) => (message: string, detail?: unknown) =>
    void reports.push({ level, message, detail })
  return { reports, reporter: { warn: report('warn'), error: report('error') } }
}

/** The code a call fails with, whether it throws or rejects; `undefined` when it does not. */
export async function codeOf(call: () => unknown): Promise<ErrorCode | undefined> {
  return (await errorOf(call))?.code
}

/** The QueueError a call fails with. Other errors pass through. */
export async function errorOf(
  call: () => unknown,
): Promise<{ code: ErrorCode; message: string; details?: Record<string, unknown> } | undefined> {
  try {
    await call()
    return undefined
  } catch (error) {
    if (isQueueError(error)) return error
    throw error
  }
}
