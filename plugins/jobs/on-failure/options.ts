import type { Job, MaybePromise, RunContext } from '../../../kernel/index.ts'

/** A job that has failed permanently, as `onFailure` sees it. */
export interface FailedJob extends Pick<
  Job,
  'id' | 'queue' | 'name' | 'runId' | 'data' | 'tags' | 'headers' | 'attempt'
> {
  /** The flow of which the job was a step. */
  readonly flow?: string
}

/** The argument of `onFailure`. */
export interface JobFailure {
  /** The job. Its `data` is `undefined` if it is too large to be stored a second time. */
  readonly job: FailedJob
  /** The error of the last attempt, with its code, its stack and its causes. */
  readonly error: Error
  /** The context of the job that runs `onFailure`. It has its own log, sub-steps and signal. */
  readonly ctx: RunContext
}

declare module 'nuxt-queue/kernel' {
  interface WorkerConfig {
    /**
     * Called after a job of the worker has failed permanently. It runs as a separate job, which is retried: once for each failed job, also
     * if the process dies right after the failure.
     *
     * @example
     * onFailure: ({ job, error, ctx }) => ctx.step.run('notify', () => notify(job.id, error.message))
     */
    onFailure?: (failure: JobFailure) => MaybePromise<unknown>
  }
}
