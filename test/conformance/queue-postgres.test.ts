import { QueueError } from 'nuxt-queue/kernel'
import { createPluginHarness, queueConformance } from 'nuxt-queue/testing/conformance'
import postgres from '../../plugins/adapters/postgres/connection/index.ts'
import queuePostgres from '../../plugins/adapters/postgres/queue/index.ts'
import { postgresForFile } from './postgres-rig.ts'

const { config, empty } = await postgresForFile()

queueConformance({
  name: 'queue-postgres',
  async create({ reporter, maxQueueSize }) {
    if (maxQueueSize !== undefined) throw new QueueError('OPTION_UNSUPPORTED', 'This adapter has no "maxQueueSize".')
    await empty()
    const { kernel, ...harness } = await createPluginHarness({
      plugins: [postgres, queuePostgres],
      config: { postgres: config },
      reporter,
      time: 'real',
    })
    const ports = { queue: kernel.port('queue'), workers: kernel.port('workers'), limits: kernel.port('limits') }
    return { ...harness, ...ports }
  },
})
