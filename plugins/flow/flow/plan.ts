import type { EventDraft, Job, StoredEvent } from '../../../kernel/index.ts'
import type { FlowGraph } from './graph.ts'
import { causeOf, instanceId, MAX_DEPTH, type EmitData } from './run.ts'
import { queuedEvent, type Startable } from './start.ts'

/** What the completion of a step brings about, as far as the step alone can tell. */
export interface Plan {
  /** Fan-outs that the step is done with; stored before its completion. */
  closed: EventDraft[]
  /** Stored behind the completion. */
  queued: EventDraft[]
  /** To be queued once that is stored. */
  steps: Startable[]
  /** The rest needs to know the run: a join, a fan-in, a limit, or perhaps its end. */
  needsRun: boolean
}

/**
 * Most steps start others that wait for nothing else. Those are put on record with the completion
 * itself, which spares a reading of the log and a write.
 *
 * @param events what is stored with the completion
 */
export function planNext(
  graph: FlowGraph,
  { id, runId, flow }: Job,
  events: readonly (EventDraft | StoredEvent)[],
): Plan {
  const closed = closedGroups(graph, flow!.step, events).map((event) => groupClosed(graph, flow!.step, id, event))
  const plan: Plan = { closed, queued: [], steps: [], needsRun: false }
  const depth = (flow!.depth ?? 0) + 1
  const alone = graph.compensations.size === 0 && depth <= MAX_DEPTH
  for (const { type, data } of events) {
    if (type !== 'emit') continue
    const { event, payload, n } = data as EmitData
    const cause = causeOf(flow!, n)
    for (const { step, trigger, limit } of graph.subscribers.get(event) ?? []) {
      if (!alone || trigger !== 'each' || limit !== undefined) plan.needsRun = true
      else plan.steps.push({ id: instanceId(runId, step, cause), step, cause, depth, data: payload })
    }
  }
  plan.queued = plan.steps.map((step) => queuedEvent(graph, step))
  plan.needsRun ||= plan.steps.length === 0 || graph.gatherers.size > 0
  return plan
}

/** Fan-outs that this step is done with: those it declares, and those it has made. */
function closedGroups(
  { gatherers, steps }: FlowGraph,
  step: string,
  events: readonly (EventDraft | StoredEvent)[],
): string[] {
  if (gatherers.size === 0) return []
  const emitted = events.flatMap(({ type, data }) => (type === 'emit' ? [(data as EmitData).event] : []))
  const candidates = new Set([...(steps.get(step)?.emits ?? []), ...emitted])
  return [...candidates].filter((event) => gatherers.has(event))
}

function groupClosed({ name }: FlowGraph, step: string, stepId: string, event: string): EventDraft {
  return { type: 'group.closed', data: { event }, flow: name, step, stepId }
}
