import {
  isQueueError,
  serializeError,
  type EnqueueItem,
  type EventDraft,
  type Kernel,
  type RunOutcome,
} from '../../kernel/index.ts'
import { createProjection } from '../_shared/projection.ts'
import { createFlowState, foldFlow, type FlowState, type Instance } from './fold.ts'
import { buildGraph, type FlowGraph } from './graph.ts'

/** Refusals that will be the same next time: they fail the step instead of trying for ever. */
const FINAL_REFUSALS: ReadonlySet<string> = new Set([
  'VALIDATION_FAILED',
  'VALUE_UNSUPPORTED',
  'PAYLOAD_TOO_LARGE',
  'ENQUEUE_VETOED',
])

/**
 * Carries runs on: decides by the log what is owed, and does it. All of it may be done twice, by
 * whoever gets a job again, without harm: ids and keys derive from what causes them.
 */
export function createFlowEngine(kernel: Kernel) {
  const graphs = new Map<string, FlowGraph>()

  function graphOf(flow: string): FlowGraph {
    const graph = graphs.get(flow) ?? buildGraph(flow, kernel.registry)
    graphs.set(flow, graph)
    return graph
  }

  const projection = createProjection<FlowState>(() => kernel.port('events'), {
    reducer: 'flow@1',
    initial: createFlowState,
    apply: (state, events) => foldFlow(state, events, graphOf),
  })

  /**
   * Starts the steps that are due and ends the run when nothing is open.
   *
   * @param repair also queues again what was queued on record but never started
   */
  async function carryOn(runId: string, { repair = false } = {}): Promise<void> {
    const { state } = await projection.current(runId)
    if (state.flow === undefined) return
    if (state.ended) return projection.forget(runId)
    if (state.failure) {
      const { step, error } = state.failure
      await end(runId, state, 'failed', { step, error }, `step "${step}" failed`)
      return
    }
    const graph = graphOf(state.flow)
    const due = [...state.open].filter(({ status }) => status === 'due')
    const lost = repair ? [...state.open].filter(({ status, cause }) => status === 'queued' && cause !== undefined) : []
    if (due.length > 0 || lost.length > 0) {
      const recorded = await record(runId, graph, due)
      const refused = await enqueue(runId, graph, [...recorded, ...lost])
      if (refused) return carryOn(runId)
    }
    if (state.open.size === 0) await end(runId, state, 'completed', { result: state.result }, 'the run is complete')
  }

  /** Puts due steps on record. Answers those that nobody else had. */
  async function record(runId: string, graph: FlowGraph, due: readonly Instance[]): Promise<Instance[]> {
    if (due.length === 0) return []
    const events = due.map(({ id, step, cause }) => ({
      ...eventOf(graph, { id, step }, 'step.queued', { cause }),
      key: `queued:${id}`,
    }))
    const result = await kernel.emit(runId, events)
    if (!result.ok) return []
    const mine = new Set(result.events.map(({ stepId }) => stepId))
    return due.filter(({ id }) => mine.has(id))
  }

  /** True when a step was refused for good and the run has to be looked at again. */
  async function enqueue(runId: string, graph: FlowGraph, instances: readonly Instance[]): Promise<boolean> {
    const items = instances.map((instance) => itemOf(runId, graph, instance))
    try {
      await kernel.enqueueMany(items)
      return false
    } catch (error) {
      if (!isFinal(error)) throw error
    }
    let refused = false
    for (const [index, { worker, data, options }] of items.entries()) {
      try {
        await kernel.enqueue(worker, data, options)
      } catch (error) {
        if (!isFinal(error)) throw error
        refused = true
        const instance = instances[index]!
        const event = eventOf(graph, instance, 'step.failed', { error: serializeError(error) })
        await kernel.emit(runId, [{ ...event, key: `end:${instance.id}` }])
      }
    }
    return refused
  }

  async function end(
    runId: string,
    state: FlowState,
    outcome: RunOutcome,
    data: object,
    reason: string,
  ): Promise<boolean> {
    const flow = state.flow!
    const result = await kernel.emit(runId, [{ type: `flow.${outcome}`, key: 'end', flow, data }], {
      unless: 'end',
      run: { status: outcome },
    })
    projection.forget(runId)
    if (!result.ok) return false
    if (state.open.size > 0) await clear(runId, graphOf(flow), state, reason)
    return true
  }

  /** Takes out what still waits and stops what runs: the log refuses both from now on. */
  async function clear(runId: string, graph: FlowGraph, state: FlowState, reason: string): Promise<void> {
    for (const { id, step } of state.open) {
      const worker = graph.steps.get(step)?.worker
      if (worker) await kernel.port('queue').cancel(worker.queue.name, id)
    }
    await kernel.broadcastAbort({ runId }, reason)
  }

  return {
    graphOf,
    carryOn,
    forgetGraphs: () => graphs.clear(),
    async cancel(runId: string, reason: string): Promise<boolean> {
      const { state } = await projection.current(runId)
      return state.flow === undefined ? false : end(runId, state, 'cancelled', { reason }, reason)
    },
  }
}

function eventOf(
  { name }: FlowGraph,
  { id, step }: { id: string; step: string },
  type: string,
  data: object,
): EventDraft {
  return { type, data, flow: name, step, stepId: id }
}

function itemOf(runId: string, { name, steps }: FlowGraph, { id, step, cause, data }: Instance): EnqueueItem {
  return { worker: steps.get(step)!.worker.id, data, options: { id, runId, flow: { name, step, cause } } }
}

function isFinal(error: unknown): boolean {
  return isQueueError(error) && FINAL_REFUSALS.has(error.code)
}
