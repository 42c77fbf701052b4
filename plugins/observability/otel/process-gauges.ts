import type { Meter } from '@opentelemetry/api'
import type { Kernel, PluginKernel } from '../../../kernel/index.ts'
import { slotsByQueue } from '../lib/slots.ts'
import type { IsShown } from '../lib/store-counts.ts'

/**
 * Reports the slots of the workers of this process, and its open streams.
 *
 * @param busy how many attempts run, by queue
 * @returns a function that stops the reports
 */
export function observeProcess(
  kernel: PluginKernel,
  meter: Meter,
  isShown: IsShown,
  busy: ReadonlyMap<string, number>,
): () => void {
  const slots = meter.createObservableGauge('nuxt_queue.worker.slots', {
    unit: '{slot}',
    description: 'How many jobs the workers of this process may run: busy and idle.',
  })
  const followers = meter.createObservableGauge('nuxt_queue.stream.followers', {
    unit: '{stream}',
    description: 'Open streams of clients of this process.',
  })
  const observe: Parameters<Meter['addBatchObservableCallback']>[0] = (result) => {
    for (const [queue, total] of slotsByQueue(kernel, isShown)) {
      const destination = { 'messaging.destination.name': queue }
      const taken = busy.get(queue) ?? 0
      result.observe(slots, taken, { ...destination, 'nuxt_queue.slot.state': 'busy' })
      result.observe(slots, Math.max(0, total - taken), { ...destination, 'nuxt_queue.slot.state': 'idle' })
    }
    // This plugin is set up before all others, so it cannot require one.
    const { http } = kernel as Partial<Kernel>
    if (http) result.observe(followers, http.connections)
  }
  const observed = [slots, followers]
  meter.addBatchObservableCallback(observe, observed)
  return () => meter.removeBatchObservableCallback(observe, observed)
}
