import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Deferral, HandlerContext, RunContext } from './context.ts'
import type { Job, JobKey, JobOptions } from './job.ts'
import type { MaybePromise, RateLimit } from './ports.ts'

/**
 * What a worker says about itself, as `export const config = defineQueueConfig({ … })`. Job options
 * given here are the defaults of its jobs; `enqueue` overrides them. Plugins add options by
 * declaration merging.
 */
export interface WorkerConfig extends Omit<JobOptions, 'id' | 'delay' | 'concurrencyKey' | 'rateLimitKey'> {
  /** The queue it listens on. Default: one of its own if it sets `concurrency`, else `default`. */
  queue?: string
  /** The job name it handles. Default: its id, the path of its file below the workers' folder. */
  name?: string
  /** What runs it: `node`, or what a runtime plugin is called. Default: what loads its file. */
  runtime?: string
  /** How many of its jobs, or of its batches, run at once in one process. Default 1. */
  concurrency?: number
  /** How many jobs of one `concurrencyKey` run at once in all processes. Default 1. */
  concurrencyPerKey?: number
  /** How many jobs may start in a span of milliseconds, over all processes. */
  rateLimit?: RateLimit
  /** Hands several jobs to the handler at once: its data is an array, and so is what it returns. */
  batch?: Batch
  /** Checks `data` when a job is enqueued (any Standard Schema); the handler receives what it parsed. */
  input?: StandardSchemaV1
  /** Checks what the handler returns; the attempt fails where it does not match. */
  output?: StandardSchemaV1
}

export interface Batch {
  /** How many jobs at most. */
  size: number
  /** Milliseconds that the first one waits for others at most. */
  wait: number
  /** Only jobs of one key come together. Default: any. */
  key?: JobKey
}

/** What `enqueue` takes as data for a worker of this config. */
export type InputOf<C> = C extends { input: StandardSchemaV1<infer Input, unknown> } ? Input : unknown
/** The data of a job: the input after parsing. */
export type DataOf<C> = C extends { input: infer S extends StandardSchemaV1 }
  ? StandardSchemaV1.InferOutput<S>
  : unknown
/** The result of a job. */
export type OutputOf<C> = C extends { output: StandardSchemaV1<infer Input, unknown> } ? Input : unknown

/**
 * The workers of an application by id, each as what its file exports. The Nuxt and Nitro modules
 * write it; elsewhere it is empty, and names and data are not checked.
 *
 * @example
 * declare module 'nuxt-queue/kernel' {
 *   interface QueueWorkers { mail: typeof import('./server/queues/mail.ts') }
 * }
 */
export interface QueueWorkers {}
export type WorkerId = Extract<keyof QueueWorkers, string>
type ConfigOf<T> = T extends keyof QueueWorkers ? (QueueWorkers[T] extends { config: infer C } ? C : unknown) : unknown
/** What a worker takes as data, where it is known. */
export type JobInput<T> = InputOf<ConfigOf<T>>
/** What a worker answers, where it is known. */
export type JobOutput<T> = OutputOf<ConfigOf<T>>

/** What the handler receives. */
export type HandlerDataOf<C> = C extends { batch: Batch } ? DataOf<C>[] : DataOf<C>
/** What the handler has to return; of a batch an Error fails one job, and a deferral puts one off. */
export type HandlerResultOf<C> = C extends { batch: Batch }
  ? readonly (OutputOf<C> | Error | Deferral)[] | Deferral
  : OutputOf<C>

/** The user's code for one job name on one queue. */
export type QueueHandler<C = WorkerConfig> = (
  job: Job<HandlerDataOf<C>>,
  ctx: HandlerContext<C>,
) => MaybePromise<HandlerResultOf<C>>

/** What a worker file exports. The handler is absent for a runtime that runs the file elsewhere. */
export interface WorkerModule {
  config?: WorkerConfig
  /** The types of a handler's data and state are its config's affair, and erased here. */
  handler?(job: Job, ctx: RunContext): unknown
}

/** One entry of the registry. */
export interface WorkerDefinition extends Pick<WorkerModule, 'handler'> {
  /** `ml/train` for `server/queues/ml/train.ts`. */
  id: string
  queue: { name: string }
  /** The job name. */
  name: string
  /** Its config with defaults filled in. */
  worker: WorkerConfig & { runtime: string; concurrency: number }
  /** Its file; absent for a worker registered by code. */
  absPath?: string
}

/** What `registerWorker` takes; the config types the handler. */
export interface WorkerInput<C extends WorkerConfig = WorkerConfig> extends Pick<WorkerDefinition, 'id' | 'absPath'> {
  config?: C
  handler?: QueueHandler<C>
}

/** Which worker handles which job. */
export interface Registry {
  readonly workers: readonly WorkerDefinition[]
  get(id: string): WorkerDefinition | undefined
  /**
   * The worker of a job. One without a name goes to the only worker of its queue, and so does a dead letter, which has the
   * name of the job that failed: pass its id.
   */
  find(queue: string, name: string, id?: string): WorkerDefinition | undefined
}
