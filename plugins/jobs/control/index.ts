import { checkText, definePlugin, type EnqueuedJob, type JobHandle, type JobRef } from '../../../kernel/index.ts'
import { createControl, type Control } from './control.ts'
import { createJobHandles, type JobControls } from './job-handle.ts'
import { createPausedKeys, type PausedKeyAccess } from './paused-keys.ts'
import { createQueueHandle, type QueueHandle } from './queue-handle.ts'

export type { JobRef } from '../../../kernel/index.ts'
export type { Control } from './control.ts'
export type { DuplicateOptions } from './job-actions.ts'
export type { JobControls } from './job-handle.ts'
export type { PausedKey, PausedKeyAccess } from './paused-keys.ts'
export type { CleanOptions, QueueHandle, QueueNotice } from './queue-handle.ts'

declare module 'nuxt-queue/kernel' {
  interface JobMethods<Result> extends JobControls<Result> {}
  interface Kernel extends Control {
    /**
     * Returns a handle of a job. The return value of `enqueue` is already a handle.
     *
     * @throws QueueError `OPTION_INVALID` if `job` is not a reference to a job
     * @example
     * const job = kernel.job({ queue: 'mail', id })
     * if ((await job.state()) === 'failed') await job.retry()
     */
    job<Result = unknown>(job: JobRef & Partial<Pick<EnqueuedJob<Result>, 'runId' | '~result'>>): JobHandle<Result>
    /**
     * Returns a handle of a queue. The queue does not have to exist yet.
     *
     * @throws QueueError `OPTION_INVALID` for an invalid name
     * @example
     * await kernel.queue('mail').pause()
     */
    queue(name: string): QueueHandle
  }
  interface PluginKernel {
    /** Adds methods to the handles of jobs. Absent without the plugin `control`. Their types are added to `JobMethods` by declaration merging. */
    extendJobs?(methods: object): void
    /** The keys whose jobs are paused. Absent without the plugin `control`. */
    readonly pausedKeys?: PausedKeyAccess
  }
}

/** Cancels, retries and awaits jobs, from any instance. Provides handles of jobs and queues. */
export default definePlugin({
  name: 'control',
  requires: ['queue', 'events'],
  async setup(kernel) {
    const { members, listen } = createControl(kernel)
    const jobs = createJobHandles(kernel, members)
    const paused = createPausedKeys(kernel)
    kernel.extend({
      ...members,
      job: jobs.ofRef,
      queue: (name) => createQueueHandle(kernel, paused, checkText('The name of a queue', name)),
    })
    kernel.share({ extendJobs: jobs.extend, pausedKeys: paused.access })
    kernel.provide('handles', jobs.ofStored)
    return listen()
  },
})
