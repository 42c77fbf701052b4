import { createKernel, type Kernel } from 'nuxt-queue/kernel'
import { presetConformance } from 'nuxt-queue/testing/conformance'
import prodPostgres from '../../presets/prod-postgres.ts'
import { postgresForFile } from './postgres-rig.ts'

const { config: postgres, empty } = await postgresForFile()

presetConformance({
  name: 'prod-postgres',
  async create({ config, reporter }) {
    await empty()
    const sibling = (): Promise<Kernel> =>
      createKernel({ preset: prodPostgres, config: { ...config, postgres }, reporter })
    return { kernel: await sibling(), sibling, dispose: () => {} }
  },
})
