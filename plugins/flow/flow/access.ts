import { checkComposed, QueueError, type FlowMethods, type Kernel, type RunInfo } from '../../../kernel/index.ts'
import type { FlowAccess } from '../lib/flow-access.ts'
import type { Advancer } from './advancer.ts'
import type { FlowEngine } from './engine.ts'
import { assertStarts } from './graph.ts'
import type { Pins } from './pins.ts'
import { findUnstarted } from './unstarted.ts'

export function createFlowAccess(kernel: Kernel, engine: FlowEngine, advancer: Advancer, pins: Pins) {
  const created: ((flow: string) => FlowMethods)[] = []

  function notFound(flow: string, runId: string): QueueError {
    return new QueueError(
      'RUN_NOT_FOUND',
      `Flow "${flow}" has no run "${runId}". Check the id; the run may have expired.`,
    )
  }

  async function infoOf(flow: string, runId: string): Promise<RunInfo | undefined> {
    const info = await kernel.port('events').runs.get(runId)
    return info?.flow === flow ? info : undefined
  }

  const access: FlowAccess = {
    addMethods: (create) => void created.push(create),
    workersOf: (flow) => [...new Set([...engine.graphOf(flow).steps.values()].map(({ worker }) => worker))],
    async statusOf(flow, runId) {
      checkComposed('The id of a run', runId)
      const info = await infoOf(flow, runId)
      if (info) return info.status
      if (await findUnstarted(kernel, runId, engine.graphOf(flow))) return 'running'
      // A worker may have begun the run between the two reads.
      const begun = await infoOf(flow, runId)
      if (begun) return begun.status
      throw notFound(flow, runId)
    },
    async open(flow, runId) {
      checkComposed('The id of a run', runId)
      const { state, seq } = await engine.begun(runId, flow)
      if (state.flow !== flow) throw notFound(flow, runId)
      if (state.copying)
        throw new QueueError('RUN_NOT_FOUND', `Run "${runId}" is a fork that is still copied. Try again.`)
      const [entry] = state.instances.values()
      const status = state.outcome ?? (state.failure ? 'failing' : 'running')
      return { seq, status, entry: { stepId: entry!.id, step: entry!.step } }
    },
    assertStarts: (flow, event) => assertStarts(engine.graphOf(flow), event),
    onFollowUp: (callback) => advancer.onFollowUp(callback),
    onVersions: pins.onVersions,
    followUp: (runId, key) => advancer.followUp(runId, key),
  }
  return {
    access,
    /** Returns the methods that plugins add to the handle of a flow. */
    methodsOf: (flow: string): FlowMethods =>
      Object.assign({}, ...created.map((create) => create(flow))) as FlowMethods,
  }
}
