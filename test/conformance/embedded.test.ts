import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { z } from 'zod'
import { createKernel, definePlugin, definePreset } from 'nuxt-queue/kernel'
import {
  createPluginHarness,
  eventsConformance,
  limitsConformance,
  presetConformance,
  queueConformance,
} from 'nuxt-queue/testing/conformance'
import { join } from 'pathe'
import { afterAll } from 'vitest'
import eventsPostgres from '../../plugins/adapters/postgres/events/index.ts'
import { openDatabase } from '../../plugins/adapters/pglite/database.ts'
import queuePostgres from '../../plugins/adapters/postgres/queue/index.ts'
import embedded from '../../presets/embedded.ts'
import { LONG } from '../services/long.ts'
import { emptySchema } from './postgres-rig.ts'

// Opening a database takes a second, so the tests share one, which is emptied before each test.
const folder = mkdtempSync(join(tmpdir(), 'nuxt-queue-embedded-'))
const reporter = { warn: () => {}, error: () => {} }
const { close, ...database } = await openDatabase({ dataDir: join(folder, 'data'), fresh: true }, reporter)
afterAll(async () => {
  await close()
  rmSync(folder, { recursive: true, force: true })
})

const SCHEMA = 'nuxt_queue'

const empty = (): Promise<void> => emptySchema(database.query, SCHEMA)

/** The plugin `pglite` without its folder. */
const pglite = definePlugin({
  name: 'pglite',
  configKey: 'embedded',
  options: z.strictObject({}),
  setup(kernel) {
    const settings = { schema: SCHEMA, lease: 3000, pollInterval: 5000, reporter: kernel.reporter }
    kernel.provide('postgres', { backend: 'pglite', ...settings, ...database })
  },
})
const plugins = [pglite, queuePostgres, eventsPostgres]

queueConformance({
  name: 'queue-postgres on PGlite',
  async create({ reporter, maxQueueSize }) {
    await empty()
    // The types of the section refuse the option as well.
    const config = maxQueueSize === undefined ? {} : { embedded: { maxQueueSize } as object }
    const { kernel, ...harness } = await createPluginHarness({ plugins, config, reporter, time: 'real' })
    const ports = { queue: kernel.port('queue'), workers: kernel.port('workers'), limits: kernel.port('limits') }
    return { ...harness, ...ports }
  },
})
eventsConformance({
  name: 'events-postgres on PGlite',
  async create(options) {
    await empty()
    const { kernel, ...harness } = await createPluginHarness({ ...options, plugins, time: 'real' })
    return { ...harness, events: kernel.port('events') }
  },
})
limitsConformance({
  name: 'limits-postgres on PGlite',
  async create(options) {
    await empty()
    const { kernel, ...harness } = await createPluginHarness({ ...options, plugins, time: 'real' })
    return { ...harness, limits: kernel.port('limits') }
  },
})
if (LONG) {
  presetConformance({
    name: 'embedded, in real time',
    async create(options) {
      await empty()
      const preset = definePreset({ name: 'embedded-shared', extends: embedded, plugins: [pglite] })
      return { kernel: await createKernel({ preset, ...options }), dispose: () => {} }
    },
  })
}
