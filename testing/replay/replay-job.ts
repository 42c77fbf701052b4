import { createKernel, definePlugin, definePreset, isQueueError, timerDelay } from '../../kernel/index.ts'
import type { AnyPlugin, JobDraft, JobRecord, Kernel, KernelConfig } from '../../kernel/index.ts'
import type { RunInfo, StoredEvent } from '../../kernel/index.ts'
import { createLocalEvents } from '../../plugins/adapters/lib/local-events/store.ts'
import { createLocalLimits } from '../../plugins/adapters/lib/local-queue/limits.ts'
import { createLocalQueues } from '../../plugins/adapters/lib/local-queue/provider.ts'
import { createWorkerManager } from '../../plugins/adapters/lib/worker-manager.ts'
import { chaosPreset } from '../chaos/preset.ts'
import type { TestWorker } from '../test-kernel.ts'
import { createVirtualClock } from '../virtual-clock.ts'
import { createReplayFollower, type Difference } from './follow.ts'
import type { RecordedJob } from './recorded.ts'

export interface ReplayJobOptions {
  run: RunInfo
  events: readonly StoredEvent[]
  job: RecordedJob
  workers: Readonly<Record<string, TestWorker>>
  plugins: readonly AnyPlugin[]
  config: KernelConfig | undefined
  /** The data of the job, which the log contains only for steps of flows. */
  data: unknown
  compareResults: boolean
  /** Milliseconds of real time. */
  timeout: number
}

const preset = definePreset({ name: 'replay', extends: chaosPreset, config: { flow: { checkInterval: 0 } } })

/**
 * Runs the handler of a recorded job, as if its process had died right before the end of the job: the log has its sub-steps, waits and
 * states, so none of them runs again. Returns where the handler departs from the log, or `undefined`.
 */
export async function replayJob(options: ReplayJobOptions): Promise<Difference | undefined> {
  const { run, events, job, workers, plugins, config, timeout } = options
  const known = events.filter(({ seq }) => job.end === undefined || seq < job.end.seq)
  const clock = createVirtualClock(events.at(-1)!.ts)
  const done = Promise.withResolvers<Difference | undefined>()
  const follower = createReplayFollower(options, (difference) => {
    pause()
    done.resolve(difference)
  })
  /** The job is not claimed again. */
  let pause = (): void => {}
  const machine = definePlugin({
    name: 'replay-machine',
    enforce: 'pre',
    setup(kernel) {
      kernel.provide('clock', clock)
      const queues = createLocalQueues(kernel, { durable: true, maxQueueSize: Infinity, configKey: 'memory' })
      const { store } = createLocalEvents(kernel, { durable: true })
      const { status: _status, runId, name, queue, jobId, flow, tags } = run
      for (const [index, event] of known.entries()) {
        const patch = { status: 'running' as const, name, queue, jobId, flow, tags }
        void store.append(runId, [event], index === 0 ? { run: patch } : {})
      }
      kernel.provide('events', store)
      // Nothing else starts: what follows from the job has happened.
      const enqueue = ({ id, runId: of }: JobDraft) => ({ id, runId: of, deduplicated: false })
      kernel.provide('queue', { ...queues.provider, enqueue, enqueueMany: (drafts) => drafts.map(enqueue) })
      kernel.provide('limits', createLocalLimits(kernel).limits)
      kernel.provide('workers', createWorkerManager(queues.open, { kernel, maxParked: Infinity }))
      pause = () => void queues.provider.pause(job.queue)
      queues.restore(job.queue, { jobs: [recordOf(options, clock.now())], forgotten: [], paused: false })
      kernel.hook('emit', follower.emit, { when: ({ ctx }) => ctx?.job.id === job.id })
    },
  })
  const context = definePlugin({
    name: 'replay-context',
    enforce: 'post',
    setup: (kernel) =>
      void kernel.hook('context', async (ctx, next) => {
        follower.watch(ctx)
        await next()
      }),
  })
  const reporter = { warn() {}, error() {} }
  const kernel = await createKernel({ preset, plugins: [machine, ...plugins, context], config, reporter })
  const timer = setTimeout(() => done.resolve(follower.difference(`no end within ${timeout} ms`)), timerDelay(timeout))
  try {
    for (const [id, worker] of Object.entries(workers)) {
      await kernel.registerWorker({ id, ...(typeof worker === 'function' ? { handler: worker } : worker) })
    }
    const missing = findMissing(kernel, job)
    if (missing) return { seq: follower.endSeq, ...missing }
    await kernel.start()
    return await done.promise
  } finally {
    clearTimeout(timer)
    await kernel.close({ timeout: 0 })
  }
}

function findMissing(kernel: Kernel, job: RecordedJob): Pick<Difference, 'expected' | 'got'> | undefined {
  const expected = `worker "${job.worker}" for "${job.name}" on queue "${job.queue}"`
  if (!kernel.registry.find(job.queue, job.name)) return { expected, got: 'no worker' }
  if (job.flow === undefined) return undefined
  try {
    kernel.flow(job.flow)
    return undefined
  } catch (error) {
    if (!isQueueError(error)) throw error
    return { expected: `flow "${job.flow}"`, got: error.message }
  }
}

function recordOf({ run, job, data, events }: ReplayJobOptions, now: number): JobRecord {
  const started = events.find(({ stepId, type }) => stepId === job.id && type === 'step.started')!
  const { id, queue, name, attempt, claim, flow, step } = job
  return {
    ...{ id, queue, name, data, runId: run.runId, options: { attempts: attempt }, priority: 0 },
    ...{ createdAt: started.ts, runAt: started.ts, state: 'waiting', attemptsMade: attempt - 1, claims: claim },
    ...{ crashes: 0, round: 0, tags: run.tags, startedAt: now },
    // The log of a flow has the data of its steps.
    flow: flow === undefined ? undefined : { name: flow, step, dataInLog: true, cause: causeIn(events, job) },
  }
}

/** A cause only tells an entry from other steps here. */
function causeIn(events: readonly StoredEvent[], { id }: RecordedJob): string | undefined {
  return events.some(({ type, stepId }) => type === 'flow.started' && stepId === id) ? undefined : id
}
