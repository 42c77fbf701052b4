import type {
  EnqueuedJob,
  JobRecord,
  JobState,
  Kernel,
  KernelConfig,
  StoredEvent,
  WorkerConfig,
  WorkerInput,
} from '../../../kernel/index.ts'
import { collectReports, type Harness, type HarnessOptions, type Report } from '../harness.ts'
import { createTime, reachState, type Time } from '../time.ts'

export interface PresetHarness extends Harness {
  /** A kernel of the preset. It is not started and has no workers. */
  kernel: Kernel
  /**
   * Creates another kernel on the same store, like another process. Return it for stores that several processes share. The suite
   * closes the kernel.
   */
  sibling?(): Promise<Kernel>
}

export interface PresetHarnessOptions extends HarnessOptions {
  /** Configuration to merge over that of the harness. */
  config: KernelConfig
}

export interface PresetConformanceOptions {
  name: string
  create(options: PresetHarnessOptions): Promise<PresetHarness>
}

/** The fixture of a test of a preset. By default, each worker has its own queue. */
interface PresetRig extends Time {
  kernel: Kernel
  reports: readonly Report[]
  /** Returns another kernel on the same store, or the same kernel if processes cannot share the store. */
  sibling(): Promise<Kernel>
  /** Registers workers by id and starts the kernel. */
  start(workers: Readonly<Record<string, Worker>>): Promise<void>
  /** Waits until a job is in a state, and returns it. */
  reach(job: Pick<EnqueuedJob, 'queue' | 'id'>, state: JobState): Promise<JobRecord>
  /** Waits for an event of a run by its key. */
  event(runId: string, key: string): Promise<StoredEvent>
  events(runId: string): Promise<StoredEvent[]>
  types(runId: string): Promise<string[]>
}

export type Handler = NonNullable<WorkerInput['handler']>
export type Worker = Handler | [config: WorkerConfig, handler: Handler]
export type PresetTest = (test: (rig: PresetRig) => Promise<void>, config?: KernelConfig) => () => Promise<void>

const NO_HOUSEKEEPING: KernelConfig = {
  registry: { dirs: [] },
  abortGrace: 20,
  flow: { checkInterval: 0 },
  // These tests must pass on a slow store.
  setupTimeout: 120_000,
}

/** Creates the body of a test with its own fixture, which is closed even if the test fails. */
export function presetTest(create: PresetConformanceOptions['create']): PresetTest {
  return (test, config = {}) =>
    async () => {
      const { reports, reporter } = collectReports()
      const harness = await create({ reporter, config: { ...NO_HOUSEKEEPING, ...config } })
      const stop = harness.kernel.port('queue').on('*', '*', () => time.notify())
      const time = createTime(harness)
      const siblings: Kernel[] = []
      async function sibling(): Promise<Kernel> {
        if (!harness.sibling) return harness.kernel
        const made = await harness.sibling()
        siblings.push(made)
        return made
      }
      try {
        await test({ ...createRig(harness.kernel, time, reports), sibling })
      } finally {
        stop()
        for (const one of siblings) await one.close({ timeout: 0 })
        await harness.kernel.close({ timeout: 0 })
        await harness.dispose()
      }
    }
}

function createRig(kernel: Kernel, time: Time, reports: readonly Report[]): Omit<PresetRig, 'sibling'> {
  const events: PresetRig['events'] = async (runId) => kernel.port('events').read(runId)
  return {
    ...time,
    kernel,
    reports,
    async start(workers) {
      for (const [id, worker] of Object.entries(workers)) {
        const [config, handler] = Array.isArray(worker) ? worker : [{}, worker]
        await kernel.registerWorker({ id, config: { queue: id, ...config }, handler })
      }
      await kernel.start()
    },
    reach: (job, state) => reachState(time, kernel.port('queue'), job, state),
    event: (runId, key) => time.until(`run ${runId} has "${key}"`, () => kernel.port('events').byKey(runId, key)),
    events,
    types: async (runId) => (await events(runId)).map(({ type }) => type),
  }
}
