import type { Clock } from './clock.ts'
import type { Diagnosis } from './diagnosis.ts'
import type { StoreOptions } from './enqueue.ts'
import type * as E from './events.ts'
import type { EnqueuedJob, EnqueueReceipt, EnqueueResult, JobDraft, JobRecord } from './job.ts'
import type { JobState, RateLimit, Settlement } from './job.ts'
import type { Lease } from './lease.ts'
import type { FoundJobs, JobFilter, JobSearch, JobTotals } from './job-search.ts'
import type { MaybePromise } from './promise.ts'
import type { QueueLimits, QueueLimitsChange } from './queue-limits.ts'
import type { RunContext, WorkerDefinition, WorkerModule } from './worker.ts'

export type Unsubscribe = () => void

/** One plugin provides each port, except `runtime`. Plugins add their own ports by declaration merging. */
export interface Ports {
  /** Stores jobs and makes no decisions about them. */
  queue: QueueProvider
  /** Runs the consumers, which claim the jobs of a queue for its workers. */
  workers: WorkerManager
  /** The history of every run. */
  events: EventStore
  /** Holds permits and rate limits that all instances share. */
  limits: Limits
  /** Adds methods to the return value of `enqueue`. Without a provider, `enqueue` returns plain data. */
  handles: JobHandles
  /** The source of time. Default: the system clock. */
  clock: Clock
  /** Runs handlers. Several plugins may provide runtimes with different names. */
  runtime: Runtime
}

/**
 * What an adapter supports. `durable`: jobs survive the process. `shared`: several processes use the same queue. `search`:
 * `findJobs` and `countJobs`; `searchData`: their filter `data` as well. `fairness`: the keys of `fairKey` take turns. `queueLimits`: `setLimits`
 * and `getLimits`. The other capabilities are job options. The conformance suite
 * tests each declared capability. Using an undeclared option throws.
 */
export type QueueCapability =
  | 'durable'
  | 'shared'
  | 'delay'
  | 'priority'
  | 'maxQueueSize'
  | 'progress'
  | 'transaction'
  | 'search'
  | 'searchData'
  | 'fairness'
  | 'queueLimits'

/** Events of jobs. `paused` and `resumed` are events of queues. */
export type QueueEvent =
  | 'waiting'
  | 'delayed'
  | 'active'
  | 'progress'
  | 'retrying'
  | 'removed'
  | 'paused'
  | 'resumed'
  | E.RunOutcome
export type QueueListener = (event: QueueEvent, queue: string, job?: Readonly<JobRecord>) => void

/** Which jobs to list, oldest first. The cost grows with `offset`; `findJobs` has no such limit. */
export interface JobQuery extends Partial<Pick<JobRecord, 'queue' | 'name' | 'runId'>> {
  states?: readonly JobState[]
  /** Default 100. */
  limit?: number
  offset?: number
}

/** Options of a retry. */
export interface RetryOptions {
  /** Retries only if the job has been retried exactly this many times. A repeated call then retries the job once. */
  round?: number
  /** If present, replaces the data of the job. */
  data?: unknown
}

/** What changes when something happens to a job: what a caller that has read the job expects of it. */
export type JobMarks = Pick<JobRecord, 'state' | 'round' | 'claims' | 'createdAt'>

