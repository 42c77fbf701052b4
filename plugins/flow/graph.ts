import { QueueError, type Registry, type WorkerDefinition } from '../../kernel/index.ts'

/** The place of a worker in a flow, as its config tells. */
export interface FlowOptions {
  /** The flow it belongs to. */
  name: string
  /** A flow has one entry, which starts a run, and any number of steps. */
  role: 'entry' | 'step'
  /** Unique in the flow. Default: the worker's id. */
  step?: string
  /** The events that start this step. */
  subscribes?: string | readonly string[]
  /** The events it may emit; others are refused. Default: any that a step subscribes to. */
  emits?: readonly string[]
  /**
   * With several subscriptions: `all` runs once all have arrived and receives `{ event: payload }`,
   * `any` runs once for the first one and receives its payload. Default `all`.
   */
  join?: 'all' | 'any'
  /**
   * Fans in: names the event that fanned out. The step runs once after every job that those emits
   * started, directly or further on, has ended, and receives `{ event: payload[] }` of what it
   * subscribes to.
   */
  gather?: string
  /** When the step fails for good: `fail` fails the run, `continue` carries on without it. Default `fail`. */
  onError?: 'fail' | 'continue'
}

export interface FlowStep {
  step: string
  worker: WorkerDefinition
  subscribes: readonly string[]
  /** How emitted events turn into jobs of this step. */
  trigger: 'each' | 'any' | 'all' | 'gather'
  gather: string | undefined
  onError: 'fail' | 'continue'
}

export interface FlowGraph {
  name: string
  entry: FlowStep
  steps: ReadonlyMap<string, FlowStep>
  /** The steps by the events they subscribe to. */
  subscribers: ReadonlyMap<string, readonly FlowStep[]>
  /** The steps that gather what an event fanned out. */
  gatherers: ReadonlyMap<string, readonly FlowStep[]>
}

/** @throws QueueError `FLOW_UNKNOWN`, `FLOW_INVALID` */
export function buildGraph(name: string, registry: Registry): FlowGraph {
  const members = registry.workers.filter(({ worker }) => worker.flow?.name === name)
  const entries = members.filter(({ worker }) => worker.flow?.role === 'entry')
  if (entries.length === 0) {
    const flows = registry.workers.flatMap(({ worker: { flow } }) => (flow?.role === 'entry' ? [flow.name] : []))
    throw new QueueError(
      'FLOW_UNKNOWN',
      `No worker is the entry of flow "${name}". Flows: ${flows.join(', ') || 'none'}.`,
    )
  }
  if (entries.length > 1) {
    const ids = entries.map(({ id }) => id).join(', ')
    throw new QueueError(
      'FLOW_INVALID',
      `Flow "${name}" has ${entries.length} entries: ${ids}. Make all but one steps.`,
    )
  }
  const steps = new Map<string, FlowStep>()
  for (const worker of members) {
    const step = toStep(worker)
    const there = steps.get(step.step)
    if (there) {
      const ids = `${there.worker.id} and ${worker.id}`
      throw new QueueError('FLOW_INVALID', `Flow "${name}" has two steps "${step.step}": ${ids}. Rename one.`)
    }
    steps.set(step.step, step)
  }
  const all = [...steps.values()]
  const subscribed = [...new Set(all.flatMap(({ subscribes }) => subscribes))]
  const gathered = all.flatMap(({ gather }) => (gather === undefined ? [] : [gather]))
  return {
    name,
    entry: all.find(({ worker }) => worker === entries[0])!,
    steps,
    subscribers: new Map(subscribed.map((event) => [event, all.filter((step) => step.subscribes.includes(event))])),
    gatherers: new Map(gathered.map((event) => [event, all.filter((step) => step.gather === event)])),
  }
}

function toStep(worker: WorkerDefinition): FlowStep {
  const { name, role, step = worker.id, subscribes = [], join = 'all', gather, onError = 'fail' } = worker.worker.flow!
  const events = typeof subscribes === 'string' ? [subscribes] : subscribes
  if ((role === 'entry') !== (events.length === 0)) {
    const what = role === 'entry' ? 'is the entry and subscribes to nothing' : 'is a step and needs "subscribes"'
    throw new QueueError('FLOW_INVALID', `Worker "${worker.id}" of flow "${name}" ${what}.`)
  }
  const trigger = gather !== undefined ? 'gather' : events.length > 1 ? join : 'each'
  return { step, worker, subscribes: events, trigger, gather, onError }
}

/** @throws QueueError `FLOW_INVALID` for an event that the step does not declare or nobody waits for */
export function assertEmits({ name, subscribers, gatherers }: FlowGraph, step: WorkerDefinition, event: string): void {
  const declared = step.worker.flow?.emits
  const allowed = declared ?? [...new Set([...subscribers.keys(), ...gatherers.keys()])]
  if (allowed.includes(event)) return
  const hint = declared ? 'Add it to "emits".' : 'No step subscribes to it.'
  throw new QueueError(
    'FLOW_INVALID',
    `Step "${step.id}" of flow "${name}" may not emit "${event}". ${hint} It may emit: ${allowed.join(', ') || 'nothing'}.`,
  )
}
