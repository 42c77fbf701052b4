import type { SerializedError } from './errors.ts'

/** How long a failed attempt waits before the next one. All durations in milliseconds. */
export interface Backoff {
  /** `fixed` waits `delay` each time, `exponential` `delay * 2 ** (attempt - 1)`. */
  type: 'fixed' | 'exponential'
  delay: number
  /** Upper bound of an exponential wait. Default: one day. */
  maxDelay?: number
  /** Share of the wait, 0 to 1, that is drawn at random. Default 0. */
  jitter?: number
}

/** Options of one job, which cannot be the default of a worker. Plugins add some by declaration merging. */
export interface SingleJobOptions {
  /**
   * Deduplicates: while the queue knows a job of this id, enqueueing the id again returns that job. The queue knows the id as
   * long as it keeps the job, and at least for `retention.deduplication` milliseconds after the job has ended. `remove` frees
   * the id. Default: a UUID.
   */
  id?: string
  /** Milliseconds, or a date, before which the job does not run. */
  delay?: number | Date
}

/**
 * What a caller may ask for when enqueueing. A worker's config may have defaults of it, apart from `SingleJobOptions`.
 * Plugins add options by declaration merging, and define them with `kernel.defineJobOption()` or in a rule of their own.
 */
export interface JobOptions extends SingleJobOptions {
  /** How many failures of the handler make the job fail. Default 1. */
  attempts?: number
  /** Wait between attempts: milliseconds, or a strategy. Default 0. */
  backoff?: number | Backoff
  /** The larger, the more urgent. Default 0. Jobs of one priority run in the order of arrival. */
  priority?: number
  /**
   * Milliseconds of waiting that count as one unit of priority, so that no job waits for ever behind more urgent ones. Jobs with
   * `ageing` run after jobs without it, so set it for all jobs of a queue. Default: no ageing.
   */
  ageing?: number
  /** Milliseconds a handler may take. Then its signal aborts and the attempt fails. Default: no limit. */
  timeout?: number
  /** A queue that receives a copy of the job when it fails for good. */
  deadLetter?: string
  /**
   * Words to find the job by, at most 100, each kept once. The tags of a worker's config are on all its jobs, and `enqueue` adds
   * more. Retries, dead letters and redriven jobs keep them; the run of a plain job has them as well.
   *
   * @example
   * await kernel.enqueue('mail', data, { tags: ['customer:7', 'newsletter'] })
   */
  tags?: readonly string[]
  /**
   * Text that travels with the job, by name: at most 32 headers, 8192 characters in all. Names begin with a letter and have
   * letters, digits, `-`, `_` and `.`; lower case is usual. Retries, dead letters and redriven jobs keep the headers, the later
   * steps of a flow have those of its start, and handlers of every runtime read `job.headers`. Hooks on `enqueue` may add some.
   *
   * @example
   * await kernel.enqueue('mail', data, { headers: { traceparent, tenant: 'acme' } })
   */
  headers?: Readonly<Record<string, string>>
}

/** The options that are stored with a job. */
export type StoredJobOptions = Omit<JobOptions, 'id' | 'delay' | 'priority' | 'ageing' | 'tags' | 'headers'>

/** The place of a job in a flow. Set by the flow plugin, carried by every adapter. */
export interface JobFlow {
  name: string
  step: string
  /** Names the emit that caused the step, within its run. Absent for the entry. */
  cause?: string
  /** The number of emits between the entry and this step. Default 0. */
  depth?: number
  /** True in a fork, where parts of this job are recorded that another run has done. */
  forked?: boolean
  /** How the run was started. The entry carries it. */
  start?: FlowStart
  /** True if the caller chose the id of the run, so that starting it twice counts once. */
  named?: boolean
  /** Its data is larger than `payloadLimit`: its queue does not hold it, and the job reads it from the log of its run. */
  dataInLog?: boolean
}

