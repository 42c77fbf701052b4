import type { Deferral } from '../../../kernel/index.ts'
import type { StepAttempt, StepOptions } from '../../lib/step-attempts.ts'
import type { Known, StepFailure } from '../../lib/sub-steps.ts'
import type { Suspendable } from '../../lib/suspension.ts'

export type { StepAttempt, StepOptions } from '../../lib/step-attempts.ts'

export interface EventWait {
  event: string
  /** Which of these events: the key that it was sent with. Default: any that was sent without one. */
  key?: string
  /** Milliseconds to wait at most. Default: as long as it takes. */
  timeout?: number
  /** Milliseconds before the run was enqueued from which on an event counts. Default 0. */
  lookback?: number
  /** Nobody else will ever wait for this event with this key: what is kept of them goes with the wait. Default false. */
  once?: boolean
  /** Passes over events that are not meant. Not for handlers in other processes. */
  filter?: (payload: unknown) => boolean
}

/** A wait as it crosses to another process. */
export type Wait = { kind: 'sleep'; until: number } | { kind: 'sleep'; delay: number } | ({ kind: 'event' } & EventWait)

/**
 * Parts of a handler that are done once for all its attempts. What each came to is on record under its name, and
 * answered by that name, whatever else the handler does before it. A name that is used again counts on: `page`,
 * `page#2`, … so those that share one have to be asked for in the same order each time.
 *
 * A handler that waits is left where it waits: nothing behind that runs, `catch` and `finally` included, until it is
 * called again.
 */
export interface SubSteps {
  /**
   * Runs a function, or answers what it came to when an earlier attempt of this job did. A failure is an outcome too:
   * once the handler has caught it and gone on, it is the same error in every attempt. What an attempt fails with is
   * tried again in the next one.
   *
   * @throws what `fn` threw, as it is on record: name, message, code, stack and causes
   * @throws QueueError `STEP_TIMEOUT` after the timeout of the part, `STEP_MISMATCH`, `OPTION_INVALID`
   * @example
   * const charge = await ctx.step.run('charge', () => stripe.charges.create(order), { attempts: 3, backoff: 1000 })
   */
  run<T>(name: string, fn: (attempt: StepAttempt) => T | Promise<T>, options?: StepOptions): Promise<T>
  /**
   * Gives the process back and goes on later: the handler is left at this point, and run again with what it has done
   * so far answered from the log.
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
  /** For runtimes: what an earlier attempt has on record under a name that is already unique. */
  lookup(name: string): Promise<Known>
  /** For runtimes: keeps a result and answers the one that counts, which is the first. */
  record(name: string, result: unknown): Promise<unknown>
  /** For runtimes: keeps a failure and answers it as it is on record; nothing where the job was told to stop. */
  fail(name: string, error: unknown): Promise<StepFailure | undefined>
  /** For runtimes: how a wait under a name that is already unique stands. Until it is over, when to look again. */
  wait(name: string, wait: Wait): Promise<Suspendable>
  /** For plugins: the same, under a name in parentheses, which no handler can ask for. */
  look(name: string, wait: Wait): Promise<Suspendable>
  /** For plugins: answers a wait that is over, and leaves the handler at one that is not. */
  pause(call: () => Promise<Suspendable>): Promise<unknown>
  /** For runtimes: what a handler that was left at a wait comes to; nothing when it has begun none. */
  deferral(): Deferral | undefined
}
