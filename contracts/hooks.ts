import type { AppendOptions, AppendResult, EventDraft, StoredEvent } from './events.ts'
import type { EnqueueOptions } from './enqueue.ts'
import type { EnqueueResult, Job, JobDraft } from './job.ts'
import type { MaybePromise } from './promise.ts'
import type { RunContext, WorkerDefinition } from './worker.ts'

export interface EnqueuePayload {
  /** Hooks may change it until `next()`. `data` is the caller's own object, so replace it instead of changing it. */
  job: JobDraft
  /** The options that the caller passed. */
  readonly options: Readonly<EnqueueOptions>
  /** Absent when this instance does not know the worker. */
  readonly worker: WorkerDefinition | undefined
  /** Set by `next()`. A hook that does not call `next()` may set it, and the caller receives it. */
  result: EnqueueResult | undefined
  /**
   * True for a job of `enqueueMany`. Its `next()` resolves once all jobs of the call are stored. A hook that makes jobs
   * wait for each other must therefore release the next one before it awaits `next()`.
   */
  readonly batch: boolean
  /** The reason for refusing the job. Set it in a hook that does not call `next()`. */
  veto: string | undefined
}

export interface DispatchPayload {
  readonly job: Job
  readonly worker: WorkerDefinition
  readonly ctx: RunContext
  readonly signal: AbortSignal
  /** The result of the handler. A plugin may replace it. */
  result: unknown
  /** Ends the attempt at once with an error and aborts its signal, whatever the handler does. */
  abort(error: Error): void
}

export interface EmitPayload {
  /** The `runId`, for the history of a run. */
  readonly stream: string
  /** Hooks may change them until `next()`. */
  events: EventDraft[]
  options: AppendOptions
  /** The attempt that emits. Absent for events from outside. */
  readonly ctx: RunContext | undefined
  /** Set by `next()`. */
  result: AppendResult | undefined
}

export interface ReducePayload {
  readonly runId: string
  /** Hooks may replace the list until `next()`. The events are as they were stored. */
  events: readonly StoredEvent[]
  /** The requested moment: a `seq`, a date, or `undefined` for the head. */
  readonly at: number | Date | undefined
  /** The state folded so far. Change it in place. It has no prototype, so that every key is safe. */
  readonly state: Record<string, unknown>
}

/**
 * The five hooks. A handler is a middleware `(payload, next)`. Code before `next()` runs on the way in, code after it runs on
 * the way out, and the result is on the payload.
 */
export interface KernelHooks {
  /** Before a job is stored. `next()` reaches `QueueProvider.enqueue`; without it the job is vetoed. */
  enqueue: EnqueuePayload
  /** Around each execution. `next()` reaches `Runtime.execute`, again if called again; without it `result` must be set. */
  dispatch: DispatchPayload
  /** While the context of a job is built. `next()` reaches nothing and must be called. */
  context: RunContext
  /** Around each append. `next()` reaches `EventStore.append`; only a user's own events may be dropped. */
  emit: EmitPayload
  /** While state is folded from events. `next()` reaches nothing and must be called. */
  reduce: ReducePayload
}
export type HookName = keyof KernelHooks
export type Next = () => MaybePromise<void>
export type HookHandler<Payload> = (payload: Payload, next: Next) => MaybePromise<void>
export interface HookOptions<Payload> {
  /**
   * Skips payloads for which it returns false. Skipping costs next to nothing, since most jobs do not need most handlers.
   * Called on the way in, once for each event.
   */
  when?: (payload: Payload) => boolean
  /**
   * Calls the handler once everything inside it has succeeded, without `next`. For handlers that only watch, such as counters:
   * they cost less, nothing waits for them, and what they throw is reported. Default false.
   */
  after?: boolean
}
/** The composed handlers of a hook. The last argument is what `next()` of the innermost handler calls. */
export type Chain<Payload> = (
  payload: Payload,
  innermost: (payload: Payload) => MaybePromise<void>,
) => MaybePromise<void>
export type Chains = { [Name in HookName]: Chain<KernelHooks[Name]> }
