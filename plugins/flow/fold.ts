import type { SerializedError, StoredEvent } from '../../kernel/index.ts'
import type { FlowGraph, FlowStep } from './graph.ts'

/** One job of a flow, as its events tell. */
export interface Instance {
  /** Its job id. */
  id: string
  step: string
  /** `due`: something caused it, `queued`: that is on record, `open`: it has started. */
  status: 'due' | 'queued' | 'open' | 'ended'
  /** `seq` of the event that caused it; absent for the entry. */
  cause: number | undefined
  /** What its job receives; forgotten once it has started. */
  data: unknown
  /** The fan-outs it descends from. */
  groups: readonly Group[]
}

/** What one job fanned out with one event. */
interface Group {
  event: string
  /** `seq` of the first emit. */
  seq: number
  parent: Instance
  /** Jobs in it that have not ended. */
  open: number
  /** No more will come, since the job that emits has ended. */
  closed: boolean
  /** What its jobs emitted for the steps that gather it, by step and event. */
  gathered: Map<string, Map<string, unknown[]>>
}

interface Arrival {
  payload: unknown
  emitter: Instance
}

/** Everything the engine decides by, derived from the log alone. */
export interface FlowState {
  flow: string | undefined
  ended: boolean
  instances: Map<string, Instance>
  /** Instances that have not ended. */
  open: Set<Instance>
  /** The first step that failed for good. */
  failure: { step: string; error: SerializedError } | undefined
  /** What the last completed step returned. */
  result: unknown
  groups: Map<string, Group>
  arrivals: Map<string, Map<string, Arrival>>
  /** Steps with `join: 'any'` that have been started. */
  fired: Set<string>
}

export interface EmitData {
  event: string
  payload: unknown
}

export function createFlowState(): FlowState {
  return {
    flow: undefined,
    ended: false,
    instances: new Map(),
    open: new Set(),
    failure: undefined,
    result: undefined,
    groups: new Map(),
    arrivals: new Map(),
    fired: new Set(),
  }
}

/** Job ids derive from what causes a step, so that doing it twice is doing it once. */
export function instanceId(runId: string, step: string, cause?: number): string {
  return cause === undefined ? `${runId}.${step}` : `${runId}.${step}.${cause}`
}

export function foldFlow(state: FlowState, events: readonly StoredEvent[], graphOf: (flow: string) => FlowGraph): void {
  for (const event of events) {
    if (event.flow === undefined) continue
    state.flow = event.flow
    const graph = graphOf(event.flow)
    switch (event.type) {
      case 'step.queued':
        advance(state, event, 'queued')
        break
      case 'step.started':
        advance(state, event, 'open')
        break
      case 'emit':
        arrive(state, graph, event)
        break
      case 'step.completed':
        state.result = (event.data as { result?: unknown }).result
        finish(state, graph, event)
        break
      case 'step.failed':
        if (graph.steps.get(event.step!)?.onError !== 'continue') {
          state.failure ??= { step: event.step!, error: (event.data as { error: SerializedError }).error }
        }
        finish(state, graph, event)
        break
      case 'step.cancelled':
        finish(state, graph, event)
        break
      case 'flow.completed':
      case 'flow.failed':
      case 'flow.cancelled':
        state.ended = true
    }
  }
}

/** The entry is known by its first event; every other instance by what caused it. */
function instanceOf(state: FlowState, { stepId, step }: StoredEvent): Instance {
  return state.instances.get(stepId!) ?? add(state, stepId!, step!, undefined, undefined, [])
}

function add(
  state: FlowState,
  id: string,
  step: string,
  cause: number | undefined,
  data: unknown,
  groups: readonly Group[],
): Instance {
  const instance: Instance = { id, step, status: 'due', cause, data, groups }
  state.instances.set(id, instance)
  state.open.add(instance)
  for (const group of groups) group.open++
  return instance
}

function advance(state: FlowState, event: StoredEvent, status: 'queued' | 'open'): void {
  const instance = instanceOf(state, event)
  if (instance.status === 'ended') return
  instance.status = status
  if (status === 'open') instance.data = undefined
}

function arrive(state: FlowState, graph: FlowGraph, { seq, runId, data, ...event }: StoredEvent): void {
  const emitter = instanceOf(state, { seq, runId, data, ...event })
  const { event: name, payload } = data as EmitData
  const groups = withGroup(state, graph, emitter, name, seq)
  const start = (step: FlowStep, input: unknown, lineage: readonly Group[]): void => {
    add(state, instanceId(runId, step.step, seq), step.step, seq, input, lineage)
  }
  for (const step of graph.subscribers.get(name) ?? []) {
    if (step.trigger === 'each') start(step, payload, groups)
    else if (step.trigger === 'gather') gather(emitter, step, name, payload)
    else if (step.trigger === 'any') {
      if (!state.fired.has(step.step)) start(step, payload, groups)
      state.fired.add(step.step)
    } else joinAll(state, step, name, { payload, emitter }, start)
  }
}

/** The lineage of what an emit starts: its emitter's, and the fan-out if a step gathers it. */
function withGroup(
  state: FlowState,
  graph: FlowGraph,
  emitter: Instance,
  event: string,
  seq: number,
): readonly Group[] {
  if (!graph.gatherers.has(event)) return emitter.groups
  const key = `${emitter.id} ${event}`
  let group = state.groups.get(key)
  if (!group) {
    group = { event, seq, parent: emitter, open: 0, closed: false, gathered: new Map() }
    state.groups.set(key, group)
  }
  return [...emitter.groups, group]
}

function gather(emitter: Instance, step: FlowStep, event: string, payload: unknown): void {
  const group = emitter.groups.findLast((candidate) => candidate.event === step.gather)
  if (!group) return
  const byEvent = group.gathered.get(step.step) ?? new Map<string, unknown[]>()
  group.gathered.set(step.step, byEvent)
  const payloads = byEvent.get(event)
  if (payloads) payloads.push(payload)
  else byEvent.set(event, [payload])
}

function joinAll(
  state: FlowState,
  step: FlowStep,
  event: string,
  arrival: Arrival,
  start: (step: FlowStep, input: unknown, lineage: readonly Group[]) => void,
): void {
  const arrived = state.arrivals.get(step.step) ?? new Map<string, Arrival>()
  state.arrivals.set(step.step, arrived.set(event, arrival))
  if (!step.subscribes.every((name) => arrived.has(name))) return
  state.arrivals.delete(step.step)
  const [first, ...others] = [...arrived.values()].map(({ emitter }) => emitter.groups)
  const lineage = first!.filter((group) => others.every((groups) => groups.includes(group)))
  start(step, Object.fromEntries([...arrived].map(([name, { payload }]) => [name, payload])), lineage)
}

function finish(state: FlowState, graph: FlowGraph, event: StoredEvent): void {
  const instance = instanceOf(state, event)
  if (instance.status === 'ended') return
  instance.status = 'ended'
  instance.data = undefined
  state.open.delete(instance)
  for (const group of state.groups.values()) {
    if (group.parent === instance) group.closed = true
  }
  for (const group of instance.groups) group.open--
  for (const [key, group] of state.groups) {
    if (!group.closed || group.open > 0) continue
    state.groups.delete(key)
    for (const step of graph.gatherers.get(group.event) ?? []) {
      const gathered = group.gathered.get(step.step)
      const data = Object.fromEntries(step.subscribes.map((name) => [name, gathered?.get(name) ?? []]))
      add(state, instanceId(event.runId, step.step, group.seq), step.step, group.seq, data, group.parent.groups)
    }
  }
}