/** How a caller starts a run of a flow, beside its input. */
export interface FlowStart {
  /** Headers of the run. Each of its jobs has them. The entry of a run carries them as its own `headers`. */
  headers?: Readonly<Record<string, string>>
  /** Tags of the run. Only jobs of earlier releases carry them here; the entry of a run has them as its own `tags`. */
  tags?: readonly string[]
  /** The step of another run that started it, and whether that waits for its end. */
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
  /** Milliseconds since the epoch, as is `runAt`: the moment before which it does not run. */
  createdAt: number
  runAt: number
  flow: JobFlow | undefined
  /** Words to find the job by, each once. Absent when there are none. */
  tags?: readonly string[]
  /** Text that travels with the job, by name. Absent when there is none. */
  headers?: Readonly<Record<string, string>>
}

export type JobState = 'waiting' | 'delayed' | 'active' | 'completed' | 'failed' | 'cancelled'

/** A job as the queue stores it. */
export interface JobRecord extends JobDraft {
  state: JobState
  /** Attempts of the handler that have failed. */
  attemptsMade: number
  /** How often the job was handed out, lost leases and deferrals included. */
  claims: number
  /** How often it was handed out and did not come back, or its end could not be stored. */
  crashes: number
  /** How often its lease lapsed although its process was alive. That is not a crash. */
  lapses?: number
  /** How often a caller has retried it after its end. */
  round: number
  startedAt?: number
  finishedAt?: number
  progress?: number
  result?: unknown
  error?: SerializedError
}

/** The job as a handler sees it. `data` is a copy of its own for each attempt. */
export interface Job<T = unknown> extends Readonly<Omit<JobDraft, 'data' | 'runAt' | 'tags' | 'headers'>> {
  readonly data: T
  /** Words to find the job by. Empty when there are none. */
  readonly tags: readonly string[]
  /** Text that travels with the job, by name. Empty when there is none. */
  readonly headers: Readonly<Record<string, string>>
  /** 1 for the first try; counts failures of the handler only. */
  readonly attempt: number
  /** The maximum number of attempts. */
  readonly attempts: number
  /** How often it was handed out and never came back. */
  readonly crashes: number
}

/** What the queue returns for `enqueue`. */
export interface EnqueueReceipt {
  id: string
  runId: string
  /** True when the id was known already, so that nothing was stored. The job itself may have been removed. */
  deduplicated: boolean
}

/** What is known about a job once it is stored. Plain data. */
export interface EnqueueResult extends EnqueueReceipt, Pick<JobDraft, 'queue' | 'name'> {}

/** Where a job is stored: what `enqueue` returns is one. */
export interface JobRef {
  queue: string
  id: string
}

/** What can be done with a job. Plugins add methods by declaration merging, and provide them through the port `handles`. */
export interface JobMethods<Result = unknown> {
  /** Never there: carries the type of the job's result. */
  readonly '~result'?: Result
}

/** A job by its place: what `kernel.job()` returns. */
export interface JobHandle<Result = unknown> extends JobRef, JobMethods<Result> {}

/**
 * What `enqueue` returns. Its own members are plain data; its methods sit on a prototype, so that a copy of it, in JSON
 * or in a result, is an `EnqueueResult`.
 */
export interface EnqueuedJob<Result = unknown> extends EnqueueResult, JobMethods<Result> {}

/** What the adapter stores for a claimed job after the runner has finished with it. */
export type Settlement = (
  | { type: 'completed'; result: unknown }
  | { type: 'failed'; error: SerializedError }
  /** Uses up an attempt; runs again at `runAt`. */
  | { type: 'retry'; error: SerializedError; runAt: number }
  /**
   * Uses up nothing; runs again at `runAt`. With `holdQueue` the queue claims nothing before that. With
   * `crashed` it counts as one of the job's `crashes`.
   */
  | { type: 'defer'; runAt: number; holdQueue?: boolean; crashed?: boolean }
  /** The log has its end already. Acknowledge it with this state, result and error. */
  | { type: 'ended'; state: 'completed' | 'failed' | 'cancelled'; result?: unknown; error?: SerializedError }
  /** Another worker holds the job, and this process is alive. Do not count a crash. */
  | { type: 'lost' }
) & {
  /** Settles when the handler, which still runs, has ended. The slot stays taken until then. Never rejects. */
  slot?: Promise<unknown>
}

/** How many may start within `duration` milliseconds, as the port `limits` takes it. */
export interface RateLimit {
  max: number
  duration: number
}
