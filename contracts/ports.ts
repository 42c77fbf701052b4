import type { Clock } from './clock.ts'
import type { StoreOptions } from './enqueue.ts'
import type * as E from './events.ts'
import type { EnqueuedJob, EnqueueReceipt, EnqueueResult, JobDraft, JobRecord } from './job.ts'
import type { JobState, RateLimit, Settlement } from './job.ts'
import type { MaybePromise } from './promise.ts'
import type { RunContext, WorkerDefinition, WorkerModule } from './worker.ts'

export type Unsubscribe = () => void

/** One plugin provides each port, but for `runtime`. Plugins add ports of their own by declaration merging. */
export interface Ports {
  /** Jobs only, storage without opinions. */
  queue: QueueProvider
  /** Execution only: who consumes which queue. */
  workers: WorkerManager
  /** The history of every run. */
  events: EventStore
  /** Counters that all instances share. */
  limits: Limits
  /** Gives methods to what `enqueue` returns. Without a provider it returns plain data. */
  handles: JobHandles
  /** Time. The system's unless a plugin provides another. */
  clock: Clock
  /** How handlers run; many plugins may provide one each, told apart by name. */
  runtime: Runtime
}

/**
 * What an adapter says it can do: `durable` survives the process, `shared` takes several processes,
 * the others are options. A declared capability passes the suite, an undeclared option throws.
 */
export type QueueCapability = 'durable' | 'shared' | 'delay' | 'priority' | 'maxQueueSize' | 'progress' | 'transaction'

/** What happens to jobs, and `paused` and `resumed` to queues. */
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

/** Which jobs to list, oldest first. */
export interface JobQuery extends Partial<Pick<JobRecord, 'queue' | 'name' | 'runId'>> {
  states?: readonly JobState[]
  /** Default 100. */
  limit?: number
  offset?: number
}

export interface QueueProvider {
  readonly capabilities: Readonly<Record<QueueCapability, boolean>>
  /** Milliseconds after which a job goes to another process when its own gives no sign of life. Absent where there is one process. */
  readonly lease?: number
  /** Stores a copy of the job unless its id is known in that queue. Due jobs are `waiting`, others `delayed`. */
  enqueue(job: JobDraft, options?: StoreOptions): MaybePromise<EnqueueReceipt>
  /** All or none, receipts in order; the options of each job beside it. */
  enqueueMany(jobs: readonly JobDraft[], options?: readonly StoreOptions[]): MaybePromise<EnqueueReceipt[]>
  getJob(queue: string, id: string): MaybePromise<JobRecord | undefined>
  getJobs(query?: JobQuery): MaybePromise<JobRecord[]>
  getJobCounts(queue: string): MaybePromise<Record<JobState, number>>
  /** The queues that hold jobs or have a consumer. */
  getQueues(): MaybePromise<string[]>
  /** Claims nothing more until resumed; outlives a restart where the adapter is durable. */
  pause(queue: string): MaybePromise<void>
  resume(queue: string): MaybePromise<void>
  isPaused(queue: string): MaybePromise<boolean>
  /** Queues a failed or cancelled job again, with all its attempts. @throws `JOB_NOT_FOUND`, `JOB_STATE` */
  retry(queue: string, id: string): MaybePromise<void>
  /** Makes a delayed job due now; an active one, should it be deferred, runs again at once. False for any other. */
  promote(queue: string, id: string): MaybePromise<boolean>
  /** Ends a job that waits, as cancelled. False when it is active, ended or unknown. */
  cancel(queue: string, id: string): MaybePromise<boolean>
  /**
   * Forgets a job and frees its id, also that of a job that `clean` has forgotten. False when there is neither.
   *
   * @throws `JOB_STATE` when it is active
   */
  remove(queue: string, id: string): MaybePromise<boolean>
  /**
   * Forgets ended jobs beyond the bounds, in all queues; returns how many. With `rememberFor` the ids that callers gave
   * (`hasGivenId`) stay known: in one write with the removal, so that no death of a process comes between.
   */
  clean(policy: E.CleanPolicy): MaybePromise<number>
  /** The run of a job that `clean` has forgotten while its id is still known: `enqueue` of that id stores nothing. */
  forgotten(queue: string, id: string): MaybePromise<string | undefined>
  /** Rejects, with `STORE_UNAVAILABLE`, while the store takes no writes. Health checks ask it. */
  checkHealth?(): MaybePromise<void>
  /** `'*'` stands for every queue, or every event. */
  on(queue: string, event: QueueEvent | '*', listener: QueueListener): Unsubscribe
  close(): MaybePromise<void>
}

/** What a claim gives the runner beside the job. */
export interface Lease {
  /** Takes what to call once the adapter knows that the job is somebody else's now. */
  onLost?(tell: () => void): void
  /** Told when the handler has succeeded and only its end is left to store: its slot may take another job. */
  handled?(): void
  /** Told when the job waits in this process for its worker, which has as many as it may: its slot may take another job. */
  parked?(): void
  /** Stores progress between 0 and 1. */
  progress(value: number): MaybePromise<void>
}

/**
 * Runs one claimed job to a settlement; never rejects. Made by the kernel, the same for every
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
 * One consumer a queue; its concurrency is the sum of its workers', and none of them runs more than its own. Jobs of a
 * worker that is full keep no job of another one waiting.
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
  /** Claims nothing more and waits for running jobs, at most `timeout` milliseconds. */
  closeAll(options: { timeout: number }): Promise<void>
}

