import type { Kernel } from '../../../kernel/index.ts'

/** Returns the queues for which any process, including this one, has a consuming worker. */
export async function consumedQueues(kernel: Kernel): Promise<Set<string>> {
  const workers = kernel.port('workers')
  // An application may omit the plugin that knows other processes.
  const instances = (await (kernel as Partial<Kernel>).instances?.()) ?? []
  const elsewhere = instances.flatMap((instance) => instance.workers.map(({ queue }) => queue))
  const own = kernel.registry.workers.filter(({ queue, name }) => workers.getWorker(queue.name, name) !== undefined)
  return new Set([...elsewhere, ...own.map(({ queue }) => queue.name)])
}
