import { z } from 'zod'
import { definePlugin, type RunContext } from '../../../kernel/index.ts'
import { DEFAULT_STEP_GRACE } from '../../lib/sub-steps.ts'
import { addLazyMember } from '../../lib/lazy-member.ts'
import type { SubSteps } from './api.ts'
import { createMemos } from './memos.ts'
import type { StepRecord } from './record.ts'
import { createSubSteps } from './sub-steps.ts'

export type { EventWait, StepAttempt, StepOptions, SubSteps, Wait } from './api.ts'

declare module 'nuxt-queue/kernel' {
  interface RunContext {
    readonly step: SubSteps
  }
}

/** Gives handlers `ctx.step`. Outcomes of sub-steps are events, so that a retry continues after the last recorded outcome. */
export default definePlugin({
  name: 'step',
  requires: ['events', 'wait'],
  options: z.strictObject({
    /**
     * How long a handler may run code outside of sub-steps before it is suspended at a wait, after a concurrent sub-step has ended, as in a
     * race. In milliseconds. Default 500.
     */
    grace: z.number().int().min(0).default(DEFAULT_STEP_GRACE),
  }),
  setup(kernel, { grace }) {
    const memosOf = createMemos(kernel)
    /** Attempts that may find sub-steps of earlier attempts. */
    const replayed = new Map<RunContext, StepRecord>()
    addLazyMember(kernel, 'step', (ctx) =>
      createSubSteps(kernel, ctx, {
        grace,
        memosOf,
        onUse: (record) => void (ctx.claim > 1 && replayed.set(ctx, record)),
      }),
    )

    kernel.hook(
      'emit',
      ({ ctx, events }, next) => {
        const last = events.at(-1)?.type ?? ''
        if (!ENDS.has(last)) return next()
        const unrequested = replayed.get(ctx!)!.unrequested()
        replayed.delete(ctx!)
        if (last === 'step.completed' && unrequested.length > 0) reportUnrequested(ctx!, unrequested)
        return next()
      },
      { when: ({ ctx }) => replayed.size > 0 && ctx !== undefined && replayed.has(ctx) },
    )

    function reportUnrequested({ job }: RunContext, names: readonly string[]): void {
      const parts = names.map((name) => `"${name}"`).join(', ')
      const hint = 'If you have renamed it, it ran again under its new name.'
      kernel.reporter.warn(
        `Job "${job.id}" of "${job.name}" ended without requesting the recorded sub-step ${parts}. ${hint}`,
      )
    }
  },
})

/** The types of the last event of an attempt. */
const ENDS = new Set(['step.completed', 'step.failed', 'step.retry', 'step.deferred'])
