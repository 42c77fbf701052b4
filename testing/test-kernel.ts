import {
  checkKeys,
  createKernel,
  definePlugin,
  invalid,
  isObject,
  type AnyPlugin,
  type Kernel,
  type KernelConfig,
  type Preset,
  type StoredEvent,
  type WorkerConfig,
  type WorkerModule,
} from '../kernel/index.ts'
import { checkFunction } from '../plugins/lib/check-options.ts'
import test from '../presets/test.ts'
import { createVirtualClock, settled, type Duration, type VirtualClock } from './virtual-clock.ts'

/** A handler, or the exports of a worker file. */
export type TestWorker = TestHandler | { config?: WorkerConfig; handler: TestHandler }
export type TestHandler = NonNullable<WorkerModule['handler']>

export interface TestKernelOptions {
  /** The workers by their ids. */
  workers?: Readonly<Record<string, TestWorker>>
  /** Plugins in addition to those of the preset. */
  plugins?: readonly AnyPlugin[]
  config?: KernelConfig
  /** Default: the preset `test`, which keeps everything in memory. */
  preset?: Preset
  /** The start of virtual time. Default 2026-01-01T00:00:00Z. */
  now?: number | Date
}

export interface TestKernel {
  readonly kernel: Kernel
  readonly clock: VirtualClock
  /** The warnings and errors that plugins and the kernel reported. */
  readonly reports: readonly { level: 'warn' | 'error'; message: string; detail: unknown }[]
  /** Moves virtual time forward and waits for everything that becomes due. */
  advance(duration: Duration): Promise<void>
  /** Waits until no job is due or running. Delayed jobs wait for `advance`, and paused queues are ignored. */
  drain(): Promise<void>
  /** Reads the events of a run. */
  events(runId: string): Promise<StoredEvent[]>
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

const OPTIONS = ['workers', 'plugins', 'config', 'preset', 'now']

/**
 * Creates and starts a kernel for a test: with a real queue, real events, virtual time and no server. Generated ids are
 * `id-1`, `id-2` and so on.
 *
 * @throws QueueError `OPTION_INVALID` for an unknown option or a worker without a handler; all errors of `createKernel`
 * @example
 * await using test = await createTestKernel({ workers: { hello: async (job) => `hi ${job.data}` } })
 * const job = await test.kernel.enqueue('hello', 'Ada')
 * await test.drain()
 * expect(await test.kernel.result(job)).toBe('hi Ada')
 */
export async function createTestKernel(options: TestKernelOptions = {}): Promise<TestKernel> {
  checkKeys('createTestKernel()', options, OPTIONS)
  const { workers = {}, plugins = [], config, preset = test, now } = options
  if (!isObject(workers)) {
    throw invalid(
      'Option "workers" of createTestKernel()',
      'an object of handlers by the ids of their workers',
      workers,
    )
  }
  const clock = createVirtualClock(now)
  const reports: TestKernel['reports'][number][] = []
  const report = (level: 'warn' | 'error') => (message: string, detail?: unknown) =>
    void reports.push({ level, message, detail })
  let ids = 0
  const virtualTime = definePlugin({
    name: 'virtual-clock',
    enforce: 'pre',
    setup: (kernel) => kernel.provide('clock', clock),
  })
  const kernel = await createKernel({
    preset,
    plugins: [virtualTime, ...plugins],
    config,
    reporter: { warn: report('warn'), error: report('error') },
    generateId: () => `id-${++ids}`,
  })
  for (const [id, worker] of Object.entries(workers)) {
    const module = typeof worker === 'function' ? { handler: worker } : worker
    checkFunction(`The handler of worker "${id}"`, module.handler)
    await kernel.registerWorker({ id, ...module })
  }
  await kernel.start()
  const close = async (): Promise<void> => void (await kernel.close({ timeout: 0 }))

  return {
    kernel,
    clock,
    reports,
    advance: (duration) => clock.advance(duration),
    drain: () => drain(kernel),
    events: async (runId) => kernel.port('events').read(runId),
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** Waits until no queue has a job that is due or running. Ignores waiting jobs of queues that are paused, have a rate, or have no worker. */
export async function drain(kernel: Kernel): Promise<void> {
  const queue = kernel.port('queue')
  for (;;) {
    await settled()
    const changed = Promise.withResolvers<void>()
    const stop = queue.on('*', '*', () => changed.resolve())
    const busy = await Promise.all((await queue.getQueues()).map((name) => isBusy(kernel, name)))
    if (!busy.includes(true)) return stop()
    await changed.promise
    stop()
  }
}

async function isBusy(kernel: Kernel, name: string): Promise<boolean> {
  const queue = kernel.port('queue')
  const { waiting, active } = await queue.getJobCounts(name)
  const consumed = kernel.registry.workers.some((worker) => worker.queue.name === name)
  if (active > 0) return true
  if (waiting === 0 || !consumed || (await queue.isPaused(name))) return false
  // Jobs that wait for the rate of their queue need time to pass.
  return (await queue.getLimits?.(name))?.rate === undefined
}
