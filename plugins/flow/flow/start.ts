import {
  isFinalRefusal,
  isQueueError,
  serializeError,
  type AppendOptions,
  type AppendResult,
  type EnqueueItem,
  type EventDraft,
  type JobFlow,
  type Kernel,
  type MaybePromise,
} from '../../../kernel/index.ts'
import type { FlowGraph } from './graph.ts'
import type { Instance } from './run.ts'

/** How many jobs are recorded, and queued, in one call. */
const CHUNK = 1000

/** How the engine writes. */
export type Append = (runId: string, events: EventDraft[], options?: AppendOptions) => MaybePromise<AppendResult>

/** What the start of a job needs to know. */
export type Startable = Pick<Instance, 'id' | 'step' | 'cause' | 'depth' | 'data' | 'forked'>

/** Puts steps on record and into their queues. */
export function createStepStarter(kernel: Kernel, append: Append) {
  /** Steps that are missing here, told once. */
  const told = new Set<string>()

  /** Answers those that nobody else had put on record. */
  async function record<I extends Startable>(runId: string, graph: FlowGraph, due: readonly I[]): Promise<I[]> {
    const events = due.map((instance) => ({ ...queuedEvent(graph, instance), key: `queued:${instance.id}` }))
    const result = await append(runId, events)
    if (!result.ok) return []
    const mine = new Set(result.events.map(({ stepId }) => stepId))
    return due.filter(({ id }) => mine.has(id))
  }

  /** True when a step was refused for good and the run has to be looked at again. */
  async function enqueue(runId: string, graph: FlowGraph, instances: readonly Startable[]): Promise<boolean> {
    let refused = false
    for (let index = 0; index < instances.length; index += CHUNK) {
      const chunk = instances.slice(index, index + CHUNK).filter((instance) => served(runId, graph, instance))
      if (chunk.length > 0 && (await enqueueChunk(runId, graph, chunk))) refused = true
    }
    return refused
  }

  async function enqueueChunk(runId: string, graph: FlowGraph, instances: readonly Startable[]): Promise<boolean> {
    const items = instances.map((instance) => itemOf(runId, graph, instance))
    try {
      // A single one shares its write with those of other runs.
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

  /** What is gathered may be larger than what a queue takes. Its parts are in the log, which the job reads them from. */
  async function enqueueOne({ worker, data, options }: EnqueueItem): Promise<void> {
    try {
      await kernel.enqueue(worker, data, options)
    } catch (error) {
      if (!isQueueError(error, 'PAYLOAD_TOO_LARGE')) throw error
      await kernel.enqueue(worker, data, { ...options, flow: { ...options!.flow!, dataInLog: true } })
    }
  }

  /** A step that a deploy has taken away cannot run; its run stays open for when it comes back. */
  function served(runId: string, { name, steps }: FlowGraph, { step }: Startable): boolean {
    if (steps.has(step)) return true
    if (told.has(`${name} ${step}`)) return false
    told.add(`${name} ${step}`)
    const hint = 'Bring its worker back, or cancel the run.'
    kernel.reporter.warn(`Run ${runId} of flow "${name}" needs step "${step}", which no worker is. ${hint}`)
    return false
  }

  return {
    enqueue,
    async start(runId: string, graph: FlowGraph, due: readonly Instance[], lost: readonly Instance[]) {
      let refused = false
      for (let index = 0; index < due.length; index += CHUNK) {
        const mine = await record(runId, graph, due.slice(index, index + CHUNK))
        if (await enqueue(runId, graph, mine)) refused = true
      }
      return (await enqueue(runId, graph, lost)) || refused
    },
  }
}

export function queuedEvent({ name }: FlowGraph, { id, step, cause }: Startable): EventDraft {
  return { type: 'step.queued', data: { cause }, flow: name, step, stepId: id }
}

function itemOf(runId: string, { name, steps }: FlowGraph, instance: Startable): EnqueueItem {
  const { id, step, cause, depth, data, forked } = instance
  const flow: JobFlow = { name, step, cause, depth, ...(forked && { forked }) }
  return { worker: steps.get(step)!.worker.id, data, options: { id, runId, flow } }
}
