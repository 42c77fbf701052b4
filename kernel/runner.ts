import type { AppendRefusal, Chains, DispatchPayload, JobRecord, Kernel, Lease } from '../contracts/index.ts'
import type { MaybePromise, PluginKernel, Processor, Runtime, Settlement, StuckHandler } from '../contracts/index.ts'
import type { WorkerDefinition } from '../contracts/index.ts'
import { Attempt, refusal } from './attempt.ts'
import { createConclude, failure, runPatch, type Outcome } from './conclude.ts'
import { isDeferral } from './deferral.ts'
import { isFinalRefusal, toError } from './errors.ts'
import { createGiveBack } from './give-back.ts'
import { after, isPromise } from './hooks.ts'
import { createRecentAborts } from './recent-aborts.ts'
import { serializeError } from './stored-error.ts'
import { createStuckHandlers } from './stuck-handlers.ts'
import { createUnknownWorkers, unknownWorker } from './unknown-worker.ts'
import { runScope } from './use.ts'

export interface Runner {
  process: Processor
  /** The attempts in this process that have not been settled. */
  readonly running: readonly Attempt[]
  /** Ends the attempts of a run, or of one of its jobs, and those that are about to begin. */
  abort(target: { runId: string; jobId?: string }, error: Error): void
  stuck(): StuckHandler[]
  close(): void
}

/**
 * Runs claimed jobs, the same for every adapter: context, `step.started`, dispatch, then the terminal
 * event, and only then the settlement that lets the adapter acknowledge. The log decides: what it
 * refuses, because the job has ended or a newer claim has written, is not done.
 *
 * @param inner appends what is reserved
 */
export function createProcessor(
  kernel: Kernel,
  inner: PluginKernel,
  chains: Chains,
  runtimeOf: (worker: WorkerDefinition) => Runtime,
): Runner {
  const running: Attempt[] = []
  const aborts = createRecentAborts(kernel)
  const stuck = createStuckHandlers(kernel)
  const putOff = createUnknownWorkers(inner)
  const giveBack = createGiveBack(kernel)
  const { conclude, failForGood, turnedAway } = createConclude(inner)
  /** A prototype of this kernel's own, which its plugins may add lazy members to. */
  class KernelAttempt extends Attempt {}

  const process: Processor = (record, lease) => {
    const early = record.runAt > record.createdAt && record.runAt > kernel.clock.now()
    if (early) return Promise.resolve({ type: 'defer', runAt: record.runAt })
    try {
      const worker = kernel.registry.find(record.queue, record.name, record.id)
      return worker ? begin(record, lease, worker) : withoutWorker(record, lease)
    } catch (error) {
      return giveBack(record, error)
    }
  }

  function begin(record: Readonly<JobRecord>, lease: Lease, worker: WorkerDefinition): Promise<Settlement> {
    const attempt = new KernelAttempt(kernel, record, worker, lease)
    attempt.index = running.push(attempt) - 1
    lease.onLost?.(() => attempt.abort(refusal('fence', record)))
    const settle = (settlement: Settlement): Settlement => {
      // Swapped out, since a Set that turns over with every job is slow to collect.
      const last = running.pop()!
      if (last !== attempt) running[(last.index = attempt.index)] = last
      const { handling } = attempt
      if (handling) {
        settlement.slot = handling.catch(() => {})
        stuck.watch(attempt, handling)
      }
      return settlement
    }
    const fail = async (thrown: unknown): Promise<Settlement> => settle(await abandon(attempt, thrown))
    try {
      const settling = run(attempt)
      attempt.settling = isPromise(settling) ? settling.then(settle, fail) : Promise.resolve(settle(settling))
    } catch (error) {
      attempt.settling = fail(error)
    }
    return attempt.settling
  }

  /** What the log refuses for good ends the job; anything else may be otherwise next time. */
  async function abandon(attempt: Attempt, error: unknown): Promise<Settlement> {
    try {
      if (isFinalRefusal(error)) return await failForGood(attempt, serializeError(error))
      return await giveBack(attempt.record, error)
    } catch (again) {
      return giveBack(attempt.record, again)
    }
  }

  async function withoutWorker(record: Readonly<JobRecord>, lease: Lease): Promise<Settlement> {
    try {
      return (await putOff(record)) ?? (await begin(record, lease, unknownWorker(record)))
    } catch (error) {
      return giveBack(record, error)
    }
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
    const appended = inner.append(attempt, [event], {
      reopen: round > 0 && attemptsMade === 0,
      run: runPatch(record, 'running'),
    })
    if (!isPromise(appended)) return appended.ok ? undefined : appended
    const doubtful = claim > 1 || record.flow || aborts.has(record.runId, record.id)
    if (doubtful) return appended.then((result) => (result.ok ? undefined : result))
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
        finish(isDeferral(result) ? { deferral: result } : { value: result })
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

  /**
   * The innermost end of a dispatch. Notes while the handler runs, since it may outlast its attempt. A handler that
   * defers its job has a result for that, whether it returned it, threw it, or was left at a wait.
   */
  function invoke({ ctx, worker }: DispatchPayload): MaybePromise<void> {
    const attempt = ctx as Attempt
    attempt.invocation++
    let returned: MaybePromise<unknown>
    try {
      returned = runtimeOf(worker).execute(worker, attempt)
    } catch (error) {
      if (!isDeferral(error)) throw error
      returned = error
    }
    if (!isPromise(returned)) return void (attempt.result = returned)
    // What only looks like a promise need not return one from its `then`.
    const handling = returned instanceof Promise ? returned : Promise.resolve(returned)
    attempt.handling = new Promise((resolve, reject) => {
      let open = true
      const settle = (end: () => void): void => {
        if (!open) return
        open = false
        attempt.handling = attempt.leave = undefined
        end()
      }
      const succeed = (value: unknown): void =>
        settle(() => {
          attempt.result = value
          resolve()
        })
      attempt.leave = succeed
      handling.then(succeed, (error: unknown) => {
        if (isDeferral(error)) succeed(error)
        else settle(() => reject(error))
      })
    })
    return attempt.handling
  }

  return {
    process,
    running,
    abort(target, error) {
      const { runId, jobId } = target
      aborts.add(target)
      for (const attempt of [...running]) {
        if (attempt.runId === runId && (jobId === undefined || attempt.job.id === jobId)) attempt.abort(error)
      }
    },
    stuck: stuck.list,
    close: stuck.close,
  }
}
