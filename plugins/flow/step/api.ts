import type { Deferral } from '../../../kernel/index.ts'
import type { StepAttempt, StepOptions } from '../../lib/step-attempts.ts'
import type { Known, StepFailure } from '../../lib/sub-steps.ts'
import type { PauseState } from '../../lib/suspension.ts'

export type { StepAttempt, StepOptions } from '../../lib/step-attempts.ts'

export interface EventWait {
  event: string
  /** The key that the event was sent with. Default: events without a key. */
  key?: string
  /** The longest wait in milliseconds. Default: no limit. */
  timeout?: number
  /** Milliseconds before the run was enqueued. Events from that moment on count. Default 0. */
  lookback?: number
  /** True if no other wait will ever use this event and key. Their streams then end with this wait. Default false. */
  once?: boolean
  /** Returns false for events to ignore. Not for handlers in other processes. */
  filter?: (payload: unknown) => boolean
}

/** A wait as a runtime in another process sends it. */
export type Wait = { kind: 'sleep'; until: number } | { kind: 'sleep'; delay: number } | ({ kind: 'event' } & EventWait)

/**
 * Sub-steps of a handler, which run once across all attempts. The outcome of each is recorded and found by its name, independent of the
 * code before it. A name that is used again is numbered: `page`, `page#2`, … Therefore call sub-steps that share a name in the same order
 * each time.
 *
 * A handler that waits is suspended at the wait. No code after the wait runs, including `catch` and `finally`, until the handler is called
 * again.
 */
export interface SubSteps {
  /**
   * Runs a function, or returns its recorded outcome if an earlier attempt of this job has run it. A failure is an
   * outcome too: once the handler has caught the error and continued, every attempt receives the same error. A failure
   * that fails the attempt is retried in the next attempt.
   *
   * @throws the recorded error of `fn`, with name, message, code, stack and causes
   * @throws QueueError `STEP_TIMEOUT` after the timeout of the sub-step, `STEP_MISMATCH`, `OPTION_INVALID`
   * @example
   * const charge = await ctx.step.run('charge', () => stripe.charges.create(order), { attempts: 3, backoff: 1000 })
   */
  run<T>(name: string, fn: (attempt: StepAttempt) => T | Promise<T>, options?: StepOptions): Promise<T>
  /**
   * Suspends the handler and frees its process. The handler later runs again from its beginning, and the outcomes of
   * its earlier sub-steps come from the log.
   *
   * @param until milliseconds from now, or a date
   */
  sleep(name: string, until: number | Date): Promise<void>
  /**
   * Suspends the handler until the event is sent, and returns its payload. Returns `undefined` after the timeout.
   *
   * @example
   * const paid = await ctx.step.waitForEvent('paid', { event: 'payment.received', key: order.id, timeout: 86_400_000 })
   */
  waitForEvent<T = unknown>(name: string, options: EventWait): Promise<T | undefined>
  /**
   * Suspends the handler until its run receives a signal, and returns the payload. Returns `undefined` after the timeout.
   *
   * @param name the name of the signal, and of the wait
   * @example
   * const approval = await ctx.step.waitForSignal('approved', { timeout: 86_400_000 })
   */
  waitForSignal<T = unknown>(name: string, options?: { timeout?: number }): Promise<T | undefined>
  /** For runtimes: returns the outcome that an earlier attempt recorded. The name must already be unique. */
  lookup(name: string): Promise<Known>
  /** For runtimes: records a result. Returns the first result that was recorded under the name. */
  record(name: string, result: unknown): Promise<unknown>
  /** For runtimes: records a failure and returns it in its stored form. Returns `undefined` if the job was asked to stop. */
  fail(name: string, error: unknown): Promise<StepFailure | undefined>
  /** For runtimes: returns the state of a wait, or when to check again. The name must already be unique. */
  wait(name: string, wait: Wait): Promise<PauseState>
  /** For plugins: like `wait`, under a name in parentheses, which handlers cannot use. */
  look(name: string, wait: Wait): Promise<PauseState>
  /** For plugins: returns the result of a wait that is over. Otherwise suspends the handler. */
  pause(call: () => Promise<PauseState>): Promise<unknown>
  /** For runtimes: returns the deferral of a suspended handler, or `undefined` if it has not begun a wait. */
  deferral(): Deferral | undefined
}
