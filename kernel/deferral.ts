import type { Deferral, DeferOptions } from '../contracts/index.ts'
import { checkDuration, checkKeys, checkMoment, invalid } from './bounds.ts'

const OPTIONS = ['delay', 'until', 'holdQueue']

/** Made by `ctx.defer()`; a class so that the runner knows one when it is returned or thrown. */
export class DeferredRun implements Deferral {
  readonly runAt: number
  readonly holdQueue: boolean

  /** @throws QueueError `OPTION_INVALID` for a moment that no store can keep */
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
