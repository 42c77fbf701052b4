import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { JobOptions, SingleJobOptions } from './job.ts'

/**
 * What a worker says about itself, as `export const config = defineQueueConfig({ … })`. Job options
 * given here are the defaults of its jobs; `enqueue` overrides them. Plugins add options by
 * declaration merging.
 */
export interface WorkerConfig extends Omit<JobOptions, keyof SingleJobOptions> {
  /** The queue it listens on. Default: one of its own if it sets `concurrency`, else `default`. */
  queue?: string
  /** The job name it handles. Default: its id, the path of its file below the workers' folder. */
  name?: string
  /** What runs it: `node`, or what a runtime plugin is called. Default: what loads its file. */
  runtime?: string
  /** How many of its jobs, or of its batches, run at once in one process. Default 1. */
  concurrency?: number
  /** Checks `data` when a job is enqueued (any Standard Schema); the handler receives what it parsed. */
  input?: StandardSchemaV1
  /** Checks what the handler returns; the attempt fails where it does not match. */
  output?: StandardSchemaV1
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
/** The input of a worker, if its type is known. */
export type JobInput<T> = InputOf<ConfigOf<T>>
/** The result of a worker, if its type is known. */
export type JobOutput<T> = OutputOf<ConfigOf<T>>

/** What the handler receives. */
export type HandlerDataOf<C> = C extends { batch: object } ? DataOf<C>[] : DataOf<C>
