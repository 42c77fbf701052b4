import type { Clock } from './clock.ts'
import type { Diagnosis } from './diagnosis.ts'
import type { StoreOptions } from './enqueue.ts'
import type * as E from './events.ts'
import type { EnqueuedJob, EnqueueReceipt, EnqueueResult, JobDraft, JobRecord } from './job.ts'
import type { JobState, RateLimit, Settlement } from './job.ts'
import type { FoundJobs, JobFilter, JobSearch, JobTotals } from './job-search.ts'
import type { MaybePromise } from './promise.ts'
import type { RunContext, WorkerDefinition, WorkerModule } from './worker.ts'

export type Unsubscribe = () => void

/** One plugin provides each port, except `runtime`. Plugins add ports of their own by declaration merging. */
export interface Ports {
  /** Storage of jobs, without any decisions. */
  queue: QueueProvider
  /** Consumers: which worker takes jobs of which queue. */
  workers: WorkerManager
  /** The history of every run. */
  events: EventStore
  /** Permits and rate limits that all instances share. */
  limits: Limits
  /** Gives methods to what `enqueue` returns. Without a provider it returns plain data. */
  handles: JobHandles
  /** The time. Default: the system's. */
  clock: Clock
  /** Runs handlers. Several plugins may provide one each, with different names. */
  runtime: Runtime
}

