import type { EventDraft, StoredEvent } from './events.ts'
import type { Job } from './job.ts'
import type { MaybePromise } from './promise.ts'
import type { HandlerDataOf, OutputOf, WorkerConfig } from './worker-config.ts'

/**
 * The context that a handler receives in addition to its job. Plugins add members in the `context` hook, and their types by
 * declaration merging:
 *
 * @example
 * declare module 'nuxt-queue' {
 *   interface RunContext { tenant: string }
 * }
 */
export interface RunContext {
  readonly job: Job
  readonly worker: WorkerDefinition
  readonly runId: string
  /** 1 for the first try. */
  readonly attempt: number
  /** How often the job has been claimed. The number fences the appends of this attempt. */
  readonly claim: number
  /** When this attempt was due, in milliseconds since the epoch. The job waited in its queue from then until `startedAt`. */
  readonly dueAt: number
  /** When this attempt started, in milliseconds since the epoch. */
  readonly startedAt: number
  /** Aborts on timeout, cancellation, shutdown and a lost lease. Its `reason` is a QueueError. */
  readonly signal: AbortSignal
  /** True once `signal` has aborted. Cheaper to read than `signal`. */
  readonly cancelled: boolean
  /**
   * Appends your own event to the run and resolves once it is stored. Resolves with `undefined` if the stream already has an event
   * with that key, or if a plugin dropped the event.
   *
   * @throws QueueError `RUN_ENDED`, `LEASE_LOST`, `VALUE_UNSUPPORTED`; `NAME_RESERVED` for a type, such as `step.completed`, or a key that
   * this package writes itself
   */
  emit(type: string, data?: unknown, options?: { key?: string }): Promise<StoredEvent | undefined>
  /** Your own events that are stored atomically with `step.completed`. A failed attempt drops them. */
  readonly outbox: EventDraft[]
  /** Delays the completion of the job until a promise settles that the handler does not await itself. */
  track<T>(promise: Promise<T>): Promise<T>
  /** `return ctx.defer({ delay: 5000 })` runs the job again later without using up an attempt. */
  defer(options: DeferOptions): Deferral
  /**
   * For plugins: ends this attempt as deferred although its handler has not settled. The runner no longer waits for the
   * handler, so its pending promise must stay pending forever. Absent while no handler runs.
   */
  readonly leave: ((deferral: Deferral) => void) | undefined
  /** For plugins: how often the handler was called in this attempt. A `dispatch` hook may call `next()` again. */
  readonly invocation: number
}

/**
 * Members whose type depends on the config of the worker. Plugins merge into it. A member of this interface hides the member of the same
 * name in `RunContext`.
 */
export interface ConfiguredContext<C> {
  /** Uses the type parameter, as merged declarations require. */
  readonly worker: WorkerDefinition & { config?: C }
}

/** The context as the handler of a worker with config `C` sees it. */
export type HandlerContext<C> = Omit<RunContext, keyof ConfiguredContext<C>> & ConfiguredContext<C>

export interface DeferOptions {
  /** Milliseconds from now. */
  delay?: number
  until?: Date | number
  /** Whether the queue claims no other jobs until then. Default false. */
  holdQueue?: boolean
}

/** The third way to end a handler or a dispatch, besides a result and an error. Return it or throw it. */
export interface Deferral {
  /** Milliseconds since the epoch. */
  readonly runAt: number
  readonly holdQueue: boolean
  /** True when the handler stopped at a wait, such as `ctx.step.sleep`. Absent after `ctx.defer()`. */
  readonly waits?: boolean
}

/** The return value of the handler. In a batch, an Error fails one job and a deferral defers one job. */
export type HandlerResultOf<C> = C extends { batch: object }
  ? readonly (OutputOf<C> | Error | Deferral)[] | Deferral
  : OutputOf<C>

/** The user's function that handles the jobs of one name on one queue. */
export type QueueHandler<C = WorkerConfig> = (
  job: Job<HandlerDataOf<C>>,
  ctx: HandlerContext<C>,
) => MaybePromise<HandlerResultOf<C>>

/** The exports of a worker file. There is no handler if the runtime runs the file in another process. */
export interface WorkerModule {
  config?: WorkerConfig
  /** The types of data and state come from the config and are not visible here. */
  handler?(job: Job, ctx: RunContext): unknown
}

/** One entry of the registry. */
export interface WorkerDefinition extends Pick<WorkerModule, 'handler'> {
  /** `ml/train` for `server/queues/ml/train.ts`. */
  id: string
  queue: { name: string }
  /** The job name. */
  name: string
  /** Its config, completed with defaults. */
  worker: WorkerConfig & { runtime: string; concurrency: number }
  /**
   * How many jobs of the worker a process claims at once. A plugin that collects jobs into batches sets a higher number. Default:
   * `worker.concurrency`.
   */
  claims?: number
  /** The path of its file. Absent for a worker registered by code. */
  absPath?: string
}

/** The input of `registerWorker`. The config types the handler. */
export interface WorkerInput<C extends WorkerConfig = WorkerConfig> extends Pick<WorkerDefinition, 'id' | 'absPath'> {
  config?: C
  handler?: QueueHandler<C>
}

/** Finds the worker that handles a job. */
export interface Registry {
  readonly workers: readonly WorkerDefinition[]
  get(id: string): WorkerDefinition | undefined
  /**
   * Returns the worker of a job. A job without a name goes to the only worker of its queue. So does a dead letter, which has the name of
   * the failed job; pass the id of the dead letter.
   */
  find(queue: string, name: string, id?: string): WorkerDefinition | undefined
}
