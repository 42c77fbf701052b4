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

/** The environment of a test. Each test has its own, with an empty store. */
export interface Harness {
  /** The clock of the plugin under test. Default: the system clock. */
  clock?: Clock
  /** Moves the clock forward by `ms` milliseconds and waits for everything that becomes due. Omit it for a real clock. */
  advance?(ms: number): Promise<void>
  /** Sets the clock back, like a time server might do. */
  rewind?(ms: number): void
  dispose(): MaybePromise<void>
}

/** The arguments of `create`. */
export interface HarnessOptions {
  /** The reporter that must receive the errors of listeners. */
  reporter: Reporter
}

export interface Report {
  level: 'warn' | 'error'
  message: string
  detail: unknown
}

export interface PluginHarness extends Harness {
  /** A kernel with the ports of the plugins. It is not started. */
  kernel: Kernel
}

export interface PluginHarnessOptions extends Partial<HarnessOptions> {
  plugins: readonly AnyPlugin[]
  config?: KernelConfig
  /** Use `real` for adapters whose store has its own clock. Default `virtual`. */
  time?: 'virtual' | 'real'
}

/**
 * Sets up plugins in a new kernel and returns it, so that a test can use their ports.
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

/** Returns the code of the error that a call throws or rejects with, or `undefined` if it succeeds. */
export async function codeOf(call: () => unknown): Promise<ErrorCode | undefined> {
  return (await errorOf(call))?.code
}

/** Returns the `QueueError` that a call fails with, or `undefined` if it succeeds. Rethrows other errors. */
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
