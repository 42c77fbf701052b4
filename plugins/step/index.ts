import { definePlugin } from '../../kernel/index.ts'
import { addLazyMember } from '../_shared/lazy-member.ts'
import type { SubSteps } from './api.ts'
import { createMemos } from './memos.ts'
import { createSubSteps } from './sub-steps.ts'

export type { EventWait, SubSteps, Wait } from './api.ts'

declare module 'nuxt-queue/kernel' {
  interface RunContext {
    readonly step: SubSteps
  }
}

/** Gives handlers `ctx.step`: results that are kept as events, so that a retry goes on behind the last one. */
export default definePlugin({
  name: 'step',
  requires: ['events', 'wait'],
  setup(kernel) {
    const memos = createMemos(kernel)
    addLazyMember(kernel, 'step', (ctx) => createSubSteps(kernel, ctx, memos))
  },
})
