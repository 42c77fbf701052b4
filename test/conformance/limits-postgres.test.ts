import { createPluginHarness, limitsConformance } from 'nuxt-queue/testing/conformance'
import queuePostgres from '../../plugins/adapters/postgres/queue/index.ts'
import { postgresKeptOpen } from './postgres-rig.ts'

const { postgres, empty } = await postgresKeptOpen()

limitsConformance({
  name: 'limits-postgres',
  async create({ reporter }) {
    await empty()
    const { kernel, ...harness } = await createPluginHarness({
      plugins: [postgres, queuePostgres],
      reporter,
      time: 'real',
    })
    return { ...harness, limits: kernel.port('limits') }
  },
})
