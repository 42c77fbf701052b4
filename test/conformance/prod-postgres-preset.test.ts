import { createKernel, definePreset, type Kernel } from 'nuxt-queue/kernel'
import { presetConformance } from 'nuxt-queue/testing/conformance'
import prodPostgres from '../../presets/prod-postgres.ts'
import { postgresKeptOpen } from './postgres-rig.ts'

const { postgres, empty } = await postgresKeptOpen()
const preset = definePreset({ name: 'prod-postgres-kept-open', extends: prodPostgres, plugins: [postgres] })

presetConformance({
  name: 'prod-postgres',
  async create({ config, reporter }) {
    await empty()
    const sibling = (): Promise<Kernel> => createKernel({ preset, config, reporter })
    return { kernel: await sibling(), sibling, dispose: () => {} }
  },
})
