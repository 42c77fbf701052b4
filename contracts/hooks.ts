import type { AppendOptions, AppendResult, EventDraft, StoredEvent } from './events.ts'
import type { EnqueueOptions } from './enqueue.ts'
import type { EnqueueResult, Job, JobDraft } from './job.ts'
import type { MaybePromise } from './promise.ts'
import type { RunContext, WorkerDefinition } from './worker.ts'

export interface EnqueuePayload {
  /** May be changed until `next()`; `data` is the caller's own object, so replace it instead of changing it. */
  job: JobDraft
  /** What the caller passed. */
  readonly options: Readonly<EnqueueOptions>
  /** Absent when this instance does not know the worker. */
  readonly worker: WorkerDefinition | undefined
  /** Set by `next()`; without `next()`, what the caller receives. */
  result: EnqueueResult | undefined
  /**
   * True for a job of `enqueueMany`. Its `next()` resolves once all jobs of the call are stored, so a handler that
   * makes jobs wait for each other lets the next one go before it awaits `next()`.
   */
  readonly batch: boolean
  /** Why the job is refused, for a handler that does not call `next()`. */
  veto: string | undefined
}

export interface DispatchPayload {
  readonly job: Job
  readonly worker: WorkerDefinition
  readonly ctx: RunContext
  readonly signal: AbortSignal
  /** What the handler returned, or what a plugin puts in its place. */
  result: unknown
  /** Ends the attempt now with an error, whatever the handler does; its signal aborts. */
  abort(error: Error): void
}

export interface EmitPayload {
  /** The `runId`, for the history of a run. */
  readonly stream: string
  /** May be changed until `next()`. */
  events: EventDraft[]
  options: AppendOptions
  /** The attempt that emits; absent for events from outside. */
  readonly ctx: RunContext | undefined
  /** Set by `next()`. */
  result: AppendResult | undefined
}

export interface ReducePayload {
  readonly runId: string
  /** May be replaced until `next()`; the events themselves are as they were stored. */
  events: readonly StoredEvent[]
  /** The moment asked for: a `seq`, a date, or the head. */
  readonly at: number | Date | undefined
  /** The fold so far; change it in place. Has no prototype, so that every key is safe. */
  readonly state: Record<string, unknown>
}

/**
 * The five hooks. A handler is a middleware `(payload, next)`: what it does before `next()` happens
 * on the way in, what it does after on the way out; the outcome lives on the payload.
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
   * Passes a payload by when it answers false, at next to no cost: most jobs have no use for most
   * handlers. Asked on the way in, once for each call.
   */
  when?: (payload: Payload) => boolean
}
/** The composed handlers of a hook around its innermost end. */
export type Chain<Payload> = (
  payload: Payload,
  innermost: (payload: Payload) => MaybePromise<void>,
) => MaybePromise<void>
export type Chains = { [Name in HookName]: Chain<KernelHooks[Name]> }
