import {
  createKernel,
  definePlugin,
  type AnyPlugin,
  type Kernel,
  type KernelConfig,
  type Preset,
  type StoredEvent,
  type WorkerConfig,
  type WorkerModule,
} from '../kernel/index.ts'
import test from '../presets/test.ts'
import { createVirtualClock, settled, type Duration, type VirtualClock } from './virtual-clock.ts'

/** A handler, or what a worker file exports. */
export type TestWorker = TestHandler | { config?: WorkerConfig; handler: TestHandler }
export type TestHandler = NonNullable<WorkerModule['handler']>

export interface TestKernelOptions {
  /** Workers by id. */
  workers?: Readonly<Record<string, TestWorker>>
  /** Added to those of the preset. */
  plugins?: readonly AnyPlugin[]
  config?: KernelConfig
  /** Default: the preset `test`, which is memory under a virtual clock. */
  preset?: Preset
  /** Where virtual time starts. Default 2026-01-01T00:00:00Z. */
  now?: number | Date
}

export interface TestKernel {
  readonly kernel: Kernel
  readonly clock: VirtualClock
  /** What plugins and the kernel reported. */
  readonly reports: readonly { level: 'warn' | 'error'; message: string; detail: unknown }[]
  /** Moves virtual time and waits for what that sets off. */
  advance(duration: Duration): Promise<void>
  /** Waits until no job is due or running. Delayed jobs stay until `advance`; paused queues are passed over. */
  drain(): Promise<void>
  /** The events of a run. */
  events(runId: string): Promise<StoredEvent[]>
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * A started kernel for a test: real queue, real events, no server, virtual time. Ids count up from
 * `id-1`.
 *
 * @example
 * await using test = await createTestKernel({ workers: { hello: async (job) => `hi ${job.data}` } })
 * const job = await test.kernel.enqueue('hello', 'Ada')
 * await test.drain()
 * expect(await test.kernel.result(job)).toBe('hi Ada')
 */
export async function createTestKernel(options: TestKernelOptions = {}): Promise<TestKernel> {
  const { workers = {}, plugins = [], config, preset = test, now } = options
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

/** Waits until no queue that is open has a job that is due or running. */
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
  return active > 0 || (waiting > 0 && consumed && !(await queue.isPaused(name)))
}
