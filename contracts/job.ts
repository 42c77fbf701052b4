import type { SerializedError } from './errors.ts'

/** How long a failed attempt waits before the next one. All durations in milliseconds. */
export interface Backoff {
  /** `fixed` waits `delay` each time, `exponential` `delay * 2 ** (attempt - 1)`. */
  type: 'fixed' | 'exponential'
  delay: number
  /** Upper bound of an exponential wait. Default: one day. */
  maxDelay?: number
  /** The random share of the wait, 0 to 1. Default 0. */
  jitter?: number
}

/** Options of one job. They cannot be defaults of a worker. Plugins add options by declaration merging. */
export interface SingleJobOptions {
  /**
   * Deduplicates: while the queue knows a job with this id, enqueueing the id again returns that job. The queue knows the id as
   * long as it keeps the job, and at least for `retention.deduplication` milliseconds after the job has ended. `remove` frees
   * the id. Default: a UUID.
   */
  id?: string
  /** Milliseconds, or a date, before which the job does not run. */
  delay?: number | Date
}

/**
 * The options of `enqueue`. A worker's config may set defaults for all of them except `SingleJobOptions`.
 * Plugins add options by declaration merging, and define them with `kernel.defineJobOption()`.
 */
export interface JobOptions extends SingleJobOptions {
  /** How often the handler may fail before the job fails. Default 1. */
  attempts?: number
  /** Wait between attempts: milliseconds, or a strategy. Default 0. */
  backoff?: number | Backoff
  /** Jobs with a larger number run first. Default 0. Jobs with the same priority run in the order of arrival. */
  priority?: number
  /**
   * Milliseconds of waiting that count as one unit of priority, so that no job waits forever behind more urgent jobs. Jobs with
   * `ageing` run after jobs without it, so set it for all jobs of a queue. Default: no ageing.
   */
  ageing?: number
  /** Milliseconds a handler may take. Then its signal aborts and the attempt fails. Default: no limit. */
  timeout?: number
  /** A queue that receives a copy of the job when it fails permanently. */
  deadLetter?: string
  /**
   * Tags to find the job by, at most 100. Duplicates are dropped. All jobs of a worker have the tags of its config, and `enqueue` adds
   * more. Retries, dead letters and redriven jobs keep them; the run of a plain job has them as well.
   *
   * @example
   * await kernel.enqueue('mail', data, { tags: ['customer:7', 'newsletter'] })
   */
  tags?: readonly string[]
  /**
   * Text that travels with the job, by name: at most 32 headers, 8192 characters in all. Names begin with a letter and consist of letters,
   * digits, `-`, `_` and `.`; lower case is usual. Retries, dead letters and redriven jobs keep the headers, and the later steps of a flow
   * have the headers of its start. Handlers of every runtime read `job.headers`. Hooks on `enqueue` may add some.
   *
   * @example
   * await kernel.enqueue('mail', data, { headers: { traceparent, tenant: 'acme' } })
   */
  headers?: Readonly<Record<string, string>>
}

/** The options that are stored with a job. */
export type StoredJobOptions = Omit<JobOptions, 'id' | 'delay' | 'priority' | 'ageing' | 'tags' | 'headers'>

/**
 * The position of a job in a flow. The flow plugin sets it and adds members by declaration merging. The kernel checks the members below, and
 * every adapter stores the whole.
 */
export interface JobFlow {
  name: string
  step: string
  /** Identifies the emit that caused the step within its run. Absent for the entry. */
  cause?: string
  /** How the run was started. The entry carries it. */
  start?: FlowStart
  /**
   * True if the data is larger than `payloadLimit`. The queue then does not hold the data, and the job reads it from the log of its run.
   */
  dataInLog?: boolean
}

/** The options of the start of a flow, besides its input. */
export interface FlowStart {
  /** Headers of the run. Each of its jobs has them. The entry of the run has them as its own `headers`. */
  headers?: Readonly<Record<string, string>>
  /** Tags of the run. Only jobs of earlier releases have them here. The entry of a run has them as its own `tags`. */
  tags?: readonly string[]
  /** The step of another run that started this run, and whether that step waits for the end of this run. */
  parent?: { runId: string; jobId: string; waits: boolean }
}

