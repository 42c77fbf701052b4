import type { EmitPayload, PluginKernel } from '../../../kernel/index.ts'
import { watchAppends, watchRuns, watchScheduleLag } from '../lib/measure.ts'
import type { IsShown } from '../lib/store-counts.ts'
import { Histogram } from './histogram.ts'
import { MetricRows, type AttemptOutcome } from './rows.ts'
import { createRunDurations, type RunDurations } from './run-durations.ts'

/** The event of each ending of an attempt. */
const ENDINGS: Readonly<Record<string, AttemptOutcome>> = {
  'step.completed': 'completed',
  'step.failed': 'failed',
  'step.retry': 'retried',
  'step.deferred': 'deferred',
}

/** The counts and durations of this process since its start. */
export interface Observed {
  rows: MetricRows
  /** How late the ticks of schedules were. */
  lag: Histogram
  /** How long runs took. */
  runs: RunDurations
  /** How long appends of events took. */
  appends: Histogram
}

/** Counts the jobs that this process stores and runs. */
export function createObserver(kernel: PluginKernel, isShown: IsShown): Observed {
  const rows = new MetricRows()
  const lag = new Histogram()
  const runs = createRunDurations()
  const appends = new Histogram()
  const { clock } = kernel
  watchRuns(kernel, isShown, runs.observe)
  watchAppends(kernel, (ms) => appends.observe(ms))
  watchScheduleLag(kernel, (ms) => lag.observe(ms))

  /** Every event of a job passes here. */
  function count({ ctx, result }: EmitPayload): void {
    // An event whose key is known is not stored again.
    const type = result?.ok ? result.events.at(-1)?.type : undefined
    if (type === undefined) return
    const { job, startedAt, dueAt } = ctx!
    if (type === 'step.started') {
      if (!isShown(job.queue)) return
      const row = rows.of(job.queue)
      row.consumed++
      row.waiting.observe(startedAt - dueAt)
      return
    }
    const ending = Object.hasOwn(ENDINGS, type) ? ENDINGS[type] : undefined
    if (ending === undefined || !isShown(job.queue)) return
    const row = rows.of(job.queue)
    row.processing[ending].observe(clock.now() - startedAt)
    if (ending === 'retried') row.retries++
    if (ending === 'failed' && job.options.deadLetter !== undefined) row.deadLetters++
  }

  kernel.hook('emit', count, { after: true, when: ({ ctx }) => ctx !== undefined })
  kernel.hook(
    'enqueue',
    ({ result, job }) => {
      if (!result || result.deduplicated) return
      const row = rows.of(job.queue)
      row.sent++
      row.sending.observe(clock.now() - job.createdAt)
    },
    { after: true, when: ({ job }) => isShown(job.queue) },
  )
  kernel.hook(
    'dispatch',
    ({ job }, next) => {
      const row = rows.of(job.queue)
      const leave = (): void => void row.busy--
      row.busy++
      let running: ReturnType<typeof next>
      try {
        running = next()
      } catch (error) {
        leave()
        throw error
      }
      if (!running) return leave()
      running.then(leave, leave)
      // Returning the same promise saves further promises for each job.
      return running
    },
    { when: ({ job }) => isShown(job.queue) },
  )
  return { rows, lag, runs, appends }
}
