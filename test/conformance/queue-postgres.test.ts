import { QueueError } from 'nuxt-queue/kernel'
import { createPluginHarness, queueConformance } from 'nuxt-queue/testing/conformance'
import queuePostgres from '../../plugins/adapters/postgres/queue/index.ts'
import { postgresKeptOpen } from './postgres-rig.ts'

const { postgres, empty } = await postgresKeptOpen()

queueConformance({
  name: 'queue-postgres',
  async create({ reporter, maxQueueSize }) {
    if (maxQueueSize !== undefined) throw new QueueError('OPTION_UNSUPPORTED', 'This adapter has no "maxQueueSize".')
    await empty()
    const { kernel, ...harness } = await createPluginHarness({
      plugins: [postgres, queuePostgres],
      reporter,
      time: 'real',
    })
    const ports = { queue: kernel.port('queue'), workers: kernel.port('workers'), limits: kernel.port('limits') }
    return { ...harness, ...ports }
  },
})
