import type { JobRecord } from '../../../kernel/index.ts'

/** What a `filter` of `cancelOn` knows of the job that it may cancel, or of the entry of a run. */
export type CancellableJob = Pick<JobRecord, 'id' | 'queue' | 'name' | 'runId' | 'data'>

/** An event that cancels jobs, or the runs of a flow. */
export interface CancelOn {
  /** The name of the event, as `kernel.sendEvent` sends it. */
  event: string
  /**
   * Selects among these events, like the `match` of a wait: a field such as `order.id` that must be equal in the job's data and the event's
   * payload, or a function that returns the key of the event. Default: any event that was sent without a key.
   */
  match?: string | ((job: Pick<CancellableJob, 'queue' | 'name' | 'data'>) => string)
  /** Returns false for events with a matching key that should cancel nothing. */
  filter?: (payload: unknown, job: CancellableJob) => boolean
}

declare module 'nuxt-queue/kernel' {
  interface WorkerConfig {
    /**
     * Cancels jobs of this worker when an event arrives, whether they wait or run. On the entry of a flow, it cancels the whole run. Only
     * events that are sent after the job was enqueued count.
     *
     * @example
     * defineWorkerConfig({ cancelOn: { event: 'order.cancelled', match: 'orderId' } })
     */
    cancelOn?: CancelOn | readonly CancelOn[]
  }
}
