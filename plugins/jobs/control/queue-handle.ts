import { checkComposed, checkCount, checkDuration, checkText, isQueueError, MAX_COUNT } from '../../../kernel/index.ts'
import type {
  JobQuery,
  Kernel,
  JobRecord,
  JobState,
  QueueEvent,
  RunOutcome,
  Unsubscribe,
} from '../../../kernel/index.ts'
import type { QueueLimits, QueueLimitsChange } from '../../../kernel/index.ts'
import { between, checkFunction, checkLimit, checkOptions, listOf, type OptionChecks } from '../../lib/check-options.ts'
import { JOB_STATES } from '../lib/check-filter.ts'
import type { PausedKey, PausedKeys } from './paused-keys.ts'
import { checkLimits, withLimits } from './queue-limits.ts'

export interface CleanOptions {
  /** The outcomes of the jobs to remove. Default: all outcomes. */
  states?: readonly RunOutcome[]
  /** Removes only jobs that ended at least this many milliseconds ago. Default 0. */
  olderThan?: number
  /** The maximum number of jobs to remove. Jobs that were enqueued first are removed first. Default: no limit. */
  limit?: number
}

/** An event of a queue or of one of its jobs. */
export interface QueueNotice {
  type: QueueEvent
  queue: string
  /** Absent for `paused` and `resumed`. */
  job?: Readonly<JobRecord>
}

/** The methods of a queue handle. */
export interface QueueHandle {
  readonly name: string
  /**
   * Stops all processes from claiming jobs of the queue. Running jobs continue. The queue stays paused as long as it is stored.
   *
   * With `key`, only the jobs whose `fairKey` or `concurrencyKey` is the key wait, for example the jobs of a tenant. At most 1,000 keys of
   * all queues are paused at once.
   *
   * @throws QueueError `OPTION_INVALID`; `OPTION_UNSUPPORTED` for a key without the plugin `limits`
   * @example
   * await kernel.queue('mail').pause({ key: 'acme' })
   */
  pause(options?: { key?: string }): Promise<void>
  /** Undoes `pause`. The jobs of a key become due at once. @throws QueueError `OPTION_INVALID` */
  resume(options?: { key?: string }): Promise<void>
  /** Resolves with true if the queue is paused, or the key of the options. @throws QueueError `OPTION_INVALID` */
  isPaused(options?: { key?: string }): Promise<boolean>
  /** Resolves with the keys that are paused in the queue. */
  pausedKeys(): Promise<PausedKey[]>
  /**
   * Changes how many jobs of the queue run at once and start in a period, in all processes together. The limits are stored with the queue,
   * and the next claim of every process follows them. An absent member stays as it is, and `null` removes a limit.
   *
   * @throws QueueError `OPTION_INVALID`; `OPTION_UNSUPPORTED` if the adapter has no such limits
   * @example
   * await kernel.queue('mail').setLimits({ concurrency: 5, rate: { limit: 100, period: 60_000 } })
   */
  setLimits(change: QueueLimitsChange): Promise<void>
  /** Resolves with the limits that `setLimits` has stored. @throws QueueError `OPTION_UNSUPPORTED` */
  limits(): Promise<QueueLimits>
  /** Resolves with the number of jobs in each state. */
  counts(): Promise<Record<JobState, number>>
  /**
   * Resolves with jobs of the queue, oldest first.
   *
   * @param query.limit default 100
   * @throws QueueError `OPTION_INVALID`
   * @example
   * const failed = await kernel.queue('mail').jobs({ states: ['failed'], limit: 20 })
   */
  jobs(query?: Omit<JobQuery, 'queue'>): Promise<JobRecord[]>
  /**
   * Removes jobs that have ended, and frees their ids. Their history is kept. Resolves with the ids of the removed jobs. The `retention`
   * plugin removes jobs of all queues automatically, and keeps their ids.
   *
   * @throws QueueError `OPTION_INVALID`
   * @example
   * await kernel.queue('mail').clean({ states: ['failed'], olderThan: 7 * 86_400_000 })
   */
  clean(options?: CleanOptions): Promise<string[]>
  /**
   * Calls the listener for each event of the queue that this process causes or receives. Returns a function that stops listening. For the
   * events of all processes, subscribe to the `events` port.
   *
   * @example
   * const stop = kernel.queue('mail').events(({ type, job }) => console.log(type, job?.id))
   */
  events(listener: (notice: QueueNotice) => void): Unsubscribe
}

const ENDED = ['completed', 'failed', 'cancelled'] as const
const CLEAN_CHECKS: OptionChecks<CleanOptions> = { states: listOf(ENDED), olderThan: checkDuration, limit: checkLimit }
const QUERY_CHECKS: OptionChecks<Omit<JobQuery, 'queue'>> = {
  states: listOf(JOB_STATES),
  // Jobs of other producers may have no name.
  name: (what, name) => (name === '' ? name : checkComposed(what, name)),
  runId: checkComposed,
  limit: checkCount,
  offset: between(0, MAX_COUNT),
}
/** How many jobs are read at once. */
const PAGE = 100

export function createQueueHandle(kernel: Kernel, paused: PausedKeys, name: string): QueueHandle {
  const queue = () => kernel.port('queue')

  /** Resolves with false if the job was removed or retried in the meantime. */
  async function remove(id: string): Promise<boolean> {
    try {
      return await queue().remove(name, id)
    } catch (error) {
      if (isQueueError(error, 'JOB_STATE')) return false
      throw error
    }
  }

  return {
    name,
    async pause(options = {}) {
      const key = keyOf('pause()', options)
      return key === undefined ? queue().pause(name) : paused.pause(name, key)
    },
    async resume(options = {}) {
      const key = keyOf('resume()', options)
      return key === undefined ? queue().resume(name) : paused.resume(name, key)
    },
    async isPaused(options = {}) {
      const key = keyOf('isPaused()', options)
      if (key === undefined) return queue().isPaused(name)
      return (await paused.list(name)).some((one) => one.key === key)
    },
    pausedKeys: () => paused.list(name),
    setLimits: async (change) => withLimits(queue()).setLimits(name, checkLimits(change)),
    limits: async () => withLimits(queue()).getLimits(name),
    counts: async () => queue().getJobCounts(name),
    jobs: async (query = {}) => queue().getJobs({ ...checkOptions('jobs()', query, QUERY_CHECKS), queue: name }),
    async clean(options = {}) {
      const { states = ENDED, olderThan = 0, limit = Infinity } = checkOptions('clean()', options, CLEAN_CHECKS)
      const until = kernel.clock.now() - olderThan
      const removed: string[] = []
      let offset = 0
      for (;;) {
        const page = await queue().getJobs({ queue: name, states, limit: PAGE, offset })
        if (page.length === 0) return removed
        for (const { id, finishedAt } of page) {
          if (removed.length >= limit) return removed
          if (finishedAt !== undefined && finishedAt <= until && (await remove(id))) removed.push(id)
          else offset++
        }
      }
    },
    events(listener) {
      checkFunction('The listener of events()', listener)
      return queue().on(name, '*', (type, of, job) => listener({ type, queue: of, ...(job && { job }) }))
    },
  }
}

/** @throws QueueError `OPTION_INVALID` */
function keyOf(method: string, options: { key?: string }): string | undefined {
  return checkOptions(method, options, { key: checkText }).key
}
