import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { createKernel } from 'nuxt-queue/kernel'
import {
  createPluginHarness,
  eventsConformance,
  limitsConformance,
  presetConformance,
  queueConformance,
  type HarnessOptions,
} from 'nuxt-queue/testing/conformance'
import { join } from 'pathe'
import { afterAll, describe } from 'vitest'
import eventsFile from '../../plugins/adapters/file/events/index.ts'
import file from '../../plugins/adapters/file/connection/index.ts'
import queueFile from '../../plugins/adapters/file/queue/index.ts'
import devFile from '../../presets/dev-file.ts'
import { inLongForm, LONG } from '../services/long.ts'

const root = mkdtempSync(join(tmpdir(), 'nuxt-queue-file-'))
afterAll(() => {
  rmSync(root, { recursive: true, force: true })
})

let folders = 0
const folder = (): string => join(root, String(++folders))

/** A sync takes real time, so virtual time is used only with the policy that waits for no sync. */
const VARIANTS = [
  { fsync: 'never', time: 'virtual' },
  { fsync: 'batch', time: 'real' },
  ...inLongForm({ fsync: 'always', time: 'virtual' }),
] as const

for (const { fsync, time } of VARIANTS) {
  const open = ({ reporter, maxQueueSize }: HarnessOptions & { maxQueueSize?: number }) =>
    createPluginHarness({
      plugins: [file, queueFile, eventsFile],
      config: { file: { path: folder(), fsync, maxQueueSize } },
      reporter,
      time,
    })
  describe(`fsync ${fsync}, ${time} time`, () => {
    queueConformance({
      name: 'queue-file',
      async create(options) {
        const { kernel, ...harness } = await open(options)
        const ports = { queue: kernel.port('queue'), workers: kernel.port('workers'), limits: kernel.port('limits') }
        return { ...harness, ...ports }
      },
    })
    eventsConformance({
      name: 'events-file',
      async create(options) {
        const { kernel, ...harness } = await open(options)
        return { ...harness, events: kernel.port('events') }
      },
    })
    limitsConformance({
      name: 'limits-file',
      async create(options) {
        const { kernel, ...harness } = await open(options)
        return { ...harness, limits: kernel.port('limits') }
      },
    })
  })
}

if (LONG) {
  presetConformance({
    name: 'dev-file, in real time',
    async create({ config, reporter }) {
      const kernel = await createKernel({ preset: devFile, reporter, config: { ...config, file: { path: folder() } } })
      return { kernel, dispose: () => {} }
    },
  })
}
