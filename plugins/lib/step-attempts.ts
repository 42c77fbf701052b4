import {
  backoffDelay,
  checkCount,
  checkDuration,
  invalid,
  isDeferral,
  isUnrecoverable,
  QueueError,
  type Clock,
  type JobOptions,
} from '../../kernel/index.ts'
import { checkOptions, type OptionChecks } from './check-options.ts'
import { BACKOFF, isBackoff } from './is-backoff.ts'

/** Limits and retries of a sub-step of `ctx.step.run`. */
export interface StepOptions {
  /** How many times the function is called within one attempt of the job before the sub-step fails. Default 1. */
  attempts?: number
  /**
   * Delay between two calls: milliseconds, or a strategy as for jobs. The handler waits in its process, so keep it
   * short. Default 0.
   */
  backoff?: JobOptions['backoff']
  /** Milliseconds that one call may take. Then `signal` aborts and the call fails with `STEP_TIMEOUT`. Default: no limit. */
  timeout?: number
}

/** The argument of the function of a sub-step. */
export interface StepAttempt {
  /** 1 for the first call. */
  readonly attempt: number
  /** Aborts when the signal of the job aborts, and after the timeout of the sub-step. */
  readonly signal: AbortSignal
}

const CHECKS: OptionChecks<StepOptions> = {
  attempts: checkCount,
  backoff(what, backoff) {
    if (isBackoff(backoff)) return backoff
    throw invalid(what, BACKOFF, backoff)
  },
  timeout: checkDuration,
}

/** @throws QueueError `OPTION_INVALID` */
export function checkStepOptions(name: string, options: StepOptions): void {
  checkOptions(`ctx.step.run("${name}")`, options, CHECKS)
}

/** Calls a function until it succeeds, has no attempts left, fails permanently, or the job is stopped. */
export async function tryStep<T>(
  name: string,
  fn: (attempt: StepAttempt) => T | Promise<T>,
  { attempts = 1, backoff, timeout }: StepOptions,
  { clock, signal }: { clock: Pick<Clock, 'setTimeout'>; signal: () => AbortSignal },
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      if (timeout === undefined) return await fn(describe(attempt, signal))
      return await withTimeout(name, timeout, clock, signal, (limited) => fn(describe(attempt, () => limited)))
    } catch (error) {
      if (attempt >= attempts || isUnrecoverable(error) || isDeferral(error) || signal().aborted) throw error
    }
    await wait(backoffDelay(backoff, attempt), clock, signal())
  }
}

function describe(attempt: number, signal: () => AbortSignal): StepAttempt {
  return {
    attempt,
    get signal() {
      return signal()
    },
  }
}

async function withTimeout<T>(
  name: string,
  timeout: number,
  clock: Pick<Clock, 'setTimeout'>,
  signal: () => AbortSignal,
  call: (signal: AbortSignal) => T | Promise<T>,
): Promise<T> {
  const controller = new AbortController()
  const late = Promise.withResolvers<never>()
  const stop = clock.setTimeout(() => {
    const error = new QueueError('STEP_TIMEOUT', `Step "${name}" did not finish within its timeout of ${timeout} ms.`)
    controller.abort(error)
    late.reject(error)
  }, timeout)
  try {
    return await Promise.race([call(AbortSignal.any([signal(), controller.signal])), late.promise])
  } finally {
    stop()
  }
}

/** @throws the reason of the signal once it aborts */
async function wait(ms: number, clock: Pick<Clock, 'setTimeout'>, signal: AbortSignal): Promise<void> {
  if (ms === 0) return signal.throwIfAborted()
  const elapsed = Promise.withResolvers<void>()
  const stop = clock.setTimeout(elapsed.resolve, ms)
  const abort = (): void => elapsed.reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    signal.throwIfAborted()
    await elapsed.promise
  } finally {
    stop()
    signal.removeEventListener('abort', abort)
  }
}
