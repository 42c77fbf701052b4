import type { MaybePromise, QueueProvider } from '../../../../kernel/index.ts'
import type { QueueJournals } from './journals.ts'

/** Wraps a provider so that a call returns only when its change is as safe as `fsync` demands. */
export function durable(provider: QueueProvider, journals: QueueJournals): QueueProvider {
  function afterSync<T>(queues: Iterable<string>, result: MaybePromise<T>): MaybePromise<T> {
    const syncs = [...queues].flatMap((queue) => journals.synced(queue) ?? [])
    return syncs.length === 0 ? result : Promise.all(syncs).then(() => result)
  }

  return {
    ...provider,
    enqueue(job) {
      // This also waits for a deduplicated job, because the existing job may not be on disk yet.
      return afterSync([job.queue], provider.enqueue(job))
    },
    enqueueMany: (jobs) => afterSync(new Set(jobs.map(({ queue }) => queue)), provider.enqueueMany(jobs)),
    pause: (queue) => afterSync([queue], provider.pause(queue)),
    resume: (queue) => afterSync([queue], provider.resume(queue)),
    setLimits: (queue, change) => afterSync([queue], provider.setLimits!(queue, change)),
    retry: (queue, id, options) => afterSync([queue], provider.retry(queue, id, options)),
    reschedule: (queue, id, runAt) => afterSync([queue], provider.reschedule(queue, id, runAt)),
    promote: (queue, id) => afterSync([queue], provider.promote(queue, id)),
    cancel: (queue, id) => afterSync([queue], provider.cancel(queue, id)),
    remove: (queue, id, expected) => afterSync([queue], provider.remove(queue, id, expected)),
  }
}
