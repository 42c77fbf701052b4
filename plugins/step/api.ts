import type { Deferral } from '../../kernel/index.ts'
import type { Suspendable } from '../_shared/suspension.ts'

export interface EventWait {
  event: string
  /** Which of these events: the key that it was sent with. Default: any that was sent without one. */
  key?: string
  /** Milliseconds to wait at most. Default: as long as it takes. */
  timeout?: number
  /** Milliseconds before the start of the run from which on an event counts. Default 0. */
  lookback?: number
  /** Nobody else will ever wait for this event with this key: what is kept of them goes with the wait. Default false. */
  once?: boolean
  /** Passes over events that are not meant. Not for handlers in other processes. */
  filter?: (payload: unknown) => boolean
}

/** A wait as it crosses to another process. */
export type Wait = { kind: 'sleep'; until: number } | { kind: 'sleep'; delay: number } | ({ kind: 'event' } & EventWait)

/**
 * Parts of a handler that are done once for all its attempts. A name that is used again in one attempt
 * counts on: `page`, `page#2`, … so that a handler has to ask for the same names in the same order
 * each time; what varies (time, chance, what others say) belongs inside `run`.
 */
export interface SubSteps {
  /**
   * Runs a function, or answers what it returned when an earlier attempt of this job finished it.
   *
   * @throws what `fn` throws; nothing is kept then, and the next attempt runs it again
   * @throws QueueError `STEP_MISMATCH` when an earlier attempt went another way
   * @example
   * const charge = await ctx.step.run('charge', () => stripe.charges.create(order))
   */
  run<T>(name: string, fn: () => T | Promise<T>): Promise<T>
  /**
   * Gives the process back and goes on later: the handler is left at this point, and run again with
   * what it has done so far answered from the log. What it throws for that has to pass through.
   *
   * @param until milliseconds from now, or a date
   */
  sleep(name: string, until: number | Date): Promise<void>
  /**
   * Gives the process back until somebody sends the event, and answers its payload; `undefined` when
   * that took too long.
   *
   * @example
   * const paid = await ctx.step.waitForEvent('paid', { event: 'payment.received', key: order.id, timeout: 86_400_000 })
   */
  waitForEvent<T = unknown>(name: string, options: EventWait): Promise<T | undefined>
  /** For runtimes: what an earlier attempt recorded under a name that is already counted. */
  lookup(name: string): Promise<{ found: boolean; result?: unknown }>
  /** For runtimes: keeps a result and answers the one that counts, which is the first. */
  record(name: string, result: unknown): Promise<unknown>
  /** For runtimes: how a wait under a name that is already counted stands. Until it is over, when to look again. */
  wait(name: string, wait: Wait): Promise<Suspendable>
  /** For runtimes: what a handler that was left at a wait comes to; nothing when it has begun none. */
  deferral(): Deferral | undefined
}
