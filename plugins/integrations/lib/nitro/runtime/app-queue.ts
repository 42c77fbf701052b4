import type {
  EnqueuedJob,
  WorkerAddress,
  JobArguments,
  JobOutput,
  JobTarget,
  Kernel,
  WorkerId,
} from '../../../../../kernel/index.ts'

/** The names of the workers that are known; any name as long as none is. */
// oxlint-disable-next-line typescript/no-redundant-type-constituents -- names are known once the modules have written them
type KnownTarget = [WorkerId] extends [never] ? JobTarget : WorkerId | WorkerAddress

/** The kernel, whose workers are known by name. */
export interface AppQueue extends Omit<Kernel, 'enqueue'> {
  /**
   * Queues a job; resolves once it is stored. Names and data are checked against the files in
   * `server/queues`; a worker that only other applications have is addressed by queue and name.
   *
   * @example
   * await useQueue().enqueue('emails', { to: 'ada@example.com' }, { delay: 60_000 })
   */
  enqueue<const T extends KnownTarget>(worker: T, ...job: JobArguments<T>): Promise<EnqueuedJob<JobOutput<T>>>
}
