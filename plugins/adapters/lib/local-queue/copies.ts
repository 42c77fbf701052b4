import { hasGivenId, type QueueProvider } from '../../../../kernel/index.ts'
import { cloneValue } from '../../../lib/value.ts'
import { inPages, queueCalls, type CopiedQueue, type JobCopies } from '../store-copy.ts'
import { createEntry } from './entry.ts'
import type { createForgotten } from './forgotten.ts'
import type { QueueJournal } from './journal.ts'
import type { LocalQueue } from './queue.ts'

interface Host {
  provider: CopiedQueue & Pick<QueueProvider, 'forgotten'>
  /** All queues that have been used. */
  queues: ReadonlyMap<string, LocalQueue>
  queueOf(name: string): LocalQueue
  forgotten: Pick<ReturnType<typeof createForgotten>, 'add' | 'of'>
  /** Records each change, in a durable adapter. */
  journal: QueueJournal | undefined
}

/** Creates the port `jobCopies` of a store that keeps its jobs in memory. */
export function createLocalJobCopies({ provider, queues, queueOf, forgotten, journal }: Host): JobCopies {
  const calls = queueCalls(provider)
  return {
    queues: () =>
      [...queues].flatMap(([name, { jobs, paused, limits }]) =>
        jobs.size > 0 || paused || Object.keys(limits()).length > 0 ? [name] : [],
      ),
    ...calls,
    async *jobs(queue, states) {
      const entries = [...(queues.get(queue)?.jobs.values() ?? [])]
      const ids = entries.flatMap(({ record }) => (states.includes(record.state) ? [record.id] : []))
      for (const page of inPages(ids)) yield calls.getMany(queue, page)
    },
    async *remembered() {
      for (const queue of queues.keys()) {
        for (const page of inPages(forgotten.of(queue)))
          yield page.map(({ id, runId, until }) => ({ queue, id, runId, until }))
      }
    },
    write(jobs) {
      for (const [queue, some] of Map.groupBy(jobs, (job) => job.queue)) {
        const unknown = some.filter(
          (job) => !provider.getJob(queue, job.id) && !(hasGivenId(job) && provider.forgotten(queue, job.id)),
        )
        const copied = unknown.map(cloneValue)
        queueOf(queue).restore(copied.map(createEntry))
        for (const job of copied) journal?.added(queue, job)
      }
    },
    remember(ids) {
      for (const one of ids) {
        if (provider.getJob(one.queue, one.id)) continue
        queueOf(one.queue)
        const remembered = { ...one, outcome: 'completed' } as const
        forgotten.add(remembered)
        journal?.removed(one.queue, one.id, remembered)
      }
    },
  }
}
