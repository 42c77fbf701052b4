import { AsyncLocalStorage } from 'node:async_hooks'
import { checkText, isDeferral, QueueError, reviveError, type Clock, type SerializedError } from '../../kernel/index.ts'
import { checkFunction } from './check-options.ts'
import { checkStepOptions, tryStep, type StepAttempt, type StepOptions } from './step-attempts.ts'
import type { PauseState } from './suspension.ts'

/** Default of `grace`, in milliseconds. */
export const DEFAULT_STEP_GRACE = 500

/** A failure in its recorded form. */
export type StepFailure = SerializedError & { retryable?: false }

/** What is recorded under the name of a sub-step. */
export type Known = { found: false } | { found: true; result?: unknown; error?: StepFailure }

interface StepRunnerOptions {
  lookup(name: string): Promise<Known>
  record(name: string, result: unknown): Promise<unknown>
  /** Records a failure and returns it. Returns `undefined` or `null` if the failure does not count because the job was stopped. */
  fail(name: string, error: unknown): Promise<StepFailure | undefined | null>
  /** Ends the execution of a handler that continues later. */
  suspend(): void
  signal(): AbortSignal
  clock: Pick<Clock, 'setTimeout'>
  /**
   * Milliseconds that a handler may spend on its own code after a sub-step or wait has finished while another wait is
   * pending, as in a race. If the handler does not call `ctx.step` within this time, it is suspended.
   */
  grace: number
  /** Returns the number of the current call of the handler. Each call counts names from the beginning. */
  invocation(): number
  /** Delays the end of the execution until a promise settles that the handler may not await. */
  track(promise: Promise<unknown>): void
}

/** The enclosing sub-step, and the run of the handler it belongs to: jobs enqueued in a sub-step run in its scope. */
const enclosing = new AsyncLocalStorage<{ name: string; used: object }>()

/** The result of every call after the handler was suspended. */
const never = (): Promise<never> => new Promise(() => {})

/**
 * Runs sub-steps of a handler and records their results, and suspends the handler at its waits. A pending wait never
 * settles, so that the handler cannot mistake it for an error.
 *
 * ```
 * a sub-step:  called ── result on record ─────────────────────────────────> returns the result
 *                ├────── failure on record ────────────────────────────────> throws the failure
 *                └────── nothing on record ──> trying ── success ──────────> records and returns the result
 *                                     backoff ^  │ ├──── no attempts left ─> records and throws the failure
 *                                             └──┘ └──── job was stopped ──> throws, records nothing
 *
 * a wait:      called ── finished ──> returns the result
 *                └────── pending ───> never settles
 *
 * the handler: running ── a wait is pending and no call is running ──> idle ── nothing settled since the wait ──> suspended
 *                 ^                                                     │
 *                 └────────── ctx.step was called again ─────────── grace period ── nothing was called ────────> suspended
 * ```
 */
export function createStepRunner(options: StepRunnerOptions) {
  const { lookup, record, fail, suspend, signal, clock, grace, invocation, track } = options
  const used = new Map<string, number>()
  let currentInvocation = invocation()
  /** Calls that are running. */
  let running = 0
  /** Waits that are pending. */
  let pendingWaits = 0
  let suspended = false
  /** Counts calls and results, so that their order is known. */
  let tick = 0
  let lastWait = 0
  let lastSettled = 0
  let graceTimer: ReturnType<typeof setTimeout> | undefined

  function beginInvocation(): void {
    if (currentInvocation === invocation()) return
    currentInvocation = invocation()
    used.clear()
    pendingWaits = 0
    suspended = false
  }

  /** Numbers repeated names: `page`, `page#2`. A name that already ends with `#` and a number is numbered from `#1`. */
  function uniqueName(given: string): string {
    beginInvocation()
    checkText('The name of a step', given)
    const times = (used.get(given) ?? 0) + 1
    used.set(given, times)
    return times === 1 && !/#\d+$/.test(given) ? given : `${given}#${times}`
  }

  function trackCall<T>(call: () => Promise<T>): Promise<T> {
    tick++
    running++
    const result = call().finally(() => {
      running--
      if (pendingWaits > 0) setImmediate(suspendWhenIdle)
    })
    track(
      result.then(
        () => {},
        () => {},
      ),
    )
    return result
  }

  function markSettled(): void {
    lastSettled = ++tick
  }

  async function run<T>(
    given: string,
    fn: (attempt: StepAttempt) => T | Promise<T>,
    stepOptions: StepOptions = {},
  ): Promise<T> {
    checkFunction(`The function of ctx.step.run("${given}")`, fn)
    checkStepOptions(given, stepOptions)
    const name = uniqueName(given)
    if (suspended) return never()
    return trackCall(async () => {
      try {
        const known = await lookup(name)
        if (!known.found) return await execute(name, fn, stepOptions)
        if (known.error) throw reviveFailure(known.error)
        return known.result as T
      } finally {
        markSettled()
      }
    })
  }

  /** The handler receives a failure in its recorded form, so that it sees the same error in every attempt. */
  async function execute<T>(
    name: string,
    fn: (attempt: StepAttempt) => T | Promise<T>,
    stepOptions: StepOptions,
  ): Promise<T> {
    let result: T
    try {
      result = await enclosing.run({ name, used }, () => tryStep(name, fn, stepOptions, { clock, signal }))
    } catch (error) {
      const stored = isDeferral(error) ? undefined : await fail(name, error)
      throw stored ? reviveFailure(stored) : error
    }
    return (await record(name, result)) as T
  }

  /** Returns the result of a wait. A pending wait never settles, and the handler is suspended. */
  async function pause(call: () => Promise<PauseState>): Promise<unknown> {
    const step = enclosing.getStore()
    if (step?.used === used) {
      const message = `Step "${step.name}" waits inside ctx.step.run. Wait outside of it, or set its option "timeout".`
      throw new QueueError('WAIT_INVALID', message, { retryable: false })
    }
    beginInvocation()
    if (suspended) return never()
    const calledAt = ++tick
    const status = await trackCall(call)
    if (status.over) {
      markSettled()
      return status.result
    }
    pendingWaits++
    lastWait = Math.max(lastWait, calledAt)
    setImmediate(suspendWhenIdle)
    return never()
  }

  /** If something has settled since the last wait was called, the handler may still use it, so it gets the grace period. */
  function suspendWhenIdle(): void {
    if (running > 0 || pendingWaits === 0 || suspended || graceTimer) return
    if (lastSettled < lastWait || grace === 0) return suspendNow()
    const seen = tick
    graceTimer = setTimeout(() => {
      graceTimer = undefined
      if (seen === tick) suspendNow()
      else suspendWhenIdle()
    }, grace)
  }

  function suspendNow(): void {
    if (running > 0 || suspended) return
    suspended = true
    suspend()
  }
  return { run, pause, uniqueName }
}

/** Returns a failure as the error that a handler receives. */
function reviveFailure({ retryable, ...error }: StepFailure): Error {
  return Object.assign(reviveError(error), retryable === false && { retryable })
}
