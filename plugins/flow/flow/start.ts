import {
  isFinalRefusal,
  isQueueError,
  serializeError,
  type AppendOptions,
  type AppendResult,
  type EnqueueItem,
  type EventDraft,
  type JobDraft,
  type JobFlow,
  type Kernel,
  type MaybePromise,
} from '../../../kernel/index.ts'
import type { FlowGraph } from './graph.ts'
import type { FlowRun, Instance } from './run.ts'

/** How many jobs one call records and enqueues. */
const CHUNK = 1000

/** The function with which the engine appends events. */
export type Append = (runId: string, events: EventDraft[], options?: AppendOptions) => MaybePromise<AppendResult>

/** The fields of an instance that the start of its job needs. */
export type Startable = Pick<Instance, 'id' | 'step' | 'cause' | 'depth' | 'data' | 'forked'> & {
  /** The headers of its job, instead of those of its run. */
  headers?: Headers
  /** Whether its run stays on the version with which it began. */
  pin?: boolean
}
type Headers = JobDraft['headers']
/** What all jobs of a run have in common. */
type OfRun = Pick<Startable, 'headers' | 'pin'>

/** Records steps as queued, and enqueues their jobs. */
export function createStepStarter(kernel: Kernel, append: Append) {
  /** Missing steps for which a warning was logged. */
  const warned = new Set<string>()

  /** Records steps as queued. Returns the steps that no other process had recorded. */
  async function record<I extends Startable>(runId: string, graph: FlowGraph, due: readonly I[]): Promise<I[]> {
    const events = due.map((instance) => ({ ...queuedEvent(graph, instance), key: `queued:${instance.id}` }))
    const result = await append(runId, events)
    if (!result.ok) return []
    const mine = new Set(result.events.map(({ stepId }) => stepId))
    return due.filter(({ id }) => mine.has(id))
  }

  /**
   * Enqueues jobs with the headers and the pin of their run. Returns true when a step was rejected permanently, so that the run has to be read again.
   */
  async function enqueue(
    runId: string,
    graph: FlowGraph,
    instances: readonly Startable[],
    shared: OfRun = {},
  ): Promise<boolean> {
    let refused = false
    for (let index = 0; index < instances.length; index += CHUNK) {
      const chunk = instances.slice(index, index + CHUNK).filter((instance) => hasWorker(runId, graph, instance))
      if (chunk.length > 0 && (await enqueueChunk(runId, graph, chunk, shared))) refused = true
    }
    return refused
  }

  async function enqueueChunk(
    runId: string,
    graph: FlowGraph,
    instances: readonly Startable[],
    shared: OfRun,
  ): Promise<boolean> {
    const items = instances.map((instance) => itemOf(runId, graph, { ...shared, ...instance }))
    try {
      // A single job shares its write with jobs of other runs.
      if (items.length > 1) await kernel.enqueueMany(items)
      else await enqueueOne(items[0]!)
      return false
    } catch (error) {
      if (!isFinalRefusal(error)) throw error
    }
    let refused = false
    for (const [index, item] of items.entries()) {
      try {
        await enqueueOne(item)
      } catch (error) {
        if (!isFinalRefusal(error)) throw error
        refused = true
        const { id, step } = instances[index]!
        const failed = { type: 'step.failed', key: `end:${id}`, data: { error: serializeError(error) } }
        await append(runId, [{ ...failed, flow: graph.name, step, stepId: id }])
      }
    }
    return refused
  }

  /** Gathered data may exceed the size limit of a payload. The job then reads it from the log, which has all parts. */
  async function enqueueOne({ worker, data, options }: EnqueueItem): Promise<void> {
    try {
      await kernel.enqueue(worker, data, options)
    } catch (error) {
      if (!isQueueError(error, 'PAYLOAD_TOO_LARGE')) throw error
      await kernel.enqueue(worker, data, { ...options, flow: { ...options!.flow!, dataInLog: true } })
    }
  }

  /** Whether a worker runs the step. If a deploy has removed it, its run stays open until the step comes back. */
  function hasWorker(runId: string, { name, steps }: FlowGraph, { step }: Startable): boolean {
    if (steps.has(step)) return true
    if (warned.has(`${name} ${step}`)) return false
    warned.add(`${name} ${step}`)
    const hint = 'Bring its worker back, or cancel the run.'
    kernel.reporter.warn(`Run ${runId} of flow "${name}" needs step "${step}", but no worker runs it. ${hint}`)
    return false
  }

  return {
    enqueue,
    async start(runId: string, graph: FlowGraph, { start, pin, due }: FlowRun, lost: readonly Instance[]) {
      const shared = { headers: start.headers, pin }
      const all = [...due]
      let refused = false
      for (let index = 0; index < all.length; index += CHUNK) {
        const mine = await record(runId, graph, all.slice(index, index + CHUNK))
        if (await enqueue(runId, graph, mine, shared)) refused = true
      }
      return (await enqueue(runId, graph, lost, shared)) || refused
    },
  }
}

export function queuedEvent({ name }: FlowGraph, { id, step, cause }: Startable): EventDraft {
  return { type: 'step.queued', data: { cause }, flow: name, step, stepId: id }
}

function itemOf(runId: string, { name, steps }: FlowGraph, instance: Startable): EnqueueItem {
  const { id, step, cause, depth, data, forked, headers, pin } = instance
  const flow: JobFlow = { name, step, cause, depth, ...(forked && { forked }), ...(pin && { pin }) }
  return { worker: steps.get(step)!.worker.id, data, options: { id, runId, flow, ...(headers && { headers }) } }
}
