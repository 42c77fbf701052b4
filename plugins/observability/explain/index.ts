import { definePlugin } from '../../../kernel/index.ts'
import { createExplain, type ExplainedJob } from './explain.ts'
import type { Explanation } from './reasons.ts'

export type { ExplainedJob } from './explain.ts'
export type { Explanation, Reason, ReasonCode } from './reasons.ts'

declare module 'nuxt-queue/kernel' {
  interface JobMethods {
    /** Explains why the job is not running, or how it ended. The same as `kernel.explain()` of the job. */
    explain(): Promise<Explanation>
  }
  interface Kernel {
    /**
     * Returns why a job is not running, from the view of this process, or how the job ended. It is meant for people: it
     * may read up to 1,000 jobs of the queue, and events of the job's run.
     *
     * @throws QueueError `OPTION_INVALID` if the job is neither an id nor `{ queue, id }`
     * @example
     * const { reasons } = await kernel.explain({ queue: 'mail', id })
     * for (const { code, sentence } of reasons) console.log(code, sentence)
     */
    explain(job: ExplainedJob): Promise<Explanation>
  }
}

/** Explains why a job is not running. */
export default definePlugin({
  name: 'explain',
  requires: ['queue', 'workers', 'events', 'control'],
  setup(kernel) {
    const explain = createExplain(kernel)
    kernel.extend({ explain })
    kernel.extendJobs?.({
      explain(this: Exclude<ExplainedJob, string>) {
        return explain(this)
      },
    })
  },
})
