import { fitText, type Kernel } from '../../../kernel/index.ts'
import { CARRY, type Carry } from './carry-job.ts'
import type { Fork } from './copy.ts'
import type { FlowEngine } from './engine.ts'

/** Carries a run on from inside a job, which is repeated until that is done, whoever asked for it. */
export async function createCarrier(
  kernel: Kernel,
  engine: FlowEngine,
  {
    copy,
    takeLeft,
  }: { copy: (fork: Fork) => Promise<void>; takeLeft: (runId: string, keys: readonly string[]) => Promise<void> },
) {
  await kernel.registerWorker({
    id: CARRY,
    config: {
      queue: '_flow',
      concurrency: 10,
      attempts: 50,
      backoff: { type: 'exponential', delay: 500, maxDelay: 60_000 },
    },
    async handler({ data }) {
      const { runId, fork, left } = data as Carry
      if (left) return takeLeft(runId, left)
      if (fork) await copy(fork)
      await engine.carryOn(runId, { repair: true })
    },
  })
  return {
    /** Stored before what it follows up. */
    later: (carry: Carry) => kernel.enqueue(CARRY, carry, { id: fitText(`carry.${carry.runId}`) }),
    /** Ends a run as cancelled. What follows is done here, and once more by a job in case this process dies. */
    cancel: (runId: string, reason: string, flow?: string) => engine.cancel(runId, reason, { flow }),
  }
}
export type Carrier = Awaited<ReturnType<typeof createCarrier>>
