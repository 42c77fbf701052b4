import type { Deferral, DeferOptions } from '../contracts/index.ts'

/** Made by `ctx.defer()`; a class so that the runner knows one when it is returned or thrown. */
export class DeferredRun implements Deferral {
  readonly runAt: number
  readonly holdQueue: boolean

  constructor({ delay = 0, until, holdQueue = false }: DeferOptions, now: number) {
    this.runAt = Number(until ?? now + delay)
    this.holdQueue = holdQueue
  }
}
