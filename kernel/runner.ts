import type {
  AppendRefusal,
  Chains,
  DispatchPayload,
  JobRecord,
  Kernel,
  Lease,
  MaybePromise,
  Processor,
  RunPatch,
  Runtime,
  Settlement,
  WorkerDefinition,
} from '../contracts/index.ts'
import { Attempt, endKey } from './attempt.ts'
import { backoffDelay } from './backoff.ts'
import { DeferredRun } from './deferral.ts'
import { isQueueError, QueueError, serializeError, toError } from './errors.ts'
import { isPromise } from './hooks.ts'
import { runScope } from './use.ts'

/** How long a job rests, in milliseconds, when its end could not be logged. */
const STORE_FAILED_DELAY = 1000

type Outcome = { value: unknown } | { error: Error } | { deferral: DeferredRun }

export interface Runner {
  process: Processor
  /** The attempts in this process that have not been settled. */
  readonly running: readonly Attempt[]
}

/**
 * Runs claimed jobs, the same for every adapter: context, `step.started`, dispatch, then the terminal
 * event, and only then the settlement that lets the adapter acknowledge. The log decides: what it
 * refuses, because the job has ended or a newer claim has written, is not done.
 */
export function createProcessor(
  kernel: Kernel,
  chains: Chains,
  runtimeOf: (worker: WorkerDefinition) => Runtime,
): Runner {
  const running: Attempt[] = []
  /** A prototype of this kernel's own, which its plugins may add lazy members to. */
  class KernelAttempt extends Attempt {}

  const process: Processor = (record, lease) => {
    if (record.runAt > kernel.clock.now()) return Promise.resolve({ type: 'defer', runAt: record.runAt })
    const worker = kernel.registry.find(record.queue, record.name) ?? unknownWorker(record)
    const attempt = new KernelAttempt(kernel, record, worker, lease)
    attempt.index = running.push(attempt) - 1
    attempt.settling = settle(attempt, lease)
    return attempt.settling
  }

  async function settle(attempt: Attempt, lease: Lease): Promise<Settlement> {
    const unwatch = watchLease(attempt, lease)
    let settlement: Settlement
    try {
      settlement = await run(attempt)
    } catch (error) {
      kernel.reporter.error(`Job "${attempt.job.id}" could not be settled and will run again.`, error)
      settlement = { type: 'defer', runAt: kernel.clock.now() + STORE_FAILED_DELAY }
    }
    unwatch?.()
    // Swapped out, since a Set that turns over with every job is slow to collect.
    const last = running.pop()!
    if (last !== attempt) running[(last.index = attempt.index)] = last
    settlement.slot = attempt.handling?.catch(() => {})
    return settlement
  }

  async function run(attempt: Attempt): Promise<Settlement> {
    const context = buildContext(attempt)
    const broken = isPromise(context) ? await context : context
    const started = start(attempt)
    const refused = isPromise(started) ? await started : started
    if (refused) return turnedAway(attempt, refused)
    const outcome = broken ?? (await execute(attempt))
    attempt.force = undefined
    if ('error' in outcome) return failed(attempt, outcome.error)
    return 'deferral' in outcome ? deferred(attempt, outcome.deferral) : completed(attempt, outcome.value)
  }

  /** A context hook that fails uses up an attempt like a handler. */
  function buildContext(attempt: Attempt): MaybePromise<Outcome | undefined> {
    try {
      const built = chains.context(attempt, () => {})
      return isPromise(built) ? built.then(() => undefined, failure) : undefined
    } catch (error) {
      return failure(error)
    }
  }

  /**
   * Logs the claim, unless the job has ended. Awaited where a second delivery is possible or a flow
   * leans on it, optimistic for the first delivery of a plain job.
   */
  function start(attempt: Attempt): MaybePromise<AppendRefusal | undefined> {
    const { record, worker, claim } = attempt
    const { queue, name, round, attemptsMade } = record
    const event = attempt.event('step.started', { queue, name, worker: worker.id, claim })
    const appended = attempt.append([event], {
      unless: endKey(record),
      reopen: round > 0 && attemptsMade === 0,
      run: runPatch(record, 'running'),
    })
    if (!isPromise(appended)) return appended.ok ? undefined : appended
    if (claim > 1 || record.flow) return appended.then((result) => (result.ok ? undefined : result))
    void attempt.track(appended.then((result) => result.ok || attempt.end(notOurs(record, result))))
    return undefined
  }

  function execute(attempt: Attempt): Promise<Outcome> {
    const { record } = attempt
    if (record.crashes >= kernel.config.maxCrashes) return Promise.resolve({ error: crashed(record) })
    const payload = new Dispatch(attempt)
    return new Promise((resolve) => {
      const finish = (): void => resolve(outcomeOf(payload.result))
      const fail = (error: unknown): void => resolve(failure(error))
      attempt.force = fail
      if (attempt.aborted) return fail(attempt.aborted)
      try {
        const ran = runScope(attempt, () => chains.dispatch(payload, invoke))
        if (isPromise(ran)) ran.then(finish, fail)
        else finish()
      } catch (error) {
        fail(error)
      }
    })
  }

  function invoke(payload: DispatchPayload): MaybePromise<void> {
    const attempt = payload.ctx as Attempt
    const returned = coerced(() => runtimeOf(attempt.worker).execute(attempt.worker, attempt))
    if (!isPromise(returned)) return void (payload.result = returned)
    const handling = returned.then(
      (value) => {
        attempt.handling = undefined
        payload.result = value
      },
      (error: unknown) => {
        attempt.handling = undefined
        throw error instanceof DeferredRun ? error : toError(error)
      },
    )
    attempt.handling = handling
    return handling
  }

  async function completed(attempt: Attempt, result: unknown): Promise<Settlement> {
    try {
      const settling = attempt.settle()
      if (settling) await settling
    } catch (error) {
      return failed(attempt, toError(error))
    }
    try {
      return await end(attempt, 'completed', { result }, { type: 'completed', result })
    } catch (error) {
      const unstorable = isQueueError(error, 'VALUE_UNSUPPORTED') || isQueueError(error, 'PAYLOAD_TOO_LARGE')
      if (!unstorable) throw error
      return failed(attempt, error)
    }
  }

  async function failed(attempt: Attempt, thrown: Error & { retryable?: unknown }): Promise<Settlement> {
    const { record } = attempt
    // Whatever a handler throws once it was told to stop, the reason is what it was told.
    const error = attempt.aborted ?? thrown
    if (isQueueError(error, 'JOB_CANCELLED')) return turnedAway(attempt, { reason: 'ended' })
    if (isQueueError(error, 'LEASE_LOST')) return { type: 'lost' }
    if (isQueueError(error, 'JOB_RELEASED')) return { type: 'defer', runAt: kernel.clock.now() }
    attempt.outbox.length = 0
    await Promise.resolve(attempt.settle()).catch(() => {})
    const stored = serializeError(error)
    const last = attempt.attempt >= attempt.job.attempts || thrown.retryable === false
    if (last) return end(attempt, 'failed', { error: stored }, { type: 'failed', error: stored })
    const runAt = kernel.clock.now() + backoffDelay(record.options.backoff, attempt.attempt)
    const event = attempt.event('step.retry', { error: stored, runAt })
    const result = await attempt.append([event], { unless: endKey(record) })
    return result.ok ? { type: 'retry', error: stored, runAt } : turnedAway(attempt, result)
  }

  async function deferred(attempt: Attempt, { runAt, holdQueue }: DeferredRun): Promise<Settlement> {
    attempt.outbox.length = 0
    await Promise.resolve(attempt.settle()).catch(() => {})
    const event = attempt.event('step.deferred', { runAt })
    const result = await attempt.append([event], { unless: endKey(attempt.record) })
    return result.ok ? { type: 'defer', runAt, holdQueue } : turnedAway(attempt, result)
  }

  /** Log first: the outbox and the terminal event in one append, then the settlement. */
  async function end(attempt: Attempt, status: 'completed' | 'failed', data: unknown, settlement: Settlement) {
    const key = endKey(attempt.record)
    const events = [...attempt.outbox, attempt.event(`step.${status}`, data, key)]
    const appended = attempt.append(events, { unless: key, run: runPatch(attempt.record, status) })
    const result = isPromise(appended) ? await appended : appended
    return result.ok ? settlement : turnedAway(attempt, result)
  }

  /** The log refused: somebody else has the job, or it has ended and is only acknowledged. */
  async function turnedAway(
    { runId, record }: Attempt,
    { reason }: Pick<AppendRefusal, 'reason'>,
  ): Promise<Settlement> {
    if (reason === 'fence') return { type: 'lost' }
    const ended = await kernel.port('events').byKey(runId, endKey(record))
    const state = ended?.type.slice('step.'.length)
    return { type: 'ended', state: state === 'completed' || state === 'failed' ? state : 'cancelled' }
  }

  return { process, running }
}

