import type { Deferral, DeferOptions } from '../contracts/index.ts'
import { isInstance } from './errors.ts'
import { checkDuration, checkKeys, checkMoment, invalid } from './bounds.ts'

const OPTIONS = ['delay', 'until', 'holdQueue']

/** What `ctx.defer()` returns. A class, so that the runner recognizes an instance that is returned or thrown. */
export class DeferredRun implements Deferral {
  declare readonly runAt: number
  declare readonly holdQueue: boolean
  declare readonly waits?: boolean

  /** @throws QueueError `OPTION_INVALID` for a moment that stores cannot keep */
  constructor(options: DeferOptions, now: number) {
    checkKeys('ctx.defer()', options, OPTIONS)
    const { delay = 0, until, holdQueue = false } = options
    if (typeof holdQueue !== 'boolean') throw invalid('Option "holdQueue" of ctx.defer()', 'true or false', holdQueue)
    this.holdQueue = holdQueue
    this.runAt =
      until === undefined
        ? now + checkDuration('Option "delay" of ctx.defer()', delay)
        : checkMoment('Option "until" of ctx.defer()', until)
  }
}

/**
 * Whether a value is a deferral: the value that `ctx.defer()` returns, or the result of a handler that stopped at a wait. In a `dispatch`
 * hook, `dispatch.result` may be a deferral after `next()` has resolved.
 *
 * @example
 * await next()
 * if (isDeferral(dispatch.result)) return // the job waits: it has neither succeeded nor failed
 */
export function isDeferral(value: unknown): value is Deferral {
  return isInstance(value, DeferredRun)
}
