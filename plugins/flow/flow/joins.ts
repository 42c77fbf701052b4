import { losersOf, type FlowGraph, type FlowStep } from './graph.ts'
import type { Branch, FlowRun, Instance } from './run.ts'

interface Arrival {
  event: string
  payload: unknown
  lineage: readonly Branch[]
  from: Instance
}

/**
 * Records that an event has arrived. Returns the data of the step once enough events have arrived. Events meet
 * only if they descend from the same branch of a fan-out. A join of all events starts over after it has run, so
 * that a loop can pass it again.
 */
export function arriveAtJoin(
  run: FlowRun,
  graph: FlowGraph,
  step: FlowStep,
  { event, payload, lineage, from }: Arrival,
): { data: unknown } | undefined {
  const key = keyOf(step.step, lineage)
  const begun = { step: step.step, arrived: new Map<string, unknown>(), fired: false, losers: undefined }
  const join = run.joins.get(key) ?? begun
  run.joins.set(key, join)
  if (join.fired) return undefined
  join.arrived.set(event, payload)
  if (join.arrived.size < step.needs) return undefined
  if (step.needs === step.subscribes.length) run.joins.delete(key)
  else join.fired = true
  if (join.fired && step.cancelsLosers) {
    join.losers = losersOf(graph, step)
    for (const instance of run.open) {
      if (instance !== from && isLosing(run, graph, instance)) run.losing.add(instance)
    }
  }
  return { data: step.single ? payload : Object.fromEntries(join.arrived) }
}

/** Whether every path of an instance leads to a join that has run already. */
export function isLosing(run: FlowRun, graph: FlowGraph, { step, lineage }: Instance): boolean {
  if (run.joins.size === 0) return false
  for (const { step: join, cancelsLosers } of graph.steps.values()) {
    if (cancelsLosers && run.joins.get(keyOf(join, lineage))?.losers?.has(step)) return true
  }
  return false
}

function keyOf(step: string, lineage: readonly Branch[]): string {
  return [step, ...lineage.map(({ cause }) => cause)].join(' ')
}