/** A class because a literal with a getter has a shape of its own each time, which is slow to make and to collect. */
class Dispatch implements DispatchPayload {
  readonly ctx: Attempt
  result: unknown = undefined

  constructor(attempt: Attempt) {
    this.ctx = attempt
  }
  get job() {
    return this.ctx.job
  }
  get worker() {
    return this.ctx.worker
  }
  get signal() {
    return this.ctx.signal
  }
  abort(error: Error): void {
    this.ctx.end(error)
  }
}

/** The run of a plain job lives and ends with it; the run of a flow is the flow plugin's. */
export function runPatch(record: JobRecord, status: RunPatch['status']): RunPatch | undefined {
  if (record.flow) return undefined
  return { status, name: record.name, queue: record.queue, jobId: record.id }
}

function watchLease(attempt: Attempt, { signal }: Lease): (() => void) | undefined {
  if (!signal) return undefined
  const lost = (): void => attempt.end(lostLease(attempt.record))
  signal.addEventListener('abort', lost, { once: true })
  return () => signal.removeEventListener('abort', lost)
}

function outcomeOf(value: unknown): Outcome {
  return value instanceof DeferredRun ? { deferral: value } : { value }
}

function failure(error: unknown): Outcome {
  return error instanceof DeferredRun ? { deferral: error } : { error: toError(error) }
}

