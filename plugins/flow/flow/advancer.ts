import { fitText, type Kernel } from '../../../kernel/index.ts'
import { ADVANCE, type AdvanceData } from './advance-job.ts'
import type { Fork } from './copy.ts'
import type { FlowEngine } from './engine.ts'

/** Registers the worker that advances runs. Its jobs are retried until the work is done. */
export async function createAdvancer(
  kernel: Kernel,
  engine: FlowEngine,
  {
    copy,
    takeLeft,
  }: { copy: (fork: Fork) => Promise<void>; takeLeft: (runId: string, keys: readonly string[]) => Promise<void> },
) {
  await kernel.registerWorker({
    id: ADVANCE,
    config: {
      queue: '_flow',
      concurrency: 10,
      attempts: 50,
      backoff: { type: 'exponential', delay: 500, maxDelay: 60_000 },
    },
    async handler({ data }) {
      const { runId, fork, left } = data as AdvanceData
      if (left) return takeLeft(runId, left)
      if (fork) await copy(fork)
      await engine.advance(runId, { repair: true })
    },
  })
  return {
    /** Call it before the write that it follows up. */
    later: (data: AdvanceData) => kernel.enqueue(ADVANCE, data, { id: fitText(`carry.${data.runId}`) }),
    /** Ends a run as cancelled. The follow-up runs here, and again in a job in case this process dies. */
    cancel: (runId: string, reason: string, flow?: string) => engine.cancel(runId, reason, { flow }),
  }
}
export type Advancer = Awaited<ReturnType<typeof createAdvancer>>
