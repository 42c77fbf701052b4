import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { JobOptions, SingleJobOptions } from './job.ts'

/** Returns how long a job waits after a failed attempt, in milliseconds, or false if the job must not be tried again. */
export type ChooseBackoff = (attempt: number, error: Error) => number | false

/**
 * The configuration of a worker: `export const config = defineWorkerConfig({ … })`. Job options
 * given here are the defaults of its jobs; `enqueue` overrides them. Plugins add options by
 * declaration merging.
 */
export interface WorkerConfig extends Omit<JobOptions, keyof SingleJobOptions | 'backoff'> {
  /**
   * Wait between attempts: milliseconds, a strategy, or a function of the failed attempt and its error. The function returns milliseconds, or
   * false if the job must not be tried again. It is not called for jobs with a `backoff` of their own. Default 0.
   *
   * @example
   * export const config = defineWorkerConfig({
   *   attempts: 5,
   *   backoff: (attempt, error) => (error.message.includes('declined') ? false : attempt * 1000),
   * })
   */
  backoff?: JobOptions['backoff'] | ChooseBackoff
  /** The queue that the worker takes jobs from. Default: a separate queue if the worker sets `concurrency`, otherwise `default`. */
  queue?: string
  /** The name of the jobs that the worker handles. Default: the id of the worker, the path of its file below the workers' folder. */
  name?: string
  /** The runtime that runs the worker: `node`, or the name of another runtime. Default: the runtime that loads its file. */
  runtime?: string
  /** How many jobs, or batches, of the worker run at once in one process. Default 1. */
  concurrency?: number
  /** Checks `data` when a job is enqueued. Any Standard Schema. The handler receives the parsed data. */
  input?: StandardSchemaV1
  /** Checks the result of the handler. The attempt fails if the result does not match. */
  output?: StandardSchemaV1
}

/** The data that `enqueue` takes for a worker with this config. */
export type InputOf<C> = C extends { input: StandardSchemaV1<infer Input, unknown> } ? Input : unknown
/** The data of a job: the input after parsing. */
export type DataOf<C> = C extends { input: infer S extends StandardSchemaV1 }
  ? StandardSchemaV1.InferOutput<S>
  : unknown
/** The result of a job. */
export type OutputOf<C> = C extends { output: StandardSchemaV1<infer Input, unknown> } ? Input : unknown

/**
 * The workers of an application by id, each with the exports of its file. The Nuxt and Nitro modules generate it. Without them it is empty,
 * and names and data are not checked.
 *
 * @example
 * declare module 'nuxt-queue/kernel' {
 *   interface QueueWorkers { mail: typeof import('./server/queues/mail.ts') }
 * }
 */
export interface QueueWorkers {}
export type WorkerId = Extract<keyof QueueWorkers, string>
type ConfigOf<T> = T extends keyof QueueWorkers ? (QueueWorkers[T] extends { config: infer C } ? C : unknown) : unknown
/** The input of a worker, if its type is known. */
export type JobInput<T> = InputOf<ConfigOf<T>>
/** The result of a worker, if its type is known. */
export type JobOutput<T> = OutputOf<ConfigOf<T>>

/** The data that the handler receives. */
export type HandlerDataOf<C> = C extends { batch: object } ? DataOf<C>[] : DataOf<C>
