import { isReserved, type Kernel } from '../../../../../kernel/index.ts'
import type { QueueApp } from './config.ts'

/** How many workers are named. */
const MAX_NAMES = 8

/** Returns the line that `nuxt dev` and `nitro dev` print once the queue has started. */
export function startLine(
  kernel: Kernel,
  app: QueueApp,
  { worker, storage }: { worker: boolean; storage: string },
): string {
  const { origin = '' } = app.build
  const base = (origin + app.baseURL).replace(/\/$/, '')
  return `[nuxt-queue] ${workersOf(kernel, worker)}, storage ${storage}, dashboard ${base}${kernel.http.path}ui/`
}

function workersOf({ registry }: Kernel, worker: boolean): string {
  const names = registry.workers.filter(({ queue }) => !isReserved('queue', queue.name)).map(({ id }) => id)
  if (!worker) return 'This server runs no jobs'
  if (names.length === 0) return 'No workers yet: add one to server/queues/'
  const rest = names.length > MAX_NAMES ? [`and ${names.length - MAX_NAMES} more`] : []
  const list = [...names.slice(0, MAX_NAMES), ...rest].join(', ')
  return `${names.length} ${names.length === 1 ? 'worker' : 'workers'} (${list})`
}
