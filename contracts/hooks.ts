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
  /** Set by `next()`. A hook that does not call `next()` may set the result for the caller. */
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
  /** Ends the attempt at once with an error and aborts its signal, even if the handler does not react. */
  abort(error: Error): void
}

export interface EmitPayload {
  /** The `runId`, for the history of a run. */
  readonly stream: string
  /** Hooks may change them until `next()`. */
  events: EventDraft[]
  options: AppendOptions
  /** The context of the attempt that emits the events. Absent for events that no attempt emits. */
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
  /** The state folded so far. Change it in place. It has no prototype, so every key is safe. */
  readonly state: Record<string, unknown>
}

/**
 * The five hooks. A handler is a middleware `(payload, next)`. Code before `next()` runs on the way in, code after it runs on
 * the way out, and the result is on the payload.
 */
export interface KernelHooks {
  /** Before a job is stored. `next()` reaches `QueueProvider.enqueue`. If it is not called, the job is refused. */
  enqueue: EnqueuePayload
  /** Around each execution. `next()` reaches `Runtime.execute`, each time it is called. A hook that does not call it must set `result`. */
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
   * The handler is skipped for payloads for which this returns false. Skipping costs almost nothing, and most jobs do not need most
   * handlers. Called once for each event, on the way in.
   */
  when?: (payload: Payload) => boolean
  /**
   * Calls the handler once everything inside it has succeeded, without `next`. For handlers that only observe, such as counters: they cost
   * less, nothing waits for them, and their errors are reported. Default false.
   */
  after?: boolean
}
/** The composed handlers of a hook. The last argument is what `next()` of the innermost handler calls. */
export type Chain<Payload> = (
  payload: Payload,
  innermost: (payload: Payload) => MaybePromise<void>,
) => MaybePromise<void>
export type Chains = { [Name in HookName]: Chain<KernelHooks[Name]> }
