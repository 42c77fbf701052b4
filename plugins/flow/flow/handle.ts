import {
  assertFree,
  checkKeys,
  checkTags,
  checkText,
  QueueError,
  reviveError,
  type EnqueuedJob,
  type FlowStart,
  type Kernel,
  type RunFilter,
  type RunInfo,
  type SerializedError,
  type SqlClient,
} from '../../../kernel/index.ts'
import { forgotten } from '../../jobs/lib/forgotten.ts'
import type { Carrier } from './carry.ts'
import type { FlowEngine } from './engine.ts'
import { explainRun, type RunExplanation } from './explain.ts'
import type { ForkedRun, ForkOptions, Forks, RerunOptions } from './fork.ts'
import { entryOf } from './graph.ts'
import { instanceId } from './run.ts'

export interface StartOptions extends FlowStart {
  /**
   * Starts a run of this id only if there is none, or was none whose id is still known (`retention.deduplication`); it is
   * also its `runId`. Default: one of its own.
   */
  id?: string
  /** The entry to start with, for a flow that has several. */
  entry?: string
  /**
   * Starts the run in the caller's transaction: rolled back, there is none. For adapters with the capability
   * `transaction`.
   */
  db?: SqlClient
}

const START_OPTIONS = ['id', 'entry', 'tags', 'parent', 'db']

export interface FlowHandle {
  /** Of the flow as it is in this process: what its entry declares, or a hash of its steps. */
  readonly version: string
  /**
   * Starts a run. One durable write: once it resolves the run goes its way, whoever dies.
   *
   * @throws QueueError `FLOW_INVALID` when the flow has several entries and none is named; `OPTION_INVALID`,
   * `OPTION_UNSUPPORTED`
   */
  start(input?: unknown, options?: StartOptions): Promise<EnqueuedJob>
  /**
   * Ends a run as cancelled, from any instance: queued steps go, running ones abort, the runs it waits
   * for are cancelled as well. False when it has ended already, or there is none of that id.
   */
  cancel(runId: string, options?: { reason?: string }): Promise<boolean>
  /**
   * Makes a new run that has the history of another up to a moment, and goes on from there on its own:
   * state, results and finished sub-steps are there, jobs that had not ended run again from the start. One
   * durable write, as with `start`.
   *
   * @throws QueueError `RUN_NOT_FOUND`, `EVENTS_TRIMMED`, `OPTION_INVALID`
   * @example
   * await kernel.flow('order').fork(runId, { at: 12, state: { discount: 0 } })
   */
  fork(runId: string, options?: ForkOptions): Promise<ForkedRun>
  /**
   * Forks a run at the moment before a step began, which then runs again, with other input if that is
   * given.
   *
   * @param step its name, of which the first job counts, or the id of one of its jobs
   * @throws QueueError `RUN_NOT_FOUND`, `EVENTS_TRIMMED`, `OPTION_INVALID`
   */
  rerunFrom(runId: string, step: string, options?: RerunOptions): Promise<ForkedRun>
  /** @throws QueueError `RUN_NOT_FOUND` */
  status(runId: string): Promise<RunInfo>
  /**
   * What a run waits for: its open jobs, the joins that have begun and what has arrived at them, the fan-outs
   * that steps gather.
   *
   * @throws QueueError `RUN_NOT_FOUND`
   */
  explain(runId: string): Promise<RunExplanation>
  /** Its runs, newest first, such as those with a tag. */
  runs(filter?: Omit<RunFilter, 'flow'>): Promise<RunInfo[]>
  /**
   * Waits for the end of a run and answers what its last step returned.
   *
   * @param options.timeout milliseconds; default: as long as it takes
   * @throws QueueError `JOB_CANCELLED`, `JOB_TIMEOUT`; `JOB_FORGOTTEN` when it has ended and is no longer kept; or an Error with the message and the code of the failed step's, and its name as `step`
   */
  result(runId: string, options?: { timeout?: number }): Promise<unknown>
}

export function createFlowHandle(
  kernel: Kernel,
  engine: FlowEngine,
  { forks, carrier }: { forks: Forks; carrier: Carrier },
  name: string,
): FlowHandle {
  const graph = engine.graphOf(name)

  /** A run that has ended and is known only by its id has no end to wait for. */
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
      const { id: runId = kernel.newId(), entry, tags, parent, db } = options
      checkText(`Option "id" of flow "${name}"`, runId)
      assertFree('run', runId)
      if (tags !== undefined) checkTags(`Option "tags" of flow "${name}"`, tags)
      const { step, worker } = entryOf(graph, entry)
      const start: FlowStart = { ...(tags && { tags }), ...(parent && { parent }) }
      const named = options.id === undefined ? {} : { named: true }
      const flow = { name, step, ...((tags || parent) && { start }), ...named }
      return kernel.enqueue(worker.id, input, { id: instanceId(runId, step), runId, flow, ...(db && { db }) })
    },
    async cancel(runId, { reason = 'on request' } = {}) {
      return carrier.cancel(runId, reason, name)
    },
    fork: (runId, options = {}) => forks.fork(carrier, name, runId, options),
    rerunFrom: (runId, step, options = {}) => forks.rerunFrom(carrier, name, runId, step, options),
    async status(runId) {
      const info = await kernel.port('events').runs.get(runId)
      if (info?.flow === name) return info
      throw new QueueError(
        'RUN_NOT_FOUND',
        `Flow "${name}" has no run "${runId}". It may not have begun, or have expired.`,
      )
    },
    explain: (runId) => explainRun(engine, graph, runId),
    runs: async (filter = {}) => kernel.port('events').runs.list({ ...filter, flow: name }),
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
