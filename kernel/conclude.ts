import type { Deferral, JobRecord, MaybePromise, PluginKernel, RunPatch, SerializedError } from '../contracts/index.ts'
import type { Settlement, StoredEvent } from '../contracts/index.ts'
import type { Attempt } from './attempt.ts'
import { retryDelay } from './backoff.ts'
import { isDeferral } from './deferral.ts'
import { isFinalRefusal, isUnrecoverable, toError, type QueueError } from './errors.ts'
import { after, isPromise } from './promises.ts'
import { assertFreeEvent } from './reserved.ts'
import { serializeError } from './stored-error.ts'

/** The outcome of an attempt. */
export type Outcome = { value: unknown } | { error: Error } | { deferral: Deferral }

/** The settlement of a job that has run for the last time. */
type End = Extract<Settlement, { type: 'completed' | 'failed' }>

export function failure(error: unknown): Outcome {
  return isDeferral(error) ? { deferral: error } : { error: toError(error) }
}

/**
 * Turns the outcome of an attempt into the settlement of its job. Each way to end appends its event first:
 *
 * ```
 * value    → complete → step.completed ─┐
 * error    → retry    → step.retry      ├─ the log accepts → settlement for the adapter
 *          → failForGood → step.failed  │  the log refuses → acceptRefusal → ended, or lost
 * deferral → defer    → step.deferred ──┘
 * ```
 */
