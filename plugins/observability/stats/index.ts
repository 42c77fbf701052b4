import { z } from 'zod'
import { definePlugin, type EmitPayload, type EventDraft, type RunContext } from '../../../kernel/index.ts'
import { addDuration } from './histogram.ts'
import { createLayers } from './layers.ts'
import { queryStats, type Stats, type StatsQuery } from './query.ts'
import { createRecorder } from './recorder.ts'
import type { Row } from './rows.ts'

export type { Stats, StatsPoint, StatsQuery } from './query.ts'
export type { Quantiles } from './histogram.ts'

declare module 'nuxt-queue/kernel' {
  interface Kernel {
    /**
     * Returns how many jobs were enqueued, started, completed, failed and retried over time, and how long they waited and
     * ran. All processes are counted. Counts of other processes arrive with a delay of up to ten seconds.
     *
     * @throws QueueError `OPTION_INVALID`
     * @example
     * const { step, series } = await kernel.stats({ queue: 'mail' })
     * for (const { ts, completed, run } of series) console.log(new Date(ts), completed, run.p95)
     */
    stats(query?: StatsQuery): Promise<Stats>
  }
}

/** Counts jobs and measures how long they wait and run, as time series that all processes share. */
export default definePlugin({
  name: 'stats',
  requires: ['events'],
  options: z.strictObject({
    /** Whether this process counts its jobs. Default true. */
    enabled: z.boolean().default(true),
  }),
  setup(kernel, { enabled }) {
    const layers = createLayers(kernel)
    const recorder = createRecorder(kernel, layers)
    kernel.extend({ stats: (query = {}) => queryStats(kernel, layers, recorder.pending, query) })
    if (!enabled) return

    /** Every event of a job passes here. Comparing types and naming counters directly is faster than a lookup. */
    function count({ ctx, result }: EmitPayload): void {
      // An event whose key is known is not stored again.
      const last = result?.ok ? result.events.at(-1) : undefined
      const type = last?.type
      if (type === 'step.started') {
        const { counts, wait } = rowOf(ctx!, ctx!.startedAt)
        counts.started++
        addDuration(wait, ctx!.startedAt - ctx!.dueAt)
      } else if (type === 'step.completed' || type === 'step.failed' || type === 'step.retry') {
        const now = kernel.clock.now()
        const { counts, run } = rowOf(ctx!, now)
        if (type === 'step.completed') counts.completed++
        else if (type === 'step.failed') {
          counts.failed++
          if (isExpired(last)) counts.expired++
        } else counts.retried++
        addDuration(run, now - ctx!.startedAt)
      }
    }

    function isExpired(end: EventDraft | undefined): boolean {
      return (end?.data as { error?: { code?: string } } | undefined)?.error?.code === 'JOB_EXPIRED'
    }

    function rowOf({ worker }: RunContext, now: number): Row {
      return recorder.row(worker.queue.name, worker.id, now)
    }

    kernel.hook('emit', count, { after: true, when: ({ ctx }) => ctx !== undefined })
    kernel.hook(
      'enqueue',
      ({ result, job, worker }) => {
        if (result && !result.deduplicated) {
          recorder.row(job.queue, worker?.id ?? job.name, job.createdAt).counts.enqueued++
        }
      },
      { after: true },
    )
    return () => recorder.close()
  },
})
