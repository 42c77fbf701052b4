import { definePlugin } from '../../../kernel/index.ts'
import { createExplain, type ExplainedJob } from './explain.ts'
import type { Explanation } from './reasons.ts'

export type { ExplainedJob } from './explain.ts'
export type { Explanation, Reason, ReasonCode } from './reasons.ts'

declare module 'nuxt-queue/kernel' {
  interface Kernel {
    /**
     * Why a job is not running, as this process sees it, or what became of it. For people who look into
     * things: it reads as much of the queue and of the job's run as that takes.
     *
     * @throws QueueError `OPTION_INVALID`
     * @example
     * const { reasons } = await kernel.explain({ queue: 'mail', id })
     * for (const { code, sentence } of reasons) console.log(code, sentence)
     */
    explain(job: ExplainedJob): Promise<Explanation>
  }
}

/** Tells why a job does not run. */
export default definePlugin({
  name: 'explain',
  requires: ['queue', 'workers', 'events'],
  setup(kernel) {
    kernel.extend({ explain: createExplain(kernel) })
  },
})
