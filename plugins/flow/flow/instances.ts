import type { SerializedError, StoredEvent } from '../../../kernel/index.ts'
import type { FlowGraph, FlowStep } from './graph.ts'
import { isLosing } from './joins.ts'
import { instanceId, MAX_DEPTH, type Branch, type FlowRun, type Instance } from './run.ts'

/** The initial values of an instance. */
interface Beginning {
  cause: string
  data: unknown
  lineage: readonly Branch[]
  /** The instance whose end or emit caused it. */
  from: Instance
}

export function instanceOf(run: FlowRun, { stepId, step }: StoredEvent): Instance {
  return run.instances.get(stepId!) ?? add(run, stepId!, step!, undefined)
}

export function add(run: FlowRun, id: string, step: string, begins: Beginning | undefined): Instance {
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

export function setStatus(run: FlowRun, instance: Instance, status: 'queued' | 'open'): void {
  if (instance.status !== 'open') instance.status = status
  run.due.delete(instance)
}

export function startStep(run: FlowRun, graph: FlowGraph, runId: string, step: FlowStep, begins: Beginning): void {
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
  const message = `Step "${step}" would run ${how}. Raise its "limit", or find out why the loop does not end.`
  const error: SerializedError = { name: 'QueueError', code: 'FLOW_LIMIT', message }
  run.failure ??= { step, error, compensate: onError === 'compensate' }
}
