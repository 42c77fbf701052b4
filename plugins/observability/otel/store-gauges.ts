import { hostname } from 'node:os'
import type { Meter } from '@opentelemetry/api'
import type { Kernel, PluginKernel } from '../../../kernel/index.ts'
import { createStoreCounts, type IsShown } from '../lib/store-counts.ts'

/** How long counts of the store are cached, in milliseconds, so that several readers share them. */
const KEEP = 5_000

/**
 * Reports the counts of the store. All instances see the same store, so only the oldest instance that runs workers reports them. If no
 * instance runs workers, every instance reports them.
 *
 * @returns a function that stops the reports
 */
export function observeStore(kernel: PluginKernel, meter: Meter, isShown: IsShown): () => void {
  const countStore = createStoreCounts(kernel, isShown, KEEP)
  const jobs = meter.createObservableGauge('nuxt_queue.queue.jobs', {
    unit: '{job}',
    description: 'Jobs in the store.',
  })
  const ages = meter.createObservableGauge('nuxt_queue.queue.oldest_job.age', {
    unit: 's',
    description: 'How long the oldest waiting job has been due.',
  })
  const runs = meter.createObservableGauge('nuxt_queue.runs.active', {
    unit: '{run}',
    description: 'Runs that have not ended, up to 10,000.',
  })
  let closed = false

  async function isReporter(): Promise<boolean> {
    // This plugin is set up before all others, so it cannot require one.
    const { instances } = kernel as Partial<Kernel>
    const [oldest] = (await instances?.()) ?? []
    return oldest === undefined || (oldest.pid === process.pid && oldest.host === hostname())
  }

  const observe: Parameters<Meter['addBatchObservableCallback']>[0] = async (result) => {
    if (closed || !(await isReporter())) return
    const store = await countStore()
    if (!store) return
    const now = kernel.clock.now()
    for (const { queue, counts, oldest } of store.queues) {
      const destination = { 'messaging.destination.name': queue }
      for (const [state, count] of Object.entries(counts)) {
        result.observe(jobs, count, { ...destination, 'nuxt_queue.job.state': state })
      }
      result.observe(ages, oldest === undefined ? 0 : Math.max(0, now - oldest.due) / 1000, destination)
    }
    result.observe(runs, store.activeRuns)
  }
  const observed = [jobs, ages, runs]
  meter.addBatchObservableCallback(observe, observed)
  return () => {
    closed = true
    meter.removeBatchObservableCallback(observe, observed)
  }
}
