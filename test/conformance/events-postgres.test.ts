import { createPluginHarness, eventsConformance } from 'nuxt-queue/testing/conformance'
import eventsPostgres from '../../plugins/adapters/postgres/events/index.ts'
import postgres from '../../plugins/adapters/postgres/connection/index.ts'
import { postgresForFile } from './postgres-rig.ts'

const { config, empty } = await postgresForFile()

eventsConformance({
  name: 'events-postgres',
  async create({ reporter }) {
    await empty()
    const { kernel, ...harness } = await createPluginHarness({
      plugins: [postgres, eventsPostgres],
      config: { postgres: config },
      reporter,
      time: 'real',
    })
    return { ...harness, events: kernel.port('events') }
  },
})
