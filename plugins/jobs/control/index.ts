import { checkText, definePlugin, type EnqueuedJob, type JobHandle, type JobRef } from '../../../kernel/index.ts'
import { createControl, type Control } from './control.ts'
import { createJobHandles, type JobControls } from './job-handle.ts'
import { createQueueHandle, type QueueHandle } from './queue-handle.ts'

export type { JobRef } from '../../../kernel/index.ts'
export type { Control } from './control.ts'
export type { DuplicateOptions } from './job-actions.ts'
export type { JobControls } from './job-handle.ts'
export type { CleanOptions, QueueHandle, QueueNotice } from './queue-handle.ts'

declare module 'nuxt-queue/kernel' {
  interface JobMethods<Result> extends JobControls<Result> {}
  interface Kernel extends Control {
    /**
     * Returns a handle of a job. What `enqueue` returns is one already.
     *
     * @throws QueueError `OPTION_INVALID` for what is no job
     * @example
     * const job = kernel.job({ queue: 'mail', id })
     * if ((await job.state()) === 'failed') await job.retry()
     */
    job<Result = unknown>(job: JobRef & Partial<Pick<EnqueuedJob<Result>, 'runId' | '~result'>>): JobHandle<Result>
    /**
     * Returns a handle of a queue, which need not exist yet.
     *
     * @throws QueueError `OPTION_INVALID` for what is no name
     * @example
     * await kernel.queue('mail').pause()
     */
    queue(name: string): QueueHandle
  }
  interface PluginKernel {
    /** Adds methods to the handles of jobs. Absent without the plugin `control`. Their types are added to `JobMethods` by declaration merging. */
    extendJobs?(methods: object): void
  }
}

/** Cancel, retry and wait for jobs, from any instance; handles of jobs and of queues. */
export default definePlugin({
  name: 'control',
  requires: ['queue', 'events'],
  async setup(kernel) {
    const { members, listen } = createControl(kernel)
    const jobs = createJobHandles(kernel, members)
    kernel.extend({
      ...members,
      job: jobs.ofRef,
      queue: (name) => createQueueHandle(kernel, checkText('The name of a queue', name)),
    })
    kernel.share({ extendJobs: jobs.extend })
    kernel.provide('handles', jobs.ofStored)
    return listen()
  },
})
