import type { Kernel } from '../../../kernel/index.ts'
import type { IsShown } from './store-counts.ts'

/** Returns how many jobs the running workers of this process may run at once, by queue. */
export function slotsByQueue(kernel: Kernel, isShown: IsShown): Map<string, number> {
  const slots = new Map<string, number>()
  const consumers = kernel.port('workers')
  for (const { queue, name } of kernel.registry.workers) {
    const consumer = isShown(queue.name) ? consumers.getWorker(queue.name, name) : undefined
    if (consumer) slots.set(queue.name, (slots.get(queue.name) ?? 0) + consumer.options.concurrency)
  }
  return slots
}
