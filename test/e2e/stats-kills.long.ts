// `npm test` has faults in one process. Here processes are killed around each write.
import { fileURLToPath } from 'node:url'
import { createKernel, definePlugin, type PluginKernel } from '../../index.ts'
import { expect, it, onTestFinished } from 'vitest'
import { createLayers, LAYERS } from '../../plugins/observability/stats/layers.ts'
import { sharedRedis } from '../services/redis.ts'
import { ROOT, startNode } from './processes.ts'

const PROCESS = fileURLToPath(new URL('../fixtures/stats-process.ts', import.meta.url))
const BUCKETS = 6

it('counts each stored bucket once in all layers, wherever a process that stores or copies them is killed', async () => {
  const redis = await sharedRedis()
  onTestFinished(() => redis.stop())
  const config = { redis: { url: redis.url, prefix: crypto.randomUUID(), checkServer: false } }
  let inner: PluginKernel | undefined
  const plugin = definePlugin({ name: 'inner', setup: (kernel) => void (inner = kernel) })
  const kernel = await createKernel({
    preset: 'prod-redis',
    plugins: [plugin],
    config: { ...config, registry: { dirs: [] } },
  })
  onTestFinished(async () => void (await kernel.close({ timeout: 0 })))

  const now = { value: { ...kernel.clock, now: () => Date.now() + 7_200_000 } }
  const layers = createLayers(Object.create(inner!, { clock: now }) as PluginKernel)
  // The finest layer is trimmed once it is copied, because its buckets are two hours old.
  const totals = (): Promise<number[]> =>
    Promise.all(
      [1, 2].map(async (index) => {
        const records = await layers.read(index, 0)
        return records.flatMap(({ rows }) => rows).reduce((sum, { counts }) => sum + counts[2]!, 0)
      }),
    )
  let stored = 0
  for (const [index, { stream }] of LAYERS.entries()) {
    for (const before of [true, false]) {
      const append = index === 0 ? 3 : 1
      const settings = { preset: 'prod-redis', config, stream, append, before, buckets: BUCKETS }
      const process = startNode([PROCESS, JSON.stringify(settings)], ROOT)
      onTestFinished(() => process[Symbol.asyncDispose]())
      expect(await process.ended).toMatchObject({ code: null, stderr: expect.not.stringContaining('Error') })
      stored += index > 0 ? BUCKETS : before ? append - 1 : append
      expect([stream, before, ...(await totals())]).toEqual([stream, before, stored, stored])
    }
  }
  await layers.rollUp(0)
  await layers.rollUp(1)
  expect(await totals()).toEqual([stored, stored])
})
