import type { AppendOptions, AppendRefusal, Deferral, DeferOptions, DispatchPayload } from '../contracts/index.ts'
import type { EventDraft, Job, JobRecord, Kernel, Lease, RunContext, Settlement } from '../contracts/index.ts'
import type { StoredEvent, WorkerDefinition } from '../contracts/index.ts'
import type { MaybePromise } from '../contracts/index.ts'
import { checkComposed, checkText } from './bounds.ts'
import { DeferredRun } from './deferral.ts'
import { QueueError, toError } from './errors.ts'
import { shown } from './shown.ts'

/** What plugins store with the completion of an attempt. Handlers hold their attempt, and this is not a member of it. */
export let outboxOf: (ctx: RunContext) => EventDraft[]

/** Members that plugins add in the `context` hook. */
// oxlint-disable-next-line typescript/no-unsafe-declaration-merging -- the hook adds them before a handler sees it
export interface Attempt extends RunContext {}

/** One claim of one job: the context of its handler, the payload of its dispatch, and the strings the runner pulls. */
export class Attempt implements DispatchPayload {
  readonly kernel: Kernel
  readonly record: Readonly<JobRecord>
  readonly worker: WorkerDefinition
  readonly job: Job
  readonly runId: string
  readonly attempt: number
  readonly claim: number
  readonly endKey: string
  readonly outbox: EventDraft[] = []
  result: unknown = undefined
  readonly ctx = this
  /** Why the attempt was aborted. */
  aborted: Error | undefined
  /** Ends the attempt for the runner although the handler still runs. */
  force: ((error: Error) => void) | undefined
  /** The append of `step.started`, where it is optimistic. */
  started: Promise<unknown> | undefined
  /** The handler's promise while it has not settled. */
  handling: Promise<void> | undefined
  leave: ((deferral: Deferral) => void) | undefined
  /** How often the handler was called: a plugin may do so again within one attempt. */
  invocation = 0
  /** Where it stands among the running ones. */
  index = 0
  /** What the adapter is going to be told. */
  settling: Promise<Settlement> | undefined
  readonly lease: Lease
  readonly #outbox: EventDraft[] = []
  #controller: AbortController | undefined
  #tracked: Promise<unknown>[] | undefined
  #progressFailed = false

  static {
    outboxOf = (ctx) => (ctx as Attempt).#outbox
  }

  constructor(kernel: Kernel, record: Readonly<JobRecord>, worker: WorkerDefinition, lease: Lease) {
    this.kernel = kernel
    this.record = record
    this.worker = worker
    this.runId = record.runId
    this.attempt = record.attemptsMade + 1
    this.claim = record.claims
    this.endKey = endKey(record)
    this.lease = lease
    const { id, queue, name, data, runId, options, priority, createdAt, flow, crashes } = record
    const attempts = options.attempts ?? 1
    this.job = {
      id,
      queue,
      name,
      data,
      runId,
      options,
      priority,
      createdAt,
      flow,
      crashes,
      attempt: this.attempt,
      attempts,
    }
  }

  get cancelled(): boolean {
    return this.aborted !== undefined
  }

  /** Made on first use: most handlers never look, and a controller costs more than a dispatch. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.aborted) this.#controller.abort(this.aborted)
    return this.#controller.signal
  }

  /** Tells the handler to stop. The first reason stands. */
  signalAbort(error: Error): void {
    this.aborted ??= toError(error)
    this.#controller?.abort(this.aborted)
  }

  /** Tells the handler to stop and no longer waits for it. */
  abort(error: Error): void {
    this.signalAbort(error)
    this.force?.(error)
  }

  /** An event of this job's step. */
  event(type: string, data: unknown, key?: string): EventDraft {
    const { flow, name, id } = this.record
    return { type, data, key, flow: flow?.name, step: flow?.step ?? name, stepId: id, attempt: this.attempt }
  }

  emit(type: string, data?: unknown, options?: { key?: string }): Promise<StoredEvent | undefined> {
    return recordAs(this.kernel.emit, this, type, data, options)
  }

  track<T>(promise: Promise<T>): Promise<T> {
    promise.catch(() => {})
    ;(this.#tracked ??= []).push(promise)
    return promise
  }

  /** Waits for what was tracked, also for what is tracked meanwhile. Rejects with the first failure. */
  settle(): MaybePromise<void> {
    const tracked = this.#tracked
    this.#tracked = undefined
    return tracked && Promise.all(tracked).then(() => this.settle())
  }

  async reportProgress(value: number): Promise<void> {
    const share = clampProgress(value)
    try {
      if (share === undefined) throw new QueueError('OPTION_INVALID', `Progress is from 0 to 1, got ${shown(value)}.`)
      await this.lease.progress(share)
    } catch (error) {
      // Progress is for those who watch, and never fails the work.
      if (!this.#progressFailed) this.kernel.reporter.warn(`Progress of job "${this.job.id}" was not stored.`, error)
      this.#progressFailed = true
    }
  }

  defer(options: DeferOptions): DeferredRun {
    return new DeferredRun(options, this.kernel.clock.now())
  }
}

type Emit = Kernel['emit']

/** Appends as the claim of an attempt: nothing once its job has ended or somebody else holds it. */
export function appendAs(emit: Emit, ctx: RunContext, events: EventDraft[], options?: AppendOptions) {
  const fence = { job: ctx.job.id, token: ctx.claim }
  return emit(ctx.runId, events, { unless: (ctx as Attempt).endKey, fence, ...options }, ctx)
}

/** Appends one event of an attempt's step. @throws QueueError `RUN_ENDED`, `LEASE_LOST`, `VALUE_UNSUPPORTED` */
export async function recordAs(
  emit: Emit,
  ctx: RunContext,
  ...[type, data, { key } = {}]: Parameters<RunContext['emit']>
) {
  checkText('The type of an event', type)
  if (key !== undefined) checkComposed('The key of an event', key)
  const result = await appendAs(emit, ctx, [(ctx as Attempt).event(type, data, key)])
  if (!result.ok) throw refusal(result.reason, ctx.job)
  return result.events[0]
}

/** A share of the work between 0 and 1; `undefined` for what is no number. */
export function clampProgress(value: unknown): number | undefined {
  if (typeof value !== 'number' || Number.isNaN(value)) return undefined
  return Math.min(1, Math.max(0, value))
}

/** All terminal events of a job share it, so that the first wins; a manual retry opens a new round. */
export function endKey({ id, round }: Pick<JobRecord, 'id' | 'round'>): string {
  return round === 0 ? `end:${id}` : `end:${id}#${round}`
}

/** The error of an append that the store refused. */
export function refusal(reason: AppendRefusal['reason'], { id, runId }: { id?: string; runId: string }): QueueError {
  if (reason === 'fence') {
    return new QueueError('LEASE_LOST', `Job "${id}" is another worker's now; this one may not write to run ${runId}.`)
  }
  if (reason === 'expectedSeq') {
    return new QueueError('EVENTS_CONFLICT', `Run ${runId} has newer events than expected. Read it again and retry.`)
  }
  return new QueueError(
    'RUN_ENDED',
    `Run ${runId} takes no more events. Await what a handler starts before it returns.`,
  )
}
