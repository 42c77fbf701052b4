import {
  assertFree,
  checkCount,
  checkKeys,
  checkMoment,
  checkTags,
  checkText,
  invalid,
  isMoment,
  isText,
  MAX_COMPOSED_BYTES,
  QueueError,
  reviveError,
  type EnqueuedJob,
  type FlowMethods,
  type FlowStart,
  type Kernel,
  type RunFilter,
  type RunInfo,
  type SerializedError,
  type SqlClient,
} from '../../../kernel/index.ts'
import { checkBoolean, checkOptions, checkString, oneOf, type OptionChecks } from '../../lib/check-options.ts'
import { forgotten } from '../../jobs/lib/forgotten.ts'
import type { Advancer } from './advancer.ts'
import type { FlowEngine } from './engine.ts'
import { explainRun, type RunExplanation } from './explain.ts'
import type { ForkedRun, ForkOptions, Forks, RerunOptions } from './fork.ts'
import { entryOf } from './graph.ts'
import { instanceId } from './run.ts'

export interface StartOptions extends FlowStart {
  /**
   * The `runId` of the run. If a run with this id exists, or its id is still remembered (`retention.deduplication`), no
   * new run is started. Default: a new id.
   */
  id?: string
  /** The entry to start with, for a flow that has several. */
  entry?: string
  /**
   * Starts the run in the caller's transaction: no run exists if it rolls back. For adapters with the capability
   * `transaction`.
   */
  db?: SqlClient
}

const START_OPTIONS = ['id', 'entry', 'tags', 'headers', 'parent', 'db']

export interface FlowHandle<F extends string = string> extends FlowMethods<F> {
  /** The version of the flow in this process: the version that its entry declares, or a hash of its steps. */
  readonly version: string
  /**
   * Starts a run with one durable write. Once the promise resolves, the run proceeds even if this process dies.
   *
   * @throws QueueError `FLOW_INVALID` when the flow has several entries and none is named; `OPTION_INVALID`,
   * `OPTION_UNSUPPORTED`
   * @example
   * const { runId } = await kernel.flow('order').start({ sku: 'A1' }, { tags: ['customer:7'] })
   */
  start(input?: unknown, options?: StartOptions): Promise<EnqueuedJob>
  /**
   * Ends a run as cancelled, from any instance. Queued steps leave their queues, running steps abort, and the runs it
   * waits for are cancelled too. Returns false when the run has ended already, or does not exist.
   *
   * @throws QueueError `OPTION_INVALID`
   */
  cancel(runId: string, options?: { reason?: string }): Promise<boolean>
  /**
   * Starts a new run that has the history of another run up to a moment. The fork has its state, results and finished
   * sub-steps. Jobs that had not ended run again from the start. Like `start`, this is one durable write.
   *
   * @throws QueueError `RUN_NOT_FOUND`, `EVENTS_TRIMMED`, `OPTION_INVALID`
   * @example
   * await kernel.flow('order').fork(runId, { at: 12, state: { discount: 0 } })
   */
  fork(runId: string, options?: ForkOptions): Promise<ForkedRun>
  /**
   * Forks a run at the moment before a step began, so that the step runs again, optionally with new input.
   *
   * @param step the name of the step, which selects its first job, or the id of one of its jobs
   * @throws QueueError `RUN_NOT_FOUND`, `EVENTS_TRIMMED`, `OPTION_INVALID`
   */
  rerunFrom(runId: string, step: string, options?: RerunOptions): Promise<ForkedRun>
  /** Returns the status and the times of a run. @throws QueueError `RUN_NOT_FOUND` */
  status(runId: string): Promise<RunInfo>
  /**
   * Explains what a run waits for: its open jobs, the joins with the events that have arrived, and the fan-outs that
   * steps gather.
   *
   * @throws QueueError `RUN_NOT_FOUND`
   */
  explain(runId: string): Promise<RunExplanation>
  /** Returns the runs of the flow, newest first. The filter selects, for example, runs with a tag. @throws QueueError `OPTION_INVALID` */
  runs(filter?: Omit<RunFilter, 'flow'>): Promise<RunInfo[]>
  /**
   * Waits for the end of a run and returns the result of its last step.
   *
   * @param options.timeout milliseconds; default: no limit
   * @throws QueueError `JOB_CANCELLED`, `RESULT_TIMEOUT`, `OPTION_INVALID`; `JOB_FORGOTTEN` when the run has ended and has expired
   * @throws Error with the message and code of the failed step's error; its property `step` is the name of the step
   */
  result(runId: string, options?: { timeout?: number }): Promise<unknown>
}

