import type { Clock } from '../contracts/index.ts'

/** How long aborts are remembered, in milliseconds, and how many. */
const REMEMBERED = 60_000
const MAX_REMEMBERED = 1000

interface Target {
  runId: string
  jobId?: string
}

/** Remembers recent aborts. A job that was claimed before the abort and has not started yet must read the log before it runs. */
export function createRecentAborts(kernel: { clock: Clock }) {
  const moments = new Map<string, number>()
  return {
    add(target: Target): void {
      const key = keyOf(target)
      moments.delete(key)
      moments.set(key, kernel.clock.now())
      if (moments.size > MAX_REMEMBERED) moments.delete(moments.keys().next().value!)
    },
    has(runId: string, jobId: string): boolean {
      if (moments.size === 0) return false
      const moment = moments.get(keyOf({ runId, jobId })) ?? moments.get(keyOf({ runId }))
      return moment !== undefined && kernel.clock.now() - moment < REMEMBERED
    },
  }
}

function keyOf({ runId, jobId = '' }: Target): string {
  return `${runId}\n${jobId}`
}
