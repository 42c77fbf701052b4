import { definePlugin, type Diagnosis, type Ports } from '../../../../kernel/index.ts'
import { createLocalLimits } from '../../lib/local-queue/limits.ts'
import { createLocalQueues } from '../../lib/local-queue/provider.ts'
import { createWorkerManager } from '../../lib/worker-manager.ts'
import { durable } from './durable.ts'
import { createJournals } from './journals.ts'

const LIMITS = { journal: 'nuxt-queue/limits', version: 1 }

/** Keeps queues in the memory of this process and in one journal per queue on disk. The next process restores them. */
export default definePlugin({
  name: 'queue-file',
  requires: ['file'],
  setup(kernel) {
    const storage = kernel.port('file')
    const journals = createJournals(storage, () => queues)
    const queues = createLocalQueues(kernel, {
      durable: true,
      maxQueueSize: storage.maxQueueSize,
      configKey: 'file',
      journal: journals,
    })
    for (const left of journals.load()) queues.restore(left.queue, left)
    kernel.provide('queue', { ...durable(queues.provider, journals), diagnose: () => [diagnoseFolder(storage)] })
    const { copies } = queues
    const synced = async (some: readonly { queue: string }[]): Promise<void> =>
      void (await Promise.all(some.map(({ queue }) => journals.synced(queue))))
    kernel.provide('jobCopies', {
      ...copies,
      async write(jobs) {
        await copies.write(jobs)
        await synced(jobs)
      },
      async remember(ids) {
        await copies.remember(ids)
        await synced(ids)
      },
    })
    const { limits, snapshot, restore } = createLocalLimits(kernel, (change) => lines.append(change, 1))
    const lines = storage.open('limits', { header: LIMITS, snapshot }, (line) => restore(line as never))
    kernel.provide('limits', {
      ...limits,
      /** The next process has to wake the waiters, so a job is deferred only when the journal has recorded that it waits. */
      acquire(...args) {
        if (limits.acquire(...args) === true) return true
        return lines.synced()?.then(() => false) ?? false
      },
    })
    kernel.provide('workers', createWorkerManager(queues.open, { kernel }))
    return async () => {
      await queues.provider.close()
      await Promise.all([journals.close(), lines.close()])
    }
  },
})

function diagnoseFolder({ folder, fsync }: Ports['file']): Diagnosis {
  if (fsync !== 'never')
    return { check: 'file', level: 'ok', message: `Jobs are kept in ${folder} (file.fsync ${fsync}).` }
  const message = 'A power failure may lose the last jobs and events (file.fsync never).'
  return { check: 'file.fsync', level: 'warning', message, hint: 'Set file.fsync to batch.' }
}
