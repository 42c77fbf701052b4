import { AsyncLocalStorage } from 'node:async_hooks'
import type { EventDraft, PluginKernel, RunOutcome } from '../../../kernel/index.ts'
import { keyedCoalescer } from '../../lib/keyed-coalescer.ts'
import { createProjection } from '../../lib/projection.ts'
import { carryAfterwards } from './carry-job.ts'
import { foldFlow } from './fold.ts'
import { buildGraph, type FlowGraph } from './graph.ts'
import { createFlowRun, type FlowRun, type Instance } from './run.ts'
import { createStepStarter, type Append, type Startable } from './start.ts'
import { findUnstarted, runOf, startedEvent } from './unstarted.ts'
import { createStopper } from './stop.ts'

/** What waits for a run of another flow listens to it, under the run's id. */
export const FLOW_ENDED = 'flow.ended'

export interface FlowEnded {
  runId: string
  flow: string
  outcome: RunOutcome
  data: object
}

/**
 * Carries runs on: decides by the log what is owed, and does it. All of it may be done twice, by
 * whoever gets a job again, without harm: ids and keys derive from what causes them.
 */
export function createFlowEngine(kernel: PluginKernel) {
  const graphs = new Map<string, FlowGraph>()

  function graphOf(flow: string): FlowGraph {
    const graph = graphs.get(flow) ?? buildGraph(flow, kernel.registry)
    graphs.set(flow, graph)
    return graph
  }

  const projection = createProjection<FlowRun>(() => kernel.port('events'), {
    reducer: 'flow@3',
    initial: createFlowRun,
    apply: (run, events) => foldFlow(run, events, graphOf),
  })
  /** The run that this engine appends to: hooks on the way may put other events, or another list, in place of its own. */
  const appending = new AsyncLocalStorage<string>()
  /** Appends what follows from the log, which owes nothing that this engine is not about to do. */
  const append: Append = (runId, events, options) => appending.run(runId, () => kernel.emit(runId, events, options))
  const starter = createStepStarter(kernel, append)
  const stopper = createStopper(kernel, append)

  /**
   * Starts the steps that are due, stops those that nobody waits for, and ends the run when nothing is
   * open. With `repair` it also does again what is on record as done and may have got lost.
   */
  const carryOn = keyedCoalescer(async (runId: string, { repair }: { repair: boolean }): Promise<void> => {
    let again = repair
    for (let owes = true; owes; again = false) {
      const { state: run } = await projection.current(runId)
      if (run.flow === undefined || run.copying) return
      const graph = graphOf(run.flow)
      if (run.outcome) {
        projection.forget(runId)
        if (repair) await afterEnd(runId, graph, run, run.outcome, `the run is ${run.outcome}`)
        return
      }
      owes = run.failure ? await wind(runId, graph, run, again) : await step(runId, graph, run, again)
    }
  })

  /** True when the log has changed and has to be looked at again. */
  async function step(runId: string, graph: FlowGraph, run: FlowRun, repair: boolean): Promise<boolean> {
    if (run.losing.size > 0) {
      await stopper.stop(runId, graph, [...run.losing], 'nobody waits for it any more')
      return true
    }
    if (run.due.size > 0 || repair) {
      const refused = await starter.start(runId, graph, [...run.due], repair ? lost(run) : [])
      if (refused) return true
    }
    if (run.open.size > 0) return false
    if (run.cancelled === undefined) await end(runId, run, 'completed', { result: run.result })
    else await end(runId, run, 'cancelled', { reason: run.cancelled })
    return false
  }

  /** What is left to do in a run that has failed: undo what was completed if that is asked for, then end. */
  async function wind(runId: string, graph: FlowGraph, run: FlowRun, repair: boolean): Promise<boolean> {
    const { step, error, compensate } = run.failure!
    if (!run.compensating && compensate && graph.compensations.size > 0) {
      const begun = { type: 'flow.compensating', key: 'compensating', flow: graph.name, data: { step, error } }
      await append(runId, [begun])
      return true
    }
    if (run.compensating) {
      const others = [...run.open].filter((instance) => graph.steps.get(instance.step)?.role !== 'compensation')
      if (others.length > 0) {
        await stopper.stop(runId, graph, others, `step "${step}" failed`)
        return true
      }
      const refused = await starter.start(runId, graph, [...run.due], repair ? lost(run) : [])
      if (refused || run.open.size > 0) return refused
    }
    const { compensated, uncompensated } = run
    const undone = run.compensating ? { compensated, ...(uncompensated.length > 0 && { uncompensated }) } : {}
    await end(runId, run, 'failed', { step, error, ...undone })
    return false
  }

  async function end(runId: string, run: FlowRun, outcome: RunOutcome, data: object): Promise<boolean> {
    const graph = graphOf(run.flow!)
    const event: EventDraft = { type: `flow.${outcome}`, key: 'end', flow: graph.name, data }
    const result = await append(runId, [event], { unless: 'end', run: { status: outcome } })
    projection.forget(runId)
    if (!result.ok) return false
    await afterEnd(runId, graph, run, outcome, reasonOf(outcome, data), data)
    return true
  }

  /** Takes out what still waits, stops what runs, and tells whoever waits for the run. */
  async function afterEnd(
    runId: string,
    graph: FlowGraph,
    run: FlowRun,
    outcome: RunOutcome,
    reason: string,
    data?: object,
  ): Promise<void> {
    if (run.open.size > 0) await stopper.clear(runId, graph, [...run.open], reason)
    if (outcome !== 'completed') {
      for (const [child, { flow }] of run.children) await cancel(child, reason, { flow, startedBy: runId })
    }
    const keys = [...(run.start.parent?.waits ? [runId] : []), ...run.listeners]
    if (keys.length === 0) return
    const ended: FlowEnded = { runId, flow: graph.name, outcome, data: data ?? (await endOf(runId)) }
    for (const key of keys) await kernel.sendReserved(FLOW_ENDED, ended, { id: key, key })
  }

  /**
   * Ends a run as cancelled. What follows is done here, and once more by a job in case this process dies.
   *
   * @param only.flow the one it is of, where it may not have begun
   * @param only.startedBy leaves a run alone that no job of this other run has started
   */
  async function cancel(
    runId: string,
    reason: string,
    { flow, startedBy }: { flow?: string; startedBy?: string },
  ): Promise<boolean> {
    const { state: run } = await begun(runId, flow, startedBy)
    if (run.flow === undefined || run.outcome !== undefined) return false
    if (startedBy !== undefined && run.start.parent?.runId !== startedBy) return false
    await carryAfterwards(kernel, `cancel.${runId}`, { runId })
    return end(runId, run, 'cancelled', { reason })
  }

  /** A run whose entry is still queued begins its log with its end. */
  async function begun(runId: string, flow: string | undefined, startedBy: string | undefined) {
    const current = await projection.current(runId)
    if (current.state.flow !== undefined || flow === undefined) return current
    const entry = await findUnstarted(kernel, runId, graphOf(flow))
    if (!entry || (startedBy !== undefined && entry.flow?.start?.parent?.runId !== startedBy)) return current
    await append(runId, [startedEvent(graphOf(flow), entry)], { run: runOf(entry) })
    return projection.current(runId)
  }

  async function endOf(runId: string): Promise<object> {
    const event = await kernel.port('events').byKey(runId, 'end')
    return event?.data ?? {}
  }

  return {
    graphOf,
    carryOn,
    /** Whether an append to a run is this engine's, which looks itself at what follows. */
    isAppending: (runId: string): boolean => appending.getStore() === runId,
    /** The run as its log tells it now. Not to be changed. */
    current: async (runId: string): Promise<Readonly<FlowRun>> => (await projection.current(runId)).state,
    start: (runId: string, graph: FlowGraph, instances: readonly Startable[]) =>
      starter.enqueue(runId, graph, instances),
    forgetGraphs: () => graphs.clear(),
    cancel,
    /** Makes room for runs in which something happens. */
    forget: (runId: string) => projection.forget(runId),
  }
}
export type FlowEngine = ReturnType<typeof createFlowEngine>

/** Jobs that are on record as queued: whoever recorded them may have died before it queued them. */
function lost({ open }: FlowRun): Instance[] {
  return [...open].filter(({ status }) => status === 'queued')
}

function reasonOf(outcome: RunOutcome, data: { step?: string; reason?: string }): string {
  if (outcome === 'completed') return 'the run is complete'
  return outcome === 'failed' ? `step "${data.step}" failed` : (data.reason ?? 'the run was cancelled')
}
