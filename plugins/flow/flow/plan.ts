import type { EventDraft, Job, StoredEvent } from '../../../kernel/index.ts'
import type { FlowGraph } from './graph.ts'
import { causeOf, instanceId, MAX_DEPTH, type EmitData } from './run.ts'
import { queuedEvent, type Startable } from './start.ts'

/** The consequences of the completion of a step that are known without reading the run. */
export interface Plan {
  /** `group.closed` events of fan-outs that this step closes. They are stored before its completion. */
  closed: EventDraft[]
  /** `step.queued` events. They are stored after the completion. */
  queued: EventDraft[]
  /** Steps to enqueue once the events are stored. */
  steps: Startable[]
  /** True when the rest depends on the run: a join, a fan-in, a limit, or the end of the run. */
  needsRun: boolean
}

/**
 * Plans the steps that wait only for this completion. They are recorded in the same write, which saves one read of the log and one write.
 * This covers most steps.
 *
 * @param events the events that are stored with the completion
 */
export function planNext(
  graph: FlowGraph,
  { id, runId, flow, headers }: Job,
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
      else
        plan.steps.push({
          id: instanceId(runId, step, cause),
          step,
          cause,
          depth,
          data: payload,
          headers,
          pin: flow!.pin,
        })
    }
  }
  plan.queued = plan.steps.map((step) => queuedEvent(graph, step))
  plan.needsRun ||= plan.steps.length === 0 || graph.gatherers.size > 0
  return plan
}

/** Returns the fan-out events that this step closes: those it declares, and those it has emitted. */
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
