import { z } from 'zod'
import { definePlugin, isPromise, type EmitPayload } from '../../../kernel/index.ts'
import { observe } from './histogram.ts'
import { createLayers } from './layers.ts'
import { queryStats, type Stats, type StatsQuery } from './query.ts'
import { createRecorder } from './recorder.ts'

export type { Stats, StatsPoint, StatsQuery } from './query.ts'
export type { Quantiles } from './histogram.ts'

declare module 'nuxt-queue/kernel' {
  interface Kernel {
    /**
     * Returns how many jobs were enqueued, started, completed, failed and retried over time, and how long they waited and
     * ran. All processes are counted, the others with a delay of up to ten seconds.
     *
     * @throws QueueError `OPTION_INVALID`
     * @example
     * const { step, series } = await kernel.stats({ queue: 'mail' })
     * for (const { ts, completed, run } of series) console.log(new Date(ts), completed, run.p95)
     */
    stats(query?: StatsQuery): Promise<Stats>
  }
}

const ignore = (): void => {}

/** The events that are counted, and what they count as. */
const COUNTED = new Map([
  ['step.started', 'started'],
  ['step.completed', 'completed'],
  ['step.failed', 'failed'],
  ['step.retry', 'retried'],
] as const)
type Counted = typeof COUNTED extends Map<infer Type, unknown> ? Type : never

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

    function count({ ctx, result }: EmitPayload, type: Counted): void {
      // An event whose key is known is not stored again.
      if (!result?.ok || result.events.length === 0) return
      const { worker, startedAt, dueAt } = ctx!
      const starts = type === 'step.started'
      const now = starts ? startedAt : kernel.clock.now()
      const row = recorder.row(worker.queue.name, worker.id, now)
      row.counts[COUNTED.get(type)!]++
      if (starts) observe(row.wait, startedAt - dueAt)
      else observe(row.run, now - startedAt)
    }

    kernel.hook(
      'emit',
      (payload, next) => {
        const type = payload.events.at(-1)!.type as Counted
        const stored = next()
        if (!isPromise(stored)) return count(payload, type)
        // Returning the promise itself spares every job further promises. Its rejection is for the caller.
        stored.then(() => count(payload, type), ignore)
        return stored
      },
      { when: ({ ctx, events }) => ctx !== undefined && COUNTED.has(events.at(-1)?.type as Counted) },
    )

    kernel.hook('enqueue', (payload, next) => {
      const stored = next()
      const counted = (): void => {
        const { result, job, worker } = payload
        if (result && !result.deduplicated) {
          recorder.row(job.queue, worker?.id ?? job.name, job.createdAt).counts.enqueued++
        }
      }
      if (!isPromise(stored)) return counted()
      stored.then(counted, ignore)
      return stored
    })
    return () => recorder.close()
  },
})
