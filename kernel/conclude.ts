import type { Deferral, JobRecord, MaybePromise, PluginKernel, RunPatch, SerializedError } from '../contracts/index.ts'
import type { Settlement, StoredEvent } from '../contracts/index.ts'
import { outboxOf, type Attempt } from './attempt.ts'
import { backoffDelay } from './backoff.ts'
import { isDeferral } from './deferral.ts'
import { isFinalRefusal, toError, type QueueError } from './errors.ts'
import { after, isPromise } from './hooks.ts'
import { assertFreeEvent } from './reserved.ts'
import { serializeError } from './stored-error.ts'

/** How a handler was left. */
export type Outcome = { value: unknown } | { error: Error } | { deferral: Deferral }

export function failure(error: unknown): Outcome {
  return isDeferral(error) ? { deferral: error } : { error: toError(error) }
}

/** From the outcome of an attempt to its settlement: the log first, which may refuse. */
export function createConclude(kernel: PluginKernel) {
  function conclude(attempt: Attempt, outcome: Outcome): MaybePromise<Settlement> {
    if ('error' in outcome) return failed(attempt, outcome.error)
    return 'deferral' in outcome ? deferred(attempt, outcome.deferral) : completed(attempt, outcome.value)
  }

  /** What the handler left running, or a result that cannot be stored, fails the attempt. */
  function completed(attempt: Attempt, result: unknown): MaybePromise<Settlement> {
    const settling = attempt.settle()
    if (!settling) return endOrFail(attempt, result)
    const broken = (error: unknown): Promise<Settlement> => failed(attempt, toError(error))
    return settling.then(() => endOrFail(attempt, result), broken)
  }

  function endOrFail(attempt: Attempt, result: unknown): MaybePromise<Settlement> {
    attempt.lease.handled?.()
    const recover = (error: unknown): Promise<Settlement> => {
      if (!isFinalRefusal(error)) throw error
      return failed(attempt, toError(error))
    }
    try {
      const ended = end(attempt, 'completed', result === undefined ? {} : { result }, { type: 'completed', result })
      return isPromise(ended) ? ended.catch(recover) : ended
    } catch (error) {
      return recover(error)
    }
  }

  async function failed(attempt: Attempt, thrown: Error & { retryable?: unknown }): Promise<Settlement> {
    // Whatever a handler throws once it was told to stop, the reason is what it was told.
    const error = attempt.aborted ?? thrown
    const told = (attempt.aborted as Partial<QueueError> | undefined)?.code
    if (told === 'LEASE_LOST') return lost(attempt)
    if (told === 'JOB_RELEASED') return { type: 'defer', runAt: kernel.clock.now() }
    if (told === 'JOB_CANCELLED' || told === 'RUN_ENDED') return turnedAway(attempt, { reason: 'ended' })
    empty(attempt)
    await Promise.resolve(attempt.settle()).catch(() => {})
    const last = attempt.attempt >= attempt.job.attempts || thrown.retryable === false
    return last ? failForGood(attempt, serializeError(error)) : retry(attempt, serializeError(error))
  }

  /** An error that the log refuses is replaced by one that says so; and if that is refused, the job ends all the same. */
  async function failForGood(attempt: Attempt, error: SerializedError): Promise<Settlement> {
    empty(attempt)
    const store = async (stored: SerializedError): Promise<Settlement> =>
      end(attempt, 'failed', { error: stored }, { type: 'failed', error: stored })
    return withMinimal(attempt, error, store, (stored) => ({ type: 'failed', error: stored }))
  }

  async function retry(attempt: Attempt, error: SerializedError): Promise<Settlement> {
    const { record } = attempt
    const runAt = kernel.clock.now() + backoffDelay(record.options.backoff, attempt.attempt)
    // An attempt whose settlement was lost is made again, and may fail again: that is still one failure.
    const key = `retry:${record.id}#${record.round}.${attempt.attempt}`
    const store = async (stored: SerializedError): Promise<Settlement> => {
      const result = await kernel.append(attempt, [attempt.event('step.retry', { error: stored, runAt }, key)])
      return result.ok ? { type: 'retry', error: stored, runAt } : turnedAway(attempt, result)
    }
    return withMinimal(attempt, error, store, (stored) => ({ type: 'retry', error: stored, runAt }))
  }

  async function withMinimal(
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
        minimal = { name: 'QueueError', code, message: `The attempt failed, and why could not be stored: ${message}` }
      }
    }
    return unstored(minimal)
  }

  async function deferred(attempt: Attempt, deferral: Deferral): Promise<Settlement> {
    empty(attempt)
    await Promise.resolve(attempt.settle()).catch(() => {})
    const { runAt, holdQueue, waits } = deferral
    try {
      const result = await kernel.append(attempt, [attempt.event('step.deferred', { runAt, ...(waits && { waits }) })])
      return result.ok ? { type: 'defer', runAt, holdQueue } : turnedAway(attempt, result)
    } catch (error) {
      if (!isFinalRefusal(error)) throw error
      return failed(attempt, toError(error))
    }
  }

  /** Log first: the outbox and the terminal event in one append, then the settlement. */
  function end(attempt: Attempt, status: 'completed' | 'failed', data: unknown, settlement: Settlement) {
    for (const { type, key } of attempt.outbox) assertFreeEvent(type, key)
    const last = attempt.event(`step.${status}`, data, attempt.endKey)
    const events = [...attempt.outbox, ...outboxOf(attempt), last]
    const appended = kernel.append(attempt, events, { run: runPatch(attempt.record, status) })
    // Sent behind the start, which need not be known to be stored before: the store keeps their order.
    return after(appended, (result) => {
      if (result.ok && settlement.type === 'completed') useStored(settlement, result.events, attempt.endKey)
      return after(attempt.started, () => (result.ok ? settlement : turnedAway(attempt, result)))
    })
  }

  /** The queue gets the copy that was stored: what the handler returned may change, or throw when it is read again. */
  function useStored(settlement: { result: unknown }, events: readonly StoredEvent[], key: string): void {
    if (typeof settlement.result !== 'object' || settlement.result === null) return
    const stored = events.find((event) => event.key === key)
    if (stored) settlement.result = (stored.data as { result: unknown }).result
  }

  /** The log refused: somebody else has the job, or it has ended and is only acknowledged. */
  async function turnedAway(attempt: Attempt, { reason }: { reason: string }): Promise<Settlement> {
    if (reason === 'fence') return lost(attempt)
    const { runId, endKey } = attempt
    const ended = await kernel.port('events').byKey(runId, endKey)
    const { result, error } = (ended?.data ?? {}) as { result?: unknown; error?: SerializedError }
    if (ended?.type === 'step.completed') return { type: 'ended', state: 'completed', result }
    if (ended?.type === 'step.failed') return { type: 'ended', state: 'failed', error }
    return { type: 'ended', state: 'cancelled' }
  }

  /**
   * Somebody else has the job although this process lives: the adapter takes back the crash that it has
   * counted, and people are told which handler it was.
   */
  function lost({ job, worker }: Attempt): Settlement {
    const what = `Job "${job.id}" of queue "${job.queue}" was handed to another worker while worker "${worker.id}" had it here`
    const why = 'its lease was not renewed in time. Its handler may have kept the event loop busy.'
    const hint = 'Run it in a process of its own, or make the lease longer.'
    kernel.reporter.warn(`${what}: ${why} ${hint}`)
    return { type: 'lost' }
  }

  return { conclude, failForGood, turnedAway }
}

/** What an attempt that does not complete would have stored is dropped. */
function empty(attempt: Attempt): void {
  attempt.outbox.length = outboxOf(attempt).length = 0
}

/** The run of a plain job lives and ends with it; the run of a flow is the flow plugin's. */
export function runPatch(record: JobRecord, status: RunPatch['status']): RunPatch | undefined {
  if (record.flow) return undefined
  return { status, name: record.name, queue: record.queue, jobId: record.id }
}
