import type { Kernel } from '../../../kernel/index.ts'
import type { FlowGraph } from './graph.ts'
import type { Append } from './start.ts'
import type { Instance } from './run.ts'

/** How many jobs are removed from their queues at once. */
const AT_ONCE = 100

/** Removes jobs from their queues, and aborts running ones in every instance. */
export function createStopper(kernel: Kernel, append: Append) {
  async function takeOut(graph: FlowGraph, instances: readonly Instance[]): Promise<void> {
    for (let index = 0; index < instances.length; index += AT_ONCE) {
      const taken = instances.slice(index, index + AT_ONCE).map(async ({ id, step }) => {
        const worker = graph.steps.get(step)?.worker
        if (worker) await kernel.port('queue').cancel(worker.queue.name, id)
      })
      await Promise.all(taken)
    }
  }

  return {
    /** Ends some jobs of an open run as cancelled. A job that ends in the meantime keeps its own end. */
    async stop(runId: string, graph: FlowGraph, instances: readonly Instance[], reason: string): Promise<void> {
      const events = instances.map(({ id, step }) => ({
        type: 'step.cancelled',
        key: `end:${id}`,
        data: { reason },
        flow: graph.name,
        step,
        stepId: id,
      }))
      await append(runId, events)
      await takeOut(graph, instances)
      for (const { id } of instances) await kernel.broadcastAbort({ runId, jobId: id }, reason)
    },
    /** Stops the jobs of a run that has ended. Their ends are not recorded, because the log of the run refuses further events. */
    async clear(runId: string, graph: FlowGraph, instances: readonly Instance[], reason: string): Promise<void> {
      await takeOut(graph, instances)
      await kernel.broadcastAbort({ runId }, reason)
    },
  }
}
