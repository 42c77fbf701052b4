import { fitText, type Kernel } from '../../../kernel/index.ts'
import type { Fork } from './copy.ts'
import type { FlowEngine } from './engine.ts'

const CARRY = '_flow/carry'

/** Milliseconds in which whoever cancels a run is done with it. */
const AFTERWARDS = 2000

/** Data of a carry job. */
interface Carry {
  runId: string
  /** The copy to be completed before. */
  fork?: Fork
}

/** Carries a run on from inside a job, which is repeated until that is done, whoever asked for it. */
export async function createCarrier(kernel: Kernel, engine: FlowEngine, copy: (fork: Fork) => Promise<void>) {
  await kernel.registerWorker({
    id: CARRY,
    config: {
      queue: '_flow',
      concurrency: 10,
      attempts: 50,
      backoff: { type: 'exponential', delay: 500, maxDelay: 60_000 },
    },
    async handler({ data }) {
      const { runId, fork } = data as Carry
      if (fork) await copy(fork)
      await engine.carryOn(runId, { repair: true })
    },
  })
  return {
    /** Stored before what it follows up. */
    later: (carry: Carry) => kernel.enqueue(CARRY, carry, { id: fitText(`carry.${carry.runId}`) }),
    /** Ends a run as cancelled. What follows is done here, and once more by a job in case this process dies. */
    cancel(runId: string, reason: string, flow?: string): Promise<boolean> {
      const carry: Carry = { runId }
      return engine.cancel(runId, reason, flow, () =>
        kernel.enqueue(CARRY, carry, { id: fitText(`cancel.${runId}`), delay: AFTERWARDS }),
      )
    },
  }
}
export type Carrier = Awaited<ReturnType<typeof createCarrier>>
