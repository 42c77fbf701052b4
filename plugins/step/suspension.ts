import type { Deferral, RunContext } from '../../kernel/index.ts'
import type { Memo } from './memos.ts'

/**
 * How a handler that waits is left: one deferral for all the waits it begins beside each other, due
 * with the first of them.
 */
export function createSuspension(ctx: RunContext) {
  let deferral: Deferral | undefined
  return {
    until(moment: number): void {
      deferral ??= ctx.defer({ until: moment })
      if (moment < deferral.runAt) Object.assign(deferral, { runAt: moment })
    },
    deferral: (): Deferral | undefined => deferral,
  }
}

export const VERBS: Readonly<Record<Memo['kind'], string>> = { run: 'run', wait: 'wait' }
