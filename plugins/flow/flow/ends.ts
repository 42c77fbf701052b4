import type { SerializedError, StoredEvent } from '../../../kernel/index.ts'
import { closeGroups, leaveGroups } from './groups.ts'
import type { FlowGraph, FlowStep } from './graph.ts'
import { add, instanceOf, startStep } from './instances.ts'
import { causeOf, instanceId, type FlowRun, type Group } from './run.ts'

export function complete(run: FlowRun, graph: FlowGraph, event: StoredEvent): void {
  const instance = instanceOf(run, event)
  if (instance.status === 'ended') return
  const { result } = event.data as { result?: unknown }
  if (graph.steps.get(instance.step)?.role === 'compensation') run.compensated.push(instance.step)
  else run.result = result
  if (graph.compensations.has(instance.step)) run.undo.push({ instance, result })
  finish(run, graph, event)
}

export function fail(run: FlowRun, graph: FlowGraph, event: StoredEvent): void {
  const instance = instanceOf(run, event)
  if (instance.status === 'ended') return
  const { role, onError = 'fail' } = graph.steps.get(instance.step) ?? {}
  const { error } = event.data as { error: SerializedError }
  if (role === 'compensation') run.uncompensated.push(instance.step)
  else if (onError !== 'continue') {
    run.failure ??= { step: instance.step, error, compensate: onError === 'compensate' }
  }
  finish(run, graph, event)
}

export function finish(run: FlowRun, graph: FlowGraph, event: StoredEvent): void {
  const instance = instanceOf(run, event)
  if (instance.status === 'ended') return
  instance.status = 'ended'
  if (!graph.compensations.has(instance.step)) instance.data = undefined
  run.open.delete(instance)
  run.due.delete(instance)
  run.losing.delete(instance)
  const over = [...closeGroups(instance), ...leaveGroups(instance)]
  if (!run.failure) startGathered(run, graph, event.runId, over)
  if (run.compensating) compensateNext(run, graph, event.runId)
}

/** Starts the steps that gather a group, for each closed group without open jobs. */
export function startGathered(run: FlowRun, graph: FlowGraph, runId: string, groups: readonly Group[]): void {
  for (const group of groups) {
    if (!group.closed || group.open > 0) continue
    const { cause, parent } = group
    group.parent.groups?.delete(group.event)
    for (const step of graph.gatherers.get(group.event) ?? []) {
      const data = gatheredOf(step, group)
      startStep(run, graph, runId, step, { cause, data, lineage: parent.lineage, from: parent })
    }
  }
}

function gatheredOf(step: FlowStep, { gathered }: Group): Record<string, unknown[]> {
  return Object.fromEntries(step.subscribes.map((event) => [event, gathered.get(step.step)?.get(event) ?? []]))
}

/** Undoes one completed step at a time, the latest first, once nothing else is open. */
export function compensateNext(run: FlowRun, graph: FlowGraph, runId: string): void {
  const next = run.open.size === 0 ? run.undo.pop() : undefined
  if (!next) return
  const { instance, result } = next
  const step = graph.compensations.get(instance.step)!
  const cause = causeOf(instance, 'undo')
  const data = { input: instance.data, result, error: run.failure?.error }
  add(run, instanceId(runId, step.step, cause), step.step, {
    cause,
    data,
    lineage: [],
    from: instance,
  })
}
