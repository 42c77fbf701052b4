import { isReserved, type Diagnosis, type Kernel } from '../../../kernel/index.ts'
import { consumedQueues } from '../lib/consumed-queues.ts'
import { createQueueCounter, isDeadLetter } from '../lib/queue-counts.ts'

/** How many queues are checked, in the order of their names. */
const MAX_QUEUES = 500

/** Finds paused queues, jobs that no process claims, and dead letters. */
export async function checkQueues(kernel: Kernel): Promise<Diagnosis[]> {
  const names = (await kernel.port('queue').getQueues()).filter((queue) => !isReserved('queue', queue)).toSorted()
  const found: Diagnosis[] = []
  const consumed = await consumedQueues(kernel)
  let waiting = 0
  for (const { queue, counts, oldest } of await createQueueCounter(kernel)(names.slice(0, MAX_QUEUES))) {
    waiting += counts.waiting
    const jobs = counts.waiting === 1 ? '1 job waits' : `${counts.waiting} jobs wait`
    if (await kernel.port('queue').isPaused(queue)) {
      const message = `Queue "${queue}" is paused, and ${jobs} in it.`
      found.push({ check: 'queues.paused', level: 'warning', message, hint: `Run: nuxt-queue resume ${queue}` })
    }
    if (!oldest || consumed.has(queue)) continue
    if (isDeadLetter(oldest)) {
      const message = `Queue "${queue}" holds dead letters: ${counts.waiting}.`
      const hint = `Fix the cause of the failures, then run: nuxt-queue redrive ${queue}`
      found.push({ check: 'queues.dead-letters', level: 'warning', message, hint })
    } else {
      const message = `No process has a worker for queue "${queue}", and ${jobs} in it.`
      const hint = 'Start a process with its worker, or remove the jobs.'
      found.push({ check: 'queues.workers', level: 'problem', message, hint })
    }
  }
  if (names.length > MAX_QUEUES) {
    const message = `${names.length - MAX_QUEUES} of ${names.length} queues were not checked.`
    const hint = 'Use fewer queues, for example concurrencyPerKey instead of a queue for each key.'
    found.push({ check: 'queues.count', level: 'warning', message, hint })
  }
  if (found.length > 0) return found
  return [
    {
      check: 'queues',
      level: 'ok',
      message: `No queue has a problem. Queues: ${names.length}, waiting jobs: ${waiting}.`,
    },
  ]
}
