import type { EnqueuedJob, JobFlow, JobOptions } from './job.ts'
import type { JobInput, JobOutput, WorkerId } from './worker-config.ts'

/** The address of a worker: its queue and its job name. This instance need not know the worker. */
export interface WorkerAddress {
  queue: string
  name: string
}
/** @deprecated Use `WorkerAddress`. The place of a job is a `JobRef`. */
export type JobAddress = WorkerAddress

/** A worker's id, or the address of one. */
// oxlint-disable-next-line typescript/no-redundant-type-constituents -- names are known once the modules have written them
export type JobTarget = WorkerId | (string & {}) | WorkerAddress

/** Data and options of a job. The data is optional unless the worker is known to need it. */
export type JobArguments<T> =
  undefined extends JobInput<T>
    ? [data?: JobInput<T>, options?: EnqueueOptions]
    : [data: JobInput<T>, options?: EnqueueOptions]

/** Runs SQL in the caller's own transaction: a `pg` client, or what a helper of `nuxt-queue/postgres` returns, such as `fromDrizzle`. */
export type SqlClient =
  | { query(text: string, values?: unknown[]): Promise<{ rows: unknown[] }> }
  | { executeSql(text: string, values?: unknown[]): Promise<{ rows: unknown[] }> }

/** Arguments of the queue port besides the job. */
export interface StoreOptions {
  db?: SqlClient
}

export interface EnqueueOptions extends JobOptions {
  /**
   * Stores the job in the caller's transaction. If that is rolled back, the job is never stored. For adapters with the
   * capability `transaction`.
   */
  db?: SqlClient
  /**
   * For plugins: identifies the call, so that a repeated call counts once. It becomes the `id` of the job unless a plugin such as
   * `debounce` chooses the id.
   */
  once?: string
  /** For plugins: the run that the job belongs to. Default: a new run. */
  runId?: string
  /** For plugins: the position of the job in a flow. */
  flow?: JobFlow
}

export interface EnqueueItem {
  worker: JobTarget
  data?: unknown
  options?: EnqueueOptions
}

export interface Enqueue {
  /**
   * Queues a job; resolves once the adapter has stored it.
   *
   * @throws QueueError `WORKER_UNKNOWN`, `OPTION_INVALID`, `OPTION_UNSUPPORTED`, `VALIDATION_FAILED`,
   * `VALUE_UNSUPPORTED`, `PAYLOAD_TOO_LARGE`, `QUEUE_FULL`, `ENQUEUE_VETOED`, `KERNEL_CLOSED`
   * @example
   * await kernel.enqueue('mail', { to: 'ada@example.com' }, { attempts: 5, backoff: 1000 })
   */
  enqueue<const T extends JobTarget>(worker: T, ...job: JobArguments<T>): Promise<EnqueuedJob<JobOutput<T>>>
  /** Queues all jobs, or none if one is refused. Uses one round trip if the adapter can. */
  enqueueMany(jobs: readonly EnqueueItem[]): Promise<EnqueuedJob[]>
}
