import {
  createKernel,
  definePlugin,
  definePreset,
  type EnqueueReceipt,
  type JobDraft,
  type JobRecord,
  type JobState,
  type Kernel,
  type KernelConfig,
  type Lease,
  type Limits,
  type MaybePromise,
  type QueueEvent,
  type QueueProvider,
  type Settlement,
  type WorkerInput,
  type WorkerManager,
} from '../../../kernel/index.ts'
import eventsMemory from '../../../plugins/adapters/memory/events/index.ts'
import { createLocalLimits } from '../../../plugins/adapters/lib/local-queue/limits.ts'
import { capabilities } from '../../../presets/common.ts'
import { collectReports, type Harness, type HarnessOptions, type Report } from '../harness.ts'
import { createTime, reachState, type Time } from '../time.ts'

export interface QueueHarness extends Harness {
  queue: QueueProvider
  workers: WorkerManager
  /** Default: limits in memory. */
  limits?: Limits
}

export interface QueueHarnessOptions extends HarnessOptions {
  /** Passed if the adapter declares this capability. */
  maxQueueSize?: number
}

export interface QueueConformanceOptions {
  name: string
  create(options: QueueHarnessOptions): Promise<QueueHarness>
}

export interface ReceivedClaim {
  job: Readonly<JobRecord>
  lease: Lease
  /** When the job was claimed. */
  at: number
}

interface Heard {
  event: QueueEvent
  queue: string
  id: string | undefined
}

/** The fixture of a test of a queue adapter. By default, jobs go to the queue `q` with the name `work`. */
export interface QueueRig extends Time {
  queue: QueueProvider
  workers: WorkerManager
  reports: readonly Report[]
  /** The events that `on('*', '*')` received, in order. */
  heard: readonly Heard[]
  draft(job?: Partial<JobDraft>): JobDraft
  add(job?: Partial<JobDraft>): Promise<EnqueueReceipt>
  get(id: string, queue?: string): Promise<JobRecord>
  /** Registers a worker whose jobs end with the settlements of `settle`. Returns its claims, in order. */
  work(
    settle: (claim: ReceivedClaim) => MaybePromise<Settlement>,
    worker?: { queue?: string; name?: string; concurrency?: number },
  ): Promise<ReceivedClaim[]>
  /** Waits until a job is in a state, and returns it. */
  reach(id: string, state: JobState, queue?: string): Promise<JobRecord>
  /** Starts a kernel on the adapter under test. Everything else is in memory. */
  kernel(workers: readonly WorkerInput[], config?: KernelConfig): Promise<Kernel>
}

export type QueueTest = (
  test: (rig: QueueRig) => Promise<void>,
  options?: { maxQueueSize?: number },
) => () => Promise<void>

/** Creates the body of a test with its own fixture, which is closed even if the test fails. */
export function queueTest(create: QueueConformanceOptions['create']): QueueTest {
  return (test, options) => async () => {
    const { rig, close } = await openRig(create, options)
    try {
      await test(rig)
    } finally {
      await close()
    }
  }
}

/** Creates a worker `w` on the queue `q`. */
export const queueWorker = (handler: WorkerInput['handler'], config: WorkerInput['config'] = {}): WorkerInput => ({
  id: 'w',
  config: { queue: 'q', ...config },
  handler,
})

export const completed = (result?: unknown): Settlement => ({ type: 'completed', result })
export const failed = (message = 'boom'): Settlement => ({ type: 'failed', error: { name: 'Error', message } })

async function openRig(
  create: QueueConformanceOptions['create'],
  options: { maxQueueSize?: number } = {},
): Promise<{ rig: QueueRig; close: () => Promise<void> }> {
  const { reports, reporter } = collectReports()
  const harness = await create({ ...options, reporter })
  const { queue, workers } = harness
  const time = createTime(harness)
  const heard: Heard[] = []
  const kernels: Kernel[] = []
  let jobs = 0
  queue.on('*', '*', (event, name, job) => {
    heard.push({ event, queue: name, id: job?.id })
    time.notify()
  })

  const draft: QueueRig['draft'] = (job = {}) => {
    const id = job.id ?? `job-${++jobs}`
    const createdAt = time.now()
    const defaults = { queue: 'q', name: 'work', data: undefined, options: {}, priority: 0, flow: undefined }
    return { ...defaults, id, runId: `run-${id}`, createdAt, runAt: createdAt, ...job }
  }
  const get: QueueRig['get'] = async (id, name = 'q') => {
    const job = await queue.getJob(name, id)
    if (!job) throw new Error(`Queue "${name}" has no job "${id}".`)
    return job
  }

  const rig: QueueRig = {
    ...time,
    queue,
    workers,
    reports,
    heard,
    draft,
    get,
    add: async (job) => queue.enqueue(draft(job)),
    async work(settle, { queue: name = 'q', name: jobName = 'work', concurrency = 1 } = {}) {
      const claims: ReceivedClaim[] = []
      const processor = async (job: Readonly<JobRecord>, lease: Lease): Promise<Settlement> => {
        const claim = { job, lease, at: time.now() }
        claims.push(claim)
        time.notify()
        const settlement = await settle(claim)
        if (settlement.type === 'completed') lease.handled?.()
        return settlement
      }
      await workers.registerWorker(name, jobName, processor, { concurrency })
      return claims
    },
    reach: (id, state, name = 'q') => reachState(time, queue, { queue: name, id }, state),
    async kernel(definitions, config) {
      const kernel = await createKernel({ preset: presetOf(harness), config, reporter })
      kernels.push(kernel)
      for (const definition of definitions) await kernel.registerWorker(definition)
      await kernel.start()
      return kernel
    },
  }
  const close = async (): Promise<void> => {
    for (const kernel of kernels) await kernel.close({ timeout: 0 })
    await workers.closeAll({ timeout: 0 })
    await harness.dispose()
  }
  return { rig, close }
}

/** Creates a preset of the ports under test and the common plugins. */
function presetOf({ queue, workers, limits, clock }: QueueHarness) {
  const ports = definePlugin({
    name: 'conformance-ports',
    setup(kernel) {
      if (clock) kernel.provide('clock', clock)
      kernel.provide('queue', queue)
      kernel.provide('workers', workers)
      kernel.provide('limits', limits ?? createLocalLimits({ clock: clock ?? kernel.clock }).limits)
    },
  })
  return definePreset({
    name: 'conformance',
    plugins: [ports, eventsMemory, ...capabilities],
    config: { retention: { sweepInterval: 0 }, registry: { dirs: [] }, abortGrace: 20 },
  })
}
