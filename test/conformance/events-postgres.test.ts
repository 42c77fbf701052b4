import { createPluginHarness, eventsConformance } from 'nuxt-queue/testing/conformance'
import eventsPostgres from '../../plugins/adapters/postgres/events/index.ts'
import { postgresKeptOpen } from './postgres-rig.ts'

const { postgres, empty } = await postgresKeptOpen()

eventsConformance({
  name: 'events-postgres',
  async create({ reporter }) {
    await empty()
    const { kernel, ...harness } = await createPluginHarness({
      plugins: [postgres, eventsPostgres],
      reporter,
      time: 'real',
    })
    return { ...harness, events: kernel.port('events') }
  },
})
