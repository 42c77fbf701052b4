import { clampProgress, cutText, definePlugin, describeValue } from '../../../kernel/index.ts'
import { addLazyMember } from '../../lib/lazy-member.ts'

declare module 'nuxt-queue/kernel' {
  interface RunContext {
    /**
     * Reports how far the work is, between 0 and 1; what is beyond is clamped. Kept with the job and sent to
     * whoever follows the run; not an event. Never rejects: a value that is no number is reported and left out.
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

/** The longest message, in characters. */
const LONGEST_MESSAGE = 2048

/** Gives handlers `ctx.progress()`. */
export default definePlugin({
  name: 'progress',
  requires: ['events'],
  setup(kernel) {
    addLazyMember(kernel, 'progress', (ctx) => async (value, message) => {
      const { job, runId } = ctx
      await ctx.reportProgress(value)
      const share = clampProgress(value)
      if (share === undefined) return
      const data: ProgressMessage = {
        jobId: job.id,
        step: job.flow?.step ?? job.name,
        value: share,
        message: text(message),
      }
      try {
        await kernel.port('events').publish(runId, [{ type: 'progress', data }])
      } catch (error) {
        kernel.reporter.warn(`Progress of job "${job.id}" was not sent.`, error)
      }
    })
  },
})

function text(message: unknown): string | undefined {
  if (message === undefined) return undefined
  return cutText(typeof message === 'string' ? message : describeValue(message), LONGEST_MESSAGE)
}
