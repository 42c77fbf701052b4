import type { AppendRefusal, Deferral, DispatchPayload, EventDraft, Job, JobRecord } from '../contracts/index.ts'
import type { Kernel, Lease, RunContext, Settlement, WorkerDefinition } from '../contracts/index.ts'
import { QueueError, toError } from './errors.ts'

/** One claim of one job, as the runner holds it, and the payload of the dispatch. The handler receives only `ctx`. */
export class Attempt implements DispatchPayload {
  declare readonly kernel: Kernel
  declare readonly record: Readonly<JobRecord>
  declare readonly worker: WorkerDefinition
  declare readonly lease: Lease
  declare readonly job: Job
  declare readonly number: number
  declare readonly endKey: string
  /** The context of the handler. The runner sets it right after the attempt is made. */
  ctx!: RunContext
  result: unknown = undefined
  /** Events of the handler that are stored with the completion. */
  readonly outbox: EventDraft[] = []
  /** Events of plugins, of any type, that are stored with the completion. */
  readonly reservedOutbox: EventDraft[] = []
  /** Why the attempt was aborted. */
  aborted: Error | undefined
  /** Ends the attempt for the runner although the handler still runs. Set while the handler runs. */
  force: ((error: Error) => void) | undefined
  /** The append of `step.started`, if the runner does not wait for it. */
  started: Promise<unknown> | undefined
  /** The handler's promise until it settles. */
  handling: Promise<void> | undefined
  /** Ends the attempt as deferred although the handler has not settled. Set while the handler runs. */
  leave: ((deferral: Deferral) => void) | undefined
  /** How often the handler was called. A plugin may call it again within one attempt. */
  invocation = 0
  /** The position in the runner's list of running attempts. */
  index = 0
  /** Whether a failure to store progress has been reported. It is reported once. */
  progressFailed = false
  /** Resolves with the settlement for the adapter. */
  settling: Promise<Settlement> | undefined
  #controller: AbortController | undefined
  #tracked: Promise<unknown>[] | undefined

  constructor(kernel: Kernel, record: Readonly<JobRecord>, worker: WorkerDefinition, lease: Lease) {
    this.kernel = kernel
    this.record = record
    this.worker = worker
    this.lease = lease
    this.number = record.attemptsMade + 1
    this.endKey = endKey(record)
    this.job = jobOf(record)
  }

  /** Created on first use: most handlers never read it, and a controller costs more than a dispatch. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.aborted) this.#controller.abort(this.aborted)
    return this.#controller.signal
  }

  /** Asks the handler to stop. Only the first reason is kept. */
  signalAbort(error: Error): void {
    this.aborted ??= toError(error)
    this.#controller?.abort(this.aborted)
  }

  /** Asks the handler to stop, and ends the attempt without waiting for it. */
  abort(error: Error): void {
    this.signalAbort(error)
    this.force?.(error)
  }

  /** Returns an event of this job's step. */
  event(type: string, data: unknown, key?: string): EventDraft {
    const { flow, name, id } = this.record
    return { type, data, key, flow: flow?.name, step: flow?.step ?? name, stepId: id, attempt: this.number }
  }

  track<T>(promise: Promise<T>): Promise<T> {
    promise.catch(() => {})
    ;(this.#tracked ??= []).push(promise)
    return promise
  }

  /** Waits for all tracked promises, including promises that are tracked in the meantime. Rejects with the first failure. */
  awaitTracked(): Promise<void> | undefined {
    const tracked = this.#tracked
    this.#tracked = undefined
    return tracked && Promise.all(tracked).then(() => this.awaitTracked())
  }
}

/** Returns a job as its handler sees it. */
function jobOf(record: Readonly<JobRecord>): Job {
  const { id, queue, name, data, runId, options, priority, createdAt, flow, tags = [], headers = {}, crashes } = record
  const [attempt, attempts] = [record.attemptsMade + 1, options.attempts ?? 1]
  return { id, queue, name, data, runId, options, priority, createdAt, flow, tags, headers, crashes, attempt, attempts }
}

/** Returns the key that all terminal events of a job share, so that the first one wins. A manual retry starts a new key. */
export function endKey({ id, round }: Pick<JobRecord, 'id' | 'round'>): string {
  return round === 0 ? `end:${id}` : `end:${id}#${round}`
}

/** Returns the error for an append that the event store refused. */
export function refusal(reason: AppendRefusal['reason'], { id, runId }: { id?: string; runId: string }): QueueError {
  if (reason === 'fence') {
    const message = `Job "${id}" now belongs to another worker, so this one may not write to run ${runId}.`
    return new QueueError('LEASE_LOST', message)
  }
  if (reason === 'expectedSeq') {
    return new QueueError('EVENTS_CONFLICT', `Run ${runId} has newer events than expected. Read it again and retry.`)
  }
  const message = `Run ${runId} has ended and accepts no more events. Await everything a handler starts before it returns.`
  return new QueueError('RUN_ENDED', message)
}
