import { createPluginHarness, limitsConformance } from 'nuxt-queue/testing/conformance'
import postgres from '../../plugins/adapters/postgres/connection/index.ts'
import queuePostgres from '../../plugins/adapters/postgres/queue/index.ts'
import { postgresForFile } from './postgres-rig.ts'

const { config, empty } = await postgresForFile()

limitsConformance({
  name: 'limits-postgres',
  async create({ reporter }) {
    await empty()
    const { kernel, ...harness } = await createPluginHarness({
      plugins: [postgres, queuePostgres],
      config: { postgres: config },
      reporter,
      time: 'real',
    })
    return { ...harness, limits: kernel.port('limits') }
  },
})