export function createConclude(kernel: PluginKernel) {
  function conclude(attempt: Attempt, outcome: Outcome): MaybePromise<Settlement> {
    if ('error' in outcome) return fail(attempt, outcome.error)
    return 'deferral' in outcome ? defer(attempt, outcome.deferral) : complete(attempt, outcome.value)
  }

  /** A tracked promise that rejects, or a result that cannot be stored, fails the attempt. */
  function complete(attempt: Attempt, result: unknown): MaybePromise<Settlement> {
    const tracked = attempt.awaitTracked()
    if (!tracked) return completeOrFail(attempt, result)
    const broken = (error: unknown): Promise<Settlement> => fail(attempt, toError(error))
    return tracked.then(() => completeOrFail(attempt, result), broken)
  }

  function completeOrFail(attempt: Attempt, result: unknown): MaybePromise<Settlement> {
    attempt.lease.handled?.()
    const recover = (error: unknown): Promise<Settlement> => {
      if (!isFinalRefusal(error)) throw error
      return fail(attempt, toError(error))
    }
    try {
      const ended = appendEnd(attempt, result === undefined ? {} : { result }, { type: 'completed', result })
      return isPromise(ended) ? ended.catch(recover) : ended
    } catch (error) {
      return recover(error)
    }
  }

  async function fail(attempt: Attempt, thrown: Error): Promise<Settlement> {
    // After an abort, the reason of the abort counts, whatever the handler throws in response.
    const error = attempt.aborted ?? thrown
    const reason = (attempt.aborted as Partial<QueueError> | undefined)?.code
    if (reason === 'LEASE_LOST') return loseLease(attempt)
    if (reason === 'JOB_RELEASED') return { type: 'defer', runAt: kernel.clock.now() }
    if (reason === 'JOB_CANCELLED' || reason === 'RUN_ENDED') return acceptRefusal(attempt, { reason: 'ended' })
    await discard(attempt)
    const last = attempt.number >= attempt.job.attempts || isUnrecoverable(thrown)
    const delay = last ? false : retryDelay(attempt, error)
    return delay === false
      ? failForGood(attempt, serializeError(error))
      : retry(attempt, serializeError(error), kernel.clock.now() + delay)
  }

  /** Ends the job as failed, even if the log does not accept its error (see `storeError`). */
  async function failForGood(attempt: Attempt, error: SerializedError): Promise<Settlement> {
    dropOutbox(attempt)
    const store = async (stored: SerializedError): Promise<Settlement> =>
      appendEnd(attempt, { error: stored }, { type: 'failed', error: stored })
    return storeError(attempt, error, store, (stored) => ({ type: 'failed', error: stored }))
  }

  async function retry(attempt: Attempt, error: SerializedError, runAt: number): Promise<Settlement> {
    const { record } = attempt
    // If the settlement is lost, the attempt runs again and may fail again. The key makes both count as one failure.
    const key = `retry:${record.id}#${record.round}.${attempt.number}`
    const store = async (stored: SerializedError): Promise<Settlement> => {
      const result = await kernel.append(attempt.ctx, [attempt.event('step.retry', { error: stored, runAt }, key)])
      return result.ok ? { type: 'retry', error: stored, runAt } : acceptRefusal(attempt, result)
    }
    return storeError(attempt, error, store, (stored) => ({ type: 'retry', error: stored, runAt }))
  }

  /**
   * Stores the end of an attempt with its error. If the log refuses the error, a minimal error that says so is stored instead. If the log
   * refuses that as well, the job ends in the queue only.
   */
  async function storeError(
    { job }: Attempt,
    error: SerializedError,
    store: (error: SerializedError) => Promise<Settlement>,
    unstored: (error: SerializedError) => Settlement,
  ): Promise<Settlement> {
    let minimal = error
    for (const tried of [error, undefined]) {
      try {
        return await store(tried ?? minimal)
      } catch (refused) {
        if (!isFinalRefusal(refused)) throw refused
        const { code, message } = refused as QueueError
        kernel.reporter.error(`The failure of job "${job.id}" (${job.name}) could not be stored.`, refused)
        minimal = { name: 'QueueError', code, message: `The error could not be stored: ${message}` }
      }
    }
    return unstored(minimal)
  }

  async function defer(attempt: Attempt, deferral: Deferral): Promise<Settlement> {
    await discard(attempt)
    const { runAt, holdQueue, waits } = deferral
    try {
      const event = attempt.event('step.deferred', { runAt, ...(waits && { waits }) })
      const result = await kernel.append(attempt.ctx, [event])
      return result.ok ? { type: 'defer', runAt, holdQueue } : acceptRefusal(attempt, result)
    } catch (error) {
      if (!isFinalRefusal(error)) throw error
      return fail(attempt, toError(error))
    }
  }

  /** Appends the outbox and the terminal event in one write. Returns the settlement if the log accepts them. */
  function appendEnd(attempt: Attempt, data: unknown, settlement: End): MaybePromise<Settlement> {
    const { endKey, outbox } = attempt
    for (const { type, key } of outbox) assertFreeEvent(type, key)
    const run = runPatch(attempt.record, settlement.type)
    // A step of a flow is settled after its follow-up jobs are stored.
    const ending = run && 'result' in settlement ? attempt.lease.ending?.(endKey) : undefined
    const end = attempt.event(`step.${settlement.type}`, data, endKey)
    const hasOutbox = outbox.length + attempt.reservedOutbox.length > 0
    const events = hasOutbox ? [...outbox, ...attempt.reservedOutbox, end] : [end]
    // This append may be sent before `step.started` is known to be stored. The store keeps their order.
    return after(kernel.append(attempt.ctx, events, { run, ending }), (result) => {
      if (result.ok && 'result' in settlement) useStored(settlement, result.events, endKey)
      return after(attempt.started, () => (result.ok ? settlement : acceptRefusal(attempt, result)))
    })
  }

  /** Gives the queue the stored copy of the result. The handler's own object may change, or may throw when it is read again. */
  function useStored(settlement: { result: unknown }, events: readonly StoredEvent[], key: string): void {
    if (!settlement.result || typeof settlement.result !== 'object') return
    const stored = events.find((event) => event.key === key)
    if (stored) settlement.result = (stored.data as { result: unknown }).result
  }

  /** Returns the settlement after the log refused an event: either another worker has the job, or the job has ended and is acknowledged. */
  async function acceptRefusal(attempt: Attempt, { reason }: { reason: string }): Promise<Settlement> {
    if (reason === 'fence') return loseLease(attempt)
    const ended = await kernel.port('events').byKey(attempt.job.runId, attempt.endKey)
    const { result, error } = (ended?.data ?? {}) as { result?: unknown; error?: SerializedError }
    if (ended?.type === 'step.completed') return { type: 'ended', state: 'completed', result }
    if (ended?.type === 'step.failed') return { type: 'ended', state: 'failed', error }
    return { type: 'ended', state: 'cancelled' }
  }

  /** Another worker has the job although this process is alive. This is not a crash. The warning names the worker. */
  function loseLease({ job, worker }: Attempt): Settlement {
    const what = `Job "${job.id}" of queue "${job.queue}" was handed to another worker while worker "${worker.id}" ran it here`
    const why = 'its lease was not renewed in time. Its handler may have kept the event loop busy.'
    const hint = 'Run it in a separate process, or make the lease longer.'
    kernel.reporter.warn(`${what}: ${why} ${hint}`)
    return { type: 'lost' }
  }

  return { conclude, failForGood, acceptRefusal }
}

/** Drops the events that an attempt stores only with its completion. */
function dropOutbox(attempt: Attempt): void {
  attempt.outbox.length = attempt.reservedOutbox.length = 0
}

/** Drops the outbox, and waits for all tracked promises. */
async function discard(attempt: Attempt): Promise<void> {
  dropOutbox(attempt)
  await attempt.awaitTracked()?.catch(() => {})
}

/** Returns the change of the run that goes with an event of a plain job. The flow plugin changes the runs of flows. */
export function runPatch(record: JobRecord, status: RunPatch['status']): RunPatch | undefined {
  const { flow, name, queue, id: jobId, tags } = record
  return flow ? undefined : { status, name, queue, jobId, tags }
}
