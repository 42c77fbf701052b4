import { checkText, type EnqueuedJob, type EnqueueResult, type JobHandle } from '../../../kernel/index.ts'
import type { JobRecord, JobRef, JobState, PluginKernel } from '../../../kernel/index.ts'
import { addMethods, Handle } from '../../lib/handle.ts'
import { checkRef } from '../lib/check-ref.ts'
import type { Control } from './control.ts'
import type { DuplicateOptions } from './job-actions.ts'

/** The methods of a job handle, which `kernel.job(ref)` and `enqueue` return. */
export interface JobControls<Result = unknown> {
  /** Resolves with the record of the job, or `undefined` if its queue no longer keeps it. */
  record(): Promise<JobRecord | undefined>
  /** Resolves with the state of the job, or `undefined` if its queue no longer keeps it. */
  state(): Promise<JobState | undefined>
  /** Resolves with the progress of the job from 0 to 1, or `undefined` if the job has reported no progress or is no longer kept. */
  progress(): Promise<number | undefined>
  /**
   * Waits for the end of the job and resolves with its result.
   *
   * @param options.timeout milliseconds; default: no limit
   * @throws QueueError `JOB_NOT_FOUND`, `JOB_FORGOTTEN`, `JOB_CANCELLED`, `RESULT_TIMEOUT`; or an Error with the message and the code of
   * the handler's error
   */
  result(options?: { timeout?: number }): Promise<Result>
  /**
   * Runs the job again after it has failed or was cancelled.
   *
   * @param options.data replaces the data of the job
   * @throws QueueError `JOB_NOT_FOUND`, `JOB_FORGOTTEN`, `JOB_STATE`, `VALIDATION_FAILED`
   */
  retry(options?: { data?: unknown }): Promise<void>
  /** Enqueues a copy of the job, like `kernel.duplicate`. @throws QueueError `JOB_NOT_FOUND`, `JOB_FORGOTTEN`, `JOB_STATE` */
  duplicate(options?: DuplicateOptions): Promise<EnqueuedJob>
  /**
   * Changes when the job runs, if it is waiting or delayed. Otherwise resolves with false. @throws QueueError `JOB_NOT_FOUND`,
   * `JOB_FORGOTTEN`
   */
  reschedule(options: { delay: number | Date }): Promise<boolean>
  /**
   * Cancels the job, even while it runs. Resolves with false if the job had already ended. @throws QueueError `JOB_NOT_FOUND`,
   * `JOB_FORGOTTEN`
   */
  cancel(options?: { reason?: string }): Promise<boolean>
  /** Removes the job and frees its id. Resolves with false if there is no such job. @throws QueueError `JOB_STATE` while it runs */
  remove(): Promise<boolean>
  /** Makes the job due now if it is delayed. Otherwise resolves with false. @throws QueueError `JOB_NOT_FOUND`, `JOB_FORGOTTEN` */
  promote(): Promise<boolean>
}

/** Creates the handles of the jobs of a kernel. */
export function createJobHandles(kernel: PluginKernel, control: Control) {
  const queue = () => kernel.port('queue')

  /** The return value of `enqueue`: a copy of the stored job, whose methods all jobs of a kernel share. */
  class StoredJob extends Handle implements JobControls {
    // Only declared. A class field would be written twice, and an object is created for each job.
    declare readonly id: string
    declare readonly runId: string
    declare readonly deduplicated: boolean
    declare readonly queue: string
    declare readonly name: string

    constructor({ id, runId, deduplicated, queue: queueName, name }: EnqueueResult) {
      super()
      this.id = id
      this.runId = runId
      this.deduplicated = deduplicated
      this.queue = queueName
      this.name = name
    }

    async record(): Promise<JobRecord | undefined> {
      return queue().getJob(this.queue, this.id)
    }

    async state(): Promise<JobState | undefined> {
      return (await this.record())?.state
    }

    async progress(): Promise<number | undefined> {
      return (await this.record())?.progress
    }

    result(options?: { timeout?: number }): Promise<unknown> {
      return control.result(this, options)
    }

    retry(options?: { data?: unknown }): Promise<void> {
      return control.retry(this, options)
    }

    duplicate(options?: DuplicateOptions): Promise<EnqueuedJob> {
      return control.duplicate(this, options)
    }

    reschedule(options: { delay: number | Date }): Promise<boolean> {
      return control.reschedule(this, options)
    }

    cancel(options?: { reason?: string }): Promise<boolean> {
      return control.cancel(this, options)
    }

    async remove(): Promise<boolean> {
      return queue().remove(this.queue, this.id)
    }

    async promote(): Promise<boolean> {
      return queue().promote(this.queue, this.id)
    }
  }
  Reflect.deleteProperty(StoredJob.prototype, 'constructor')

  return {
    /** The implementation of the port `handles`, which is called for each enqueued job. */
    ofStored: (job: EnqueueResult): EnqueuedJob => new StoredJob(job) as unknown as EnqueuedJob,
    /** @throws QueueError `OPTION_INVALID` */
    ofRef<Result>(ref: JobRef & { runId?: string }): JobHandle<Result> {
      const job = checkRef(ref)
      const run = ref.runId === undefined ? {} : { runId: checkText('The run of a job', ref.runId) }
      return Object.assign(Object.create(StoredJob.prototype) as JobHandle<Result>, job, run)
    },
    extend: (methods: object): void => addMethods(StoredJob, methods),
  }
}