const FILTER_CHECKS: OptionChecks<Omit<RunFilter, 'flow'>> = {
  status: oneOf(['running', 'completed', 'failed', 'cancelled']),
  name: checkString,
  queue: checkString,
  tag: checkString,
  startedBefore: checkMoment,
  after: checkAfter,
  hideInternal: checkBoolean,
  limit: checkCount,
}

export function createFlowHandle(
  kernel: Kernel,
  engine: FlowEngine,
  { forks, advancer }: { forks: Forks; advancer: Advancer },
  name: string,
): Omit<FlowHandle, keyof FlowMethods> {
  const graph = engine.graphOf(name)

  /** Throws if the run has ended and only its id is remembered, because its end event no longer exists. */
  async function assertKept(runId: string): Promise<void> {
    if (await kernel.port('events').byKey(runId, 'flow.started')) return
    for (const { step, worker } of graph.entries) {
      if (await kernel.port('queue').forgotten(worker.queue.name, instanceId(runId, step))) {
        throw forgotten(`Run ${runId} of flow "${name}"`)
      }
    }
  }

  return {
    version: graph.version,
    async start(input, options = {}) {
      checkKeys(`The start of flow "${name}"`, options, START_OPTIONS)
      const { id: runId = kernel.newId(), entry, tags, headers, parent, db } = options
      checkText(`Option "id" of flow "${name}"`, runId)
      assertFree('run', runId)
      if (tags !== undefined) checkTags(`Option "tags" of flow "${name}"`, tags)
      const { step, worker } = entryOf(graph, entry)
      const start: FlowStart | undefined = parent && { parent }
      const named = options.id === undefined ? {} : { named: true }
      const flow = { name, step, ...(start && { start }), ...named, ...(graph.pin && { pin: true }) }
      return kernel.enqueue(worker.id, input, {
        ...{ id: instanceId(runId, step), runId, flow },
        ...(tags && { tags }),
        ...(headers && { headers }),
        ...(db && { db }),
      })
    },
    async cancel(runId, options = {}) {
      const { reason = 'on request' } = checkOptions('cancel()', options, { reason: checkString })
      return advancer.cancel(runId, reason, name)
    },
    fork: (runId, options = {}) => forks.fork(advancer, name, runId, options),
    rerunFrom: (runId, step, options = {}) => forks.rerunFrom(advancer, name, runId, step, options),
    async status(runId) {
      const info = await kernel.port('events').runs.get(runId)
      if (info?.flow === name) return info
      throw new QueueError(
        'RUN_NOT_FOUND',
        `Flow "${name}" has no run "${runId}". It may not have begun, or it may have expired.`,
      )
    },
    explain: (runId) => explainRun(engine, graph, runId),
    runs: async (filter = {}) =>
      kernel.port('events').runs.list({ ...checkOptions('runs()', filter, FILTER_CHECKS), flow: name }),
    async result(runId, options) {
      await assertKept(runId)
      const { type, data } = await kernel.waitFor(runId, 'end', options)
      if (type === 'flow.completed') return (data as { result?: unknown }).result
      if (type === 'flow.cancelled') {
        throw new QueueError('JOB_CANCELLED', `Run ${runId} was cancelled: ${(data as { reason: string }).reason}.`)
      }
      const { step, error } = data as { step: string; error: SerializedError }
      throw Object.assign(reviveError(error), { step, cause: error })
    },
  }
}

/** Accepts a run of a page, which has more members than a page needs. */
function checkAfter(what: string, value: unknown): Pick<RunInfo, 'runId' | 'startedAt'> {
  const { runId, startedAt } = Object(value) as Partial<RunInfo>
  if (isText(runId, MAX_COMPOSED_BYTES) && isMoment(startedAt)) return { runId, startedAt }
  throw invalid(what, 'the last run of the previous page', value)
}
