import { fitText, type Kernel } from '../../../kernel/index.ts'
import type { FollowUp } from '../lib/flow-access.ts'
import { ADVANCE, LOOK_AGAIN, MAX_WRITE, REPEAT_AFTER, type AdvanceData } from './advance-job.ts'
import type { Fork } from './copy.ts'
import type { FlowEngine } from './engine.ts'
import { LOOK_FOR_PIN, type Pins } from './pins.ts'

/** Registers the worker that advances runs. Its jobs are retried until the work is done. */
export async function createAdvancer(
  kernel: Kernel,
  engine: FlowEngine,
  {
    copy,
    takeLeft,
    pins,
  }: {
    copy: (fork: Fork) => Promise<void>
    takeLeft: (runId: string, keys: readonly string[]) => Promise<void>
    pins: Pins
  },
) {
  const callbacks: FollowUp[] = []

  /** Returns true if the write has not happened yet. */
  async function followUp(runId: string, key: string): Promise<boolean> {
    const results = await Promise.all(callbacks.map((callback) => callback(runId, key)))
    return results.some(({ later }) => later)
  }

  await kernel.registerWorker({
    id: ADVANCE,
    config: {
      queue: '_flow',
      concurrency: 10,
      attempts: 50,
      backoff: { type: 'exponential', delay: 500, maxDelay: 60_000 },
    },
    async handler({ data, createdAt }, ctx) {
      const { runId, fork, left, after } = data as AdvanceData
      if (left) return takeLeft(runId, left)
      if (fork) await copy(fork)
      const waits = after !== undefined && (await followUp(runId, after))
      if (waits && ctx.startedAt < createdAt + MAX_WRITE) return ctx.defer({ delay: LOOK_AGAIN })
      if (await pins.isElsewhere(runId)) return ctx.defer({ delay: LOOK_FOR_PIN })
      await engine.advance(runId, { repair: true })
    },
  })
  return {
    /** Advances a run. If it is pinned to the version of other instances, one of them advances it in a job. */
    async advance(runId: string, options: { repair: boolean }): Promise<void> {
      if (await pins.isElsewhere(runId)) await kernel.enqueue(ADVANCE, { runId } satisfies AdvanceData)
      else await engine.advance(runId, options)
    },
    /** Call it before the write that it follows up. */
    later: (data: AdvanceData) => kernel.enqueue(ADVANCE, data, { id: fitText(`carry.${data.runId}`) }),
    onFollowUp: (callback: FollowUp) => void callbacks.push(callback),
    /** Announces the write of an event with a key. */
    followUp: (runId: string, after: string) => {
      const data: AdvanceData = { runId, after }
      return kernel.enqueue(ADVANCE, data, { delay: REPEAT_AFTER })
    },
    /** Ends a run as cancelled. The follow-up runs here, and again in a job in case this process dies. */
    cancel: (runId: string, reason: string, flow?: string) => engine.cancel(runId, reason, { flow }),
  }
}
export type Advancer = Awaited<ReturnType<typeof createAdvancer>>
