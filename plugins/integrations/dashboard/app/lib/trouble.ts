import type { Instance, Queue } from '../api/types.ts'

export interface Trouble {
  queue: string
  state: 'failed' | 'held'
  text: string
  /** When its oldest waiting job was due. */
  oldest?: number
}

/** Returns how many processes have a worker of each queue. */
export function workersByQueue(instances: readonly Instance[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { workers } of instances) {
    for (const queue of new Set(workers.map((worker) => worker.queue))) counts.set(queue, (counts.get(queue) ?? 0) + 1)
  }
  return counts
}

/**
 * Returns the problems of queues: no process has a worker, they are paused while jobs wait, or jobs have failed.
 *
 * @param instances the running processes, or `undefined` if they are not known
 */
export function findTrouble(queues: readonly Queue[], instances: readonly Instance[] | undefined): Trouble[] {
  const workers = instances && workersByQueue(instances)
  return queues.flatMap(({ name, paused, counts, oldest }) => {
    const found: Trouble[] = []
    const waits = oldest === undefined ? {} : { oldest }
    const open = counts.waiting + counts.active
    if (workers && open > 0 && !workers.has(name)) {
      const text = `No process has a worker for it, and ${amount(open, 'job')}.`
      found.push({ queue: name, state: 'failed', text, ...waits })
    }
    if (paused) {
      const text = `It is paused${open > 0 ? `, and ${amount(open, 'job')}` : ''}.`
      found.push({ queue: name, state: 'held', text, ...waits })
    }
    if (counts.failed > 0)
      found.push({
        queue: name,
        state: 'failed',
        text: `${counts.failed} ${counts.failed === 1 ? 'job has' : 'jobs have'} failed.`,
      })
    return found
  })
}

function amount(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? ' waits' : 's wait'}`
}