/** `globalCursor`: `subscribe('*', { after })` replays; otherwise it only follows. */
export type EventCapability = 'durable' | 'shared' | 'globalCursor'
/** `cursor` is for `'*'` and opaque: pass it as `after`. */
export type StreamListener = (events: readonly E.StoredEvent[], cursor?: string) => void

export interface EventStore {
  readonly capabilities: Readonly<Record<EventCapability, boolean>>
  /** Atomic: copies are stored with consecutive `seq`s, or nothing is and the reason is told. */
  append(stream: string, events: readonly E.EventDraft[], options?: E.AppendOptions): MaybePromise<E.AppendResult>
  /** @throws `EVENTS_TRIMMED` when `after` lies below what was trimmed; `details.trimmed` is the `seq` up to which that was */
  read(stream: string, options?: E.ReadOptions): MaybePromise<E.StoredEvent[]>
  byKey(stream: string, key: string): MaybePromise<E.StoredEvent | undefined>
  /** `seq` of the newest event, 0 when there is none. */
  head(stream: string): MaybePromise<number>
  snapshots: {
    /** The newest one of the reducer that is not newer than `until`. */
    get(stream: string, reducer: string, until?: number): MaybePromise<E.Snapshot | undefined>
    put(stream: string, snapshot: E.Snapshot): MaybePromise<void>
  }
  /** Replays from the cursor, then follows: no gap, no duplicate. `'*'` follows every stream. */
  subscribe(stream: string, options: E.SubscribeOptions, listener: StreamListener): MaybePromise<Unsubscribe>
  /** Sends to current subscribers, at most once, stored nowhere. */
  publish(stream: string, messages: readonly E.StreamMessage[]): MaybePromise<void>
  runs: {
    get(runId: string): MaybePromise<E.RunInfo | undefined>
    list(filter?: E.RunFilter): MaybePromise<E.RunInfo[]>
  }
  /** Forgets ended runs with events, keys and snapshots; answers how many. */
  expire(policy: E.ExpirePolicy): MaybePromise<number>
  /**
   * Forgets streams that are no runs, each with events, keys and snapshots, unless it has newer events than those up to
   * `seq`; returns how many went. Runs stay. Costs what goes, in steps that hold nobody up.
   */
  forget(streams: readonly E.StreamHead[]): MaybePromise<number>
  /** Drops the events up to `seq`. @throws `EVENTS_CONFLICT` unless a snapshot covers them */
  trim(stream: string, seq: number): MaybePromise<void>
  /** Rejects, with `STORE_UNAVAILABLE`, while the store takes no writes. Health checks ask it. */
  checkHealth?(): MaybePromise<void>
  close(): MaybePromise<void>
}

/** A place below the limit of a key, and the claim of the job that has it. */
export interface Permit {
  key: string
  /** How many there are of the key. */
  max: number
  holder: string
  claim: number
}

export interface Limits {
  /**
   * Takes one of `max` permits of a key for `ttl` milliseconds. A refused holder waits in line and is handed a
   * permit by `release` or `sweep`; asking again keeps its position. A newer claim of a holder takes over the
   * permit of an older one; an older claim is refused and does not wait. Default for `claim`: 1.
   */
  acquire(key: string, max: number, ttl: number, holder: string, claim?: number): MaybePromise<boolean>
  /**
   * Gives a permit back, or leaves the line; returns the holders that are handed a permit now and have to be
   * woken. With a `claim` it gives back only what that claim, or an older one, has: 0 stands for a permit that
   * was handed on and not taken up, and the line is left as it is.
   */
  release(key: string, holder: string, claim?: number): MaybePromise<string[]>
  /** Keeps permits for another `ttl` milliseconds. Returns those that somebody else has now. */
  renew(permits: readonly Permit[], ttl: number): MaybePromise<Permit[]>
  /**
   * Hands on what has lapsed or was left free, and returns the permits that were handed on at least `age`
   * milliseconds ago and not taken up: each once per `age`, whichever process asks, and kept until then.
   */
  sweep(age: number): MaybePromise<HandedPermit[]>
  /**
   * Takes one start from a bucket. Returns 0 when it may go now, else the milliseconds to wait. A
   * named holder has that later start reserved and is let through once it comes back.
   */
  take(bucket: string, rate: RateLimit, holder?: string): MaybePromise<number>
}

/** A permit that its holder has not taken up. */
export type HandedPermit = Pick<Permit, 'key' | 'holder'>

/** Makes what `enqueue` returns: the members of the job, with methods on a prototype. Called for each job, so it is cheap. */
export type JobHandles = (job: EnqueueResult) => EnqueuedJob

export interface LoadOptions {
  /**
   * How many milliseconds a file may take to load. Whoever asks waits no longer; a runtime that starts a process for
   * it ends that process by then. Default: as long as it takes.
   */
  timeout?: number
}

/** How handlers run. */
export interface Runtime {
  /** What a worker's `runtime` option names: `node`, `python`, … */
  readonly name: string
  /** File name endings this runtime loads, with the dot. */
  readonly extensions: readonly string[]
  /** Reads a worker file: its config, and its handler where that can live in this process. */
  load?(file: string, options?: LoadOptions): Promise<WorkerModule>
  /** Called once a worker before its first job. */
  prepare?(worker: WorkerDefinition): MaybePromise<void>
  execute(worker: WorkerDefinition, ctx: RunContext): MaybePromise<unknown>
  close?(): MaybePromise<void>
}
