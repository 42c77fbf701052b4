import {
  endKey,
  isQueueError,
  QueueError,
  reviveError,
  type JobRecord,
  type JobRef,
  type Kernel,
  type SerializedError,
  type StoredEvent,
} from '../../../kernel/index.ts'
import { forgotten } from '../lib/forgotten.ts'

/** The first and the longest interval between two checks of an awaited job, in milliseconds. The interval doubles each time. */
const FIRST_INTERVAL = 1000
const MAX_INTERVAL = 10_000
/** How long an end in the log may take to reach the queue, in milliseconds. */
const SETTLING = 60_000
const ENDS = ['step.completed', 'step.failed', 'step.cancelled']

export type JobOfRun = JobRef & { runId?: string }

/** Waits for the ends of jobs, and detects jobs that will never end. */
export function createResults(kernel: Kernel) {
  const events = () => kernel.port('events')
  const queue = () => kernel.port('queue')

  /** Resolves with the end of a job from the log, or with the record of the job if its log no longer exists. */
  async function endOf(job: JobOfRun, timeout?: number): Promise<Pick<StoredEvent, 'type' | 'data'>> {
    const record = await queue().getJob(job.queue, job.id)
    if (!record) return endOfForgotten(job)
    const key = endKey(record)
    if (hasEnded(record)) return (await events().byKey(record.runId, key)) ?? endFromRecord(record)
    return waitFor(record.runId, key, { timeout, look: () => lookAgain(record, key) })
  }

  /** Returns the end of a job that its queue no longer holds, if the log of its run still exists. */
  async function endOfForgotten({ queue: name, id, runId: given }: JobOfRun): Promise<StoredEvent> {
    const runId = given ?? (await queue().forgotten(name, id))
    if (runId === undefined || !(await events().byKey(runId, endKey({ id, round: 0 })))) throw await missing(name, id)
    const ends = await events().read(runId, { types: ENDS, reverse: true })
    return ends.find(({ key }) => key === `end:${id}` || key?.startsWith(`end:${id}#`))!
  }

  async function lookAgain({ queue: name, id, runId }: JobRecord, key: string) {
    const record = await queue().getJob(name, id)
    if (record && !hasEnded(record)) return undefined
    const end = await events().byKey(runId, key)
    if (end) return end
    // The job was retried in the meantime, so its end belongs to another generation.
    if (record) return endKey(record) === key ? endFromRecord(record) : events().byKey(runId, endKey(record))
    throw await missing(name, id)
  }

  /** Returns the error for a job that its queue does not hold. */
  async function missing(name: string, id: string): Promise<QueueError> {
    return (await queue().forgotten(name, id)) === undefined ? notFound(name, id) : forgotten(`Job "${id}"`)
  }

  /**
   * Waits for an event of a run by its key.
   *
   * @param options.look checks from time to time whether the end was stored elsewhere, or will never come
   */
  async function waitFor<End extends Pick<StoredEvent, 'type' | 'data'>>(
    runId: string,
    key: string,
    { timeout, look }: { timeout?: number; look?: () => Promise<End | undefined> },
  ): Promise<StoredEvent | End> {
    const found = Promise.withResolvers<StoredEvent | End>()
    const unsubscribe = await events().subscribe(runId, { after: 0 }, (stored) => {
      const event = stored.find((candidate) => candidate.key === key)
      if (event) found.resolve(event)
    })
    const late = (): void =>
      found.reject(new QueueError('RESULT_TIMEOUT', `Run ${runId} had no event "${key}" within ${timeout} ms.`))
    const stop = timeout === undefined || timeout === Infinity ? undefined : kernel.clock.setTimeout(late, timeout)
    const stopLooking = look && lookNowAndThen(look, found)
    try {
      return await found.promise
    } finally {
      unsubscribe()
      stop?.()
      stopLooking?.()
    }
  }

  function lookNowAndThen<End>(
    look: () => Promise<End | undefined>,
    found: Pick<PromiseWithResolvers<End>, 'resolve' | 'reject'>,
  ): () => void {
    let stop: () => void
    const arm = (ms: number): void => {
      stop = kernel.clock.setTimeout(() => void once(ms), ms)
    }
    async function once(ms: number): Promise<void> {
      try {
        const end = await look()
        if (end !== undefined) return found.resolve(end)
      } catch (error) {
        if (isQueueError(error, 'JOB_NOT_FOUND') || isQueueError(error, 'JOB_FORGOTTEN')) return found.reject(error)
        // The store is unavailable. The next check tries again.
      }
      if (!stopped) arm(Math.min(MAX_INTERVAL, 2 * ms))
    }
    let stopped = false
    arm(FIRST_INTERVAL)
    return () => {
      stopped = true
      stop()
    }
  }

  /** Resolves once the queue knows of an end that is in the log. The caller may have seen the end before the queue. */
  async function settled({ queue: name, id }: JobRef, { runId, round, state }: JobRecord): Promise<void> {
    if (state !== 'active' || !(await events().byKey(runId, endKey({ id, round })))) return
    const deadline = kernel.clock.now() + SETTLING
    let wake = (): void => {}
    const stop = queue().on(name, '*', (_event, _queue, job) => void (job?.id === id && wake()))
    try {
      for (let wait = 10; kernel.clock.now() < deadline; wait = Math.min(1000, 2 * wait)) {
        const woken = Promise.withResolvers<void>()
        wake = woken.resolve
        const stopTimer = kernel.clock.setTimeout(woken.resolve, wait)
        const job = await queue().getJob(name, id)
        if (job?.state === 'active') await woken.promise
        stopTimer()
        if (job?.state !== 'active') return
      }
    } finally {
      stop()
    }
  }

  return { endOf, missing, waitFor, settled }
}

function hasEnded({ state }: JobRecord): boolean {
  return state === 'completed' || state === 'failed' || state === 'cancelled'
}

function endFromRecord({ state, result, error }: JobRecord): Pick<StoredEvent, 'type' | 'data'> {
  const data = state === 'completed' ? { result } : state === 'failed' ? { error } : { reason: 'on request' }
  return { type: `step.${state}`, data }
}

export function notFound(queue: string, id: string): QueueError {
  const hint = 'It may have been removed or have expired.'
  return new QueueError('JOB_NOT_FOUND', `Queue "${queue}" holds no job "${id}". ${hint}`)
}

/** Returns the result of a job, or throws its error. */
export function resultOf(id: string, { type, data }: Pick<StoredEvent, 'type' | 'data'>): unknown {
  if (type === 'step.completed') return (data as { result: unknown }).result
  if (type === 'step.cancelled') throw cancelled(id, (data as { reason: string }).reason)
  const { error } = data as { error?: SerializedError }
  throw reviveError(error ?? { name: 'Error', message: `Job "${id}" has failed, and its error was not recorded.` })
}

export function cancelled(id: string, reason: string): QueueError {
  return new QueueError('JOB_CANCELLED', `"${id}" was cancelled: ${reason}.`, { details: { reason } })
}