export interface QueueProvider {
  readonly capabilities: Readonly<Record<QueueCapability, boolean>>
  /** Milliseconds without a renewal after which a job goes to another process. Absent for adapters of one process. */
  readonly lease?: number
  /** Stores a copy of the job unless its id is known in that queue. Due jobs are `waiting`, others `delayed`. */
  enqueue(job: JobDraft, options?: StoreOptions): MaybePromise<EnqueueReceipt>
  /** Stores all jobs or none. Receipts are in the order of the jobs. `options` has one entry for each job. */
  enqueueMany(jobs: readonly JobDraft[], options?: readonly StoreOptions[]): MaybePromise<EnqueueReceipt[]>
  getJob(queue: string, id: string): MaybePromise<JobRecord | undefined>
  getJobs(query?: JobQuery): MaybePromise<JobRecord[]>
  getJobCounts(queue: string): MaybePromise<Record<JobState, number>>
  /**
   * Finds jobs, newest first by creation. With the capability `search`. The arguments have been checked.
   *
   * - The pages contain, exactly once, every matching job that existed when the previous page was read and still matches, even
   *   if jobs are added, settled or removed in between. A page costs the same at any depth.
   * - The candidates come from indexes by queue, state, name, run, tag and moment. The index is written and removed together
   *   with the job. `error` and `data` are compared among the candidates.
   *
   * Adapters share `plugins/adapters/lib/job-search`: `searchJobs` makes pages from the candidates that an adapter reads, up to the bound,
   * `mergeSources` merges several indexes, and `createMatcher` compares a job with a filter.
   *
   * @throws QueueError `OPTION_INVALID` for an `after` that is not a cursor
   */
  findJobs?(search: JobSearch): MaybePromise<FoundJobs>
  /** Counts the jobs that match. With the capability `search`. A filter that names only the queue costs nothing. */
  countJobs?(filter: JobFilter): MaybePromise<JobTotals>
  /** The queues that hold jobs or have a consumer. */
  getQueues(): MaybePromise<string[]>
  /** Stops claims until the queue is resumed. With a durable adapter, the queue stays paused after a restart. */
  pause(queue: string): MaybePromise<void>
  resume(queue: string): MaybePromise<void>
  isPaused(queue: string): MaybePromise<boolean>
  /**
   * Changes the limits of a queue in one write. Each claim compares them, so they apply to all processes from then on. Running jobs
   * continue. A change of the rate begins a new period. With the capability `queueLimits`. The arguments have been checked.
   */
  setLimits?(queue: string, change: QueueLimitsChange): MaybePromise<void>
  /** Returns the limits of a queue. With the capability `queueLimits`. */
  getLimits?(queue: string): MaybePromise<QueueLimits>
  /**
   * Queues a failed or cancelled job again, with all its attempts, in one write.
   *
   * @throws `JOB_NOT_FOUND`; `JOB_STATE` for a job in another state or generation; `VALUE_UNSUPPORTED`, `PAYLOAD_TOO_LARGE`
   */
  retry(queue: string, id: string, options?: RetryOptions): MaybePromise<void>
  /**
   * Changes when a waiting or delayed job is due, in milliseconds since the epoch. The job is in one state or the other at every
   * moment, so a process that dies never loses it. Returns false for any other job. With the capability `delay`.
   */
  reschedule(queue: string, id: string, runAt: number): MaybePromise<boolean>
  /** Makes a delayed job due now. If the job is active and then deferred, it runs again at once. Returns false for any other job. */
  promote(queue: string, id: string): MaybePromise<boolean>
  /** Cancels a waiting or delayed job. Returns false when it is active, has ended or is unknown. */
  cancel(queue: string, id: string): MaybePromise<boolean>
  /**
   * Removes a job and frees its id, also the id of a job that `clean` has removed. Returns false when there is neither. With
   * `expected`, removes only a job that still has these marks, which the write itself compares.
   *
   * @throws `JOB_STATE` when it is active or has changed
   */
  remove(queue: string, id: string, expected?: JobMarks): MaybePromise<boolean>
  /**
   * Removes ended jobs that exceed the bounds, in all queues, and returns their number. With `rememberFor`, ids that callers
   * chose (`hasGivenId`) stay known. The removal and the remembered ids are one write, so a process cannot die between them.
   */
  clean(policy: E.CleanPolicy): MaybePromise<number>
  /** Returns the run of a job that `clean` has removed while its id is still known. `enqueue` of that id stores nothing. */
  forgotten(queue: string, id: string): MaybePromise<string | undefined>
  /** Rejects with `STORE_UNAVAILABLE` while the store accepts no writes. Health checks call it. */
  checkHealth?(): MaybePromise<void>
  /** Finds settings that lose jobs, versions that do not fit, and clocks that differ. `kernel.diagnose()` calls it. */
  diagnose?(): MaybePromise<Diagnosis[]>
  /** `'*'` stands for every queue, or every event. */
  on(queue: string, event: QueueEvent | '*', listener: QueueListener): Unsubscribe
  close(): MaybePromise<void>
}

/**
 * Runs one claimed job and resolves with its settlement. Never rejects. The kernel creates it, and it is the same for every
 * adapter. The record's `data` is a copy that belongs to this claim.
 */
export type Processor = (job: Readonly<JobRecord>, lease: Lease) => Promise<Settlement>

export interface RegisteredWorker {
  queue: string
  name: string
  /** How many jobs of the worker may run at once in this process. */
  options: { concurrency: number }
}

/**
 * Each queue has one consumer. Its concurrency is the sum of its workers' concurrency, and each worker keeps its own limit. Jobs
 * of a worker that is at its limit do not block jobs of other workers.
 */
export interface WorkerManager {
  registerWorker(
    queue: string,
    name: string,
    processor: Processor,
    options: RegisteredWorker['options'],
  ): MaybePromise<void>
  unregisterWorker(queue: string, name: string): MaybePromise<void>
  getWorker(queue: string, name: string): RegisteredWorker | undefined
  /** Stops claiming and waits for running jobs, at most `timeout` milliseconds. */
  closeAll(options: { timeout: number }): Promise<void>
}

/** With `globalCursor`, `subscribe('*', { after })` replays. Without it, `'*'` only follows. */
export type EventCapability = 'durable' | 'shared' | 'globalCursor'
/** `cursor` is set for `'*'`. It is opaque; pass it as `after`. */
export type StreamListener = (events: readonly E.StoredEvent[], cursor?: string) => void

