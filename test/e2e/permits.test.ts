import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { createKernel, type KernelConfig } from 'nuxt-queue'
import { join } from 'pathe'
import { afterAll, describe, expect, it } from 'vitest'
import { inLongForm, LONG } from '../services/long.ts'
import { sharedPostgres } from '../services/postgres.ts'
import { sharedRedis } from '../services/redis.ts'
import { ROOT, startNode } from './processes.ts'

const PROCESS = fileURLToPath(new URL('../fixtures/permit-process.ts', import.meta.url))
const LEASE = 1000
const JOBS = 4

const redis = await sharedRedis()
const postgres = LONG ? await sharedPostgres() : undefined
const folder = mkdtempSync(join(tmpdir(), 'nuxt-queue-permits-'))
afterAll(async () => {
  await Promise.all([redis.stop(), postgres?.stop()])
  rmSync(folder, { recursive: true, force: true })
})

let stores = 0
const fresh = (): string => `permits_${process.pid}_${++stores}`
const presets: [preset: string, config: () => KernelConfig][] = [
  ['dev-file', () => ({ file: { path: join(folder, fresh()), lockTimeout: 5000 } })],
  ['prod-redis', () => ({ redis: { url: redis.url, prefix: fresh(), lease: LEASE, checkServer: false } })],
  ...inLongForm<[preset: string, config: () => KernelConfig]>([
    'prod-postgres',
    () => ({ postgres: { url: postgres?.url, schema: fresh(), lease: LEASE, pollInterval: 500 } }),
  ]),
]
const POINTS = ['running', 'release:before', 'release:after', 'promote:before', 'promote:after', 'completed']

describe.each(presets)('a process on %s', (preset, config) => {
  it.each(POINTS)('that dies at "%s" does not block its key', async (point) => {
    const settings = { preset, config: config(), point, jobs: JOBS }
    await using dying = startNode([PROCESS, JSON.stringify(settings)], ROOT)
    const { code } = await dying.ended
    expect(code).toBe(null)
    const kernel = await createKernel({ preset, config: { registry: { dirs: [] }, ...settings.config } })
    try {
      let [running, most] = [0, 0]
      await kernel.registerWorker({
        id: 'w',
        config: { queue: 'w', concurrency: 4 },
        async handler({ data }) {
          most = Math.max(most, ++running)
          await new Promise(setImmediate)
          running--
          return data
        },
      })
      await kernel.start()
      for (let n = 0; n < JOBS; n++) {
        const id = `job-${n}`
        await expect.poll(async () => (await kernel.port('queue').getJob('w', id))?.state).toBe('completed')
      }
      expect(most).toBe(1)
    } finally {
      await kernel.close({ timeout: 0 })
    }
  })
})
