import type { MaybePromise, QueueProvider } from '../../../../kernel/index.ts'
import type { QueueJournals } from './journals.ts'

/** Answers a caller only when what it has changed is on disk, as far as the fsync policy goes. */
export function durable(provider: QueueProvider, journals: QueueJournals): QueueProvider {
  function kept<T>(queues: Iterable<string>, answer: MaybePromise<T>): MaybePromise<T> {
    const syncs = [...queues].flatMap((queue) => journals.synced(queue) ?? [])
    return syncs.length === 0 ? answer : Promise.all(syncs).then(() => answer)
  }

  return {
    ...provider,
    enqueue(job) {
      // A job that is known already may not be on disk yet either.
      return kept([job.queue], provider.enqueue(job))
    },
    enqueueMany: (jobs) => kept(new Set(jobs.map(({ queue }) => queue)), provider.enqueueMany(jobs)),
    pause: (queue) => kept([queue], provider.pause(queue)),
    resume: (queue) => kept([queue], provider.resume(queue)),
    retry: (queue, id) => kept([queue], provider.retry(queue, id)),
    promote: (queue, id) => kept([queue], provider.promote(queue, id)),
    cancel: (queue, id) => kept([queue], provider.cancel(queue, id)),
    remove: (queue, id) => kept([queue], provider.remove(queue, id)),
  }
}
