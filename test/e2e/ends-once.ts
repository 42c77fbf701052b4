import { createKernel, type Kernel } from 'nuxt-queue/kernel'
import { afterAll, expect, it } from 'vitest'
import prodPostgres from '../../presets/prod-postgres.ts'
import prodRedis from '../../presets/prod-redis.ts'
import { inLongForm } from '../services/long.ts'
import { sharedPostgres } from '../services/postgres.ts'
import { sharedRedis } from '../services/redis.ts'

const AT_ONCE = 100

const [redis, postgres] = await Promise.all([sharedRedis(), sharedPostgres()])
afterAll(() => Promise.all([redis.stop(), postgres.stop()]))

const quiet = { registry: { dirs: [] }, retention: { sweepInterval: 0, completed: { count: Infinity } } }

const stores = {
  Redis: pairOf(prodRedis, { redis: { url: redis.url, prefix: crypto.randomUUID(), checkServer: false } }),
  Postgres: pairOf(prodPostgres, { postgres: { url: postgres.url, schema: `race_${Date.now()}` } }),
}

function pairOf(preset: typeof prodRedis, config: object): () => Promise<Kernel> {
  return () => createKernel({ preset, config: { ...quiet, ...config } })
}

/** Both instances have the whole flow. Each runs one of the last two steps, which are released in pairs. */
async function start(kernel: Kernel, other: 'left' | 'right', meet: (runId: string) => Promise<void>): Promise<void> {
  const flow = { name: 'race' }
  await kernel.registerWorker({
    id: 'begin',
    config: { queue: 'begin', concurrency: AT_ONCE, flow: { ...flow, role: 'entry', emits: ['left', 'right'] } },
    async handler(_job, ctx) {
      await ctx.flow.emit('left')
      await ctx.flow.emit('right')
    },
  })
  for (const side of ['left', 'right']) {
    const place = { ...flow, role: 'step' as const, subscribes: side, emits: [] }
    const config = { queue: side, concurrency: AT_ONCE, flow: place }
    await kernel.registerWorker({ id: side, config, handler: ({ runId }) => meet(runId) })
  }
  await kernel.start()
  await kernel.port('workers').unregisterWorker(other, other)
}

/** Registers tests that end the given number of runs from two instances at once: on PostgreSQL, and in the long form on Redis. */
export function endsOnce(runs: number): void {
  it.each(['Postgres', ...inLongForm('Redis')] as const)(
    'two instances that finish the last two steps of a run at once end it once, on %s',
    { timeout: 480_000 },
    async (store) => {
      const arrived = new Map<string, () => void>()
      const meet = async (runId: string): Promise<void> => {
        const letGo = arrived.get(runId)
        if (!letGo) return new Promise((resolve) => arrived.set(runId, resolve))
        letGo()
      }
      const [one, two] = [await stores[store](), await stores[store]()]
      try {
        await start(one, 'right', meet)
        await start(two, 'left', meet)
        for (let from = 0; from < runs; from += AT_ONCE) {
          const ids = Array.from({ length: AT_ONCE }, (_, index) => `run-${from + index}`)
          await Promise.all(ids.map((id) => one.flow('race').start(undefined, { id })))
          await Promise.all(ids.map((id) => one.waitFor(id, 'end', { timeout: 240_000 })))
          for (const id of ids) {
            const types = (await one.port('events').read(id)).map(({ type }) => type)
            expect(types.filter((type) => type.startsWith('flow.'))).toEqual(['flow.started', 'flow.completed'])
            expect(types.at(-1)).toBe('flow.completed')
          }
        }
        expect(await two.flow('race').runs({ status: 'running' })).toEqual([])
        expect(await two.flow('race').runs({ status: 'completed', limit: runs + 1 })).toHaveLength(runs)
      } finally {
        await Promise.all([one.close(), two.close()])
      }
    },
  )
}
