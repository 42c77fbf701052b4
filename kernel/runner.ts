import type { AppendRefusal, Chains, DispatchPayload, JobRecord, Kernel, Lease } from '../contracts/index.ts'
import type { MaybePromise, PluginKernel, Processor, Runtime, Settlement, StuckHandler } from '../contracts/index.ts'
import type { WorkerDefinition } from '../contracts/index.ts'
import { Attempt, refusal } from './attempt.ts'
import { channels, traced } from './channels.ts'
import { createConclude, failure, runPatch, type Outcome } from './conclude.ts'
import { isDeferral } from './deferral.ts'
import { isFinalRefusal, toError } from './errors.ts'
import { createGiveBack } from './give-back.ts'
import { after, isPromise } from './promises.ts'
import { JobContext } from './job-context.ts'
import { createRecentAborts } from './recent-aborts.ts'
import { serializeError } from './stored-error.ts'
import { createStuckHandlers } from './stuck-handlers.ts'
import { createUnknownWorkers, unknownWorker } from './unknown-worker.ts'
import { runScope } from './use.ts'

export interface Runner {
  process: Processor
  /** The attempts of this process that have not ended. */
  readonly running: readonly Attempt[]
  /** Ends the attempts of a run, or of one of its jobs, including attempts that are about to begin. */
  abort(target: { runId: string; jobId?: string }, error: Error): void
  stuck(): StuckHandler[]
  close(): void
}