export interface EventStore {
  readonly capabilities: Readonly<Record<EventCapability, boolean>>
  /** Stores copies of all events with consecutive `seq`s, or stores none and returns the reason. */
  append(stream: string, events: readonly E.EventDraft[], options?: E.AppendOptions): MaybePromise<E.AppendResult>
  /** @throws `EVENTS_TRIMMED` when `after` is below the trimmed part; `details.trimmed` is the last trimmed `seq` */
  read(stream: string, options?: E.ReadOptions): MaybePromise<E.StoredEvent[]>
  byKey(stream: string, key: string): MaybePromise<E.StoredEvent | undefined>
  /** Returns the `seq` of the newest event, or 0. */
  head(stream: string): MaybePromise<number>
  snapshots: {
    /** Returns the newest snapshot of the reducer that is not newer than `until`. */
    get(stream: string, reducer: string, until?: number): MaybePromise<E.Snapshot | undefined>
    put(stream: string, snapshot: E.Snapshot): MaybePromise<void>
  }
  /** Replays from the cursor and then follows, without gaps or duplicates. `'*'` follows every stream. */
  subscribe(stream: string, options: E.SubscribeOptions, listener: StreamListener): MaybePromise<Unsubscribe>
  /** Sends messages to current subscribers, at most once. They are not stored. */
  publish(stream: string, messages: readonly E.StreamMessage[]): MaybePromise<void>
  runs: {
    get(runId: string): MaybePromise<E.RunInfo | undefined>
    list(filter?: E.RunFilter): MaybePromise<E.RunInfo[]>
  }
  /** Removes ended runs with their events, keys and snapshots. Returns their number. */
  expire(policy: E.ExpirePolicy): MaybePromise<number>
  /**
   * Removes streams that are not runs, each with its events, keys and snapshots, unless it has events after `seq`. Returns
   * the number of removed streams. The cost grows with the number of removed entries. Small steps keep other calls fast.
   */
  forget(streams: readonly E.StreamHead[]): MaybePromise<number>
  /** Drops the events up to `seq`. @throws `EVENTS_CONFLICT` unless a snapshot covers them */
  trim(stream: string, seq: number): MaybePromise<void>
  /** Rejects with `STORE_UNAVAILABLE` while the store accepts no writes. Health checks call it. */
  checkHealth?(): MaybePromise<void>
  /** The same as `diagnose` of the queue, for findings that only the event store can make. */
  diagnose?(): MaybePromise<Diagnosis[]>
  close(): MaybePromise<void>
}

/** A permit for a key, and the claim of the job that owns it. */
export interface Permit {
  key: string
  /** The number of permits for the key. */
  max: number
  holder: string
  claim: number
}

export interface Limits {
  /**
   * Takes one of `max` permits of a key for `ttl` milliseconds. A refused owner becomes a waiter and receives a permit from
   * `release` or `sweep`; a repeated call keeps its position. A newer claim of an owner takes over the permit of an older one.
   * An older claim is refused and does not wait. Default for `claim`: 1.
   */
  acquire(key: string, max: number, ttl: number, holder: string, claim?: number): MaybePromise<boolean>
  /**
   * Releases a permit, or stops waiting. Returns the owners that receive a permit now and have to be woken. With a `claim`, it
   * releases only a permit of that claim or an older one. 0 stands for a permit that was passed on and not taken.
   */
  release(key: string, holder: string, claim?: number): MaybePromise<string[]>
  /** Renews permits for another `ttl` milliseconds. Returns the permits that have another owner now. */
  renew(permits: readonly Permit[], ttl: number): MaybePromise<Permit[]>
  /** Passes on lapsed and free permits. Returns each untaken permit once per `age` milliseconds, to the first process that calls. */
  sweep(age: number): MaybePromise<HandedPermit[]>
  /**
   * Takes one start from a bucket. Returns 0 if the start is allowed now, otherwise the milliseconds to wait. The later start is reserved
   * for a named owner, and the owner's next call at that time is allowed.
   */
  take(bucket: string, rate: RateLimit, holder?: string): MaybePromise<number>
  /** Takes back the newest start of a bucket, because its job does not start. Workers with several rates need it. */
  takeBack?(bucket: string): MaybePromise<void>
}

/** A permit that was passed on to an owner that has not taken it. */
export type HandedPermit = Pick<Permit, 'key' | 'holder'>

/**
 * Creates the return value of `enqueue`: the members of the job, with methods on a prototype. It is called for each job, so it must be
 * cheap.
 */
export type JobHandles = (job: EnqueueResult) => EnqueuedJob

export interface LoadOptions {
  /**
   * How long loading a file may take, in milliseconds. After that the caller stops waiting, and a runtime that has started a process to
   * load the file ends that process. Default: no limit.
   */
  timeout?: number
}

/** Runs handlers. */
export interface Runtime {
  /** The name that a worker's `runtime` option uses: `node`, `python`, … */
  readonly name: string
  /** File name endings this runtime loads, with the dot. */
  readonly extensions: readonly string[]
  /** Loads a worker file: its config, and its handler if that can run in this process. */
  load?(file: string, options?: LoadOptions): Promise<WorkerModule>
  /** Called once for each worker, before its first job. */
  prepare?(worker: WorkerDefinition): MaybePromise<void>
  execute(worker: WorkerDefinition, ctx: RunContext): MaybePromise<unknown>
  close?(): MaybePromise<void>
}
