import { AsyncLocalStorage } from 'node:async_hooks'
import type { EventDraft, PluginKernel, RunOutcome } from '../../../kernel/index.ts'
import { keyedCoalescer } from '../../lib/keyed-coalescer.ts'
import { createProjection } from '../../lib/projection.ts'
import { repeatLater } from './advance-job.ts'
import { foldFlow } from './fold.ts'
import { buildGraph, type FlowGraph } from './graph.ts'
import { createFlowRun, type FlowRun, type Instance } from './run.ts'
import { createStepStarter, type Append, type Startable } from './start.ts'
import { findUnstarted, runPatchOf, startedEvent } from './unstarted.ts'
import { createStopper } from './stop.ts'

/** The event that reports the end of a run. Its key is the run's id, or the key of a listener. */
export const FLOW_ENDED = 'flow.ended'

export interface FlowEnded {
  runId: string
  flow: string
  outcome: RunOutcome
  data: object
}

/** The state of a run, and the `seq` of the last event that was read. */
interface ReadRun {
  state: FlowRun
  seq: number
}

/**
 * Advances runs: derives the next actions from the log, and takes them. Every action may safely be repeated,
 * because ids and keys derive from their causes.
 *
 * ```
 *             flow.started
 *                  │
 *                  ▼          all steps ended
 *   ┌────────── running ───────────────────────▶ completed
 *   │              │ a step failed permanently
 *   │              ▼          nothing to undo
 *   │           failing ───────────────────────▶ failed
 *   │              │ flow.compensating              ▲
 *   │              ▼          everything undone     │
 *   │         compensating ─────────────────────────┘
 *   │              │
 *   └──────────────┴── cancel() ───────────────▶ cancelled
 * ```
 *
 * A fork begins as `copying`, and becomes `running` with `flow.forked`. `failing` and `compensating` can be
 * cancelled too. A run ends once: its end has the key `end`, and the log does not accept a second end.
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
  /** The run that this engine appends to. The events do not identify it, because `emit` hooks may replace them. */
  const appending = new AsyncLocalStorage<string>()
  /** Appends events of the engine itself. The `emit` hook skips them, because the engine continues by itself. */
  const append: Append = (runId, events, options) => appending.run(runId, () => kernel.emit(runId, events, options))
  const starter = createStepStarter(kernel, append)
  const stopper = createStopper(kernel, append)

  /**
   * Starts the steps that are due, stops the losers of joins, and ends the run when nothing is open.
   * With `repair` it also repeats actions that are recorded but may have been lost in a crash.
   */
  const advance = keyedCoalescer(async (runId: string, { repair }: { repair: boolean }): Promise<void> => {
    let again = repair
    for (let hasMore = true; hasMore; again = false) {
      const folded = await projection.current(runId)
      const run = folded.state
      if (run.flow === undefined || run.copying) return
      const graph = graphOf(run.flow)
      if (run.outcome) {
        projection.forget(runId)
        if (repair) await afterEnd(runId, graph, run, run.outcome, `the run is ${run.outcome}`)
        return
      }
      hasMore = run.failure
        ? await finishFailedRun(runId, graph, folded, again)
        : await advanceOnce(runId, graph, folded, again)
    }
  })

  /** Returns true when the log has changed and has to be read again. */
  async function advanceOnce(runId: string, graph: FlowGraph, folded: ReadRun, repair: boolean): Promise<boolean> {
    const run = folded.state
    if (run.losing.size > 0) {
      await stopper.stop(runId, graph, [...run.losing], 'nothing waits for it any more')
      return true
    }
    if (run.due.size > 0 || repair) {
      const refused = await starter.start(runId, graph, run, repair ? lost(run) : [])
      if (refused) return true
    }
    if (run.open.size > 0) return false
    const { cancelled: reason, result } = run
    // An event that was stored since the read, such as an emit of an update, may start another step.
    const ended =
      reason === undefined
        ? await end(runId, folded, 'completed', { result }, folded.seq)
        : await end(runId, folded, 'cancelled', { reason }, folded.seq)
    return ended === 'moved'
  }

  /** Finishes a run that has failed: undoes completed steps if the failed step asks for it, then ends the run. */
  async function finishFailedRun(runId: string, graph: FlowGraph, folded: ReadRun, repair: boolean): Promise<boolean> {
    const run = folded.state
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
      const refused = await starter.start(runId, graph, run, repair ? lost(run) : [])
      if (refused || run.open.size > 0) return refused
    }
    const { compensated, uncompensated } = run
    const undone = run.compensating ? { compensated, ...(uncompensated.length > 0 && { uncompensated }) } : {}
    await end(runId, folded, 'failed', { step, error, ...undone })
    return false
  }

  /**
   * Ends a run. Returns `moved` if the log has newer events than `expectedSeq`, and `before` if the run had already ended. Then nothing
   * is stored.
   */
  async function end(
    runId: string,
    folded: ReadRun,
    outcome: RunOutcome,
    data: object,
    expectedSeq?: number,
  ): Promise<'now' | 'before' | 'moved'> {
    const { state: run, seq } = folded
    const graph = graphOf(run.flow!)
    const event: EventDraft = { type: `flow.${outcome}`, key: 'end', flow: graph.name, data }
    const result = await append(runId, [event], { unless: 'end', run: { status: outcome }, expectedSeq })
    if (!result.ok && result.reason === 'expectedSeq') return 'moved'
    // If something was stored between the last read and the end, another run may have begun to wait for this one.
    const isComplete = result.ok && result.events[0]?.seq === seq + 1
    const ended = result.ok && !isComplete ? (await projection.current(runId)).state : run
    projection.forget(runId)
    if (!result.ok) return 'before'
    await afterEnd(runId, graph, ended, outcome, reasonOf(outcome, data), data)
    return 'now'
  }

  /** Removes queued jobs, stops running ones, cancels child runs, and notifies the waits for this run. */
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
   * Ends a run as cancelled. The follow-up runs here, and again in a job in case this process dies.
   *
   * @param only.flow the flow of the run; needed when the run may not have begun
   * @param only.startedBy cancels the run only if a job of this other run started it
   */
  async function cancel(
    runId: string,
    reason: string,
    { flow, startedBy }: { flow?: string; startedBy?: string },
  ): Promise<boolean> {
    const folded = await beginIfQueued(runId, flow, startedBy)
    const run = folded.state
    if (run.flow === undefined || run.outcome !== undefined) return false
    if (startedBy !== undefined && run.start.parent?.runId !== startedBy) return false
    await repeatLater(kernel, `cancel.${runId}`, { runId })
    return (await end(runId, folded, 'cancelled', { reason })) === 'now'
  }

  /** Returns the run. If its entry is still queued, the run has no log yet, and its first event is stored first. */
  async function beginIfQueued(runId: string, flow: string | undefined, startedBy: string | undefined) {
    const current = await projection.current(runId)
    if (current.state.flow !== undefined || flow === undefined) return current
    const entry = await findUnstarted(kernel, runId, graphOf(flow))
    // A worker may have begun the run since the first read.
    if (!entry) return projection.current(runId)
    if (startedBy !== undefined && entry.flow?.start?.parent?.runId !== startedBy) return current
    await append(runId, [startedEvent(graphOf(flow), entry)], { run: runPatchOf(entry) })
    return projection.current(runId)
  }

  async function endOf(runId: string): Promise<object> {
    const event = await kernel.port('events').byKey(runId, 'end')
    return event?.data ?? {}
  }

  return {
    graphOf,
    advance,
    /** Whether this engine makes the current append to a run, and so continues the run by itself. */
    isAppending: (runId: string): boolean => appending.getStore() === runId,
    /** Returns the current state of a run. Callers must not change it. */
    current: async (runId: string): Promise<Readonly<FlowRun>> => (await projection.current(runId)).state,
    /** Returns the current state of a run, and begins the run if its entry is still queued. */
    begun: (runId: string, flow: string): Promise<Readonly<ReadRun>> => beginIfQueued(runId, flow, undefined),
    start: (runId: string, graph: FlowGraph, instances: readonly Startable[]) =>
      starter.enqueue(runId, graph, instances),
    forgetGraphs: () => graphs.clear(),
    cancel,
    /** Drops a run from the cache, to make room for active ones. */
    forget: (runId: string) => projection.forget(runId),
  }
}
export type FlowEngine = ReturnType<typeof createFlowEngine>

/** Returns jobs that are recorded as queued. A process may have died between the record and the enqueue. */
function lost({ open }: FlowRun): Instance[] {
  return [...open].filter(({ status }) => status === 'queued')
}

function reasonOf(outcome: RunOutcome, data: { step?: string; reason?: string }): string {
  if (outcome === 'completed') return 'the run is complete'
  return outcome === 'failed' ? `step "${data.step}" failed` : (data.reason ?? 'the run was cancelled')
}
