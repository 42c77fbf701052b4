import { callListener, isPromise, type MaybePromise, type Reporter } from '../../../kernel/index.ts'

/**
 * Returns a function that delivers values in the order in which they arrived. It delivers at once, and returns what the receiver returns, as
 * long as no value is a promise.
 */
export function createDeliveryOrder(reporter: Reporter) {
  let last: Promise<void> | undefined
  let stopped = false

  async function wait<T>(value: MaybePromise<T>, before: Promise<void> | undefined, to: (value: T) => void) {
    const received = await value
    await before
    if (!stopped) callListener(reporter, 'A listener failed.', () => to(received))
  }

  function deliver<T>(value: MaybePromise<T>, to: (value: T) => void): void {
    if (!last && !isPromise(value)) return to(value)
    const failed = (error: unknown): void => reporter.error('A value could not be decoded for a listener.', error)
    const mine = wait(value, last, to)
      .catch(failed)
      .finally(() => {
        if (last === mine) last = undefined
      })
    last = mine
  }
  return Object.assign(deliver, { stop: (): void => void (stopped = true) })
}
