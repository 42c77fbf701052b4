import type {
  EnqueuedJob,
  WorkerAddress,
  JobArguments,
  JobOutput,
  JobTarget,
  Kernel,
  WorkerId,
} from '../../../../../kernel/index.ts'

/** The names of the known workers, or any name if none is known. */
// oxlint-disable-next-line typescript/no-redundant-type-constituents -- the modules write the names into the types
type KnownTarget = [WorkerId] extends [never] ? JobTarget : WorkerId | WorkerAddress

/** The kernel, with the names and types of the workers. */
export interface AppQueue extends Omit<Kernel, 'enqueue'> {
  /**
   * Enqueues a job. Resolves when the job is stored. Names and data are checked against the files in `server/queues`.
   * For a worker of another application, pass its queue and name.
   *
   * @example
   * await useQueue().enqueue('emails', { to: 'ada@example.com' }, { delay: 60_000 })
   */
  enqueue<const T extends KnownTarget>(worker: T, ...job: JobArguments<T>): Promise<EnqueuedJob<JobOutput<T>>>
}
