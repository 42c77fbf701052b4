import type { AppendOptions, Deferral, DeferOptions, EventDraft, Job, Kernel } from '../contracts/index.ts'
import type { RunContext, StoredEvent, WorkerDefinition } from '../contracts/index.ts'
import { refusal, type Attempt } from './attempt.ts'
import { checkComposed, checkText } from './bounds.ts'
import { DeferredRun } from './deferral.ts'
import { QueueError } from './errors.ts'
import { shown } from './shown.ts'

/** Returns the attempt behind a context. Handlers and plugins cannot reach it: it is a private field. */
let attemptOf: (ctx: RunContext) => Attempt

/** Members that plugins add in the `context` hook. */
// oxlint-disable-next-line typescript/no-unsafe-declaration-merging -- the hook adds them before a handler sees it
export interface JobContext extends RunContext {}

/** The context that a handler receives in addition to its job. */
export class JobContext {
  declare readonly kernel: Kernel
  declare readonly worker: WorkerDefinition
  declare readonly job: Job
  declare readonly runId: string
  declare readonly attempt: number
  declare readonly claim: number
  declare readonly startedAt: number
  declare readonly outbox: EventDraft[]
  readonly #attempt: Attempt

  static {
    attemptOf = (ctx) => (ctx as JobContext).#attempt
  }

  constructor(attempt: Attempt) {
    this.#attempt = attempt
    this.kernel = attempt.kernel
    this.worker = attempt.worker
    this.job = attempt.job
    this.runId = attempt.job.runId
    this.attempt = attempt.number
    this.claim = attempt.record.claims
    this.startedAt = attempt.kernel.clock.now()
    this.outbox = attempt.outbox
  }

  get dueAt(): number {
    return this.#attempt.record.runAt
  }

  get signal(): AbortSignal {
    return this.#attempt.signal
  }

  get cancelled(): boolean {
    return this.#attempt.aborted !== undefined
  }

  get leave(): ((deferral: Deferral) => void) | undefined {
    return this.#attempt.leave
  }

  get invocation(): number {
    return this.#attempt.invocation
  }

  emit(type: string, data?: unknown, options?: { key?: string }): Promise<StoredEvent | undefined> {
    return recordAs(this.kernel.emit, this, type, data, options)
  }

  track<T>(promise: Promise<T>): Promise<T> {
    return this.#attempt.track(promise)
  }

  defer(options: DeferOptions): DeferredRun {
    return new DeferredRun(options, this.kernel.clock.now())
  }
}

type Emit = Kernel['emit']

/** Returns the events of plugins that are stored with the completion of an attempt. */
export function outboxOf(ctx: RunContext): EventDraft[] {
  return attemptOf(ctx).reservedOutbox
}

/** Stores the progress of an attempt. Progress is information for people, so a failure to store it never fails the job. */
export async function storeProgress(ctx: RunContext, value: number): Promise<void> {
  const attempt = attemptOf(ctx)
  const share = clampProgress(value)
  try {
    if (share === undefined) throw new QueueError('OPTION_INVALID', `Progress is from 0 to 1, got ${shown(value)}.`)
    await attempt.lease.progress(share)
  } catch (error) {
    if (!attempt.progressFailed) ctx.kernel.reporter.warn(`Progress of job "${ctx.job.id}" was not stored.`, error)
    attempt.progressFailed = true
  }
}

/** Appends events on behalf of a claim. The store refuses them once the job has ended or another worker holds it. */
export function appendAs(emit: Emit, ctx: RunContext, events: EventDraft[], options?: AppendOptions) {
  const { endKey, job } = attemptOf(ctx)
  const fence = { job: job.id, token: ctx.claim }
  return emit(ctx.runId, events, { ...options, unless: options?.unless ?? endKey, fence }, ctx)
}

/** Appends one event of an attempt's step. @throws QueueError `RUN_ENDED`, `LEASE_LOST`, `VALUE_UNSUPPORTED` */
export async function recordAs(
  emit: Emit,
  ctx: RunContext,
  ...[type, data, { key } = {}]: Parameters<RunContext['emit']>
) {
  checkText('The type of an event', type)
  if (key !== undefined) checkComposed('The key of an event', key)
  const result = await appendAs(emit, ctx, [attemptOf(ctx).event(type, data, key)])
  if (!result.ok) throw refusal(result.reason, ctx.job)
  return result.events[0]
}

/** Returns a number between 0 and 1, or `undefined` for anything that is not a number. */
export function clampProgress(value: unknown): number | undefined {
  if (typeof value !== 'number' || Number.isNaN(value)) return undefined
  return Math.min(1, Math.max(0, value))
}