/** A job on its way to the queue port. */
export interface JobDraft {
  id: string
  queue: string
  name: string
  data: unknown
  runId: string
  options: StoredJobOptions
  priority: number
  /** Milliseconds since the epoch, like `runAt`, the moment before which the job does not run. */
  createdAt: number
  runAt: number
  flow: JobFlow | undefined
  /** Tags to find the job by, without duplicates. Absent if there are none. */
  tags?: readonly string[]
  /** Text that travels with the job, by name. Absent if there is none. */
  headers?: Readonly<Record<string, string>>
}

export type JobState = 'waiting' | 'delayed' | 'active' | 'completed' | 'failed' | 'cancelled'

/** A job as the queue stores it. */
export interface JobRecord extends JobDraft {
  state: JobState
  /** Attempts of the handler that have failed. */
  attemptsMade: number
  /** How often the job was claimed, including lost leases and deferrals. */
  claims: number
  /** How often the process of the job died, or the end of the job could not be stored. */
  crashes: number
  /** How often the lease of the job lapsed although its process was alive. This is not a crash. */
  lapses?: number
  /** How often a caller has retried the job after its end. */
  round: number
  startedAt?: number
  finishedAt?: number
  progress?: number
  result?: unknown
  error?: SerializedError
}

/** The job as a handler sees it. Each attempt has its own copy of `data`. */
export interface Job<T = unknown> extends Readonly<Omit<JobDraft, 'data' | 'runAt' | 'tags' | 'headers'>> {
  readonly data: T
  /** Tags to find the job by. Empty if there are none. */
  readonly tags: readonly string[]
  /** Text that travels with the job, by name. Empty if there is none. */
  readonly headers: Readonly<Record<string, string>>
  /** The number of the attempt, from 1. Only failures of the handler count. */
  readonly attempt: number
  /** The maximum number of attempts. */
  readonly attempts: number
  /** How often the process of the job died, or the end of the job could not be stored. */
  readonly crashes: number
}

/** The return value of the queue's `enqueue`. */
export interface EnqueueReceipt {
  id: string
  runId: string
  /** True if the id was already known, so nothing was stored. The job itself may have been removed. */
  deduplicated: boolean
}

/** Identifies a stored job. Plain data. */
export interface EnqueueResult extends EnqueueReceipt, Pick<JobDraft, 'queue' | 'name'> {}

/** Identifies a job by its queue and its id. The return value of `enqueue` is a `JobRef`. */
export interface JobRef {
  queue: string
  id: string
}

/** The methods of a job. Plugins add methods by declaration merging, and provide them through the port `handles`. */
export interface JobMethods<Result = unknown> {
  /** Never set. Carries the type of the job's result. */
  readonly '~result'?: Result
}

/** A reference to a job, with methods. `kernel.job()` returns it. */
export interface JobHandle<Result = unknown> extends JobRef, JobMethods<Result> {}

/**
 * The return value of `enqueue`. Its own members are plain data and its methods are on a prototype, so a copy in JSON or in a result is an
 * `EnqueueResult`.
 */
export interface EnqueuedJob<Result = unknown> extends EnqueueResult, JobMethods<Result> {}

/** What the adapter stores for a claimed job after the runner has finished with it. */
export type Settlement = (
  | { type: 'completed'; result: unknown }
  | { type: 'failed'; error: SerializedError }
  /** Uses up an attempt; runs again at `runAt`. */
  | { type: 'retry'; error: SerializedError; runAt: number }
  /**
   * Uses up nothing; runs again at `runAt`. With `holdQueue` the queue claims nothing before that. With `crashed`, `crashes` of the job
   * increases by one.
   */
  | { type: 'defer'; runAt: number; holdQueue?: boolean; crashed?: boolean }
  /** The log already contains the end of the job. Acknowledge the job with this state, result and error. */
  | { type: 'ended'; state: 'completed' | 'failed' | 'cancelled'; result?: unknown; error?: SerializedError }
  /** Another worker holds the job, and this process is alive. Do not count a crash. */
  | { type: 'lost' }
) & {
  /** Resolves when the handler, which is still running, has ended. The slot stays occupied until then. Never rejects. */
  slot?: Promise<unknown>
}

/** How many jobs may start within `duration` milliseconds, in the form that the port `limits` takes. */
export interface RateLimit {
  max: number
  duration: number
}