/**
 * Runs claimed jobs in the same way for every adapter. The event log decides: the terminal event of an attempt is
 * stored first, and only then does the adapter receive a settlement to acknowledge. If the log refuses an event because the job has ended
 * or a newer claim has written, the attempt stops.
 *
 * | verb | meaning |
 * |---|---|
 * | `process` | receives a claimed job from the adapter and resolves with its settlement |
 * | `run` | builds the context, stores `step.started`, executes, concludes |
 * | `execute` | calls the dispatch hooks and the handler; its result is an outcome: a value, an error or a deferral |
 * | `conclude` | stores the end of the attempt in the log and returns the settlement (see `conclude.ts`) |
 * | `acceptRefusal` | returns the settlement that the log already implies, after the log refused an event |
 * | `giveBack` | returns the job to its queue, because its start or end could not be stored |
 * | `settle` | what an adapter does with a settlement: the adapter stores it in the queue |
 *
 * @param inner the kernel that may append reserved events
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
  const postpone = createUnknownWorkers(inner)
  const giveBack = createGiveBack(kernel)
  const { conclude, failForGood, acceptRefusal } = createConclude(inner)
  /** A prototype that belongs to this kernel, so that its plugins can add lazy members to it. */
  class KernelContext extends JobContext {}

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
    const attempt = new Attempt(kernel, record, worker, lease)
    attempt.ctx = new KernelContext(attempt)
    attempt.index = running.push(attempt) - 1
    lease.onLost?.(() => attempt.abort(refusal('fence', record)))
    const settle = (settlement: Settlement): Settlement => {
      // Swap and pop. Garbage collection of a Set is slow if its entries change with every job.
      const last = running.pop()!
      if (last !== attempt) running[(last.index = attempt.index)] = last
      const { handling } = attempt
      if (handling) {
        settlement.slot = handling.catch(() => {})
        stuck.watch(attempt, handling)
      }
      return settlement
    }
    const fail = async (thrown: unknown): Promise<Settlement> => settle(await settleError(attempt, thrown))
    try {
      const settling = run(attempt)
      attempt.settling = isPromise(settling) ? settling.then(settle, fail) : Promise.resolve(settle(settling))
    } catch (error) {
      attempt.settling = fail(error)
    }
    return attempt.settling
  }

  /** A final error ends the job. After any other error the job is retried. */
  async function settleError(attempt: Attempt, error: unknown): Promise<Settlement> {
    try {
      if (isFinalRefusal(error)) return await failForGood(attempt, serializeError(error))
      return await giveBack(attempt.record, error)
    } catch (again) {
      return giveBack(attempt.record, again)
    }
  }

  async function withoutWorker(record: Readonly<JobRecord>, lease: Lease): Promise<Settlement> {
    try {
      return (await postpone(record)) ?? (await begin(record, lease, unknownWorker(record)))
    } catch (error) {
      return giveBack(record, error)
    }
  }

  /** Awaits as little as possible. With a synchronous store, it awaits only the handler. */
  function run(attempt: Attempt): MaybePromise<Settlement> {
    return after(buildContext(attempt), (broken) =>
      after(start(attempt), (refused) => {
        if (refused) return acceptRefusal(attempt, refused)
        return broken ? conclude(attempt, broken) : execute(attempt)
      }),
    )
  }

  /** A context hook that fails uses up an attempt, as a handler does. */
  function buildContext(attempt: Attempt): MaybePromise<Outcome | undefined> {
    try {
      const built = chains.context(attempt.ctx, () => {})
      return isPromise(built) ? built.then(() => undefined, failure) : undefined
    } catch (error) {
      return failure(error)
    }
  }

  /**
   * Stores `step.started`, unless the job has ended. The runner waits for the append if the job may have been delivered twice or belongs to
   * a flow. For the first delivery of a plain job, it continues at once.
   */
  function start(attempt: Attempt): MaybePromise<AppendRefusal | undefined> {
    const { record, worker } = attempt
    const { queue, name, round, attemptsMade, claims: claim } = record
    const event = attempt.event('step.started', { queue, name, worker: worker.id, claim })
    const appended = inner.append(attempt.ctx, [event], {
      reopen: round > 0 && attemptsMade === 0,
      run: runPatch(record, 'running'),
    })
    if (!isPromise(appended)) return appended.ok ? undefined : appended
    const doubtful = claim > 1 || record.flow || aborts.has(record.runId, record.id)
    if (doubtful) return appended.then((result) => (result.ok ? undefined : result))
    attempt.started = appended.then((result) => result.ok || attempt.abort(refusal(result.reason, record)))
    return void attempt.started.catch(() => {})
  }

  function dispatch(attempt: Attempt): MaybePromise<void> {
    if (!channels.dispatch.hasSubscribers) return chains.dispatch(attempt, invoke)
    const { job, worker, ctx } = attempt
    return traced(channels.dispatch, { job, worker, ctx }, () => chains.dispatch(attempt, invoke))
  }

  /** Concludes with the outcome of the dispatch, or with the error of an abort that happens earlier. */
  function execute(attempt: Attempt): Promise<Settlement> {
    return new Promise((resolve, reject) => {
      const end = (outcome: Outcome): void => {
        if (!attempt.force) return
        attempt.force = undefined
        try {
          resolve(conclude(attempt, outcome))
        } catch (error) {
          reject(toError(error))
        }
      }
      const fail = (error: unknown): void => end(failure(error))
      const succeed = (): void => {
        const { result } = attempt
        end(isDeferral(result) ? { deferral: result } : { value: result })
      }
      attempt.force = fail
      if (attempt.aborted) return fail(attempt.aborted)
      try {
        const ran = runScope(attempt.ctx, () => dispatch(attempt))
        if (isPromise(ran)) ran.then(succeed, fail)
        else succeed()
      } catch (error) {
        fail(error)
      }
    })
  }

  /**
   * The innermost end of a dispatch: calls the handler. It tracks the handler while it runs, because a handler may keep running after its
   * attempt. A deferral is a result if the handler returned it, threw it, or stopped at a wait.
   */
  function invoke(payload: DispatchPayload): MaybePromise<void> {
    const attempt = payload as Attempt
    const { worker } = attempt
    attempt.invocation++
    let returned: MaybePromise<unknown>
    try {
      returned = runtimeOf(worker).execute(worker, attempt.ctx)
    } catch (error) {
      if (!isDeferral(error)) throw error
      returned = error
    }
    if (!isPromise(returned)) return void (attempt.result = returned)
    // A thenable that is not a promise may return anything from its `then`.
    const handling = returned instanceof Promise ? returned : Promise.resolve(returned)
    attempt.handling = new Promise((resolve, reject) => {
      let open = true
      const close = (callback: () => void): void => {
        if (!open) return
        open = false
        attempt.handling = attempt.leave = undefined
        callback()
      }
      const succeed = (value: unknown): void =>
        close(() => {
          attempt.result = value
          resolve()
        })
      attempt.leave = succeed
      handling.then(succeed, (error: unknown) => {
        if (isDeferral(error)) succeed(error)
        else close(() => reject(error))
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
        if (attempt.job.runId === runId && (jobId === undefined || attempt.job.id === jobId)) attempt.abort(error)
      }
    },
    stuck: stuck.list,
    close: stuck.close,
  }
}
