// Processes that update one run are killed around their writes, on Redis and on PostgreSQL. `npm test` fails the writes in one process.
import { fileURLToPath } from 'node:url'
import { createKernel, type KernelConfig } from 'nuxt-queue'
import { afterAll, expect, it } from 'vitest'
import { entry, type Settings } from '../fixtures/update-process.ts'
import { sharedPostgres } from '../services/postgres.ts'
import { sharedRedis } from '../services/redis.ts'
import { ROOT, startNode } from './processes.ts'

const PROCESS = fileURLToPath(new URL('../fixtures/update-process.ts', import.meta.url))
const PROCESSES = 12
const UPDATES = 5

const [redis, postgres] = await Promise.all([sharedRedis(), sharedPostgres()])
afterAll(() => Promise.all([redis.stop(), postgres.stop()]))
const name = `updates_${process.pid}`
const presets: [preset: string, config: KernelConfig][] = [
  ['prod-redis', { redis: { url: redis.url, prefix: name, checkServer: false } }],
  ['prod-postgres', { postgres: { url: postgres.url, schema: name, pollInterval: 500 } }],
]

it.each(presets)(
  'takes each update effect once on %s, although the processes die around their writes and the calls are repeated',
  async (preset, config) => {
    const kernel = await createKernel({ preset, config: { registry: { dirs: [] }, ...config } })
    const ran: string[] = []
    try {
      await kernel.registerWorker({
        id: 'entry',
        config: entry,
        handler: async (_job, ctx) => ctx.step.waitForSignal('end'),
      })
      await kernel.registerWorker({
        id: 'added',
        config: { queue: 'added', flow: { name: 'order', role: 'step', subscribes: 'added' } },
        async handler({ data }, ctx) {
          const seen = await ctx.step.waitForSignal(`seen.${String(data)}`)
          ran.push(String(seen))
        },
      })
      await kernel.start()
      const flow = kernel.flow('order')
      const { runId } = await flow.start()
      const settings = Array.from({ length: PROCESSES }, (_, index): Settings => {
        const ids = Array.from({ length: UPDATES }, (_one, n) => `${index}-${n}`)
        return { preset, config, runId, ids, write: index + 1, before: index % 2 === 0 }
      })
      const dying = settings.map((one) => startNode([PROCESS, JSON.stringify(one)], ROOT))
      const ends = await Promise.all(dying.map(({ ended }) => ended))
      expect(ends.map(({ code }) => code)).toEqual(ends.map(() => null))

      const before = new Map(
        ends.flatMap(({ stdout }) => [...stdout.matchAll(/^(\S+-\S+) (\d+)$/gm)].map(([, id, n]) => [id!, Number(n)])),
      )
      const ids = settings.flatMap((one) => one.ids)
      const responses = new Map<string, unknown>()
      for (const id of ids) responses.set(id, await flow.update(runId, 'add', undefined, { id }))
      for (const [id, response] of before) expect([id, responses.get(id)]).toEqual([id, response])
      expect([...responses.values()].toSorted((a, b) => Number(a) - Number(b))).toEqual(ids.map((_, n) => n + 1))
      expect(((await kernel.state(runId)).items as string[]).toSorted()).toEqual(ids.toSorted())
      await expect.poll(() => ran.length, { timeout: 300_000 }).toBe(ids.length)
      await flow.signal(runId, 'end')
      await flow.result(runId, { timeout: 120_000 })
      expect(ran.toSorted()).toEqual(ids.toSorted())
      for (const id of ids) expect(await flow.update(runId, 'add', undefined, { id })).toBe(responses.get(id))
    } finally {
      await kernel.close({ timeout: 0 })
    }
  },
  900_000,
)
