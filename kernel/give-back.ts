import type { JobRecord, Kernel, SerializedError, Settlement } from '../contracts/index.ts'
import { QueueError } from './errors.ts'
import { serializeError } from './stored-error.ts'

/**
 * The delay of a job after its end could not be stored for the first time, in milliseconds. It doubles each time, up to the longest delay.
 */
const FIRST_DELAY = 1000
const MAX_DELAY = 60_000
/** Milliseconds within which a healthy store responds. */
const STORE_TIMEOUT = 2000
/** A stream that is always empty. */
const EMPTY_STREAM = '_health'
/** Milliseconds between two reports of one outage. */
const REPORT_EVERY = 60_000
/** From this number of failures on, an error is reported instead of a warning. */
const SERIOUS = 3

/**
 * Returns a job to its queue when its start or end could not be stored. While the event store is unavailable, the whole queue waits and
 * nothing is counted. Otherwise the cause is the job itself: the failure counts as a crash, so the job ends after `maxCrashes` crashes, and
 * it waits longer each time.
 */
export function createGiveBack(kernel: Kernel) {
  let reportedAt = -Infinity

  async function isAway(): Promise<boolean> {
    const late = Promise.withResolvers<boolean>()
    const stop = kernel.clock.setTimeout(() => late.resolve(true), STORE_TIMEOUT)
    const asked = (async () => kernel.port('events').head(EMPTY_STREAM))()
    const away = asked.then(
      () => false,
      () => true,
    )
    const answer = await Promise.race([away, late.promise])
    stop()
    return answer
  }

  return async function giveBack(record: JobRecord, error: unknown): Promise<Settlement> {
    const now = kernel.clock.now()
    if (await isAway()) {
      if (now - reportedAt >= REPORT_EVERY) {
        kernel.reporter.error(`Events cannot be stored. Queue "${record.queue}" waits for the store.`, error)
        reportedAt = now
      }
      return { type: 'defer', runAt: now + FIRST_DELAY, holdQueue: true }
    }
    const times = record.crashes + 1
    const { maxCrashes } = kernel.config
    const message = `Job "${record.id}" (${record.name}) could not be settled`
    if (times >= maxCrashes) return { type: 'failed', error: givenUp(`${message} ${times} times`, error) }
    const rest = Math.min(MAX_DELAY, FIRST_DELAY * 2 ** record.crashes)
    const count = `${message}: ${times} of ${maxCrashes} times. It will run again in ${rest} ms.`
    kernel.reporter[times < SERIOUS ? 'warn' : 'error'](count, error)
    return { type: 'defer', runAt: now + rest, crashed: true }
  }

  function givenUp(what: string, cause: unknown): SerializedError {
    const message = `${what} and will not be tried again.`
    const error = new QueueError('JOB_CRASHED', message, { cause, retryable: false })
    kernel.reporter.error(message, error)
    return serializeError(error)
  }
}
