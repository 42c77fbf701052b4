import { createPluginHarness, eventsConformance } from 'nuxt-queue/testing/conformance'
import eventsPostgres from '../../plugins/events-postgres/index.ts'
import postgres from '../../plugins/postgres/index.ts'
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
