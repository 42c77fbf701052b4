import type { SerializedError, StoredEvent } from '../../kernel/index.ts'
import type { ForkedData } from './copy.ts'
import { closeGroup, closeGroups, gather, leaveGroups, branchOf } from './groups.ts'
import type { FlowGraph, FlowStep } from './graph.ts'
import { arriveAtJoin, isLosing } from './joins.ts'
import {
  causeOf,
  instanceId,
  MAX_DEPTH,
  type Branch,
  type EmitData,
  type FlowRun,
  type Group,
  type Instance,
  type StartedData,
} from './run.ts'

/** What an instance begins with. */
interface Beginning {
  cause: string
  data: unknown
  lineage: readonly Branch[]
  /** The instance whose end or emit brought it about. */
  from: Instance
}

export function foldFlow(run: FlowRun, events: readonly StoredEvent[], graphOf: (flow: string) => FlowGraph): void {
  for (const event of events) {
    if (event.flow !== undefined) foldEvent(run, event, graphOf(event.flow))
  }
}

function foldEvent(run: FlowRun, event: StoredEvent, graph: FlowGraph): void {
  switch (event.type) {
    case 'flow.started':
      begin(run, event)
      break
    case 'flow.forked':
      goOn(run, event)
      break
    case 'step.queued':
    case 'step.started':
      advance(run, event)
      break
    case 'emit':
      arrive(run, graph, event)
      break
    case 'group.closed': {
      const group = closeGroup(instanceOf(run, event), (event.data as { event: string }).event)
      if (!run.failure) startGathered(run, graph, event.runId, [group])
      break
    }
    case 'step.completed':
      complete(run, graph, event)
      break
    case 'step.failed':
      fail(run, graph, event)
      break
    case 'step.cancelled':
      finish(run, graph, event)
      break
    case 'flow.child': {
      const { runId, flow, wait } = event.data as { runId: string; flow: string; wait: boolean }
      if (wait) run.children.set(runId, flow)
      break
    }
    case 'flow.compensating':
      run.compensating = true
      compensateNext(run, graph, event.runId)
      break
    case 'flow.completed':
    case 'flow.failed':
    case 'flow.cancelled':
      run.outcome = event.type.slice('flow.'.length) as FlowRun['outcome']
  }
}

function begin(run: FlowRun, { flow, stepId, data }: StoredEvent): void {
  const { input, step, version, tags, parent, forkedFrom } = data as StartedData
  run.flow = flow
  run.version = version
  run.start = { tags, parent }
  run.copying = forkedFrom !== undefined
  const instance = add(run, stepId!, step, undefined)
  instance.data = input
  advanceTo(run, instance, 'queued')
}

/** The copy that a fork begins with is complete. */
function goOn(run: FlowRun, { data }: StoredEvent): void {
  const { replace } = data as ForkedData
  run.copying = false
  for (const instance of run.open) {
    instance.forked = true
    if (replace && (replace.job ?? instance.id) === instance.id) instance.data = replace.data
  }
}

function instanceOf(run: FlowRun, { stepId, step }: StoredEvent): Instance {
  return run.instances.get(stepId!) ?? add(run, stepId!, step!, undefined)
}

function add(run: FlowRun, id: string, step: string, begins: Beginning | undefined): Instance {
  const { cause, data, lineage = [], from } = begins ?? {}
  const depth = from ? from.depth + 1 : 0
  const visits = from?.visits ?? new Map<string, number>()
  const instance: Instance = {
    id,
    step,
    status: 'due',
    cause,
    depth,
    visits,
    data,
    lineage,
    groups: undefined,
  }
  run.instances.set(id, instance)
  run.open.add(instance)
  run.due.add(instance)
  for (const { group } of lineage) group.open++
  return instance
}

function advance(run: FlowRun, event: StoredEvent): void {
  const instance = instanceOf(run, event)
  if (instance.status === 'ended') return
  advanceTo(run, instance, event.type === 'step.started' ? 'open' : 'queued')
}

function advanceTo(run: FlowRun, instance: Instance, status: 'queued' | 'open'): void {
  if (instance.status !== 'open') instance.status = status
  run.due.delete(instance)
}

/** Starts what an emit causes. After a failure nothing new begins. */
function arrive(run: FlowRun, graph: FlowGraph, event: StoredEvent): void {
  if (run.failure) return
  const { event: name, payload, n } = event.data as EmitData
  const from = instanceOf(run, event)
  const cause = causeOf(from, n)
  const branch = graph.gatherers.has(name) ? branchOf(from, name, cause) : undefined
  const lineage = branch ? [...from.lineage, branch] : from.lineage
  for (const step of graph.subscribers.get(name) ?? []) {
    if (step.trigger === 'gather') gather(from, step, name, payload)
    else if (step.trigger === 'each') startStep(run, graph, event.runId, step, { cause, data: payload, lineage, from })
    else {
      const data = arriveAtJoin(run, graph, step, { event: name, payload, lineage, from })
      if (data) startStep(run, graph, event.runId, step, { cause, data: data.data, lineage, from })
    }
  }
}

function startStep(run: FlowRun, graph: FlowGraph, runId: string, step: FlowStep, begins: Beginning): void {
  const id = instanceId(runId, step.step, begins.cause)
  if (run.instances.has(id)) return
  const instance = add(run, id, step.step, begins)
  const seen = step.limit === undefined ? 0 : (begins.from.visits.get(step.step) ?? 0) + 1
  if (step.limit !== undefined) instance.visits = new Map(instance.visits).set(step.step, seen)
  if (seen > (step.limit ?? 0)) return exceed(run, step, `more than ${step.limit} times on one path`)
  if (instance.depth > MAX_DEPTH) return exceed(run, step, `at the end of a path of more than ${MAX_DEPTH} emits`)
  if (isLosing(run, graph, instance)) run.losing.add(instance)
}

function exceed(run: FlowRun, { step, onError }: FlowStep, how: string): void {
  const message = `Step "${step}" would run ${how}. Raise its "limit", or see why the loop does not end.`
  const error: SerializedError = { name: 'QueueError', code: 'FLOW_LIMIT', message }
  run.failure ??= { step, error, compensate: onError === 'compensate' }
}

function complete(run: FlowRun, graph: FlowGraph, event: StoredEvent): void {
  const instance = instanceOf(run, event)
  if (instance.status === 'ended') return
  const { result } = event.data as { result?: unknown }
  if (graph.steps.get(instance.step)?.role === 'compensation') run.compensated.push(instance.step)
  else run.result = result
  if (graph.compensations.has(instance.step)) run.undo.push({ instance, result })
  finish(run, graph, event)
}

function fail(run: FlowRun, graph: FlowGraph, event: StoredEvent): void {
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

function finish(run: FlowRun, graph: FlowGraph, event: StoredEvent): void {
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

/** Starts the steps that gather groups in which nothing is open and to which nothing is added any more. */
function startGathered(run: FlowRun, graph: FlowGraph, runId: string, groups: readonly Group[]): void {
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

/** Undoes one completed step at a time, the last one first, once nothing else is open. */
function compensateNext(run: FlowRun, graph: FlowGraph, runId: string): void {
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
