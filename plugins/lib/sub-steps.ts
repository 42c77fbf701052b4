import { AsyncLocalStorage } from 'node:async_hooks'
import { checkText, isDeferral, QueueError, reviveError, type Clock, type SerializedError } from '../../kernel/index.ts'
import { checkStepOptions, tryPart, type StepAttempt, type StepOptions } from './step-attempts.ts'
import type { Suspendable } from './suspension.ts'

/** Default of `grace`. */
export const GRACE = 500

/** A failure as it is on record. */
export type StepFailure = SerializedError & { retryable?: false }

/** What is on record under a name. */
export type Known = { found: false } | { found: true; result?: unknown; error?: StepFailure }

interface Kept {
  lookup(name: string): Promise<Known>
  record(name: string, result: unknown): Promise<unknown>
  /** Puts a failure on record and returns it; nothing where it does not count, since the job was told to stop. */
  fail(name: string, error: unknown): Promise<StepFailure | undefined | null>
  /** Ends the execution of a handler that can only go on later. */
  leave(): void
  signal(): AbortSignal
  clock: Pick<Clock, 'setTimeout'>
  /**
   * How long, in milliseconds, a handler may go on with what is no part, once something beside its wait is over and
   * nothing of `ctx.step` is under way.
   */
  grace: number
  /** Tells apart how often the handler was called: each time begins to count names anew. */
  invocation(): number
  /** Has the end of the execution wait for what the handler may not await itself. */
  track(promise: Promise<unknown>): void
}

/** The part that the code which asks is inside of, and whose it is: what a part enqueues may run in its scope. */
const inside = new AsyncLocalStorage<{ name: string; used: object }>()

/** What is asked for in a handler that has been left. */
const never = (): Promise<never> => new Promise(() => {})

/**
 * Runs parts of a handler over whatever keeps their results, and leaves the handler at its waits: a wait that is not
 * over never settles, so that nothing in the handler can take it for an error.
 */
export function createStepRunner({ lookup, record, fail, leave, signal, clock, grace, invocation, track }: Kept) {
  const used = new Map<string, number>()
  let called = invocation()
  let underway = 0
  /** Waits that are not over. */
  let waiting = 0
  let left = false
  /** Counts what is asked for and what is answered, to know which came last. */
  let moment = 0
  let lastWait = 0
  let lastAnswer = 0
  let resting: ReturnType<typeof setTimeout> | undefined

  function begin(): void {
    if (called === invocation()) return
    called = invocation()
    used.clear()
    waiting = 0
    left = false
  }

  /** A name that is used again counts on: `page`, `page#2`. One that looks as if we had made it counts from `#1`. */
  function counted(given: string): string {
    begin()
    checkText('The name of a step', given)
    const times = (used.get(given) ?? 0) + 1
    used.set(given, times)
    return times === 1 && !/#\d+$/.test(given) ? given : `${given}#${times}`
  }

  function during<T>(part: () => Promise<T>): Promise<T> {
    moment++
    underway++
    const under = part().finally(() => {
      underway--
      if (waiting > 0) setImmediate(leaveWhenIdle)
    })
    track(
      under.then(
        () => {},
        () => {},
      ),
    )
    return under
  }

  function answered<T>(value: T): T {
    lastAnswer = ++moment
    return value
  }

  async function run<T>(
    given: string,
    fn: (attempt: StepAttempt) => T | Promise<T>,
    options: StepOptions = {},
  ): Promise<T> {
    checkStepOptions(given, options)
    const name = counted(given)
    if (left) return never()
    return during(async () => {
      try {
        const known = await lookup(name)
        if (!known.found) return await carryOut(name, fn, options)
        if (known.error) throw reviveFailure(known.error)
        return known.result as T
      } finally {
        answered(name)
      }
    })
  }

  /** What the handler sees of a failure is what is on record, so that it sees the same in every attempt. */
  async function carryOut<T>(
    name: string,
    fn: (attempt: StepAttempt) => T | Promise<T>,
    options: StepOptions,
  ): Promise<T> {
    let result: T
    try {
      result = await inside.run({ name, used }, () => tryPart(name, fn, options, { clock, signal }))
    } catch (error) {
      const stored = isDeferral(error) ? undefined : await fail(name, error)
      throw stored ? reviveFailure(stored) : error
    }
    return (await record(name, result)) as T
  }

  /** Returns what a wait has come to. One that is not over stays pending for ever, and the handler is left. */
  async function pause(call: () => Promise<Suspendable>): Promise<unknown> {
    const part = inside.getStore()
    if (part?.used === used) {
      const message = `Part "${part.name}" waits inside of ctx.step.run. Wait beside it, or give it a timeout.`
      throw new QueueError('WAIT_INVALID', message, { retryable: false })
    }
    begin()
    if (left) return never()
    const asked = ++moment
    const answer = await during(call)
    if (answer.over) return answered(answer).result
    waiting++
    lastWait = Math.max(lastWait, asked)
    setImmediate(leaveWhenIdle)
    return never()
  }

  /**
   * Where an answer has come since the last wait was asked for, the handler may be going on with it, as in a race: it
   * is given some time for what is no part of its own.
   */
  function leaveWhenIdle(): void {
    if (underway > 0 || waiting === 0 || left || resting) return
    if (lastAnswer < lastWait || grace === 0) return leaveNow()
    const seen = moment
    resting = setTimeout(() => {
      resting = undefined
      if (seen === moment) leaveNow()
      else leaveWhenIdle()
    }, grace)
  }

  function leaveNow(): void {
    if (underway > 0 || left) return
    left = true
    leave()
  }
  return { run, pause, counted, hasLeft: (): boolean => left }
}

/** A failure as a handler receives it. */
function reviveFailure({ retryable, ...error }: StepFailure): Error {
  return Object.assign(reviveError(error), retryable === false && { retryable })
}