/**
 * What an adapter supports. `durable`: jobs survive the process. `shared`: several processes use the same queue. `search`:
 * `findJobs` and `countJobs`; `searchData`: their filter `data` as well. The others are job options. The conformance suite tests
 * each declared capability; an option that is not declared throws.
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

/** How a job is queued again. */
export interface RetryOptions {
  /** Only if it has been retried this many times. A caller that repeats itself retries a job once. */
  round?: number
  /** Replaces the data of the job, if the member is there. */
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
  /** Stores all jobs or none. Receipts are in the order of the jobs; `options` has the options of each. */
  enqueueMany(jobs: readonly JobDraft[], options?: readonly StoreOptions[]): MaybePromise<EnqueueReceipt[]>
  getJob(queue: string, id: string): MaybePromise<JobRecord | undefined>
  getJobs(query?: JobQuery): MaybePromise<JobRecord[]>
  getJobCounts(queue: string): MaybePromise<Record<JobState, number>>
  /**
   * Finds jobs, newest first by creation. With the capability `search`. The arguments have been checked.
   *
   * - A page has every matching job that existed when the page before was read and still matches, once, whatever is added,
   *   settled or removed in between. It costs the same at any depth.
   * - The candidates come from indexes by queue, state, name, run, tag and moment. The index is written and removed together
   *   with the job. `error` and `data` are compared among the candidates.
   *
   * `plugins/adapters/lib/job-search` has what adapters share: `searchJobs` makes pages from the candidates that an adapter reads, within
   * the bound, and `mergeSources` merges several indexes. `createMatcher` compares a job with a filter.
   *
   * @throws QueueError `OPTION_INVALID` for an `after` that is no cursor
   */
  findJobs?(search: JobSearch): MaybePromise<FoundJobs>
  /** Counts the jobs that match. With the capability `search`. A filter of nothing but the queue costs nothing. */
  countJobs?(filter: JobFilter): MaybePromise<JobTotals>
  /** The queues that hold jobs or have a consumer. */
  getQueues(): MaybePromise<string[]>
  /** Stops claims until the queue is resumed. With a durable adapter, a restart does not change that. */
  pause(queue: string): MaybePromise<void>
  resume(queue: string): MaybePromise<void>
  isPaused(queue: string): MaybePromise<boolean>
  /**
   * Queues a failed or cancelled job again, with all its attempts. This is one write.
   *
   * @throws `JOB_NOT_FOUND`; `JOB_STATE` for a job in another state or round; `VALUE_UNSUPPORTED`, `PAYLOAD_TOO_LARGE`
   */
  retry(queue: string, id: string, options?: RetryOptions): MaybePromise<void>
  /**
   * Changes when a waiting or delayed job is due, in milliseconds since the epoch. The job is in one state or the other at every
   * moment, so that a process that dies never loses it. Returns false for any other job. With the capability `delay`.
   */
  reschedule(queue: string, id: string, runAt: number): MaybePromise<boolean>
  /** Makes a delayed job due now. An active job runs again at once if it is deferred. Returns false for any other job. */
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
   * chose (`hasGivenId`) stay known. This is one write with the removal, so that a process cannot die in between.
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

/** A claim, as the runner holds it beside the job. */
export interface Lease {
  /** Registers a callback for when the lease is lost. */
  onLost?(tell: () => void): void
  /** Called when the handler has succeeded and only its end has to be stored. Its slot may take another job. */
  handled?(): void
  /** Called when the job waits in this process because its worker runs as many jobs as it may. Its slot may take another job. */
  parked?(): void
  /** Stores progress between 0 and 1. */
  progress(value: number): MaybePromise<void>
}

/**
 * Runs one claimed job and resolves with its settlement. Never rejects. The kernel creates it, and it is the same for every
 * adapter. The record's `data` is a copy that belongs to this claim.
 */
export type Processor = (job: Readonly<JobRecord>, lease: Lease) => Promise<Settlement>

export interface RegisteredWorker {
  queue: string
  name: string
  /** How many of its jobs may run at once in this process. */
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
  /** Stores copies of all events with consecutive `seq`s, or none and returns the reason. */
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
   * the number of removed streams. The cost grows with what is removed, and the work is done in steps that block nobody.
   */
  forget(streams: readonly E.StreamHead[]): MaybePromise<number>
  /** Drops the events up to `seq`. @throws `EVENTS_CONFLICT` unless a snapshot covers them */
  trim(stream: string, seq: number): MaybePromise<void>
  /** Rejects with `STORE_UNAVAILABLE` while the store accepts no writes. Health checks call it. */
  checkHealth?(): MaybePromise<void>
  /** The same as `diagnose` of the queue, for what only the event store knows. */
  diagnose?(): MaybePromise<Diagnosis[]>
  close(): MaybePromise<void>
}

/** A permit of a key, and the claim of the job that owns it. */
export interface Permit {
  key: string
  /** How many there are of the key. */
  max: number
  holder: string
  claim: number
}

export interface Limits {
  /**
   * Takes one of `max` permits of a key for `ttl` milliseconds. A refused owner becomes a waiter and receives a permit from
   * `release` or `sweep`; asking again keeps its position. A newer claim of an owner takes over the permit of an older one.
   * An older claim is refused and does not wait. Default for `claim`: 1.
   */
  acquire(key: string, max: number, ttl: number, holder: string, claim?: number): MaybePromise<boolean>
  /**
   * Releases a permit, or stops waiting. Returns the owners that receive a permit now and have to be woken. With a `claim`, it
   * releases only a permit of that claim or an older one. 0 stands for a permit that was handed on and not taken up; the
   * waiters stay as they are.
   */
  release(key: string, holder: string, claim?: number): MaybePromise<string[]>
  /** Renews permits for another `ttl` milliseconds. Returns the permits that have another owner now. */
  renew(permits: readonly Permit[], ttl: number): MaybePromise<Permit[]>
  /**
   * Hands on permits that have lapsed or are free. Returns the permits that were handed on at least `age` milliseconds ago and
   * not taken up. Each is returned once per `age`, to whichever process asks first.
   */
  sweep(age: number): MaybePromise<HandedPermit[]>
  /**
   * Takes one start from a bucket. Returns 0 if the start is allowed now, otherwise the milliseconds to wait. The later start is
   * reserved for a named owner, who is let through when it comes back.
   */
  take(bucket: string, rate: RateLimit, holder?: string): MaybePromise<number>
}

/** A permit that its owner has not taken up. */
export type HandedPermit = Pick<Permit, 'key' | 'holder'>

/** Makes what `enqueue` returns: the members of the job, with methods on a prototype. Called for each job, so it is cheap. */
export type JobHandles = (job: EnqueueResult) => EnqueuedJob

export interface LoadOptions {
  /**
   * The milliseconds that loading a file may take. After that the caller gives up, and a runtime that has started a process for
   * it ends that process. Default: no limit.
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
