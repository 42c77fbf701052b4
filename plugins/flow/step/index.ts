import { z } from 'zod'
import { definePlugin, type RunContext } from '../../../kernel/index.ts'
import { GRACE } from '../../lib/sub-steps.ts'
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

/** Gives handlers `ctx.step`: outcomes that are kept as events, so that a retry goes on behind the last one. */
export default definePlugin({
  name: 'step',
  requires: ['events', 'wait'],
  options: z.strictObject({
    /**
     * Milliseconds that a handler may go on with what is no part of its own before it is left at a wait, once something
     * beside that wait is over, as in a race. Default 500.
     */
    grace: z.number().int().min(0).default(GRACE),
  }),
  setup(kernel, { grace }) {
    const memosOf = createMemos(kernel)
    /** Attempts that have parts of earlier ones behind them. */
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
        const unasked = replayed.get(ctx!)!.unasked()
        replayed.delete(ctx!)
        if (last === 'step.completed' && unasked.length > 0) reportUnasked(ctx!, unasked)
        return next()
      },
      { when: ({ ctx }) => replayed.size > 0 && ctx !== undefined && replayed.has(ctx) },
    )

    function reportUnasked({ job }: RunContext, names: readonly string[]): void {
      const parts = names.map((name) => `"${name}"`).join(', ')
      const hint = 'Was it renamed? What is on record under another name was done again.'
      kernel.reporter.warn(`Job "${job.id}" of "${job.name}" ended without asking for ${parts}, on record. ${hint}`)
    }
  },
})

/** What the last event of an attempt is, unless its process dies. */
const ENDS = new Set(['step.completed', 'step.failed', 'step.retry', 'step.deferred'])