function coerced<T>(call: () => T): T {
  try {
    return call()
  } catch (error) {
    throw error instanceof DeferredRun ? error : toError(error)
  }
}

function lostLease({ id }: JobRecord): QueueError {
  return new QueueError('LEASE_LOST', `Job "${id}" has been handed to another worker.`)
}

/** Why a start was refused. An ended job is acknowledged; a lost one is another worker's to settle. */
function notOurs(record: JobRecord, { reason }: AppendRefusal): QueueError {
  return reason === 'fence' ? lostLease(record) : new QueueError('JOB_CANCELLED', `Job "${record.id}" has ended.`)
}

function crashed({ id, crashes }: JobRecord): QueueError {
  const message = `Job "${id}" took ${crashes} workers down with it and is not tried again.`
  return new QueueError('JOB_CRASHED', message, { retryable: false, details: { crashes } })
}

/** A stand-in that fails the job with a message, through the same log as any failure. */
function unknownWorker({ queue, name }: JobRecord): WorkerDefinition {
  const message = `No worker handles "${name}" on queue "${queue}". Register one, or remove the job.`
  const handler = (): never => {
    throw new QueueError('WORKER_UNKNOWN', message, { retryable: false })
  }
  return { id: name, name, queue: { name: queue }, worker: { runtime: 'node', concurrency: 1 }, handler }
}
