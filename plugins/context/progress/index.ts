import { clampProgress, cutText, definePlugin, describeValue } from '../../../kernel/index.ts'
import { warnDeprecated } from '../../lib/deprecated.ts'
import { addLazyMember } from '../../lib/lazy-member.ts'

declare module 'nuxt-queue/kernel' {
  interface RunContext {
    /**
     * Reports the progress of the job as a number between 0 and 1. Other numbers are clamped. The value is stored with
     * the job and sent to the followers of the run, but it is not an event. Never rejects: a value that is not a number
     * is reported and ignored.
     *
     * @example
     * await ctx.progress(0.4, 'resizing')
     */
    readonly progress: (value: number, message?: string) => Promise<void>
    /** @deprecated Use `progress`. */
    readonly reportProgress: (value: number) => Promise<void>
  }
}

/** The data of a message of type `progress`, as followers of a run receive it. */
export interface ProgressMessage {
  jobId: string
  step: string
  value: number
  message: string | undefined
}

/** The longest message, in characters. A longer message is cut. */
const MAX_MESSAGE = 2048

/** Adds `ctx.progress()` to handlers. */
export default definePlugin({
  name: 'progress',
  requires: ['events'],
  setup(kernel) {
    addLazyMember(kernel, 'reportProgress', (ctx) => {
      warnDeprecated('ctx.reportProgress()', 'ctx.progress()')
      return (value) => ctx.progress(value)
    })
    addLazyMember(kernel, 'progress', (ctx) => async (value, message) => {
      const { job, runId } = ctx
      await kernel.storeProgress(ctx, value)
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
        kernel.reporter.warn(`The progress of job "${job.id}" could not be sent.`, error)
      }
    })
  },
})

function text(message: unknown): string | undefined {
  if (message === undefined) return undefined
  return cutText(typeof message === 'string' ? message : describeValue(message), MAX_MESSAGE)
}
