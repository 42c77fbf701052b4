import type {
  AppendRefusal,
  Chains,
  DispatchPayload,
  JobRecord,
  Kernel,
  MaybePromise,
  Processor,
  RunPatch,
  Runtime,
  Settlement,
  WorkerDefinition,
} from '../contracts/index.ts'
import { Attempt, refusal } from './attempt.ts'
import { backoffDelay } from './backoff.ts'
import { DeferredRun } from './deferral.ts'
import { isQueueError, QueueError, serializeError, toError } from './errors.ts'
import { after, isPromise } from './hooks.ts'
import { defineWorker } from './registry.ts'
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
    const early = record.runAt > record.createdAt && record.runAt > kernel.clock.now()
    if (early) return Promise.resolve({ type: 'defer', runAt: record.runAt })
    const worker = kernel.registry.find(record.queue, record.name) ?? unknownWorker(record)
    const attempt = new KernelAttempt(kernel, record, worker, lease)
    attempt.index = running.push(attempt) - 1
    lease.onLost?.(() => attempt.abort(refusal('fence', record)))
    const settle = (settlement: Settlement): Settlement => {
      // Swapped out, since a Set that turns over with every job is slow to collect.
      const last = running.pop()!
      if (last !== attempt) running[(last.index = attempt.index)] = last
      settlement.slot = attempt.handling?.catch(() => {})
      return settlement
    }
    const giveBack = (error: unknown): Settlement => {
      kernel.reporter.error(`Job "${record.id}" could not be settled and will run again.`, error)
      return settle({ type: 'defer', runAt: kernel.clock.now() + STORE_FAILED_DELAY })
    }
    try {
      const settling = run(attempt)
      attempt.settling = isPromise(settling) ? settling.then(settle, giveBack) : Promise.resolve(settle(settling))
    } catch (error) {
      attempt.settling = Promise.resolve(giveBack(error))
    }
    return attempt.settling
  }

  /** Awaits only what has to be: over a synchronous store, the handler and nothing else. */
  function run(attempt: Attempt): MaybePromise<Settlement> {
    return after(buildContext(attempt), (broken) =>
      after(start(attempt), (refused) => {
        if (refused) return turnedAway(attempt, refused)
        return broken ? conclude(attempt, broken) : execute(attempt)
      }),
    )
  }

  function conclude(attempt: Attempt, outcome: Outcome): MaybePromise<Settlement> {
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
      reopen: round > 0 && attemptsMade === 0,
      run: runPatch(record, 'running'),
    })
    if (!isPromise(appended)) return appended.ok ? undefined : appended
    if (claim > 1 || record.flow) return appended.then((result) => (result.ok ? undefined : result))
    attempt.started = appended.then((result) => result.ok || attempt.abort(refusal(result.reason, record)))
    return void attempt.started.catch(() => {})
  }

  /** Concludes with the outcome of the dispatch, or with what ends the attempt before it is over. */
  function execute(attempt: Attempt): Promise<Settlement> {
    return new Promise((resolve, reject) => {
      const finish = (outcome: Outcome): void => {
        if (!attempt.force) return
        attempt.force = undefined
        try {
          resolve(conclude(attempt, outcome))
        } catch (error) {
          reject(toError(error))
        }
      }
      const fail = (error: unknown): void => finish(failure(error))
      const succeed = (): void => {
        const { result } = attempt
        finish(result instanceof DeferredRun ? { deferral: result } : { value: result })
      }
      attempt.force = fail
      if (attempt.aborted) return fail(attempt.aborted)
      try {
        const ran = runScope(attempt, () => chains.dispatch(attempt, invoke))
        if (isPromise(ran)) ran.then(succeed, fail)
        else succeed()
      } catch (error) {
        fail(error)
      }
    })
  }

  /** The innermost end of a dispatch. Notes while the handler runs, since it may outlast its attempt. */
  function invoke({ ctx, worker }: DispatchPayload): MaybePromise<void> {
    const attempt = ctx as Attempt
    const returned = runtimeOf(worker).execute(worker, attempt)
    if (!isPromise(returned)) return void (attempt.result = returned)
    attempt.handling = returned.then(
      (value) => {
        attempt.handling = undefined
        attempt.result = value
      },
      (error: unknown) => {
        attempt.handling = undefined
        throw error
      },
    )
    return attempt.handling
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
      const unstorable = isQueueError(error, 'VALUE_UNSUPPORTED') || isQueueError(error, 'PAYLOAD_TOO_LARGE')
      if (!unstorable) throw error
      return failed(attempt, error)
    }
    try {
      const ended = end(attempt, 'completed', result === undefined ? {} : { result }, { type: 'completed', result })
      return isPromise(ended) ? ended.catch(recover) : ended
    } catch (error) {
      return recover(error)
    }
  }

  async function failed(attempt: Attempt, thrown: Error & { retryable?: unknown }): Promise<Settlement> {
    const { record } = attempt
    // Whatever a handler throws once it was told to stop, the reason is what it was told.
    const error = attempt.aborted ?? thrown
    const told = (attempt.aborted as Partial<QueueError> | undefined)?.code
    if (told === 'LEASE_LOST') return { type: 'lost' }
    if (told === 'JOB_RELEASED') return { type: 'defer', runAt: kernel.clock.now() }
    if (told === 'JOB_CANCELLED' || told === 'RUN_ENDED') return turnedAway(attempt, { reason: 'ended' })
    attempt.outbox.length = 0
    await Promise.resolve(attempt.settle()).catch(() => {})
    const stored = serializeError(error)
    const last = attempt.attempt >= attempt.job.attempts || thrown.retryable === false
    if (last) return end(attempt, 'failed', { error: stored }, { type: 'failed', error: stored })
    const runAt = kernel.clock.now() + backoffDelay(record.options.backoff, attempt.attempt)
    // An attempt whose settlement was lost is made again, and may fail again: that is still one failure.
    const key = `retry:${record.id}#${record.round}.${attempt.attempt}`
    const result = await attempt.append([attempt.event('step.retry', { error: stored, runAt }, key)])
    return result.ok ? { type: 'retry', error: stored, runAt } : turnedAway(attempt, result)
  }

  async function deferred(attempt: Attempt, deferral: DeferredRun): Promise<Settlement> {
    attempt.outbox.length = 0
    await Promise.resolve(attempt.settle()).catch(() => {})
    const { runAt, holdQueue } = deferral
    const result = await attempt.append([attempt.event('step.deferred', { runAt })])
    return result.ok ? { type: 'defer', runAt, holdQueue } : turnedAway(attempt, result)
  }

  /** Log first: the outbox and the terminal event in one append, then the settlement. */
  function end(attempt: Attempt, status: 'completed' | 'failed', data: unknown, settlement: Settlement) {
    const events = [...attempt.outbox, attempt.event(`step.${status}`, data, attempt.endKey)]
    const appended = attempt.append(events, { run: runPatch(attempt.record, status) })
    // Sent behind the start, which need not be known to be stored before: the store keeps their order.
    return after(appended, (result) => {
      return after(attempt.started, () => (result.ok ? settlement : turnedAway(attempt, result)))
    })
  }

  /** The log refused: somebody else has the job, or it has ended and is only acknowledged. */
  async function turnedAway({ runId, endKey }: Attempt, { reason }: { reason: string }): Promise<Settlement> {
    if (reason === 'fence') return { type: 'lost' }
    const ended = await kernel.port('events').byKey(runId, endKey)
    const state = ended?.type.slice('step.'.length)
    return { type: 'ended', state: state === 'completed' || state === 'failed' ? state : 'cancelled' }
  }

  return { process, running }
}

/** The run of a plain job lives and ends with it; the run of a flow is the flow plugin's. */
function runPatch(record: JobRecord, status: RunPatch['status']): RunPatch | undefined {
  if (record.flow) return undefined
  return { status, name: record.name, queue: record.queue, jobId: record.id }
}

function failure(error: unknown): Outcome {
  return error instanceof DeferredRun ? { deferral: error } : { error: toError(error) }
}

/** A stand-in that fails the job with a message, through the same log as any failure. */
function unknownWorker({ queue, name }: JobRecord): WorkerDefinition {
  const message = `No worker handles "${name}" on queue "${queue}". Register one, or remove the job.`
  const handler = (): Promise<never> => Promise.reject(new QueueError('WORKER_UNKNOWN', message, { retryable: false }))
  return { ...defineWorker({ id: name || queue, config: { queue } }), handler }
}
