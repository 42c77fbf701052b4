import { definePlugin } from '../../kernel/index.ts'
import { addLazyMember } from '../_shared/lazy-member.ts'

declare module 'nuxt-queue/kernel' {
  interface RunContext {
    /**
     * Tells how far the work is, between 0 and 1. Kept with the job and sent to whoever follows the
     * run; not an event.
     *
     * @throws QueueError `OPTION_INVALID`
     */
    readonly progress: (value: number, message?: string) => Promise<void>
  }
}

/** What followers of a run receive as a message of type `progress`. */
export interface ProgressMessage {
  jobId: string
  step: string
  value: number
  message: string | undefined
}

/** Gives handlers `ctx.progress()`. */
export default definePlugin({
  name: 'progress',
  requires: ['events'],
  setup(kernel) {
    addLazyMember(kernel, 'progress', (ctx) => async (value, message) => {
      const { job, runId } = ctx
      await ctx.reportProgress(value)
      const data: ProgressMessage = { jobId: job.id, step: job.flow?.step ?? job.name, value, message }
      await kernel.port('events').publish(runId, [{ type: 'progress', data }])
    })
  },
})
