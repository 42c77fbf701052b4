import type { StoredEvent } from '../../../kernel/index.ts'
import type { ForkedData, ReplacedData } from './copy.ts'
import { compensateNext, complete, fail, finish, startGathered } from './ends.ts'
import { branchOf, closeGroup, gather } from './groups.ts'
import type { FlowGraph } from './graph.ts'
import { add, setStatus, instanceOf, startStep } from './instances.ts'
import { arriveAtJoin } from './joins.ts'
import { causeOf, type AwaitedData, type ChildData, type EmitData, type FlowRun, type StartedData } from './run.ts'

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
      startFork(run, event)
      break
    case 'flow.replaced':
      replaceData(run, event.data as ReplacedData)
      break
    case 'step.queued':
    case 'step.started':
      updateStatus(run, event)
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
      recordUnstartedCancel(run, event)
      finish(run, graph, event)
      break
    case 'flow.child': {
      const { runId, flow, wait } = event.data as ChildData
      if (wait) run.children.set(runId, { flow, jobId: event.stepId! })
      break
    }
    case 'flow.awaited':
      run.listeners.push((event.data as AwaitedData).key)
      break
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
  const { input, step, version, pin = false, tags, headers, parent, forkedFrom } = data as StartedData
  run.flow = flow
  run.version = version
  run.pin = pin
  run.start = { tags, headers, parent }
  run.copying = forkedFrom !== undefined
  const instance = add(run, stepId!, step, undefined)
  instance.data = input
  setStatus(run, instance, 'queued')
}

/** Starts a fork: its copy is complete. */
function startFork(run: FlowRun, { data }: StoredEvent): void {
  run.copying = false
  // The copied listeners wait for the original run.
  run.listeners = []
  for (const instance of run.open) instance.forked = true
  replaceData(run, data as ForkedData)
}

function replaceData(run: FlowRun, { replace }: ReplacedData): void {
  if (!replace) return
  for (const instance of run.open) {
    if ((replace.job ?? instance.id) === instance.id) instance.data = replace.data
  }
}

function recordUnstartedCancel(run: FlowRun, event: StoredEvent): void {
  const { cause, status } = instanceOf(run, event)
  if (cause === undefined && status === 'queued' && run.instances.size === 1) {
    run.cancelled = (event.data as { reason: string }).reason
  }
}

function updateStatus(run: FlowRun, event: StoredEvent): void {
  const instance = instanceOf(run, event)
  if (instance.status === 'ended') return
  setStatus(run, instance, event.type === 'step.started' ? 'open' : 'queued')
}

/** Starts the steps that an emit causes. After a failure no new step begins. */
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
